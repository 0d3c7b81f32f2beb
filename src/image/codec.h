// The three codecs behind one shape: read the header, say the bytes, push the rows. Only the files
// that implement this see libjpeg, libpng and libwebp; none of them prints, and each leaves its
// library by longjmp only through frames that own nothing.
#pragma once

#include <stop_token>

#include "base/checked.h"
#include "image/header.h"
#include "image/resize.h"

namespace dermlens::codec {

// Each without the limits, which the caller applies. Each fails with unsupported or malformed.
Result<Header> read_jpeg_header(ByteView bytes);
Result<Header> read_png_header(ByteView bytes);
Result<Header> read_webp_header(ByteView bytes);

// An upper bound of what decoding allocates inside the library and beside it, at `eighths` / 8 of
// the size (PNG: always 8).
Bytes jpeg_bytes(const Header& header, unsigned eighths);
Bytes png_bytes(const Header& header);
Bytes webp_bytes(const Header& header, unsigned eighths);

// Pushes every row of the stored picture, scaled, in RGB over white. The caller has reserved the
// bytes above. Fails with malformed where data is missing or broken (never a half grey picture),
// with corrupt where the bytes are not those of the header, with cancelled when `stop` says so.
Result<void> decode_jpeg(ByteView bytes, const Header& header, unsigned eighths, RowSink& sink,
                         const std::stop_token& stop);
Result<void> decode_png(ByteView bytes, const Header& header, RowSink& sink,
                        const std::stop_token& stop);
Result<void> decode_webp(ByteView bytes, const Header& header, unsigned eighths, RowSink& sink,
                         const std::stop_token& stop);

}  // namespace dermlens::codec
