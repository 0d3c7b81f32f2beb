// The photo of a request, wherever the client has put it, and what the client wants to know of it.
#pragma once

#include <optional>
#include <string>

#include "diagnose/types.h"
#include "history/store.h"
#include "server/app.h"

namespace dermlens::server {

struct PhotoInput {
  ByteView photo;  // encoded; lies in the request's body
  diagnose::Request wish;
  bool keep = true;  // under its id, for a while
  bool overlay_in_answer = true;
  bool overlay_by_link = false;  // made and kept; the answer carries its address only
  bool map_in_answer = true;
  std::optional<double> deadline_ms;  // for the queue, where the body says so
  history::PatientNote note;
};

// Reads multipart (one file or data: URL in the field `image`), a raw image/* body, JSON
// ({"image":{"b64":..}}, {"image":".."} or {"data":".."}, with "parameters") or an urlencoded form
// with `image`; parameters also from the query. Base64 is decoded in place. Fails with malformed or
// usage (naming the field), unsupported (another content type), too_large, or for want of memory.
Result<PhotoInput> read_photo_input(App& app, HttpRequest& request, bool explain);

// Takes one parameter into the wish; ignores names it does not know. Fails with usage or as the
// parsers of diagnose do.
Result<void> apply_parameter(PhotoInput& input, std::string_view name, std::string_view value);

// Decodes base64 (or a data: URL), which may lie in `into` itself, to the front of `into`.
Result<ByteView> decode_photo_text(std::string_view text, std::span<std::byte> into,
                                   Bytes max_upload);

}  // namespace dermlens::server
