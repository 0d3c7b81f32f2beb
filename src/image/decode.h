// From a stranger's bytes to upright pictures of the sizes asked for, in one pass over the photo:
//   TRY(const Header header, read_header(bytes, limits));      // 413, 415: nothing decoded yet
//   TRY(auto pictures, decode(bytes, header, targets, ledger));
// A baseline JPEG and a plain PNG stream through row by row; forms that need the whole picture in
// memory are priced so, and refused by the ledger before they are decoded.
#pragma once

#include <span>
#include <stop_token>
#include <vector>

#include "image/header.h"
#include "image/picture.h"
#include "image/target.h"
#include "memory/ledger.h"

namespace dermlens {

struct DecodeCost {
  Bytes working = 0;   // while decode() runs
  Bytes pictures = 0;  // for as long as its pictures live
  Bytes total() const { return working + pictures; }
};

// An upper bound, from the header alone.
Result<DecodeCost> decode_cost(const Header& header, std::span<const Target> targets);

// One picture a target, in their order, upright by EXIF. `header` is read_header's for these bytes.
// Reserves the cost (Category::decode) before it allocates. Fails with no_memory or over_limit,
// malformed (truncated or broken data), unsupported, corrupt (bytes changed since the header was
// read), cancelled (`stop`), usage (a target without pixels).
Result<std::vector<Picture>> decode(ByteView bytes, const Header& header,
                                    std::span<const Target> targets, Ledger& ledger,
                                    const std::stop_token& stop = {});

}  // namespace dermlens
