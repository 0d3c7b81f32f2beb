// Between Beast's types and ours: a parsed header to an HttpRequest, an HttpResponse to the bytes
// of its header.
#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "server/message.h"

namespace dermlens::server {

inline constexpr std::uint32_t kMaxHeader = 16 * 1024;
inline constexpr std::size_t kMaxFields = 100;

using HeaderParser = boost::beast::http::request_parser<boost::beast::http::empty_body>;

// What a header says beside the request itself.
struct Framing {
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool expects_continue = false;
  bool keep_alive = false;
};

struct Header {
  std::shared_ptr<HttpRequest> request;
  Framing framing;
  unsigned status = 0;  // not 0: refuse with it
  std::string refusal;  // and this sentence
};

// Never throws but for memory.
Header read_header(const HeaderParser& parser);

// The status line and header fields, ending in an empty line. `length` is that of the body, absent
// for a stream that ends with the connection.
std::string write_header(const HttpResponse& response, std::optional<std::size_t> length,
                         bool keep_alive, std::string_view cors_origin);

}  // namespace dermlens::server
