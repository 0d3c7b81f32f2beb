// From a number between 0 and 1 to a colour, by tables of 256 entries.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace dermlens {

enum class Colormap { jet, turbo, viridis, gray };
std::string_view to_string(Colormap colormap);
// Fails with usage, naming the four.
Result<Colormap> parse_colormap(std::string_view name);

using Colour = std::array<std::uint8_t, 3>;  // red, green, blue
using ColourTable = std::array<Colour, 256>;

// Lives for ever; any thread.
const ColourTable& colour_table(Colormap colormap);

}  // namespace dermlens
