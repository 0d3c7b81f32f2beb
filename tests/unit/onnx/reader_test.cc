// What a model may say and how it becomes a graph.
#include "onnx/reader.h"

#include <gmock/gmock.h>

#include "graph/reference.h"
#include "model_builder.h"

namespace dermlens::onnx {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using ::testing::Not;

const graph::TensorType& type_of(const Model& model, const std::string& name) {
  return model.graph.value(*find_value(model, name)).type;
}

TEST(Reader, ANetworkBecomesItsGraph) {
  const auto model = tiny_network().read();
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->opset, 13);
  EXPECT_EQ(model->ir_version, 8);
  EXPECT_EQ(model->producer, "tests");
  EXPECT_EQ(model->parameters, 18u + 2 + 6 + 3);
  EXPECT_EQ(model->operators.at("Conv"), 1u);
  EXPECT_EQ(model->metadata.at("labels"), "a,b,c");
  EXPECT_EQ(type_of(*model, "c").shape, (graph::Shape{1, 2, 4, 4}));
  EXPECT_EQ(type_of(*model, "y").shape, (graph::Shape{1, 3}));
  EXPECT_TRUE(graph::verify(model->graph));
  EXPECT_EQ(run(*model, std::vector<double>(16, 0.0)), (std::vector<double>{1.5, 3.5, 5.5}));
}

TEST(Reader, WeightsStayWhereTheyLie) {
  const auto bytes = std::make_shared<const std::string>(tiny_network().bytes());
  const auto model = read_model_from_bytes(std::as_bytes(std::span(*bytes)), bytes);
  ASSERT_TRUE(model);
  const graph::Value& weights = model->graph.value(*find_value(*model, "w"));
  const auto* begin = reinterpret_cast<const std::byte*>(bytes->data());
  EXPECT_GE(weights.constant->stored.data(), begin);
  EXPECT_LE(weights.constant->stored.data() + weights.constant->stored.size(),
            begin + bytes->size());
}

TEST(Reader, TheBatchDimensionIsOneAndOthersMustBeGiven) {
  const auto batch =
      ModelBuilder().input("x", {-1, 3}).node("Relu", {"x"}, {"y"}).output("y").read();
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_EQ(type_of(*batch, "y").shape, (graph::Shape{1, 3}));

  ModelBuilder wide;
  wide.input("x", {-1, -1}).node("Relu", {"x"}, {"y"}).output("y");
  const auto refused = wide.read();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("'x'"));
  const auto given = wide.read({{{"x", {2, 5}}}, {}, {}});
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(type_of(*given, "y").shape, (graph::Shape{2, 5}));
}

TEST(Reader, OptionsThatContradictTheModelAreUsageErrors) {
  const ModelBuilder model = tiny_network();
  EXPECT_EQ(model.read({{{"x", {1, 1, 5, 5}}}, {}, {}}).error().code, Errc::usage);
  EXPECT_EQ(model.read({{{"z", {1}}}, {}, {}}).error().code, Errc::usage);
  EXPECT_EQ(model.read({{}, {{"z", {1}}}, {}}).error().code, Errc::usage);
  EXPECT_EQ(model.read({{}, {{"x", {1}}}, {}}).error().code, Errc::usage);
}

TEST(Reader, BoundInputsDecideShapes) {
  ModelBuilder model;
  model.input("x", {2, 6}).input("shape", {-1}, kInt64);
  model.node("Reshape", {"x", "shape"}, {"y"}).output("y");
  const auto unbound = model.read();
  ASSERT_FALSE(unbound);
  EXPECT_THAT(unbound.error().message, HasSubstr("bind it"));
  const auto bound = model.read({{}, {{"shape", {3, -1}}}, {}});
  ASSERT_TRUE(bound) << bound.error().message;
  EXPECT_EQ(type_of(*bound, "y").shape, (graph::Shape{3, 4}));
  EXPECT_EQ(bound->graph.inputs().size(), 1u);
}

TEST(Reader, ShapeArithmeticVanishes) {
  ModelBuilder model;
  model.input("x", {-1, 4, 2, 2})
      .numbers("zero", {0})
      .numbers("minus", {-1})
      .node("Shape", {"x"}, {"s"})
      .node("Gather", {"s", "zero"}, {"batch"}, {integer("axis", 0)})
      .node("Concat", {"batch", "minus"}, {"shape"}, {integer("axis", 0)})
      .node("Reshape", {"x", "shape"}, {"y"})
      .output("y");
  const auto read = model.read();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(type_of(*read, "y").shape, (graph::Shape{1, 16}));
  EXPECT_EQ(read->graph.nodes().size(), 1u);
}

TEST(Reader, EveryNameIsFoundAndOutputsKeepTheirs) {
  ModelBuilder model;
  model.input("x", {1, 3})
      .node("Relu", {"x"}, {"r"})
      .node("Identity", {"r"}, {"i"})
      .node("Dropout", {"i"}, {"y"})
      .output("y");
  const auto read = model.read();
  ASSERT_TRUE(read) << read.error().message;
  for (const char* name : {"r", "i", "y"}) ASSERT_TRUE(find_value(*read, name)) << name;
  EXPECT_EQ(*find_value(*read, "r"), *find_value(*read, "y"));
  EXPECT_EQ(read->graph.value(read->graph.outputs()[0]).name, "y");
  EXPECT_EQ(find_value(*read, "z").error().code, Errc::not_found);
}

TEST(Reader, HalfWeightsStayHalvesAndCountAsFloats) {
  ModelBuilder model;
  const std::vector<std::uint16_t> halves = {0x3C00, 0xC000};  // 1, -2
  model.input("x", {1, 2}, kFloat16)
      .initializer(raw_tensor("h", kFloat16, {2}, halves))
      .node("Cast", {"h"}, {"w"}, {integer("to", kFloat)})
      .node("Mul", {"x", "w"}, {"y"})
      .output("y");
  const auto read = model.read();
  ASSERT_TRUE(read) << read.error().message;
  const graph::Value& weights = read->graph.value(*find_value(*read, "w"));
  EXPECT_EQ(weights.type.dtype, graph::DType::f32);
  EXPECT_EQ(weights.constant->stored_as, graph::DType::f16);
  EXPECT_EQ(type_of(*read, "x").dtype, graph::DType::f32);
  EXPECT_EQ(run(*read, {3, 4}), (std::vector<double>{3, -8}));
}

TEST(Reader, TypedFieldsReadPackedOrNot) {
  std::string packed, single;
  for (std::string* bytes : {&packed, &single}) {
    protozero::pbf_writer writer(*bytes);
    writer.add_int64(1, 2);
    writer.add_int32(2, kFloat);
    writer.add_string(8, "w");
  }
  const std::vector<float> values = {1.5f, -2.0f};
  protozero::pbf_writer(packed).add_packed_float(4, values.begin(), values.end());
  for (const float value : values) protozero::pbf_writer(single).add_float(4, value);
  for (const std::string& tensor : {packed, single}) {
    const auto read = ModelBuilder()
                          .input("x", {2})
                          .initializer(tensor)
                          .node("Add", {"x", "w"}, {"y"})
                          .output("y")
                          .read();
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_THAT(graph::to_floats(read->graph.value(*find_value(*read, "w"))),
                ElementsAre(1.5f, -2.0f));
  }
}

TEST(Reader, QuantizedWeightsBecomeRecipes) {
  ModelBuilder model;
  model.input("x", {1, 1, 2, 2})
      .initializer(raw_tensor<std::int8_t>("q", kInt8, {2, 1, 1, 1}, {10, -20}))
      .floats("scale", {2}, {0.5f, 0.25f})
      .initializer(raw_tensor<std::int8_t>("zero", kInt8, {2}, {2, 0}))
      .node("DequantizeLinear", {"q", "scale", "zero"}, {"w"}, {integer("axis", 0)})
      .node("Conv", {"x", "w"}, {"y"})
      .output("y");
  const auto read = model.read();
  ASSERT_TRUE(read) << read.error().message;
  const graph::Value& weights = read->graph.value(*find_value(*read, "w"));
  ASSERT_TRUE(weights.constant);
  EXPECT_EQ(weights.constant->stored_as, graph::DType::i8);
  EXPECT_THAT(graph::to_floats(weights), ElementsAre(4.0f, -5.0f));
  EXPECT_EQ(read->graph.nodes().size(), 1u);
}

TEST(Reader, BatchNormIsOneFactorAndOneShift) {
  ModelBuilder model;
  model.input("x", {1, 1, 1, 2})
      .floats("scale", {1}, {2})
      .floats("bias", {1}, {1})
      .floats("mean", {1}, {3})
      .floats("variance", {1}, {4})
      .node("BatchNormalization", {"x", "scale", "bias", "mean", "variance"}, {"y"},
            {number("epsilon", 0.0f), number("momentum", 0.9f)})
      .output("y");
  const auto read = model.read();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->graph.nodes().size(), 2u);
  EXPECT_EQ(run(*read, {3, 5}), (std::vector<double>{1, 3}));
}

TEST(Reader, CeilModeDropsTheWindowThatStartsInThePadding) {
  // 2 windows, not 3: the third would start at 4, behind the input and its padding.
  ModelBuilder model;
  model.input("x", {1, 1, 3, 3})
      .node("MaxPool", {"x"}, {"y"},
            {integers("kernel_shape", {2, 2}), integers("strides", {2, 2}),
             integers("pads", {1, 1, 1, 1}), integer("ceil_mode", 1)})
      .output("y");
  const auto read = model.read();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(type_of(*read, "y").shape, (graph::Shape{1, 1, 2, 2}));
}

// ceil((1 - 3) / 2) + 1 = 0 windows would be refused with stride 2; ceil((2 - 3) / 2) + 1 = 1 is
// not.
TEST(Reader, CeilModeLetsAKernelReachLessThanAStrideBeyondTheInput) {
  const std::pair<const char*, std::vector<double>> pools[] = {{"MaxPool", {4}},
                                                               {"AveragePool", {2.5}}};
  for (const auto& [pool, expected] : pools) {
    ModelBuilder model;
    model.input("x", {1, 1, 2, 2})
        .node(pool, {"x"}, {"y"},
              {integers("kernel_shape", {3, 3}), integers("strides", {2, 2}),
               integer("ceil_mode", 1)})
        .output("y");
    const auto read = model.read();
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(type_of(*read, "y").shape, (graph::Shape{1, 1, 1, 1}));
    EXPECT_EQ(run(*read, {1, 2, 3, 4}), expected);
  }
}

TEST(Reader, SamePaddingGoesToTheSideItNames) {
  for (const std::string mode : {"SAME_UPPER", "SAME_LOWER"}) {
    ModelBuilder model;
    model.input("x", {1, 1, 4, 4})
        .floats("w", {1, 1, 3, 3}, std::vector<float>(9, 1))
        .node("Conv", {"x", "w"}, {"y"}, {text("auto_pad", mode), integers("strides", {2, 2})})
        .output("y");
    const auto read = model.read();
    ASSERT_TRUE(read) << read.error().message;
    const auto& conv = std::get<graph::Conv>(read->graph.nodes()[0].op);
    const bool upper = mode == "SAME_UPPER";
    EXPECT_EQ(conv.geometry.pads_begin, (graph::Shape(2, upper ? 0 : 1)));
    EXPECT_EQ(conv.geometry.pads_end, (graph::Shape(2, upper ? 1 : 0)));
  }
}

TEST(Reader, CountedPaddingAndUncountedCeilingAreToldApart) {
  ModelBuilder model;
  model.input("x", {1, 1, 3, 3})
      .node("AveragePool", {"x"}, {"y"},
            {integers("kernel_shape", {2, 2}), integers("strides", {2, 2}), integer("ceil_mode", 1),
             integer("count_include_pad", 1)})
      .output("y");
  const auto read = model.read();
  ASSERT_TRUE(read) << read.error().message;
  const std::vector<double> x = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_EQ(run(*read, x), (std::vector<double>{3, 4.5, 7.5, 9}));
}

TEST(Reader, AnUnknownOperatorMattersOnlyToWhatNeedsIt) {
  ModelBuilder model;
  model.input("x", {4})
      .node("Relu", {"x"}, {"logits"})
      .node("Frobnicate", {"logits"}, {"top"})
      .node("Neg", {"top"}, {"less"})
      .output("less")
      .output("logits");
  const auto read = model.read();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->outputs, (std::vector<std::string>{"less", "logits"}));
  ASSERT_EQ(read->graph.outputs().size(), 1U);
  EXPECT_EQ(*find_value(*read, "logits"), read->graph.outputs()[0]);
  for (const char* name : {"top", "less"}) {
    const auto missing = find_value(*read, name);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::unsupported);
    EXPECT_THAT(missing.error().message,
                AllOf(HasSubstr("node_top"), HasSubstr("Frobnicate"), Not(HasSubstr("Neg"))));
  }
}

TEST(Reader, AGraphThatOutgrowsItsRoomIsRefusedWithNumbers) {
  ModelBuilder model;
  model.input("x", {4});
  for (int i = 0; i < 1000; ++i)
    model.node("Relu", {i == 0 ? "x" : "v" + std::to_string(i - 1)}, {"v" + std::to_string(i)});
  model.output("v999");
  ReadOptions options;
  options.most_bytes = Bytes{4} << 20;
  EXPECT_TRUE(model.read(options));
  options.most_bytes = Bytes{512} << 10;
  const auto refused = model.read(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::over_limit);
  EXPECT_GT(refused.error().needed, options.most_bytes);
  EXPECT_EQ(refused.error().available, options.most_bytes);
}

TEST(Reader, WhatIsNotKnownIsNamed) {
  const auto message = [](const ModelBuilder& model) {
    const auto read = model.read();
    EXPECT_FALSE(read);
    if (read) return std::string();
    EXPECT_EQ(read.error().code, Errc::unsupported) << read.error().message;
    return read.error().message;
  };
  EXPECT_THAT(message(ModelBuilder().input("x", {1}).node("Frobnicate", {"x"}, {"y"}).output("y")),
              AllOf(HasSubstr("node_y"), HasSubstr("Frobnicate"), HasSubstr("opset 13")));
  EXPECT_THAT(message(ModelBuilder()
                          .input("x", {1})
                          .node("Relu", {"x"}, {"y"}, {integer("gain", 2)})
                          .output("y")),
              AllOf(HasSubstr("node_y"), HasSubstr("Relu"), HasSubstr("gain")));
  EXPECT_THAT(
      message(
          ModelBuilder().input("x", {1}).node("Relu", {"x"}, {"y"}, {}, "com.other").output("y")),
      AllOf(HasSubstr("node_y"), HasSubstr("com.other")));
  EXPECT_THAT(message(ModelBuilder(13).input("x", {1}).node("HardSwish", {"x"}, {"y"}).output("y")),
              AllOf(HasSubstr("HardSwish"), HasSubstr("opset 13"), HasSubstr("14")));
  EXPECT_THAT(message(ModelBuilder(8).input("x", {1}).node("Relu", {"x"}, {"y"}).output("y")),
              HasSubstr("opset 8"));
  EXPECT_THAT(message(ModelBuilder(19).input("x", {1}).node("Relu", {"x"}, {"y"}).output("y")),
              HasSubstr("opset 19"));
}

TEST(Reader, ClipsBoundsMayCrossAndTheUpperOneHolds) {
  const auto model = ModelBuilder(9)
                         .input("x", {1, 3})
                         .node("Clip", {"x"}, {"y"}, {number("min", 2), number("max", 1)})
                         .output("y")
                         .read();
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(run(*model, {-5, 1.5, 5}), (std::vector<double>{1, 1, 1}));
}

TEST(Reader, AVectorOfZerosKeepsItsNorm) {
  const auto model = ModelBuilder()
                         .input("x", {2, 2})
                         .node("LpNormalization", {"x"}, {"y"}, {integer("axis", 1)})
                         .output("y")
                         .read();
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_THAT(run(*model, {0, 0, 3, 4}), ElementsAre(0, 0, ::testing::DoubleNear(0.6, 1e-6),
                                                     ::testing::DoubleNear(0.8, 1e-6)));
}

}  // namespace
}  // namespace dermlens::onnx
