// How much memory libwebp will take for a lossless stream. No header says it, and a hostile file
// can make it allocate 800 MB for 65536 groups of Huffman tables in a picture of one megapixel; so
// the beginning of the stream is walked, as far as the number of groups, without keeping a pixel.
#pragma once

#include "base/checked.h"
#include "image/header.h"

namespace dermlens::codec {

// `stream` starts at the transforms: after the 5 bytes of a VP8L chunk's header, or after the
// first byte of a compressed ALPH chunk. The bytes are those of pixels, tables, the images of
// transforms and groups, and the colour caches, as libwebp 1.2 allocates them (later versions need
// less). Fails with malformed.
Result<Bytes> lossless_bytes(ByteView stream, Size size);

}  // namespace dermlens::codec
