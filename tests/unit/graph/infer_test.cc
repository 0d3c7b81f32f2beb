// Type inference: what each operator gives, and that hostile operands are refused with a sentence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "graph/op.h"

namespace dermlens::graph {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinimum = std::numeric_limits<std::int64_t>::min();

TensorType f32(Shape shape) { return {DType::f32, std::move(shape)}; }

Result<TensorType> infer_of(const Op& op, const std::vector<TensorType>& types,
                            std::size_t absent = 0) {
  std::vector<const TensorType*> inputs;
  for (const TensorType& type : types) inputs.push_back(&type);
  inputs.resize(inputs.size() + absent, nullptr);
  return infer(op, inputs);
}

Conv conv(Shape strides, Shape dilations, Shape begin, Shape end, std::int64_t groups = 1) {
  return {{std::move(strides), std::move(dilations), std::move(begin), std::move(end), groups}, {}};
}

PoolGeometry pool(Shape kernel, Shape strides, Shape dilations, Shape begin, Shape end) {
  return {PoolKind::max,        std::move(kernel), std::move(strides),
          std::move(dilations), std::move(begin),  std::move(end)};
}

TEST(Infer, ConvolutionSlidesItsWindow) {
  const Conv op = conv({2, 1}, {1, 2}, {0, 1}, {1, 1});
  EXPECT_EQ(*infer_of(op, {f32({1, 3, 8, 8}), f32({5, 3, 3, 3})}, 1), f32({1, 5, 4, 6}));
  const Conv depthwise = conv({1}, {1}, {1}, {1}, 4);
  EXPECT_EQ(*infer_of(depthwise, {f32({2, 4, 9}), f32({8, 1, 3}), f32({8})}), f32({2, 8, 9}));
}

TEST(Infer, ConvolutionAndItsGradientAreInverse) {
  const Conv op = conv({2, 2}, {1, 1}, {0, 0}, {1, 1});
  const TensorType x = f32({1, 3, 9, 10}), w = f32({5, 3, 3, 3});
  const TensorType y = *infer_of(op, {x, w}, 1);
  EXPECT_EQ(*infer_of(ConvBackwardData{op.geometry, x.shape}, {y, w}), x);
  EXPECT_FALSE(infer_of(ConvBackwardData{op.geometry, {1, 3, 19, 10}}, {y, w}).has_value());
}

struct Refusal {
  const char* what;
  Op op;
  std::vector<TensorType> inputs;
  std::size_t absent;
  const char* says;
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.what; }

class Refusals : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refusals, NameTheNumbers) {
  const Refusal& refusal = GetParam();
  const auto type = infer_of(refusal.op, refusal.inputs, refusal.absent);
  ASSERT_FALSE(type.has_value()) << to_string(*type);
  EXPECT_TRUE(type.error().code == Errc::malformed || type.error().code == Errc::too_large);
  EXPECT_THAT(type.error().message, HasSubstr(std::string(name_of(refusal.op)) + ": "));
  EXPECT_THAT(type.error().message, HasSubstr(refusal.says));
}

const TensorType kImage = f32({1, 4, 8, 8});
const Conv kPlain = conv({1, 1}, {1, 1}, {0, 0}, {0, 0});
const TensorType kKernel = f32({2, 4, 3, 3});

INSTANTIATE_TEST_SUITE_P(
    Windows, Refusals,
    ::testing::Values(
        Refusal{"NoInputs", kPlain, {}, 0, "number of inputs (0, 3)"},
        Refusal{"AbsentInput", kPlain, {}, 3, "absent (0)"},
        Refusal{"RankTwo", kPlain, {f32({1, 4}), kKernel}, 1, "rank 3 to 5"},
        Refusal{"Empty", kPlain, {f32({1, 4, 0, 8}), kKernel}, 1, "empty"},
        Refusal{"Integers", kPlain, {{DType::i8, {1, 4, 8, 8}}, kKernel}, 1, "floating"},
        Refusal{"MixedTypes", kPlain, {kImage, {DType::f16, {2, 4, 3, 3}}}, 1, "differ"},
        Refusal{"WeightsRank", kPlain, {kImage, f32({2, 4, 3})}, 1, "rank"},
        Refusal{"Channels", kPlain, {kImage, f32({2, 3, 3, 3})}, 1, "(3, 4)"},
        Refusal{"NoGroups",
                conv({1, 1}, {1, 1}, {0, 0}, {0, 0}, 0),
                {kImage, kKernel},
                1,
                "groups (4, 0)"},
        Refusal{"OddGroups",
                conv({1, 1}, {1, 1}, {0, 0}, {0, 0}, 3),
                {kImage, kKernel},
                1,
                "groups (4, 3)"},
        Refusal{"OutputsPerGroup",
                conv({1, 1}, {1, 1}, {0, 0}, {0, 0}, 2),
                {kImage, f32({3, 2, 3, 3})},
                1,
                "(3, 2)"},
        Refusal{"NoKernel", kPlain, {kImage, f32({2, 4, 0, 3})}, 1, "kernel out of range (0"},
        Refusal{"Strides", conv({1}, {1, 1}, {0, 0}, {0, 0}), {kImage, kKernel}, 1, "(1, 2)"},
        Refusal{"ZeroStride",
                conv({0, 1}, {1, 1}, {0, 0}, {0, 0}),
                {kImage, kKernel},
                1,
                "stride out of range (0"},
        Refusal{
            "HugeStride", conv({kHuge, 1}, {1, 1}, {0, 0}, {0, 0}), {kImage, kKernel}, 1, "stride"},
        Refusal{"HugeDilation",
                conv({1, 1}, {kHuge, 1}, {0, 0}, {0, 0}),
                {kImage, kKernel},
                1,
                "dilation"},
        Refusal{"NegativePad",
                conv({1, 1}, {1, 1}, {-1, 0}, {0, 0}),
                {kImage, kKernel},
                1,
                "padding out of range (-1"},
        Refusal{
            "HugePad", conv({1, 1}, {1, 1}, {0, 0}, {kHuge, 0}), {kImage, kKernel}, 1, "padding"},
        Refusal{"KernelTooLarge", kPlain, {kImage, f32({2, 4, 9, 3})}, 1, "(9, 8"},
        Refusal{"BiasShape", kPlain, {kImage, kKernel, f32({3})}, 0, "bias"},
        Refusal{"HugeResult",
                conv({1, 1}, {1, 1}, {1 << 24, 1 << 24}, {1 << 24, 1 << 24}),
                {kImage, kKernel},
                1,
                "too many elements"},
        Refusal{"PoolKernel",
                Pool{pool({9, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0})},
                {kImage},
                0,
                "larger"},
        Refusal{"PoolInPadding",
                Pool{pool({2, 2}, {1, 1}, {1, 1}, {2, 0}, {0, 0})},
                {kImage},
                0,
                "wholly in the padding"},
        Refusal{"PoolBehindInput",
                Pool{pool({2, 2}, {1, 1}, {1, 1}, {0, 0}, {2, 0})},
                {kImage},
                0,
                "wholly in the padding"},
        Refusal{"PoolStepsOver",
                Pool{pool({2}, {1}, {5}, {2}, {3})},
                {f32({1, 1, 1})},
                0,
                "wholly in the padding"},
        Refusal{
            "PoolOfMoreTapsThanThereAreElements",
            Pool{pool({1 << 24, 1 << 24}, {1, 1}, {1, 1}, {0, 0}, {(1 << 24) - 1, (1 << 24) - 1})},
            {f32({1, 1, 4, 4})},
            0,
            "taps"},
        Refusal{"PoolOfTooManyTaps",
                Pool{pool({256, 256}, {1, 1}, {1, 1}, {0, 0}, {255, 255})},
                {f32({1, 64, 256, 256})},
                0,
                "taps"},
        Refusal{"PoolGradient",
                PoolBackward{pool({2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0})},
                {kImage, kImage},
                0,
                "gradient"}),
    ::testing::PrintToStringParamName());

INSTANTIATE_TEST_SUITE_P(
    Arithmetic, Refusals,
    ::testing::Values(
        Refusal{"MatMulRank", MatMul{}, {f32({4}), f32({4, 4})}, 1, "rank 2"},
        Refusal{"MatMulDepth", MatMul{}, {f32({2, 3}), f32({2, 3})}, 1, "(3, 2)"},
        Refusal{"MatMulEmpty", MatMul{}, {f32({2, 0}), f32({0, 3})}, 1, "empty"},
        Refusal{"MatMulBatch", MatMul{}, {f32({2, 2, 3}), f32({3, 3, 3})}, 1, "broadcast"},
        Refusal{"MatMulBias", MatMul{}, {f32({2, 3}), f32({3, 4}), f32({5, 2, 4})}, 0, "larger"},
        Refusal{"UnaryInteger", Unary{UnaryFn::exp, 0, 0}, {{DType::i64, {1}}}, 0, "exp, i64"},
        Refusal{"UnaryBoolean", Unary{UnaryFn::logical_not, 0, 0}, {f32({1})}, 0, "logical_not"},
        Refusal{"UnaryGradient", UnaryBackward{}, {f32({1}), f32({2})}, 0, "gradient"},
        Refusal{"BinaryTypes", Binary{}, {f32({1}), {DType::i64, {1}}}, 0, "differ"},
        Refusal{"BinaryLogic",
                Binary{BinaryFn::logical_and, {}},
                {f32({1}), f32({1})},
                0,
                "logical_and"},
        Refusal{"BinaryBoolean",
                Binary{},
                {{DType::boolean, {1}}, {DType::boolean, {1}}},
                0,
                "add, boolean"},
        Refusal{"PostOpMissing",
                Binary{BinaryFn::add, {{PostOp::Kind::binary_add, {}}}},
                {f32({1}), f32({1})},
                0,
                "number of inputs (2, 3)"},
        Refusal{"PostOpGrows",
                Binary{BinaryFn::add, {{PostOp::Kind::binary_add, {}}}},
                {f32({1}), f32({1}), f32({2})},
                0,
                "larger"},
        Refusal{"ReduceAxis", Reduce{ReduceFn::sum, {2}, true}, {f32({2, 2})}, 0, "(2"},
        Refusal{"ReduceTwice", Reduce{ReduceFn::sum, {1, 1}, true}, {f32({2, 2})}, 0, "distinct"},
        Refusal{"ReduceNothing", Reduce{ReduceFn::max, {0}, true}, {f32({0, 2})}, 0, "nothing"},
        Refusal{"SoftmaxAxis", Softmax{2, false}, {f32({2, 2})}, 0, "axis"},
        Refusal{"WhereCondition", Where{}, {f32({1}), f32({1}), f32({1})}, 0, "boolean"},
        Refusal{"QuantizeType", Quantize{0, DType::i32}, {f32({2}), f32({})}, 1, "i32"},
        Refusal{"QuantizeAxis", Quantize{1, DType::i8}, {f32({2}), f32({2})}, 1, "axis"},
        Refusal{"QuantizeScale", Quantize{0, DType::i8}, {f32({2}), f32({3})}, 1, "([3], 2"},
        Refusal{"DequantizeZero",
                Dequantize{0},
                {{DType::i8, {2}}, f32({}), {DType::u8, {}}},
                0,
                "differ"}),
    ::testing::PrintToStringParamName());

INSTANTIATE_TEST_SUITE_P(
    Moves, Refusals,
    ::testing::Values(
        Refusal{"NoPermutation", Transpose{{0, 0}}, {f32({2, 2})}, 0, "permutation"},
        Refusal{"PermutationAxis", Transpose{{0, 7}}, {f32({2, 2})}, 0, "permutation"},
        Refusal{"ReshapeElements", Reshape{{3}}, {f32({2, 2})}, 0, "elements"},
        Refusal{"ReshapeNegative", Reshape{{-1, 2}}, {f32({2, 2})}, 0, "negative"},
        Refusal{"ReshapeOverflow", Reshape{{kHuge, kHuge}}, {f32({2, 2})}, 0, "too many"},
        Refusal{"ExpandShrinks", Expand{{2}}, {f32({2, 2})}, 0, "expand"},
        Refusal{"ExpandHuge", Expand{{kHuge, 2}}, {f32({1, 2})}, 0, "too many"},
        Refusal{"SliceStart", Slice{{2}, {1}, {1}}, {f32({2})}, 0, "leaves"},
        Refusal{"SliceEnd", Slice{{0}, {2}, {2}}, {f32({2})}, 0, "leaves"},
        Refusal{"SliceBack", Slice{{0}, {-1}, {2}}, {f32({2})}, 0, "leaves"},
        Refusal{"SliceStep", Slice{{0}, {0}, {1}}, {f32({2})}, 0, "step 0"},
        Refusal{"SliceOverflow", Slice{{1}, {kHuge}, {3}}, {f32({2})}, 0, "leaves"},
        Refusal{"SliceNegative", Slice{{0}, {1}, {-1}}, {f32({2})}, 0, "size -1"},
        Refusal{"SliceRank", Slice{{0}, {1}, {1}}, {f32({2, 2})}, 0, "axis"},
        Refusal{"SliceGradient", SliceBackward{{{0}, {1}, {1}}, {2}}, {f32({2})}, 0, "gradient"},
        Refusal{"ConcatNothing", Concat{0}, {}, 0, "nothing"},
        Refusal{"ConcatAxis", Concat{1}, {f32({2})}, 0, "axis"},
        Refusal{"ConcatShape", Concat{0}, {f32({2, 3}), f32({2, 4})}, 0, "fit"},
        Refusal{"ConcatRank", Concat{0}, {f32({2}), f32({2, 1})}, 0, "fit"},
        Refusal{"PadCrops", Pad{PadMode::constant, {-3}, {0}, 0}, {f32({2})}, 0, "padding"},
        Refusal{"PadHuge", Pad{PadMode::constant, {kHuge}, {kHuge}, 0}, {f32({2})}, 0, "padding"},
        Refusal{"PadMinimum", Pad{PadMode::constant, {kMinimum}, {0}, 0}, {f32({2})}, 0, "padding"},
        Refusal{"PadMirror", Pad{PadMode::reflect, {2}, {0}, 0}, {f32({2})}, 0, "padding"},
        Refusal{"PadNothing", Pad{PadMode::edge, {1}, {0}, 0}, {f32({0})}, 0, "padding"},
        Refusal{"GatherFloats", Gather{0}, {f32({2}), f32({2})}, 0, "integers"},
        Refusal{"GatherAxis", Gather{1}, {f32({2}), {DType::i64, {}}}, 0, "axis"},
        Refusal{"GatherRank",
                Gather{0},
                {f32({1, 1, 1, 1, 1, 1}), {DType::i64, {1, 1, 1, 1}}},
                0,
                "dimensions"}),
    ::testing::PrintToStringParamName());

}  // namespace
}  // namespace dermlens::graph
