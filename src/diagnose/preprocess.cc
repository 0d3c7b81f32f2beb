#include "diagnose/preprocess.h"

namespace dermlens::diagnose {

void write_input(const Picture& picture, const Preprocessing& how, std::span<float> input) {
  const std::span<const std::uint8_t> pixels = picture.pixels();
  const std::size_t positions = pixels.size() / 3;
  CHECK(input.size() == pixels.size());
  for (std::size_t c = 0; c < 3; ++c) {
    // One table a channel: 256 divisions instead of one a pixel.
    std::array<float, 256> table;
    for (std::size_t v = 0; v < table.size(); ++v)
      table[v] = (static_cast<float>(v) * how.scale - how.mean[c]) / how.deviation[c];
    const std::size_t source = how.order == ChannelOrder::rgb ? c : 2 - c;
    const std::size_t step = how.channels_last ? 3 : 1;
    float* out = input.data() + (how.channels_last ? c : c * positions);
    for (std::size_t i = 0; i < positions; ++i) out[i * step] = table[pixels[i * 3 + source]];
  }
}

}  // namespace dermlens::diagnose
