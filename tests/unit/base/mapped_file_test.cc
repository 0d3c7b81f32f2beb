// Laws of mapped files: a file that shrinks under us yields zeros and says so.
#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace dermlens {
namespace {

std::string make_file(std::size_t size) {
  const std::string path = testing::TempDir() + "mapped_" + std::to_string(::getpid());
  std::ofstream(path, std::ios::binary) << std::string(size, 'x');
  return path;
}

TEST(MappedFile, ShowsTheFilesBytes) {
  const auto file = MappedFile::open(make_file(5000));
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->bytes().size(), 5000U);
  EXPECT_EQ((*file)->bytes()[4999], std::byte{'x'});
  (*file)->drop(0, 5000);
  EXPECT_EQ((*file)->bytes()[4999], std::byte{'x'});
  EXPECT_FALSE((*file)->damaged());
}

TEST(MappedFile, TruncationWhileMappedIsReportedNotFatal) {
  const std::string path = make_file(64 * 4096);
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file);
  std::filesystem::resize_file(path, 4096);
  (*file)->drop(0, 64 * 4096);
  EXPECT_EQ((*file)->bytes()[0], std::byte{'x'});
  EXPECT_FALSE((*file)->damaged());
  EXPECT_EQ((*file)->bytes()[40 * 4096], std::byte{0});
  EXPECT_TRUE((*file)->damaged());
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  EXPECT_EQ(MappedFile::open("/nonexistent/file").error().code, Errc::not_found);
  EXPECT_EQ(MappedFile::open("/tmp").error().code, Errc::malformed);
  EXPECT_EQ(MappedFile::open("/dev/zero").error().code, Errc::malformed);
  EXPECT_EQ(MappedFile::open(make_file(0)).error().code, Errc::malformed);
}

}  // namespace
}  // namespace dermlens
