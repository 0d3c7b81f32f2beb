// A form with files, as a browser would send it.
#pragma once

#include <string>
#include <string_view>

namespace dermlens::probe {

// Append fields and files, then take the body once.
class MultipartForm {
 public:
  void add_field(std::string_view name, std::string_view value);
  // `name` and `file_name` are the caller's own: without quotes or line ends.
  void add_file(std::string_view name, std::string_view file_name, std::string_view type,
                std::string_view bytes);

  std::string content_type() const;
  std::string finish() &&;

 private:
  std::string body_;
};

}  // namespace dermlens::probe
