// Pictures of any size in any form, made when a test asks for them: nobody commits 50 megapixels.
#pragma once

#include <cstddef>
#include <vector>

#include "image/header.h"

namespace dermlens::made {

struct JpegForm {
  bool progressive = false;
  int channels = 3;
  int across = 2;  // sampling of luminance: 1 and 1 is 4:4:4, 2 and 2 is 4:2:0
  int down = 2;
};
std::vector<std::byte> jpeg(Size size, const JpegForm& form);

struct PngForm {
  bool interlaced = false;
  bool alpha = false;
  int bits = 8;
};
std::vector<std::byte> png(Size size, const PngForm& form);

struct WebpForm {
  bool lossless = false;
  bool alpha = false;
};
std::vector<std::byte> webp(Size size, const WebpForm& form);

}  // namespace dermlens::made
