#include "cli/write_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace dermlens::cli {
namespace {

namespace fs = std::filesystem;

class WriteFile : public testing::Test {
 protected:
  WriteFile()
      : folder(fs::path(testing::TempDir()) / ("write_file_" + std::to_string(::getpid()))) {
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  ~WriteFile() override { fs::remove_all(folder); }

  static std::string read(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }

  fs::path folder;
};

TEST_F(WriteFile, ReplacesTheWholeFileAndLeavesNothingElse) {
  const std::string path = folder / "out";
  ASSERT_TRUE(write_file(path, "long old text"));
  ASSERT_TRUE(write_file(path, "new"));
  EXPECT_EQ(read(path), "new");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(WriteFile, FollowsASymbolicLink) {
  ASSERT_TRUE(write_file(folder / "real", "old"));
  fs::create_symlink("real", folder / "link");
  ASSERT_TRUE(write_file(folder / "link", "new"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read(folder / "real"), "new");
}

TEST_F(WriteFile, MakesTheFileThatALinkIsStillWithout) {
  fs::create_directory(folder / "inner");
  fs::create_symlink("inner/real", folder / "next");
  fs::create_symlink(folder / "next", folder / "link");
  ASSERT_TRUE(write_file(folder / "link", "new"));
  EXPECT_TRUE(fs::is_symlink(folder / "link") && fs::is_symlink(folder / "next"));
  EXPECT_EQ(read(folder / "inner/real"), "new");
}

TEST_F(WriteFile, HonoursTheUmask) {
  const mode_t before = ::umask(027);
  ASSERT_TRUE(write_file(folder / "out", "x"));
  ::umask(before);
  struct stat status {};
  ASSERT_EQ(::stat((folder / "out").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
}

TEST_F(WriteFile, RefusesDirectoriesAndFoldersThatAreMissing) {
  for (const fs::path& path : {folder, folder / "", folder / "no" / "out", fs::path()}) {
    const auto written = write_file(path, "x");
    ASSERT_FALSE(written) << path;
    EXPECT_EQ(written.error().code, Errc::usage);
  }
  EXPECT_EQ(entries(), 0U);
}

TEST_F(WriteFile, SaysBeforeTheWorkWhereNoFileCanBeMade) {
  fs::create_symlink("loop", folder / "loop");
  for (const fs::path& path :
       {fs::path("/proc/out"), folder / "loop", folder / std::string(256, 'a')})
    for (const auto check : {check_writable, check_replaceable}) {
      const auto checked = check(path);
      ASSERT_FALSE(checked) << path;
      EXPECT_EQ(checked.error().code, Errc::usage);
      EXPECT_NE(checked.error().message.find(path), std::string::npos) << checked.error().message;
    }
  EXPECT_TRUE(check_writable(folder / "out"));
  EXPECT_EQ(entries(), 1U);
}

TEST_F(WriteFile, APipeCanBeWrittenToButNotReplaced) {
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(check_writable(pipe));
  const auto checked = check_replaceable(pipe);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Errc::usage);
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(WriteFile, WritesThroughADevice) {
  EXPECT_TRUE(write_file("/dev/null", "x"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  const auto full = write_file("/dev/full", "x");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::io);
}

TEST_F(WriteFile, TakesALongNameAsTheSystemDoes) {
  EXPECT_TRUE(write_file(folder / std::string(255, 'a'), "x"));
  EXPECT_FALSE(write_file(folder / std::string(256, 'a'), "x"));
  EXPECT_EQ(entries(), 1U);
}

}  // namespace
}  // namespace dermlens::cli
