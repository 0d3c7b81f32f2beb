#include "quantize/photos.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace dermlens::quantize {
namespace {

namespace fs = std::filesystem;

class Photos : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  std::string file(const std::string& name) {
    const std::string path = folder_ / name;
    std::ofstream(path) << name;
    return path;
  }

  fs::path folder_ =
      fs::path(testing::TempDir()) /
      (testing::UnitTest::GetInstance()->current_test_info()->name() + std::to_string(::getpid()));
};

TEST_F(Photos, OfASharedFolderHalfIsHeldOut) {
  std::vector<std::string> all;
  for (const char* name : {"a", "b", "c", "d", "e"}) all.push_back(file(name));
  const Split split = hold_out(all, all);
  EXPECT_EQ(split.calibrate, (std::vector<std::string>{all[0], all[2], all[4]}));
  EXPECT_EQ(split.seen, (std::vector<bool>{true, false, true, false, true}));
}

TEST_F(Photos, DifferentPhotosAreAllUsed) {
  const std::vector<std::string> some{file("a"), file("b")}, others{file("c"), file("d")};
  const Split split = hold_out(some, others);
  EXPECT_EQ(split.calibrate, some);
  EXPECT_EQ(std::ranges::count(split.seen, true), 0);
}

TEST_F(Photos, TheOnlyPhotoIsCalibratedOn) {
  const std::vector<std::string> one{file("a")};
  EXPECT_EQ(hold_out(one, one).calibrate, one);
}

TEST_F(Photos, OneFileUnderTwoPathsIsOnePhoto) {
  const std::string a = file("a"), b = file("b");
  const std::string again = folder_ / "again";
  fs::create_symlink(b, again);
  const Split split = hold_out({a, b}, {again});
  EXPECT_EQ(split.seen, std::vector<bool>{true});  // the only shared one
  const Split both = hold_out({a, b}, {a, again});
  EXPECT_EQ(both.seen, (std::vector<bool>{true, false}));
}

TEST_F(Photos, OfWhichNoneCanBeReadAreRefusedWithTheFirstOnesReason) {
  Ledger ledger(Bytes{64} << 20);
  diagnose::Preprocessing how;
  how.width = how.height = 8;
  const std::string bad = file("a.jpg");
  const auto checked = check_photos(folder_, {bad, file("b.jpg")}, how, ledger);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, read_photo(bad, how, ledger).error().code);
  EXPECT_NE(checked.error().message.find("no photo in " + folder_.string()), std::string::npos);
  EXPECT_NE(checked.error().message.find(bad), std::string::npos) << checked.error().message;
  const std::string good = DERMLENS_SOURCE_DIR "/samples/sample.jpg";
  EXPECT_TRUE(check_photos(folder_, {bad, good}, how, ledger));
}

}  // namespace
}  // namespace dermlens::quantize
