// The templates of web/templates/, parsed once; and which language a reader wants.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "server/assets.h"
#include "server/message.h"
#include "server/templates.h"

namespace dermlens::server {

// Any thread.
class Pages {
 public:
  // Fails with malformed, naming the template, where one is missing or does not balance.
  static Result<std::unique_ptr<Pages>> open(const Assets& assets);

  // `name` is one of the six ("page", "result", "login", "system", "history", "error"). From a
  // folder (--web-dir) it is read anew.
  Result<std::shared_ptr<const Template>> find(std::string_view name) const;

 private:
  explicit Pages(const Assets& assets) : assets_(assets) {}

  const Assets& assets_;
  std::map<std::string, std::shared_ptr<const Template>, std::less<>> templates_;
};

// "vi" or "en": ?lang=, else the cookie `lang`, else Accept-Language, else vi.
std::string_view language_of(const HttpRequest& request);

// The two sentences that stand under every result: 0 says that the model errs, 1 that a
// professional must verify.
std::string_view disclaimer_sentence(std::string_view language, int which);

}  // namespace dermlens::server
