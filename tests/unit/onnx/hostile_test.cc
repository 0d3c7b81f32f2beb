// Models from strangers: refused with a reason, or read; never anything else.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>

#include "model_builder.h"

namespace dermlens::onnx {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

Errc code_of(const Result<Model>& read) {
  EXPECT_FALSE(read);
  return read ? Errc::internal : read.error().code;
}

TEST(HostileModel, EveryTruncationIsAnErrorOrAModel) {
  const std::string whole = tiny_network().bytes();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto read = read_string(whole.substr(0, length));
    if (read)
      EXPECT_TRUE(graph::verify(read->graph)) << length;
    else
      EXPECT_NE(read.error().code, Errc::internal) << read.error().message;
  }
}

TEST(HostileModel, EveryChangedByteIsAnErrorOrAModel) {
  const std::string whole = tiny_network().bytes();
  for (std::size_t i = 0; i < whole.size(); ++i)
    for (const int flip : {1, 0x80, 0xFF}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      const auto read = read_string(changed);
      if (read)
        EXPECT_TRUE(graph::verify(read->graph)) << i;
      else
        EXPECT_NE(read.error().code, Errc::internal) << read.error().message;
    }
}

TEST(HostileModel, ImpossibleDimensionsAreRefused) {
  const auto with = [](const Dims& dims) {
    return code_of(ModelBuilder()
                       .input("x", {1})
                       .floats("w", dims, {1})
                       .node("Relu", {"x"}, {"y"})
                       .output("y")
                       .read());
  };
  EXPECT_EQ(with({-1}), Errc::malformed);
  EXPECT_EQ(with({INT64_MAX, INT64_MAX}), Errc::too_large);
  EXPECT_EQ(with({1, 1, 1, 1, 1, 1, 1, 1, 1}), Errc::too_large);
  EXPECT_EQ(with({2}), Errc::malformed);
  const auto input = [](const Dims& dims) {
    return code_of(ModelBuilder().input("x", dims).node("Relu", {"x"}, {"y"}).output("y").read());
  };
  EXPECT_EQ(input({1, -5}), Errc::malformed);
  EXPECT_EQ(input({INT64_MAX, 2}), Errc::too_large);
}

TEST(HostileModel, NamesMustBeDefinedOnceAndBefore) {
  const auto read = [](const ModelBuilder& model) { return code_of(model.read()); };
  EXPECT_EQ(read(ModelBuilder().input("x", {1}).node("Add", {"x", "ghost"}, {"y"}).output("y")),
            Errc::malformed);
  EXPECT_EQ(read(ModelBuilder()
                     .input("x", {1})
                     .node("Add", {"x", "b"}, {"a"})
                     .node("Add", {"x", "a"}, {"b"})
                     .output("b")),
            Errc::malformed);
  EXPECT_EQ(read(ModelBuilder().input("x", {1}).node("Add", {"x", "y"}, {"y"}).output("y")),
            Errc::malformed);
  EXPECT_EQ(read(ModelBuilder()
                     .input("x", {1})
                     .node("Relu", {"x"}, {"y"})
                     .node("Relu", {"x"}, {"y"})
                     .output("y")),
            Errc::malformed);
  EXPECT_EQ(read(ModelBuilder()
                     .input("x", {1})
                     .floats("w", {1}, {1})
                     .floats("w", {1}, {2})
                     .node("Relu", {"x"}, {"y"})
                     .output("y")),
            Errc::malformed);
  EXPECT_EQ(read(ModelBuilder().input("x", {1}).node("Relu", {"x"}, {"y"}).output("z")),
            Errc::malformed);
  EXPECT_EQ(read(ModelBuilder().input("x", {1}).node("Relu", {"x"}, {"y"})), Errc::malformed);
}

TEST(HostileModel, ShapesThatDoNotFitNameTheNode) {
  const auto read = ModelBuilder()
                        .input("x", {2, 3})
                        .floats("w", {4}, {1, 2, 3, 4})
                        .node("Add", {"x", "w"}, {"y"})
                        .output("y")
                        .read();
  EXPECT_EQ(code_of(read), Errc::malformed);
  EXPECT_THAT(read.error().message, HasSubstr("node_y"));
}

TEST(HostileModel, WindowsOfAnySizeAreCheckedBeforeTheyAreComputed) {
  const auto read = [](const Dims& kernel, const Dims& strides, const Dims& pads) {
    return code_of(ModelBuilder()
                       .input("x", {1, 1, 4, 4})
                       .node("MaxPool", {"x"}, {"y"},
                             {integers("kernel_shape", kernel), integers("strides", strides),
                              integers("pads", pads), integer("ceil_mode", 1)})
                       .output("y")
                       .read());
  };
  EXPECT_EQ(read({0, 1}, {1, 1}, {0, 0, 0, 0}), Errc::malformed);
  EXPECT_EQ(read({2, 2}, {0, 1}, {0, 0, 0, 0}), Errc::malformed);
  EXPECT_EQ(read({2, 2}, {1, 1}, {-1, 0, 0, 0}), Errc::malformed);
  EXPECT_EQ(read({2, 2}, {1, 1}, {0, 0, 0}), Errc::malformed);
  EXPECT_EQ(read({INT64_MAX, 2}, {1, 1}, {0, 0, 0, 0}), Errc::malformed);
  EXPECT_EQ(read({9, 9}, {1, 1}, {0, 0, 0, 0}), Errc::malformed);
  EXPECT_EQ(read({2, 2}, {1, 1}, {5, 5, 5, 5}), Errc::unsupported);
}

// A few kilobytes of file must not buy gigabytes of constants.
TEST(HostileModel, ComputedConstantsAreBounded) {
  ModelBuilder model;
  model.input("x", {1}).numbers("shape", {65'536});
  for (int i = 0; i < 2'000; ++i)
    model.node("ConstantOfShape", {"shape"}, {"c" + std::to_string(i)});
  model.node("Relu", {"x"}, {"y"}).output("y");
  EXPECT_EQ(code_of(model.read()), Errc::too_large);
}

TEST(HostileModel, FoldingIsBounded) {
  ModelBuilder model;
  model.input("x", {1}).floats("c", {1}, {1}).numbers("shape", {65'536});
  model.node("Expand", {"c", "shape"}, {"v0"});
  for (int i = 0; i < 2'000; ++i)
    model.node("Exp", {"v" + std::to_string(i)}, {"v" + std::to_string(i + 1)});
  model.node("Relu", {"x"}, {"y"}).output("y");
  const auto read = model.read();
  if (read)
    EXPECT_GT(read->graph.nodes().size(), 1'000u);
  else
    EXPECT_EQ(read.error().code, Errc::too_large) << read.error().message;
}

TEST(HostileModel, DivisionByZeroInShapesIsAnAnswer) {
  ModelBuilder model;
  model.input("x", {4}).numbers("a", {4}).numbers("zero", {0});
  model.node("Div", {"a", "zero"}, {"s"}).node("Reshape", {"x", "s"}, {"y"}).output("y");
  const auto read = model.read();
  EXPECT_FALSE(read);
}

TEST(HostileModel, ValuesAreCounted) {
  ModelBuilder model;
  model.input("x", {1, 4'000});
  for (int i = 0; i < 60; ++i) {
    Strings outputs;
    for (int j = 0; j < 4'000; ++j)
      outputs.push_back("o" + std::to_string(i) + "_" + std::to_string(j));
    model.node("Split", {"x"}, outputs, {integer("axis", 1)});
  }
  model.node("Relu", {"x"}, {"y"}).output("y");
  EXPECT_EQ(code_of(model.read()), Errc::too_large);
}

class ExternalData : public ::testing::Test {
 protected:
  ExternalData() {
    fs::create_directory(folder_ / "model");
    const std::vector<float> values = {1, 2, 3};
    for (const char* name : {"model/weights.bin", "secret.bin"})
      std::ofstream(folder_ / name, std::ios::binary)
          .write(reinterpret_cast<const char*>(values.data()), 12);
  }

  Result<Model> read(const std::string& location, const Dims& dims = {3},
                     const std::string& offset = "") {
    ModelBuilder model;
    model.input("x", dims).initializer(external_tensor("w", dims, location, offset));
    model.node("Add", {"x", "w"}, {"y"}).output("y").save(folder_ / "model/model.onnx");
    return read_model(folder_ / "model/model.onnx");
  }

  TemporaryFolder folder_;
};

TEST_F(ExternalData, IsReadFromTheModelsFolder) {
  const auto model = read("weights.bin");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_THAT(graph::to_floats(model->graph.value(*find_value(*model, "w"))),
              ::testing::ElementsAre(1.0f, 2.0f, 3.0f));
  EXPECT_EQ(model->files.size(), 2u);
  const auto second = read("weights.bin", {1}, "4");
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_THAT(graph::to_floats(second->graph.value(*find_value(*second, "w"))),
              ::testing::ElementsAre(2.0f));
}

TEST_F(ExternalData, NeverFromAnywhereElse) {
  fs::create_symlink("../secret.bin", folder_ / "model/link.bin");
  fs::create_directory_symlink("..", folder_ / "model/up");
  EXPECT_EQ(code_of(read("../secret.bin")), Errc::malformed);
  EXPECT_EQ(code_of(read(folder_ / "secret.bin")), Errc::malformed);
  EXPECT_EQ(code_of(read(folder_ / "model/weights.bin")), Errc::malformed);
  EXPECT_EQ(code_of(read("link.bin")), Errc::malformed);
  EXPECT_EQ(code_of(read("up/secret.bin")), Errc::malformed);
  EXPECT_EQ(code_of(read("")), Errc::malformed);
  EXPECT_EQ(code_of(read(std::string("weights.bin\0x", 13))), Errc::malformed);
  EXPECT_EQ(code_of(read("missing.bin")), Errc::not_found);
}

TEST_F(ExternalData, NeverBeyondItsFile) {
  EXPECT_EQ(code_of(read("weights.bin", {4})), Errc::malformed);
  EXPECT_EQ(code_of(read("weights.bin", {3}, "4")), Errc::malformed);
  EXPECT_EQ(code_of(read("weights.bin", {3}, "18446744073709551615")), Errc::malformed);
  EXPECT_EQ(code_of(read("weights.bin", {3}, "-4")), Errc::malformed);
  EXPECT_EQ(code_of(read("weights.bin", {3}, "four")), Errc::malformed);
}

TEST(HostileModel, WhatIsNoModelSaysSo) {
  EXPECT_EQ(code_of(read_string("")), Errc::malformed);
  EXPECT_EQ(code_of(read_string("GIF89a")), Errc::malformed);
  EXPECT_EQ(code_of(read_model("/nonexistent.onnx")), Errc::not_found);
  EXPECT_EQ(code_of(read_model("/dev/null")), Errc::malformed);
}

}  // namespace
}  // namespace dermlens::onnx
