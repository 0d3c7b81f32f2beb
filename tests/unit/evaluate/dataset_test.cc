#include "evaluate/dataset.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace dermlens::evaluate {
namespace {

namespace fs = std::filesystem;

class Dataset : public testing::Test {
 protected:
  Dataset() {
    card_.labels = {{"cat", {{"en", "A cat"}}}, {"dog", {}}};
    fs::create_directories(folder_);
  }
  ~Dataset() override { fs::remove_all(folder_); }

  void put(const std::string& name, const std::string& text = "x") {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }

  fs::path folder_ = fs::temp_directory_path() / ("dermlens-dataset-" + std::to_string(::getpid()));
  diagnose::Card card_;
};

TEST_F(Dataset, FoldersAreClassesByKeyNameOrNumber) {
  put("A cat/1.jpg");
  put("1_dogs/2.jpg");
  put("other_bird/3.jpg");
  const auto examples = read_dataset(folder_.string(), card_);
  ASSERT_TRUE(examples) << examples.error().message;
  ASSERT_EQ(examples->size(), 3u);
  EXPECT_EQ((*examples)[0].class_id, 1u);
  EXPECT_EQ((*examples)[1].class_id, 0u);
  EXPECT_FALSE((*examples)[2].class_id);
}

TEST_F(Dataset, AFolderOfNoClassIsNamed) {
  put("bird/1.jpg");
  const auto examples = read_dataset(folder_.string(), card_);
  ASSERT_FALSE(examples);
  EXPECT_NE(examples.error().message.find("bird"), std::string::npos);
}

TEST_F(Dataset, LabelsAreReadWithQuotesAndUnknowns) {
  put("labels.csv", "class_id,file\n1,\"a,b.jpg\"\r\n-1,c.jpg\n,d.jpg\n");
  const auto examples = read_dataset(folder_.string(), card_);
  ASSERT_TRUE(examples) << examples.error().message;
  ASSERT_EQ(examples->size(), 3u);
  EXPECT_EQ(fs::path((*examples)[0].path).filename(), "a,b.jpg");
  EXPECT_EQ((*examples)[0].class_id, 1u);
  EXPECT_FALSE((*examples)[1].class_id);
  EXPECT_FALSE((*examples)[2].class_id);
}

TEST_F(Dataset, LabelsStayWithinTheFolderAndTheClasses) {
  for (const char* line : {"1,../x.jpg", "1,/etc/passwd", "2,a.jpg", "-2,a.jpg", "1"}) {
    put("labels.csv", std::string("class_id,file\n") + line + "\n");
    EXPECT_FALSE(read_dataset(folder_.string(), card_)) << line;
  }
}

}  // namespace
}  // namespace dermlens::evaluate
