// Pixels against those that Pillow decodes, and what several targets get out of one pass.
#include "image/decode.h"

#include "fixtures.h"

namespace dermlens {
namespace {

struct Kind {
  std::string file;
  double mean = 0;  // what two right decoders may differ by
  int most = 0;
};

class Kinds : public testing::TestWithParam<Kind> {};

TEST_P(Kinds, DecodeAsPillowDoes) {
  Ledger ledger(kPlenty);
  const Kind& kind = GetParam();
  const auto picture = decode_whole(kind.file, ledger);
  ASSERT_TRUE(picture.has_value()) << picture.error().message;
  std::string name = kind.file;
  name[name.rfind('.')] = '_';
  const Distance apart = distance(*picture, golden(name + ".npy"));
  EXPECT_LE(apart.mean, kind.mean) << kind.file;
  EXPECT_LE(apart.most, kind.most) << kind.file;
}

INSTANTIATE_TEST_SUITE_P(
    Decode, Kinds,
    testing::Values(Kind{"baseline.jpg", 0.1, 2}, Kind{"baseline_444.jpg", 0.1, 2},
                    Kind{"baseline_422.jpg", 0.1, 2}, Kind{"restarts.jpg", 0.1, 2},
                    Kind{"progressive.jpg", 0.1, 2}, Kind{"gray.jpg", 0.1, 2},
                    Kind{"cmyk.jpg", 0.6, 2}, Kind{"lossy.webp", 0, 0}, Kind{"lossless.webp", 0, 0},
                    Kind{"alpha_lossy.webp", 0.5, 1}, Kind{"alpha_lossless.webp", 0.5, 1},
                    Kind{"alpha.png", 0.5, 1}),
    [](const auto& tested) {
      std::string name = tested.param.file;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

struct PngKind {
  int colour;
  int bits;
};

class PngKinds : public testing::TestWithParam<PngKind> {};

TEST_P(PngKinds, PlainAndInterlacedLookAsTheyMustOverWhite) {
  Ledger ledger(kPlenty);
  const std::string stem =
      "png_c" + std::to_string(GetParam().colour) + "_b" + std::to_string(GetParam().bits);
  const NpyArray expected = golden(stem + ".npy");
  for (const std::string suffix : {".png", "_i.png"}) {
    const auto picture = decode_whole(stem + suffix, ledger);
    ASSERT_TRUE(picture.has_value()) << picture.error().message;
    EXPECT_LE(distance(*picture, expected).most, 1) << stem << suffix;
  }
}

INSTANTIATE_TEST_SUITE_P(Decode, PngKinds,
                         testing::Values(PngKind{0, 1}, PngKind{0, 2}, PngKind{0, 4}, PngKind{0, 8},
                                         PngKind{0, 16}, PngKind{2, 8}, PngKind{2, 16},
                                         PngKind{3, 1}, PngKind{3, 2}, PngKind{3, 4}, PngKind{3, 8},
                                         PngKind{4, 8}, PngKind{4, 16}, PngKind{6, 8},
                                         PngKind{6, 16}),
                         [](const auto& tested) {
                           return "Colour" + std::to_string(tested.param.colour) + "Bits" +
                                  std::to_string(tested.param.bits);
                         });

TEST(Decode, FirstPictureOfAnAnimatedPngIsDecoded) {
  Ledger ledger(kPlenty);
  const auto picture = decode_whole("one_frame.png", ledger);
  ASSERT_TRUE(picture.has_value()) << picture.error().message;
  EXPECT_EQ(picture->size(), (Size{45, 37}));
}

TEST(Decode, OnePixelIsEnough) {
  Ledger ledger(kPlenty);
  for (const std::string name : {"one_pixel.jpg", "one_pixel.png", "one_pixel.webp"}) {
    const auto bytes = read_bytes(fixture(name));
    const auto header = read_header(bytes);
    ASSERT_TRUE(header.has_value());
    const Target targets[] = {Target::exact({300, 300}), Target::fit(1024)};
    const auto pictures = decode(bytes, *header, targets, ledger);
    ASSERT_TRUE(pictures.has_value()) << pictures.error().message;
    EXPECT_EQ((*pictures)[0].size(), (Size{300, 300}));
    EXPECT_EQ((*pictures)[1].size(), (Size{1, 1}));
  }
}

TEST(Decode, EveryTargetGetsWhatItWouldGetAlone) {
  Ledger ledger(kPlenty);
  const auto bytes = read_bytes(fixture("alpha.png"));
  const auto header = read_header(bytes);
  const Target both[] = {Target::exact({30, 30}), Target::fit(20)};
  const auto together = decode(bytes, *header, both, ledger);
  ASSERT_TRUE(together.has_value());
  for (std::size_t i = 0; i < 2; ++i) {
    const auto alone = decode(bytes, *header, std::span(both).subspan(i, 1), ledger);
    ASSERT_TRUE(alone.has_value());
    EXPECT_EQ(distance(alone->front().pixels(), (*together)[i].pixels()).most, 0);
  }
}

TEST(Decode, FittingNeverEnlargesAndKeepsTheAspect) {
  EXPECT_EQ(Target::fit(1024).size_for({800, 600}), (Size{800, 600}));
  EXPECT_EQ(Target::fit(1024).size_for({4000, 3000}), (Size{1024, 768}));
  EXPECT_EQ(Target::fit(1024).size_for({3000, 4000}), (Size{768, 1024}));
  EXPECT_EQ(Target::fit(1024).size_for({30000, 1}), (Size{1024, 1}));
}

TEST(Decode, ScalingKeepsTwiceTheModelsSidesAndNearlyThoseOfThePictureToShow) {
  Header header;
  header.stored = {4000, 3000};
  const Target model[] = {Target::exact({300, 300})};
  EXPECT_EQ(decode_eighths(header, model), 2U);
  const Target both[] = {Target::exact({300, 300}), Target::fit(1024)};
  EXPECT_EQ(decode_eighths(header, both), 2U);
  const Target shown[] = {Target::fit(1200)};
  EXPECT_EQ(decode_eighths(header, shown), 3U);
  header.stored = {599, 30000};
  EXPECT_EQ(decode_eighths(header, model), 8U);
  header.stored = {4800, 4800};
  EXPECT_EQ(decode_eighths(header, model), 1U);
  header.format = Format::png;
  EXPECT_EQ(decode_eighths(header, model), 8U);
}

TEST(Decode, ScaledDecodingIsCloseToResizingTheWholePhoto) {
  Ledger ledger(kPlenty);
  const auto bytes = read_bytes(DERMLENS_SOURCE_DIR "/samples/sample.jpg");
  const auto header = read_header(bytes);
  ASSERT_TRUE(header.has_value());
  const Target both[] = {Target::exact({100, 100}), Target::fit(320)};
  ASSERT_EQ(decode_eighths(*header, both), 2U);
  const auto pictures = decode(bytes, *header, both, ledger);
  ASSERT_TRUE(pictures.has_value()) << pictures.error().message;
  const auto whole = decode_whole(bytes, ledger);
  ASSERT_TRUE(whole.has_value());
  const auto model = resize(*whole, {100, 100}, Filter::lanczos, ledger);
  const Distance apart = distance((*pictures)[0].pixels(), model->pixels());
  EXPECT_LE(apart.mean, 0.6);
  EXPECT_LE(apart.most, 8);
  const auto shown = resize(*whole, {320, 240}, Filter::bilinear, ledger);
  EXPECT_LE(distance((*pictures)[1].pixels(), shown->pixels()).mean, 3);
}

TEST(Decode, EveryFailedReservationIsAnErrorAndLeavesNothingHeld) {
  const auto bytes = read_bytes(fixture("baseline.jpg"));
  const auto header = read_header(bytes);
  const Target both[] = {Target::exact({30, 30}), Target::fit(20)};
  for (std::int64_t n = 0; n < 3; ++n) {
    Ledger ledger(kPlenty);
    ledger.fail_at(n);
    const auto pictures = decode(bytes, *header, both, ledger);
    ASSERT_FALSE(pictures.has_value());
    EXPECT_EQ(pictures.error().code, Errc::no_memory);
    EXPECT_EQ(ledger.reserved(), 0U);
  }
}

TEST(Decode, ReservesItsCostAndKeepsOnlyThePictures) {
  const auto bytes = read_bytes(fixture("baseline.jpg"));
  const auto header = read_header(bytes);
  const Target both[] = {Target::exact({30, 30}), Target::fit(20)};
  const auto cost = decode_cost(*header, both);
  ASSERT_TRUE(cost.has_value());
  Ledger ledger(cost->total());
  {
    const auto pictures = decode(bytes, *header, both, ledger);
    ASSERT_TRUE(pictures.has_value());
    EXPECT_EQ(ledger.reserved(Category::decode), cost->pictures);
    EXPECT_EQ(ledger.peak(), cost->total());
  }
  EXPECT_EQ(ledger.reserved(), 0U);
  Ledger tight(cost->total() - 1);
  EXPECT_FALSE(decode(bytes, *header, both, tight).has_value());
}

TEST(Decode, StopsWhenItIsToldTo) {
  std::stop_source source;
  source.request_stop();
  Ledger ledger(kPlenty);
  for (const std::string name : {"baseline.jpg", "progressive.jpg", "alpha.png", "lossy.webp"}) {
    const auto bytes = read_bytes(fixture(name));
    const auto header = read_header(bytes);
    const Target whole[] = {Target::fit(100)};
    const auto pictures = decode(bytes, *header, whole, ledger, source.get_token());
    ASSERT_FALSE(pictures.has_value()) << name;
    EXPECT_EQ(pictures.error().code, Errc::cancelled);
  }
}

TEST(Decode, RefusesTargetsWithoutPixels) {
  Ledger ledger(kPlenty);
  const auto bytes = read_bytes(fixture("baseline.jpg"));
  const auto header = read_header(bytes);
  for (const Size size : {Size{0, 10}, Size{10, 0}, Size{1 << 20, 10}}) {
    const Target target[] = {Target::exact(size)};
    EXPECT_EQ(decode(bytes, *header, target, ledger).error().code, Errc::usage);
  }
}

}  // namespace
}  // namespace dermlens
