// What a client can send, through every parser of the server. The input is a whole HTTP request:
// header, empty line, body; the body is then read as each of the forms a photo or a tensor comes
// in, whatever the header says.
#include <boost/asio/buffer.hpp>
#include <cstring>
#include <string>

#include "base/checked.h"
#include "server/app.h"
#include "server/base64.h"
#include "server/multipart.h"
#include "server/photo_input.h"
#include "server/router.h"
#include "server/v2_message.h"
#include "server/wire.h"

namespace {

using namespace dermlens;
using namespace dermlens::server;

App& small_app() {
  static App app(
      [] {
        Options options;
        options.max_upload = 1 << 20;
        return options;
      }(),
      MemoryLimit{64 << 20, LimitSource::flag}, Configuration{});
  return app;
}

void fill(HttpRequest& request, std::string_view body) {
  auto reserved = Body::reserve(small_app().ledger, body.size());
  CHECK(reserved.has_value());
  if (!body.empty()) std::memcpy(reserved->bytes().data(), body.data(), body.size());
  request.body = std::move(*reserved);
}

void set_type(HttpRequest& request, std::string type) {
  std::erase_if(request.headers, [](const auto& field) { return field.first == "content-type"; });
  request.headers.emplace_back("content-type", std::move(type));
}

// The header as the connection reads it; absent where it is refused.
std::shared_ptr<HttpRequest> header_of(std::string_view text) {
  HeaderParser parser;
  parser.header_limit(kMaxHeader);
  parser.body_limit(boost::none);
  boost::system::error_code error;
  parser.put(boost::asio::buffer(text.data(), text.size()), error);
  if (error || !parser.is_header_done()) return nullptr;
  const server::Header header = server::read_header(parser);
  const Match match = find_route(all_routes(), header.request->method, header.request->path);
  static_cast<void>(match);
  HttpResponse response;
  response.headers.emplace_back("Location", header.request->path);
  const std::string written = write_header(response, 0, header.framing.keep_alive, {});
  // Whatever was sent, an answer's header is whole lines and ends once.
  CHECK(written.find("\r\n\r\n") == written.size() - 4);
  return header.status == 0 ? header.request : nullptr;
}

void read_body(HttpRequest& request, std::string_view body) {
  for (const char* type : {"", "application/json", "application/x-www-form-urlencoded",
                           "multipart/form-data; boundary=b", "image/png"}) {
    if (*type != '\0') set_type(request, type);
    fill(request, body);
    const auto input = read_photo_input(small_app(), request, true);
    if (input) CHECK(input->photo.size() <= body.size());
  }
  fill(request, body);
  const auto message = read_v2_request(request, small_app().ledger, 1 << 20);
  if (message) CHECK(message->input.values.size() <= body.size());
  request.body = Body();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = text.find("\r\n\r\n");
  const std::string_view body =
      end == std::string_view::npos ? text : text.substr(std::min(end + 4, size));
  if (auto request = header_of(text)) read_body(*request, body);
  HttpRequest plain;
  read_body(plain, body);
  if (const auto parts = parse_multipart(body, "b"))
    for (const Part& part : *parts) CHECK(part.content.data() >= body.data());
  CHECK(small_app().ledger.reserved() == 0);
  return 0;
}
