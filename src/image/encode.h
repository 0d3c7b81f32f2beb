// Pictures to bytes that can be handed out: no metadata of any kind. Each output byte is reserved
// (Category::encode) before it exists, and lives in the returned object.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "image/bytes.h"
#include "image/picture.h"
#include "memory/ledger.h"

namespace dermlens {

// The most that encode_png reserves for a picture of this size, whatever it shows, and the most
// that it hands out.
Bytes png_cost(Size size);
Bytes longest_png(Size size);

// 8-bit RGB, zlib level 1: seven times faster than level 6 for a little more bytes.
// Fails with no_memory or over_limit.
Result<GrowingBytes> encode_png(const Picture& picture, Ledger& ledger);

// Baseline, 4:2:0. `quality` is 1 to 100. Fails with usage, no_memory or over_limit, and with
// unsupported where a side is over 65500 pixels.
Result<GrowingBytes> encode_jpeg(const Picture& picture, int quality, Ledger& ledger);

// Fills row `y`, 3 bytes a pixel.
using FillRow = std::function<void(std::uint32_t y, std::span<std::uint8_t> row)>;

// The same for a picture that is never whole in memory: each row is asked for once, in order.
Result<GrowingBytes> encode_jpeg(Size size, const FillRow& fill, int quality, Ledger& ledger);

}  // namespace dermlens
