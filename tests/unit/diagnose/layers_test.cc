#include "diagnose/layers.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "diagnose/network.h"

namespace dermlens::diagnose {
namespace {

using graph::Graph;
using graph::ValueId;

// Graphs by hand: every operator is fed so that shapes stay [1, C, H, W].
class GraphBuilder {
 public:
  GraphBuilder() : input(*graph.add_input("image", {graph::DType::f32, {1, 2, 4, 4}})) {}

  ValueId conv(ValueId x, const std::string& name) {
    const ValueId weights =
        graph.add_constant(name + "_w", {2, 2, 1, 1}, std::vector<float>{1, 2, 3, 4});
    graph::Conv op;
    op.geometry = {{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1};
    return *graph.add(op, {x, weights, graph::kNoValue}, name);
  }
  ValueId relu(ValueId x, const std::string& name) {
    return *graph.add(graph::Unary{graph::UnaryFn::relu, 0, 0}, {x}, name);
  }
  ValueId add(ValueId a, ValueId b, const std::string& name) {
    return *graph.add(graph::Binary{}, {a, b}, name);
  }
  // Global average, then as scores.
  ValueId scores(ValueId x) {
    const ValueId pooled =
        *graph.add(graph::Reduce{graph::ReduceFn::mean, {2, 3}, false}, {x}, "scores");
    graph.add_output(pooled);
    return pooled;
  }

  Graph graph;
  ValueId input;
};

// The nodes' names may become the values' names or not; tests ask the graph.
std::string name_of_value(const Graph& graph, ValueId id) { return graph.value(id).name; }

LayerMap layers_of(const GraphBuilder& built, ValueId score) {
  auto map = find_layers(built.graph, built.input, score, false, "auto");
  EXPECT_TRUE(map);
  return std::move(*map);
}

TEST(AutoLayer, IsTheLastValueOfAChain) {
  GraphBuilder built;
  const ValueId conv = built.conv(built.input, "conv");
  const ValueId relu = built.relu(conv, "relu");
  const LayerMap map = layers_of(built, built.scores(relu));
  EXPECT_EQ(map.automatic, name_of_value(built.graph, relu));
  EXPECT_EQ(map.last_conv, name_of_value(built.graph, conv));
  EXPECT_EQ(map.layers.size(), 2U) << "the photo itself is no layer";
}

TEST(AutoLayer, IsTheSumThatEndsAResidualBlock) {
  GraphBuilder built;
  const ValueId stem = built.conv(built.input, "stem");
  const ValueId branch = built.relu(built.conv(stem, "branch"), "branch_relu");
  const ValueId sum = built.add(branch, stem, "sum");
  const LayerMap map = layers_of(built, built.scores(sum));
  EXPECT_EQ(map.automatic, name_of_value(built.graph, sum));
}

TEST(AutoLayer, IsBeforeBranchesThatOnlyMeetInTheScores) {
  GraphBuilder built;
  const ValueId stem = built.relu(built.conv(built.input, "stem"), "stem_relu");
  const ValueId left = built.conv(stem, "left");
  const ValueId right = built.conv(stem, "right");
  const graph::Reduce mean{graph::ReduceFn::mean, {2, 3}, false};
  const ValueId a = *built.graph.add(mean, {left}, "a");
  const ValueId b = *built.graph.add(mean, {right}, "b");
  const ValueId score = *built.graph.add(graph::Binary{}, {a, b}, "score");
  built.graph.add_output(score);
  const LayerMap map = layers_of(built, score);
  EXPECT_EQ(map.automatic, name_of_value(built.graph, stem));
  EXPECT_EQ(map.last_conv, name_of_value(built.graph, right));
}

TEST(Layers, LeadFromTheInputToTheScores) {
  GraphBuilder built;
  const ValueId conv = built.conv(built.input, "conv");
  const ValueId aside = built.conv(conv, "aside");
  built.graph.add_output(aside);
  const LayerMap map = layers_of(built, built.scores(conv));
  ASSERT_EQ(map.layers.size(), 1U);
  EXPECT_EQ(map.layers[0].name, name_of_value(built.graph, conv));
}

TEST(Layers, ChannelsLastValuesAreNoneAndTheWayBackIsFollowed) {
  GraphBuilder built;
  const ValueId conv = built.conv(built.input, "conv");
  const ValueId last = *built.graph.add(graph::Transpose{{0, 2, 3, 1}}, {conv}, "nhwc");
  const ValueId relu = built.relu(last, "nhwc_relu");
  const graph::Reduce mean{graph::ReduceFn::mean, {1, 2}, false};
  const ValueId score = *built.graph.add(mean, {relu}, "score");
  built.graph.add_output(score);
  const LayerMap map = layers_of(built, score);
  ASSERT_EQ(map.layers.size(), 1U);
  EXPECT_EQ(map.automatic, name_of_value(built.graph, conv));
}

TEST(Layers, TheCardsChoiceIsAuto) {
  GraphBuilder built;
  const ValueId first = built.conv(built.input, "first");
  const ValueId second = built.conv(first, "second");
  const ValueId score = built.scores(second);
  const std::string name = name_of_value(built.graph, first);
  const auto map = find_layers(built.graph, built.input, score, false, name);
  ASSERT_TRUE(map);
  EXPECT_EQ(map->automatic, name);
  EXPECT_EQ(choose_layer(*map, "auto").value()->name, name);
  const auto bad = find_layers(built.graph, built.input, score, false, "nothing");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::malformed);
}

TEST(Layers, AWrongNameIsWrongUsage) {
  GraphBuilder built;
  const LayerMap map = layers_of(built, built.scores(built.conv(built.input, "conv")));
  const auto chosen = choose_layer(map, "no such layer");
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code, Errc::usage);
}

// The committed reference networks name the layer that PyTorch's authors would have chosen.
std::vector<std::string> fixtures() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(DERMLENS_SOURCE_DIR "/tests/golden/fixtures"))
    if (std::filesystem::exists(entry.path() / "manifest.json"))
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

class Fixture : public testing::TestWithParam<std::string> {};

TEST_P(Fixture, AutoIsTheLayerOfTheManifest) {
  const std::string folder = DERMLENS_SOURCE_DIR "/tests/golden/fixtures/" + GetParam();
  std::ifstream file(folder + "/manifest.json");
  std::stringstream text;
  text << file.rdbuf();
  const auto manifest = boost::json::parse(text.str());
  const auto network = read_network(folder + "/model.onnx");
  ASSERT_TRUE(network) << network.error().message;
  for (const auto& layer : manifest.at("layers").as_array())
    if (layer.at("kind") == "auto") {
      const auto value =
          onnx::find_value(network->model, std::string(layer.at("name").as_string()));
      ASSERT_TRUE(value);
      EXPECT_EQ(network->layers.automatic, network->model.graph.value(*value).name);
    }
}
INSTANTIATE_TEST_SUITE_P(Golden, Fixture, testing::ValuesIn(fixtures()),
                         [](const auto& given) { return given.param; });

}  // namespace
}  // namespace dermlens::diagnose
