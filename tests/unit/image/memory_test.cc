// The price of a decode against what malloc really gives out while it runs: never above the price,
// and the price not absurdly above the need.
#include <cstdio>
#include <functional>
#include <string>

#include "allocation_meter.h"
#include "fixtures.h"
#include "image/encode.h"
#include "made_pictures.h"

namespace dermlens {
namespace {

constexpr Bytes kMega = 1 << 20;

struct Measured {
  Bytes price = 0;
  Bytes used = 0;
};

Measured measure(const std::vector<std::byte>& bytes, std::span<const Target> targets) {
  const auto header = read_header(bytes);
  EXPECT_TRUE(header.has_value()) << header.error().message;
  const auto cost = decode_cost(*header, targets);
  EXPECT_TRUE(cost.has_value());
  Ledger ledger(cost->total());
  const std::size_t before = meter::present();
  meter::reset();
  const auto pictures = decode(bytes, *header, targets, ledger);
  EXPECT_TRUE(pictures.has_value()) << pictures.error().message;
  return {cost->total(), meter::peak() - before};
}

struct Form {
  std::string name;
  std::function<std::vector<std::byte>(Size)> make;
};

void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

class Prices : public testing::TestWithParam<std::tuple<Form, Size>> {};

TEST_P(Prices, AreNeverExceededAndNotAbsurd) {
  if (!meter::available()) GTEST_SKIP() << "a sanitizer owns malloc";
  const auto& [form, size] = GetParam();
  const auto bytes = form.make(size);
  const Target model[] = {Target::exact({300, 300})};
  const Target both[] = {Target::exact({300, 300}), Target::fit(1024)};
  const Target whole[] = {Target::fit(1 << 16)};
  for (const std::span<const Target> targets :
       {std::span<const Target>(model), std::span<const Target>(both),
        std::span<const Target>(whole)}) {
    const Measured measured = measure(bytes, targets);
    EXPECT_LE(measured.used, measured.price) << form.name << " " << to_string(size);
    EXPECT_LE(measured.price, measured.used + measured.used / 4 + 256 * 1024)
        << form.name << " " << to_string(size);
    std::printf("%-24s %10s  used %8.3f MB  price %8.3f MB\n", form.name.c_str(),
                to_string(size).c_str(), static_cast<double>(measured.used) / kMega,
                static_cast<double>(measured.price) / kMega);
  }
}

std::vector<Form> forms() {
  std::vector<Form> forms;
  for (const bool progressive : {false, true}) {
    const std::string kind = progressive ? "progressive jpeg " : "jpeg ";
    for (const auto& [across, down] : {std::pair{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}, {4, 2}}) {
      const made::JpegForm form{progressive, 3, across, down};
      forms.push_back({kind + std::to_string(across) + "x" + std::to_string(down),
                       [=](Size size) { return made::jpeg(size, form); }});
    }
    for (const int channels : {1, 4}) {
      const made::JpegForm form{progressive, channels, 1, 1};
      forms.push_back({kind + (channels == 1 ? "gray" : "cmyk"),
                       [=](Size size) { return made::jpeg(size, form); }});
    }
  }
  for (const bool interlaced : {false, true}) {
    for (const bool alpha : {false, true}) {
      for (const int bits : {8, 16}) {
        forms.push_back({"png " + std::to_string(bits) + (alpha ? " alpha" : "") +
                             (interlaced ? " interlaced" : ""),
                         [=](Size size) {
                           return made::png(size, {interlaced, alpha, bits});
                         }});
      }
    }
  }
  for (const bool lossless : {false, true}) {
    for (const bool alpha : {false, true}) {
      forms.push_back(
          {std::string("webp") + (lossless ? " lossless" : "") + (alpha ? " alpha" : ""),
           [=](Size size) {
             return made::webp(size, {lossless, alpha});
           }});
    }
  }
  return forms;
}

INSTANTIATE_TEST_SUITE_P(Decode, Prices,
                         testing::Combine(testing::ValuesIn(forms()),
                                          testing::Values(Size{1200, 900}, Size{33, 1900},
                                                          Size{5000, 17}, Size{3, 2})));

// The peak, without the encoded bytes, of what `explain` decodes.
Bytes peak_for_both(const std::vector<std::byte>& bytes) {
  const Target both[] = {Target::exact({300, 300}), Target::fit(1024)};
  return measure(bytes, both).used;
}

TEST(Streaming, BaselineJpegOfTwelveMegapixelsNeedsLessThanFiveMegabytes) {
  if (!meter::available()) GTEST_SKIP() << "a sanitizer owns malloc";
  EXPECT_LT(peak_for_both(made::jpeg({4000, 3000}, {})), 5 * kMega);
}

TEST(Streaming, BaselineJpegOfFiftyMegapixelsNeedsLessThanFiveMegabytes) {
  if (!meter::available()) GTEST_SKIP() << "a sanitizer owns malloc";
  EXPECT_LT(peak_for_both(made::jpeg({8192, 6144}, {})), 5 * kMega);
}

TEST(Streaming, PlainPngOfTwelveMegapixelsNeedsLessThanFiveMegabytes) {
  if (!meter::available()) GTEST_SKIP() << "a sanitizer owns malloc";
  EXPECT_LT(peak_for_both(made::png({4000, 3000}, {})), 5 * kMega);
}

TEST(Streaming, TheLongestStripsDecode) {
  const Target both[] = {Target::exact({300, 300}), Target::fit(1024)};
  for (const Size size : {Size{30000, 1}, Size{1, 30000}}) {
    for (const auto& bytes : {made::jpeg(size, {}), made::png(size, {})}) {
      Ledger ledger(64 * kMega);
      const auto header = read_header(bytes);
      ASSERT_TRUE(header.has_value());
      const auto pictures = decode(bytes, *header, both, ledger);
      ASSERT_TRUE(pictures.has_value()) << pictures.error().message;
    }
  }
}

TEST(Encoding, NeverUsesMoreThanItReserved) {
  if (!meter::available()) GTEST_SKIP() << "a sanitizer owns malloc";
  for (const Size size : {Size{1024, 768}, Size{30, 2000}, Size{9000, 20}}) {
    Ledger ledger(kPlenty);
    const auto picture = decode_whole(made::png(size, {}), ledger);
    ASSERT_TRUE(picture.has_value());
    for (const bool as_png : {true, false}) {
      const Bytes reserved = ledger.reserved();
      Ledger own(kPlenty);
      const std::size_t before = meter::present();
      meter::reset();
      const auto bytes = as_png ? encode_png(*picture, own) : encode_jpeg(*picture, 85, own);
      ASSERT_TRUE(bytes.has_value());
      EXPECT_LE(meter::peak() - before, own.peak())
          << to_string(size) << (as_png ? " png" : " jpeg");
      EXPECT_EQ(ledger.reserved(), reserved);
    }
  }
}

}  // namespace
}  // namespace dermlens
