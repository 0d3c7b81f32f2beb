// Pictures to bytes that can be handed out: no metadata of any kind. Each output byte is reserved
// (Category::encode) before it exists, and lives in the returned object.
#pragma once

#include "image/bytes.h"
#include "image/picture.h"
#include "memory/ledger.h"

namespace dermlens {

// 8-bit RGB, zlib level 1: seven times faster than level 6 for a little more bytes.
// Fails with no_memory or over_limit.
Result<GrowingBytes> encode_png(const Picture& picture, Ledger& ledger);

// Baseline, 4:2:0. `quality` is 1 to 100. Fails with usage, no_memory or over_limit, and with
// unsupported where a side is over 65500 pixels.
Result<GrowingBytes> encode_jpeg(const Picture& picture, int quality, Ledger& ledger);

}  // namespace dermlens
