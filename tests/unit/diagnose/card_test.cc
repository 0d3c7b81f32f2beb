#include "diagnose/card.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "diagnose/metadata_text.h"

namespace dermlens::diagnose {
namespace {

// A classifier of three classes whose output is made by a Softmax or not.
onnx::Model network(graph::Shape picture = {1, 3, 8, 6}, bool softmax = false) {
  onnx::Model model;
  model.path = "/nowhere/some model!.onnx";
  model.model_version = 4;
  graph::Graph& graph = model.graph;
  const auto input = *graph.add_input("image", {graph::DType::f32, picture});
  const auto pooled =
      *graph.add(graph::Reduce{graph::ReduceFn::mean, {2, 3}, false}, {input}, "logits");
  const auto scores =
      softmax ? *graph.add(graph::Softmax{1, false}, {pooled}, "probabilities") : pooled;
  graph.add_output(scores);
  model.outputs = {graph.value(scores).name};
  return model;
}

Card read(std::map<std::string, std::string> metadata, bool softmax = false) {
  onnx::Model model = network({1, 3, 8, 6}, softmax);
  model.metadata = std::move(metadata);
  auto card = read_card(model);
  EXPECT_TRUE(card) << (card ? "" : card.error().message);
  return card ? *card : Card{};
}

TEST(Card, EveryKeyIsRead) {
  const Card card = read({{"dermlens.name", "skin"},
                          {"dermlens.version", "1.2"},
                          {"dermlens.description", "what it is"},
                          {"dermlens.license", "mine"},
                          {"dermlens.labels", R"(["a",{"key":"b","en":"B","vi":"Bờ"},"c"])"},
                          {"dermlens.layout", "NCHW"},
                          {"dermlens.size", "[8, 6]"},
                          {"dermlens.color", "BGR"},
                          {"dermlens.resize", "bicubic"},
                          {"dermlens.scale", "0.5"},
                          {"dermlens.mean", "[1,2,3]"},
                          {"dermlens.std", "[4,5,6]"},
                          {"dermlens.softmax", "outside"},
                          {"dermlens.temperature", "1.5"},
                          {"dermlens.layer", "last_conv"},
                          {"dermlens.gate", R"({"score":"energy","threshold":2.5})"},
                          {"dermlens.limits", R"(["one",{"en":"two","vi":"hai"}])"}});
  EXPECT_EQ(card.name, "skin");
  EXPECT_EQ(card.version, "1.2");
  EXPECT_EQ(card.labels[1].key, "b");
  EXPECT_EQ(card.labels[1].name("vi"), "Bờ");
  EXPECT_EQ(card.labels[2].name("vi"), "c");
  EXPECT_EQ(card.preprocessing.height, 8);
  EXPECT_EQ(card.preprocessing.width, 6);
  EXPECT_EQ(card.preprocessing.order, ChannelOrder::bgr);
  EXPECT_EQ(card.preprocessing.filter, Filter::bicubic);
  EXPECT_EQ(card.preprocessing.mean[2], 3.0F);
  EXPECT_EQ(card.temperature, 1.5F);
  EXPECT_EQ(card.layer, "last_conv");
  EXPECT_EQ(card.gate->threshold, 2.5F);
  EXPECT_EQ(card.limits[1].in("vi"), "hai");
  EXPECT_EQ(card.limits[0].in("vi"), "one");
  EXPECT_TRUE(card.warnings.empty());
}

TEST(Card, WithoutMetadataTheDefaultsAreStated) {
  const Card card = read({});
  EXPECT_EQ(card.name, "some_model_");
  EXPECT_EQ(card.version, "4");
  EXPECT_EQ(card.labels.at(2).key, "class_2");
  EXPECT_EQ(card.preprocessing.filter, Filter::lanczos);
  EXPECT_FALSE(card.outputs_probabilities);
  EXPECT_EQ(card.warnings.size(), 2U) << "labels and preprocessing";
}

TEST(Card, ASoftmaxThatMakesTheOutputIsInside) {
  EXPECT_TRUE(read({}, true).outputs_probabilities);
  EXPECT_FALSE(read({{"dermlens.softmax", "outside"}}, true).outputs_probabilities);
}

TEST(Card, LabelsBesideTheModelAreTheFallback) {
  const auto folder =
      std::filesystem::path(testing::TempDir()) / ("labels_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "labels.txt") << "one\r\ntwo\nthree\n\n\n";
  onnx::Model model = network();
  model.path = (folder / "m.onnx").string();
  const auto card = read_card(model);
  ASSERT_TRUE(card);
  EXPECT_EQ(card->labels[0].key, "one");
  EXPECT_EQ(card->labels.size(), 3U);
  model.metadata["dermlens.labels"] = R"(["x","y","z"])";
  EXPECT_EQ(read_card(model)->labels[0].key, "x");
  std::filesystem::remove_all(folder);
}

TEST(Card, UnknownKeysAreNamedAndIgnored) {
  const Card card = read({{"dermlens.colour", "RGB"}, {"other.key", "x"}});
  EXPECT_EQ(card.warnings.size(), 3U);
  EXPECT_NE(card.warnings.back().find("dermlens.colour"), std::string::npos);
}

class HostileMetadata : public testing::TestWithParam<std::pair<const char*, std::string>> {};

TEST_P(HostileMetadata, IsMalformedAndNamesTheKey) {
  onnx::Model model = network();
  model.metadata[GetParam().first] = GetParam().second;
  const auto card = read_card(model);
  ASSERT_FALSE(card);
  EXPECT_EQ(card.error().code, Errc::malformed) << card.error().message;
  EXPECT_LT(card.error().message.size(), 512U);
}

std::string deep(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

const std::pair<const char*, std::string> kHostile[] = {
    {"dermlens.name", "../../etc/passwd"},
    {"dermlens.name", std::string(65, 'a')},
    {"dermlens.name", ""},
    {"dermlens.version", std::string(65, '1')},
    {"dermlens.version", "1\n2"},
    {"dermlens.description", "\xff\xfe"},
    {"dermlens.description", std::string(5000, 'x')},
    {"dermlens.labels", ""},
    {"dermlens.labels", "[]"},
    {"dermlens.labels", R"(["a","b"])"},
    {"dermlens.labels", R"(["a","b","c","d"])"},
    {"dermlens.labels", R"(["a","a","c"])"},
    {"dermlens.labels", R"(["a","","c"])"},
    {"dermlens.labels", R"(["a",1,"c"])"},
    {"dermlens.labels", R"(["a",{"en":"B"},"c"])"},
    {"dermlens.labels", R"(["a",{"key":"b","en":3},"c"])"},
    {"dermlens.labels", R"(["a","\u001b[31m","c"])"},
    {"dermlens.labels", R"(["a","\u0000","c"])"},
    {"dermlens.labels", R"(["a","\ud800","c"])"},
    {"dermlens.labels", deep(100000)},
    {"dermlens.labels", "[\"" + std::string(1 << 21, 'a') + "\"]"},
    {"dermlens.labels", R"(["a","b","c"] trailing)"},
    {"dermlens.input", "nothing"},
    {"dermlens.output", "image"},
    {"dermlens.layout", "CHWN"},
    {"dermlens.size", "[6, 8]"},
    {"dermlens.size", "[8]"},
    {"dermlens.size", "[8, -6]"},
    {"dermlens.size", "[8, 6.5]"},
    {"dermlens.size", "[8, 1e300]"},
    {"dermlens.color", "rgb"},
    {"dermlens.resize", "nearest"},
    {"dermlens.scale", "1e39"},
    {"dermlens.scale", "NaN"},
    {"dermlens.scale", "1,5"},
    {"dermlens.mean", "[1,2]"},
    {"dermlens.mean", R"([1,2,"3"])"},
    {"dermlens.std", "[1,0,1]"},
    {"dermlens.softmax", "maybe"},
    {"dermlens.temperature", "0"},
    {"dermlens.temperature", "-1"},
    {"dermlens.temperature", "1e30"},
    {"dermlens.gate", "3"},
    {"dermlens.gate", R"({"score":"energy"})"},
    {"dermlens.gate", R"({"score":"luck","threshold":1})"},
    {"dermlens.gate", R"({"score":"energy","threshold":"1"})"},
    {"dermlens.limits", R"({"en":"x"})"},
    {"dermlens.limits", R"([{"fr":"x"}])"},
    {"dermlens.limits", R"([1])"},
};
INSTANTIATE_TEST_SUITE_P(Values, HostileMetadata, testing::ValuesIn(kHostile));

TEST(Card, HostileLabelsStayWithinWhatReadingMayTake) {
  onnx::Model model = network();
  std::string zeros = "[0";
  while (zeros.size() < kMaxMetadataBytes - 3) zeros += ",0";
  model.metadata["dermlens.labels"] = zeros + "]";
  // The largest block of the parse alone is larger than this.
  constexpr Bytes kMost = Bytes{4} << 20;
  const auto card = read_card(model, kMost);
  ASSERT_FALSE(card);
  EXPECT_EQ(card.error().code, Errc::over_limit) << card.error().message;
  EXPECT_EQ(card.error().available, kMost);
  ASSERT_GT(card.error().needed, kMost);
  // What is named would do: then the labels themselves are what is wrong.
  const auto roomy = read_card(model, card.error().needed);
  ASSERT_FALSE(roomy);
  EXPECT_EQ(roomy.error().code, Errc::malformed) << roomy.error().message;
}

TEST(Card, AnInputThatIsNoPictureIsUnsupported) {
  for (const graph::Shape& shape :
       {graph::Shape{1, 1, 8, 8}, graph::Shape{2, 3, 8, 8}, graph::Shape{1, 4, 8, 8}}) {
    const auto card = read_card(network(shape));
    ASSERT_FALSE(card);
    EXPECT_EQ(card.error().code, Errc::unsupported) << card.error().message;
  }
}

TEST(Card, APictureOfScoresIsNoClassifier) {
  onnx::Model model;
  model.path = "/nowhere/segmentation.onnx";
  const auto input = *model.graph.add_input("image", {graph::DType::f32, {1, 3, 8, 6}});
  model.graph.add_output(*model.graph.add(graph::Unary{graph::UnaryFn::relu}, {input}, "masks"));
  model.outputs = {"masks"};
  const auto card = read_card(model);
  ASSERT_FALSE(card);
  EXPECT_EQ(card.error().code, Errc::unsupported) << card.error().message;
}

}  // namespace
}  // namespace dermlens::diagnose
