// Errors as responses. Nothing a client sends and no shortage of memory ends in a 500.
#include "server/errors.h"

#include <boost/json/object.hpp>

#include "diagnose/json_text.h"

namespace dermlens::server {

unsigned http_status(Errc code, Blame blame) {
  const bool model = blame == Blame::model;
  switch (code) {
    case Errc::usage:
      return 400;
    case Errc::malformed:
      return model ? 503 : 400;
    case Errc::unsupported:
      return model ? 503 : 415;
    case Errc::not_found:
      return 404;
    case Errc::too_large:
    case Errc::over_limit:
      return model ? 507 : 413;
    case Errc::no_memory:
    case Errc::busy:
      return 503;
    case Errc::deadline:
      return 504;
    case Errc::cancelled:
      return 499;
    case Errc::refused:
      return 422;
    case Errc::denied:
      return 401;
    case Errc::io:
      return model ? 503 : 500;
    case Errc::corrupt:
      return 503;
    case Errc::internal:
      return 500;
  }
  return 500;
}

HttpResponse error_response(unsigned status, std::string_view code, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.error_code = code;
  response.error_message = message;
  response.body = to_text(boost::json::object{{"error", message}, {"code", code}});
  return response;
}

HttpResponse error_response(const Error& error, Blame blame) {
  HttpResponse response =
      error_response(http_status(error.code, blame), to_string(error.code), error.message);
  if (error.code == Errc::no_memory || error.code == Errc::over_limit)
    response.body = to_text(boost::json::object{{"error", error.message},
                                                {"code", to_string(error.code)},
                                                {"needed_bytes", error.needed},
                                                {"free_bytes", error.available}});
  if (response.status == 503) response.headers.emplace_back("Retry-After", kRetryAfterSeconds);
  return response;
}

std::string_view reason_phrase(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

}  // namespace dermlens::server
