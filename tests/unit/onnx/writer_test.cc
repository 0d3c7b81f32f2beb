// Rewritten models: what was not mentioned is as it was, what was mentioned is as asked.
#include "onnx/writer.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "graph/reference.h"
#include "model_builder.h"

namespace dermlens::onnx {
namespace {

using ::testing::ElementsAre;
namespace fs = std::filesystem;

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

const std::vector<double> kPicture = {1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1};

class Writer : public ::testing::Test {
 protected:
  Writer() { tiny_network().save(from_); }
  Model original() { return *read_model(from_); }

  TemporaryFolder folder_;
  std::string from_ = folder_ / "from.onnx";
  std::string to_ = folder_ / "to.onnx";
};

TEST_F(Writer, AnEmptyEditChangesNothingThatIsRead) {
  ASSERT_TRUE(rewrite_model(from_, to_, {}));
  const auto copy = read_model(to_);
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ(copy->metadata, original().metadata);
  EXPECT_EQ(copy->producer, "tests");
  EXPECT_EQ(run(*copy, kPicture), run(original(), kPicture));
}

TEST_F(Writer, InitializersBecomeHalvesWithACastEach) {
  const Model model = original();
  Edit edit;
  edit.producer = "narrow";
  edit.metadata["quantized"] = "fp16";
  for (const char* name : {"w", "fc"}) {
    const graph::Value& value = model.graph.value(*find_value(model, name));
    auto tensor = narrowed(*value.constant, value.type.shape, graph::DType::f16, model.files[0]);
    ASSERT_TRUE(tensor) << tensor.error().message;
    const std::string half = std::string(name) + "/f16";
    edit.replaced[name] = {half, *tensor};
    edit.nodes_before[0].push_back(
        {"Cast", half + "/cast", {half}, {name}, {{"to", std::int64_t{kFloat}}}});
  }
  ASSERT_TRUE(rewrite_model(from_, to_, edit));
  const auto narrow = read_model(to_);
  ASSERT_TRUE(narrow) << narrow.error().message;
  EXPECT_EQ(narrow->producer, "narrow");
  EXPECT_EQ(narrow->metadata.at("quantized"), "fp16");
  EXPECT_EQ(narrow->metadata.at("labels"), "a,b,c");
  const graph::Value& weights = narrow->graph.value(*find_value(*narrow, "w"));
  EXPECT_EQ(weights.constant->stored_as, graph::DType::f16);
  // These weights are whole numbers, which halves hold exactly.
  EXPECT_EQ(run(*narrow, kPicture), run(model, kPicture));
}

TEST_F(Writer, NodesAreInsertedAndReadersRedirected) {
  Edit edit;
  const float scale = 0.5f;
  const std::uint8_t zero = 0;
  edit.added["s"] = small_tensor(graph::DType::f32, {}, std::as_bytes(std::span(&scale, 1)));
  edit.added["z"] = small_tensor(graph::DType::u8, {}, std::as_bytes(std::span(&zero, 1)));
  edit.nodes_before[2] = {{"QuantizeLinear", "q", {"r", "s", "z"}, {"r_q"}, {}},
                          {"DequantizeLinear", "d", {"r_q", "s", "z"}, {"r_d"}, {}}};
  edit.redirected[2] = {{"r", "r_d"}};
  ASSERT_TRUE(rewrite_model(from_, to_, edit));
  const auto quantized = read_model(to_);
  ASSERT_TRUE(quantized) << quantized.error().message;
  EXPECT_EQ(quantized->operators.at("QuantizeLinear"), 1u);
  EXPECT_EQ(run(*quantized, std::vector<double>(16, 0.1)).size(), 3u);
  std::vector<std::string> read;
  ASSERT_TRUE(visit_nodes(to_, [&](const NodeSummary& node) -> Result<void> {
    if (node.op_type == "GlobalAveragePool") read = node.inputs;
    return {};
  }));
  EXPECT_THAT(read, ElementsAre("r_d"));
}

TEST_F(Writer, MetadataIsAddedReplacedAndRemoved) {
  Edit edit;
  edit.metadata = {{"labels", "d,e,f"}, {"version", "2"}};
  ASSERT_TRUE(rewrite_model(from_, to_, edit));
  EXPECT_EQ(read_model(to_)->metadata,
            (std::map<std::string, std::string>{{"labels", "d,e,f"}, {"version", "2"}}));
  edit = {};
  edit.removed_metadata = {"labels", "version"};
  ASSERT_TRUE(rewrite_model(to_, to_, edit));
  EXPECT_TRUE(read_model(to_)->metadata.empty());
}

TEST_F(Writer, ExternalDataMovesIn) {
  const std::vector<float> values = {1, 2, 3};
  std::ofstream(folder_ / "weights.bin", std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()), 12);
  ModelBuilder model;
  model.input("x", {3}).initializer(external_tensor("w", {3}, "weights.bin"));
  model.node("Add", {"x", "w"}, {"y"}).output("y").save(from_);
  const TemporaryFolder elsewhere;
  ASSERT_TRUE(rewrite_model(from_, elsewhere / "to.onnx", {}));
  const auto copy = read_model(elsewhere / "to.onnx");
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ(run(*copy, {1, 1, 1}), (std::vector<double>{2, 3, 4}));
}

TEST_F(Writer, FollowsALinkAndNeverReplacesAPipe) {
  const std::string link = folder_ / "link", pipe = folder_ / "pipe";
  fs::create_symlink("to.onnx", link);
  ASSERT_TRUE(rewrite_model(from_, link, {}));
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_TRUE(read_model(to_));
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const auto done = rewrite_model(from_, pipe, {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::usage);
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(Writer, ARefusedOutputIsNotBlamedOnTheModel) {
  const auto done = rewrite_model(from_, "/proc/to.onnx", {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message.find(from_), std::string::npos) << done.error().message;
  EXPECT_NE(done.error().message.find("/proc/to.onnx"), std::string::npos);
}

TEST_F(Writer, AFailureLeavesTheOldFileAndNothingElse) {
  std::ofstream(to_) << "old";
  Edit no_such;
  no_such.replaced["ghost"] = {"ghost", small_tensor(graph::DType::f32, {0}, {})};
  Edit no_node;
  no_node.redirected[99] = {{"r", "q"}};
  Edit not_read;
  not_read.redirected[1] = {{"ghost", "q"}};
  Edit stops;
  stops.replaced["w"] = {"w", {graph::DType::f32, {1}, [](const ByteSink&) -> Result<void> {
                                 return fail(Errc::io, "gone");
                               }}};
  for (const Edit& edit : {no_such, no_node, not_read}) {
    const auto done = rewrite_model(from_, to_, edit);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::usage) << done.error().message;
  }
  EXPECT_EQ(rewrite_model(from_, to_, stops).error().code, Errc::io);
  EXPECT_EQ(rewrite_model(from_, folder_ / "no/such/folder.onnx", {}).error().code, Errc::io);
  EXPECT_EQ(content(to_), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 2);
}

float half_round_trip(float value, graph::DType type) {
  const auto owner = std::make_shared<const float>(value);
  graph::Constant constant;
  constant.stored = std::as_bytes(std::span(owner.get(), 1));
  constant.owner = owner;
  const auto tensor = narrowed(constant, {1}, type);
  EXPECT_TRUE(tensor);
  auto bytes = std::make_shared<std::vector<std::byte>>();
  const auto written = tensor->write_to([&](ByteView piece) -> Result<void> {
    bytes->insert(bytes->end(), piece.begin(), piece.end());
    return {};
  });
  if (!written) return std::numeric_limits<float>::quiet_NaN();
  graph::Value result;
  result.type = {graph::DType::f32, {1}};
  result.constant = graph::Constant{type, *bytes, bytes, 0, {}, {}};
  return graph::to_floats(result)[0];
}

TEST(Narrowing, RoundsToTheNearestAndTiesToEven) {
  using graph::DType;
  EXPECT_EQ(half_round_trip(1.0f + 0x1p-11f, DType::f16), 1.0f);
  EXPECT_EQ(half_round_trip(1.0f + 3 * 0x1p-11f, DType::f16), 1.0f + 0x1p-9f);
  EXPECT_EQ(half_round_trip(-1.0f - 0x1.8p-11f, DType::f16), -1.0f - 0x1p-10f);
  EXPECT_EQ(half_round_trip(65504.0f, DType::f16), 65504.0f);
  EXPECT_EQ(half_round_trip(65519.0f, DType::f16), 65504.0f);
  EXPECT_EQ(half_round_trip(0x1p-24f, DType::f16), 0x1p-24f);
  EXPECT_EQ(half_round_trip(0x1p-25f, DType::f16), 0.0f);
  EXPECT_EQ(half_round_trip(0x1.8p-25f, DType::f16), 0x1p-24f);
  EXPECT_EQ(half_round_trip(0x1.ff8p-15f, DType::f16), 0x1.ff8p-15f);
  EXPECT_TRUE(std::signbit(half_round_trip(-0.0f, DType::f16)));
  EXPECT_EQ(half_round_trip(INFINITY, DType::f16), INFINITY);
  EXPECT_EQ(half_round_trip(1.0f + 0x1p-8f, DType::bf16), 1.0f);
  EXPECT_EQ(half_round_trip(1.0f + 3 * 0x1p-8f, DType::bf16), 1.0f + 0x1p-6f);
  EXPECT_EQ(half_round_trip(-3e38f, DType::bf16), -0x1.c4p127f);
}

TEST(Narrowing, RefusesWhatWouldBecomeInfinite) {
  // The round trip says NaN where writing failed.
  EXPECT_TRUE(std::isnan(half_round_trip(65520.0f, graph::DType::f16)));
  EXPECT_TRUE(std::isnan(half_round_trip(1e30f, graph::DType::f16)));
  EXPECT_TRUE(std::isnan(half_round_trip(3.4e38f, graph::DType::bf16)));
}

}  // namespace
}  // namespace dermlens::onnx
