// Reserve, then allocate.
#include "image/picture.h"

#include <new>
#include <utility>

namespace dermlens {

Result<Picture> Picture::make(Size size, Ledger& ledger, Category category) {
  if (size.width == 0 || size.height == 0)
    return fail(Errc::usage, "a picture needs pixels (", to_string(size), ")");
  TRY(const Bytes bytes, checked_mul(size.width, size.height, Bytes{3}));
  Picture picture;
  TRY(picture.hold_, ledger.reserve(category, bytes));
  picture.pixels_.reset(new (std::nothrow) std::uint8_t[bytes]());
  if (picture.pixels_ == nullptr)
    return fail(Errc::no_memory, "the system has no memory left (", bytes, " B asked for)");
  picture.size_ = size;
  return picture;
}

}  // namespace dermlens
