#include "diagnose/preprocess.h"

#include <gtest/gtest.h>

namespace dermlens::diagnose {
namespace {

// Two pixels: (10, 20, 30) and (40, 50, 60).
class Input : public testing::Test {
 protected:
  Input() : picture(std::move(*Picture::make({2, 1}, ledger))) {
    for (std::size_t i = 0; i < 6; ++i)
      picture.pixels()[i] = static_cast<std::uint8_t>(10 * (i + 1));
    how.width = 2;
    how.height = 1;
    how.scale = 1;
    how.mean = {0, 0, 0};
    how.deviation = {1, 1, 1};
  }

  std::vector<float> write() const {
    std::vector<float> values(6);
    write_input(picture, how, values);
    return values;
  }

  Ledger ledger{1 << 20};
  Picture picture;
  Preprocessing how;
};

TEST_F(Input, IsPlanarByDefault) {
  EXPECT_EQ(write(), (std::vector<float>{10, 40, 20, 50, 30, 60}));
}

TEST_F(Input, IsInterleavedWhereChannelsAreLast) {
  how.channels_last = true;
  EXPECT_EQ(write(), (std::vector<float>{10, 20, 30, 40, 50, 60}));
}

TEST_F(Input, StartsWithBlueWhereTheModelSaysBgr) {
  how.order = ChannelOrder::bgr;
  EXPECT_EQ(write(), (std::vector<float>{30, 60, 20, 50, 10, 40}));
}

TEST_F(Input, IsScaledThenShiftedThenDividedInTheModelsChannelOrder) {
  how.order = ChannelOrder::bgr;
  how.scale = 0.5F;
  how.mean = {5, 0, 0};
  how.deviation = {2, 1, 1};
  EXPECT_EQ(write(), (std::vector<float>{5, 12.5F, 10, 25, 5, 20}));
}

}  // namespace
}  // namespace dermlens::diagnose
