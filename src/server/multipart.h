// multipart/form-data (RFC 7578) over a body that is already in memory: the parts are views,
// nothing is copied. Strict: what browsers and curl send is read, everything else is refused with a
// reason.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "base/result.h"

namespace dermlens::server {

struct Part {
  std::string name;          // the field's name
  bool is_file = false;      // a filename was given; the name itself is never used
  std::string_view type;     // its Content-Type; may be empty
  std::string_view content;  // valid while the body lives
};

inline constexpr std::size_t kMaxParts = 32;
inline constexpr std::size_t kMaxPartHeader = 2048;
inline constexpr std::size_t kMaxFieldName = 100;

// The boundary of a multipart/form-data Content-Type. Fails with unsupported for another type, with
// malformed where the boundary is missing, empty, longer than 70 characters or of foreign ones.
Result<std::string> multipart_boundary(std::string_view content_type);

// The parts of `body` in order. Fails with malformed where boundaries or part headers are broken, a
// part nests another multipart or is encoded; with too_large past the bounds above.
Result<std::vector<Part>> parse_multipart(std::string_view body, std::string_view boundary);

}  // namespace dermlens::server
