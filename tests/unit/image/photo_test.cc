// Real photos, where they are: every one decodes to both of its sizes. They stay where they are.
#include <algorithm>
#include <cctype>
#include <filesystem>

#include "fixtures.h"

namespace dermlens {
namespace {

namespace fs = std::filesystem;

fs::path photo_folder() {
  const char* folder = std::getenv("DERMLENS_TEST_PHOTOS");
  return folder != nullptr ? fs::path(folder) : fs::path(DERMLENS_SOURCE_DIR "/../shared/photos");
}

TEST(Photos, AllDecodeWithinTheirPrice) {
  if (!fs::is_directory(photo_folder())) GTEST_SKIP() << "no folder of real photos here";
  int decoded = 0;
  for (const auto& entry : fs::recursive_directory_iterator(photo_folder())) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".jpg" && extension != ".png" && extension != ".webp") continue;
    const auto bytes = read_bytes(entry.path().string());
    const auto header = read_header(bytes);
    ASSERT_TRUE(header.has_value()) << header.error().message;
    const Target targets[] = {Target::exact({300, 300}), Target::fit(1024)};
    const auto cost = decode_cost(*header, targets);
    ASSERT_TRUE(cost.has_value());
    Ledger ledger(cost->total());
    const auto pictures = decode(bytes, *header, targets, ledger);
    ASSERT_TRUE(pictures.has_value()) << pictures.error().message;
    EXPECT_EQ((*pictures)[0].size(), (Size{300, 300}));
    EXPECT_LE(std::max((*pictures)[1].size().width, (*pictures)[1].size().height), 1024U);
    ++decoded;
  }
  EXPECT_GT(decoded, 0);
}

}  // namespace
}  // namespace dermlens
