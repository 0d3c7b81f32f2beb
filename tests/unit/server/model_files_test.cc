#include "server/model_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace dermlens::server {
namespace {

namespace fs = std::filesystem;

class ModelFilesTest : public testing::Test {
 protected:
  ModelFilesTest()
      : folder_(fs::temp_directory_path() / ("dermlens-models-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~ModelFilesTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text = "x") const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }

  fs::path folder_;
};

TEST_F(ModelFilesTest, BothLayoutsAreFoundAndNothingElse) {
  for (const char* name : {"a.onnx", "b/1/model.onnx", "b/2/model.onnx", "c.txt", "d/model.onnx",
                           ".hidden.onnx", "with blank.onnx", "e/1/other.onnx"})
    write(name);
  auto files = find_model_files(folder_.string());
  ASSERT_TRUE(files);
  std::vector<std::string> names;
  for (const ModelFile& file : *files) names.push_back(file.name + ":" + file.version);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"a:1", "b:1", "b:2"}));
}

TEST_F(ModelFilesTest, AMissingFolderIsAMistakeOfTheUser) {
  EXPECT_EQ(find_model_files("/nowhere/at/all").error().code, Errc::usage);
}

TEST_F(ModelFilesTest, AReplacedFileHasAnotherStamp) {
  write("a.onnx");
  const auto before = stamp_of((folder_ / "a.onnx").string());
  write("new", "y");
  fs::rename(folder_ / "new", folder_ / "a.onnx");
  const auto after = stamp_of((folder_ / "a.onnx").string());
  ASSERT_TRUE(before && after);
  EXPECT_NE(*before, *after);
  EXPECT_EQ(*after, *stamp_of((folder_ / "a.onnx").string()));
  EXPECT_FALSE(stamp_of(folder_.string()));
}

TEST(ModelNames, ArePlain) {
  EXPECT_TRUE(is_model_name("skin7-b0_v2.1"));
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("a b"),
        std::string("a\n"), std::string("\xc3\xa9"), std::string(101, 'a')})
    EXPECT_FALSE(is_model_name(name)) << name;
}

}  // namespace
}  // namespace dermlens::server
