// The grammar is that of the WebP Lossless Bitstream Specification, sections 4 to 6: transforms,
// each with a small image of its own; the colour cache's size; an image that assigns groups of
// prefix codes to tiles. What follows (the codes of each group, the pixels) is left unread.
#include "image/vp8l.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace dermlens::codec {
namespace {

constexpr int kLongestCode = 15;
constexpr std::uint32_t kLiterals = 256;
constexpr std::uint32_t kLengthCodes = 24;
constexpr std::uint32_t kDistanceCodes = 40;
constexpr int kMostCacheBits = 11;
// libwebp's kTableSize (utils/huffman_utils, vp8l_dec.c): entries of one group, by colour cache
// bits.
constexpr std::array<Bytes, 12> kGroupEntries = {2954, 2956, 2958, 2962, 2970, 2986,
                                                 3018, 3082, 3212, 3468, 3980, 5004};
constexpr Bytes kEntryBytes = 4;
constexpr Bytes kGroupBytes = 640;  // sizeof(HTreeGroup) is 568

// Bits from the lowest up. Past the end it yields zeros and `over()` turns true.
class BitReader {
 public:
  explicit BitReader(ByteView bytes) : bytes_(bytes) {}

  std::uint32_t read(int count) {
    std::uint32_t value = 0;
    for (int i = 0; i < count; ++i, ++at_) {
      const std::size_t byte = at_ / 8;
      if (byte >= bytes_.size()) continue;
      value |= (std::to_integer<std::uint32_t>(bytes_[byte]) >> (at_ % 8) & 1U) << i;
    }
    return value;
  }
  bool over() const { return at_ > bytes_.size() * 8; }

 private:
  ByteView bytes_;
  std::size_t at_ = 0;
};

// A canonical prefix code. With a single symbol it takes no bits at all.
class PrefixCode {
 public:
  // False where the lengths are no complete code.
  bool build(const std::vector<std::uint8_t>& lengths) {
    counts_.fill(0);
    for (const std::uint8_t length : lengths) ++counts_[length];
    const std::size_t used = lengths.size() - counts_[0];
    counts_[0] = 0;
    std::array<std::uint32_t, kLongestCode + 2> starts{};
    std::int64_t open = 1;
    for (std::size_t length = 1; length <= kLongestCode; ++length) {
      open = open * 2 - counts_[length];
      if (open < 0) return false;
      starts[length + 1] = starts[length] + counts_[length];
    }
    symbols_.assign(used, 0);
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol)
      if (lengths[symbol] != 0)
        symbols_[starts[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
    return used == 1 || (used > 1 && open == 0);
  }

  std::uint32_t read(BitReader& bits) const {
    if (symbols_.size() == 1) return symbols_[0];
    std::uint32_t code = 0;
    std::uint32_t first = 0;
    std::uint32_t index = 0;
    for (std::size_t length = 1; length <= kLongestCode; ++length) {
      code |= bits.read(1);
      const std::uint32_t count = counts_[length];
      if (code - first < count) return symbols_[index + code - first];
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return 0;  // unreachable: the code is complete
  }

 private:
  std::array<std::uint32_t, kLongestCode + 1> counts_{};
  std::vector<std::uint16_t> symbols_;
};

std::uint32_t tiles(std::uint32_t length, std::uint32_t bits) {
  return (length + (1U << bits) - 1) >> bits;
}

tl::unexpected<Error> broken() {
  return fail(Errc::malformed, "the WebP is broken or cut short (in its entropy tables)");
}

class Walker {
 public:
  explicit Walker(ByteView stream) : bits_(stream) {}

  Result<Bytes> bytes(Size size) {
    // 16 finished rows and the one above them, at full width.
    count_image({size.width, 17});
    TRY_VOID(skip_transforms(size));
    count_image(size);
    TRY(const int cache_bits, read_cache_bits());
    Groups groups{1, 1};
    if (bits_.read(1) != 0) {
      const std::uint32_t tile_bits = bits_.read(3) + 2;
      const Size image{tiles(size.width, tile_bits), tiles(size.height, tile_bits)};
      count_image(image);
      TRY(groups, walk_image(image));
    }
    if (bits_.over()) return broken();
    const auto cache = static_cast<std::size_t>(cache_bits);
    bytes_ += groups.distinct * (kGroupEntries[cache] * kEntryBytes + kGroupBytes);
    // The cache, and the copy that is kept of it; the lengths of one code.
    bytes_ += (Bytes{2} << cache) * sizeof(std::uint32_t);
    bytes_ += (kLiterals + kLengthCodes + (Bytes{1} << kMostCacheBits)) * sizeof(int);
    // Sparse numbers are mapped to dense ones.
    return bytes_ + groups.numbers * sizeof(int);
  }

 private:
  struct Groups {
    Bytes numbers = 0;   // the highest plus one
    Bytes distinct = 0;  // at most
  };

  void count_image(Size image) { bytes_ += Bytes{4} * image.width * image.height; }

  // Leaves in `size` the width that packed palette indices take.
  Result<void> skip_transforms(Size& size) {
    std::array<bool, 4> seen{};
    while (bits_.read(1) != 0) {
      const std::uint32_t type = bits_.read(2);
      if (seen[type] || bits_.over()) return broken();
      seen[type] = true;
      if (type == 2) continue;  // subtract green: no data
      Size image;
      if (type == 3) {  // palette
        const std::uint32_t colours = bits_.read(8) + 1;
        const std::uint32_t packing = colours > 16 ? 0 : colours > 4 ? 1 : colours > 2 ? 2 : 3;
        size.width = tiles(size.width, packing);
        image = {colours, 1};
        count_image({256, 1});
      } else {
        const std::uint32_t tile_bits = bits_.read(3) + 2;
        image = {tiles(size.width, tile_bits), tiles(size.height, tile_bits)};
      }
      count_image(image);
      TRY_VOID(walk_image(image));
    }
    return {};
  }

  Result<int> read_cache_bits() {
    if (bits_.read(1) == 0) return 0;
    const int cache_bits = static_cast<int>(bits_.read(4));
    if (cache_bits < 1 || cache_bits > kMostCacheBits) return broken();
    return cache_bits;
  }

  // The group numbers stand in an image's red and green. Copies bring none that was not there, and
  // an empty cache slot is 0.
  Result<Groups> walk_image(Size image) {
    TRY(const int cache_bits, read_cache_bits());
    const std::uint32_t cache = cache_bits == 0 ? 0 : 1U << cache_bits;
    std::array<PrefixCode, 5> codes;
    TRY_VOID(read_code(codes[0], kLiterals + kLengthCodes + cache));
    for (int i = 1; i < 4; ++i) TRY_VOID(read_code(codes[static_cast<std::size_t>(i)], kLiterals));
    TRY_VOID(read_code(codes[4], kDistanceCodes));
    const Bytes pixels = Bytes{image.width} * image.height;
    Bytes highest = 0;
    Bytes literals = 0;
    for (Bytes at = 0; at < pixels;) {
      if (bits_.over()) return broken();
      const std::uint32_t symbol = codes[0].read(bits_);
      if (symbol < kLiterals) {
        const std::uint32_t red = codes[1].read(bits_);
        codes[2].read(bits_);
        codes[3].read(bits_);
        highest = std::max<Bytes>(highest, red << 8 | symbol);
        ++literals;
        ++at;
      } else if (symbol < kLiterals + kLengthCodes) {
        at += read_extended(symbol - kLiterals);
        read_extended(codes[4].read(bits_));
      } else {
        ++at;
      }
    }
    return Groups{highest + 1, std::min(highest, literals) + 1};
  }

  // A length or distance: its prefix, then extra bits.
  std::uint32_t read_extended(std::uint32_t prefix) {
    if (prefix < 4) return prefix + 1;
    const std::uint32_t extra = (prefix - 2) >> 1;
    return ((2 + (prefix & 1)) << extra) + bits_.read(static_cast<int>(extra)) + 1;
  }

  Result<void> read_code(PrefixCode& code, std::uint32_t symbols) {
    std::vector<std::uint8_t> lengths(symbols);
    if (bits_.read(1) != 0) {
      const bool two = bits_.read(1) != 0;
      const bool wide = bits_.read(1) != 0;
      const std::uint32_t first = bits_.read(wide ? 8 : 1);
      const std::uint32_t second = two ? bits_.read(8) : first;
      if (first >= symbols || second >= symbols) return broken();
      lengths[first] = 1;
      lengths[second] = 1;
    } else {
      TRY_VOID(read_lengths(lengths));
    }
    if (bits_.over() || !code.build(lengths)) return broken();
    return {};
  }

  Result<void> read_lengths(std::vector<std::uint8_t>& lengths) {
    static constexpr std::array<std::uint8_t, 19> kOrder = {17, 18, 0, 1,  2,  3,  4,  5,  16, 6,
                                                            7,  8,  9, 10, 11, 12, 13, 14, 15};
    std::vector<std::uint8_t> of_lengths(kOrder.size());
    const std::uint32_t given = bits_.read(4) + 4;
    for (std::uint32_t i = 0; i < given; ++i)
      of_lengths[kOrder[i]] = static_cast<std::uint8_t>(bits_.read(3));
    PrefixCode code;
    if (!code.build(of_lengths)) return broken();
    std::size_t left = lengths.size();
    if (bits_.read(1) != 0) {
      const int width = static_cast<int>(2 + 2 * bits_.read(3));
      left = 2 + bits_.read(width);
      if (left > lengths.size()) return broken();
    }
    std::uint8_t previous = 8;
    for (std::size_t symbol = 0; symbol < lengths.size() && left > 0; --left) {
      const std::uint32_t length = code.read(bits_);
      if (length < 16) {
        lengths[symbol++] = static_cast<std::uint8_t>(length);
        if (length != 0) previous = static_cast<std::uint8_t>(length);
        continue;
      }
      const std::size_t repeat = length == 16   ? 3 + bits_.read(2)
                                 : length == 17 ? 3 + bits_.read(3)
                                                : 11 + bits_.read(7);
      if (repeat > lengths.size() - symbol) return broken();
      std::fill_n(lengths.begin() + static_cast<std::ptrdiff_t>(symbol), repeat,
                  length == 16 ? previous : std::uint8_t{0});
      symbol += repeat;
    }
    return {};
  }

  BitReader bits_;
  Bytes bytes_ = 0;
};

}  // namespace

Result<Bytes> lossless_bytes(ByteView stream, Size size) { return Walker(stream).bytes(size); }

}  // namespace dermlens::codec
