// Templates by name, languages by wish.
#include "server/pages.h"

#include <array>

namespace dermlens::server {
namespace {

constexpr std::array<std::string_view, 6> kNames{"page",   "result",  "login",
                                                 "system", "history", "error"};

Result<std::shared_ptr<const Template>> read_template(const Assets& assets, std::string_view name) {
  const auto asset = assets.find("templates/" + std::string(name) + ".html");
  if (!asset) return fail(Errc::malformed, "the page's template '", name, "' is missing");
  auto parsed = Template::parse(asset->content);
  if (!parsed) return within(name, std::move(parsed).error());
  return std::make_shared<const Template>(std::move(*parsed));
}

}  // namespace

Result<std::unique_ptr<Pages>> Pages::open(const Assets& assets) {
  std::unique_ptr<Pages> pages(new Pages(assets));
  for (const std::string_view name : kNames) {
    TRY(auto parsed, read_template(assets, name));
    pages->templates_.emplace(name, std::move(parsed));
  }
  return pages;
}

Result<std::shared_ptr<const Template>> Pages::find(std::string_view name) const {
  if (assets_.from_folder()) return read_template(assets_, name);
  const auto found = templates_.find(name);
  CHECK(found != templates_.end());
  return found->second;
}

std::string_view language_of(const HttpRequest& request) {
  const auto known = [](std::string_view text) { return text == "vi" || text == "en"; };
  if (const auto asked = request.parameter("lang"); asked && known(*asked)) return *asked;
  if (const auto kept = request.cookie("lang"); known(kept)) return kept;
  // The first of the two that is named; browsers list them by preference.
  const std::string_view wishes = request.header("accept-language");
  const std::size_t vietnamese = wishes.find("vi");
  const std::size_t english = wishes.find("en");
  return english < vietnamese ? "en" : "vi";
}

std::string_view disclaimer_sentence(std::string_view language, int which) {
  if (language == "vi")
    return which == 0 ? "Mô hình có thể nhầm lẫn: kết quả chỉ để tham khảo, hãy đến gặp bác sĩ da "
                        "liễu."
                      : "Mọi kết quả phải được chuyên gia y tế xác minh bằng phương pháp lâm sàng.";
  return which == 0 ? "The model makes mistakes: take this as a hint only, and see a doctor."
                    : "Every result must be verified by a professional by clinical means.";
}

}  // namespace dermlens::server
