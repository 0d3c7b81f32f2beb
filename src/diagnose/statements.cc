// The sentences that every answer and page carries, in the languages of the page.
#include "diagnose/model.h"

namespace dermlens::diagnose {

std::string_view disclaimer(std::string_view language) {
  if (language == "vi")
    return "Mô hình có thể sai. Nếu bạn lo lắng về làn da của mình, hãy đi khám bác sĩ. Kết quả "
           "phải "
           "được chuyên gia y tế xác minh bằng phương pháp lâm sàng. Đây không phải là thiết bị y "
           "tế.";
  return "The model makes mistakes. If you are worried about your skin, see a doctor. A result "
         "must "
         "be verified by a professional by clinical means. This is not a medical device.";
}

std::string_view heatmap_explanation(std::string_view language) {
  if (language == "vi")
    return "Bản đồ nhiệt cho thấy vùng ảnh làm tăng điểm của nhóm này trong mô hình. Nó không "
           "khoanh "
           "vùng bệnh và không cho biết mô hình có đúng hay không.";
  return "The heatmap shows which parts of the photo raised the model's score for this class. It "
         "does "
         "not outline the disease, and it does not say whether the model is right.";
}

}  // namespace dermlens::diagnose
