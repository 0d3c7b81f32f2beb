// Requests and responses of the Open Inference Protocol: JSON, and its extension that appends
// tensors as raw bytes behind the JSON (Inference-Header-Content-Length).
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/ledger.h"
#include "server/json_body.h"
#include "server/message.h"

namespace dermlens::server {

struct V2Input {
  std::string name;
  std::string datatype;  // "FP32" or "BYTES"
  std::vector<std::int64_t> shape;
  std::vector<float> values;  // FP32, row-major
  ByteView bytes;             // BYTES: the one element; lies in the request's body
};

struct V2Request {
  std::string id;
  V2Input input;                     // the one input that our models have
  std::vector<std::string> outputs;  // asked for by name; empty: all
  std::vector<std::string> binary;   // those to be sent as raw bytes
  bool binary_by_default = false;
  // Strings and numbers of the request's own "parameters", as text.
  std::vector<std::pair<std::string, std::string>> parameters;
  Reservation hold;  // of the values

  bool wants(std::string_view output) const;
  // Fails with malformed where an output is asked for that is none of `known`.
  Result<void> check_outputs(std::span<const std::string_view> known) const;
  bool as_bytes(std::string_view output) const;
};

// Fails with malformed or unsupported, naming the place; for want of memory; with too_large where a
// BYTES element in JSON decodes to more than `max_upload`.
Result<V2Request> read_v2_request(HttpRequest& request, Ledger& ledger, Bytes max_upload);

struct V2Output {
  std::string name;
  std::string datatype;
  std::vector<std::int64_t> shape;
  std::span<const float> values;  // FP32
  std::string_view bytes;         // BYTES, one element
  bool base64 = false;            // BYTES in JSON: as base64, not as text
};

// Fails for want of memory. What the outputs point at may go once this returns.
Result<HttpResponse> write_v2_response(boost::json::object head, const V2Request& request,
                                       const std::vector<V2Output>& outputs, Ledger& ledger);

}  // namespace dermlens::server
