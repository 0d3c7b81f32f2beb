// Any bytes as a photo: header, price, decode, overlay, encode. Whatever happens, the ledger ends
// empty and its peak never passes the price.
#include <array>
#include <cstdint>
#include <span>

#include "image/decode.h"
#include "image/encode.h"
#include "image/overlay.h"

namespace dermlens {
namespace {

constexpr Limits kLimits = {1 << 20};
constexpr Bytes kMemory = 24 << 20;
constexpr std::array<float, 4> kHeat = {0, 1, 0.5F, 0.25F};

void decode_any(ByteView bytes, Ledger& ledger) {
  const auto header = read_header(bytes, kLimits);
  if (!header) return;
  const std::array targets = {Target::exact({33, 20}), Target::fit(48)};
  const auto cost = decode_cost(*header, targets);
  CHECK(cost.has_value());
  auto pictures = decode(bytes, *header, targets, ledger);
  CHECK(ledger.peak() <= cost->total());
  if (!pictures) return;
  CHECK(pictures->size() == targets.size());
  CHECK((*pictures)[0].size() == (Size{33, 20}));
  Picture& shown = (*pictures)[1];
  CHECK(blend_heatmap(shown, {2, 2, kHeat}, Colormap::jet, 0.4F).has_value());
  CHECK(encode_png(shown, ledger).has_value());
  CHECK(encode_jpeg(shown, 85, ledger).has_value());
}

}  // namespace
}  // namespace dermlens

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dermlens::Ledger ledger(dermlens::kMemory);
  dermlens::decode_any(std::as_bytes(std::span(data, size)), ledger);
  CHECK(ledger.reserved() == 0);
  return 0;
}
