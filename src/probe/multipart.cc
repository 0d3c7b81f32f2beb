// RFC 7578, with one boundary: what is sent is our own, and photos do not hold it.
#include "probe/multipart.h"

namespace dermlens::probe {
namespace {

constexpr std::string_view kBoundary = "dermlens-probe-7c1f0e5b9a3d4826";

}  // namespace

void MultipartForm::add_field(std::string_view name, std::string_view value) {
  body_.append("--").append(kBoundary);
  body_.append("\r\nContent-Disposition: form-data; name=\"").append(name).append("\"\r\n\r\n");
  body_.append(value).append("\r\n");
}

void MultipartForm::add_file(std::string_view name, std::string_view file_name,
                             std::string_view type, std::string_view bytes) {
  body_.append("--").append(kBoundary);
  body_.append("\r\nContent-Disposition: form-data; name=\"").append(name);
  body_.append("\"; filename=\"").append(file_name).append("\"\r\nContent-Type: ").append(type);
  body_.append("\r\n\r\n").append(bytes).append("\r\n");
}

std::string MultipartForm::content_type() const {
  return "multipart/form-data; boundary=" + std::string(kBoundary);
}

std::string MultipartForm::finish() && {
  body_.append("--").append(kBoundary).append("--\r\n");
  return std::move(body_);
}

}  // namespace dermlens::probe
