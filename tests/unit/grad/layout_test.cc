#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>

#include "unit/grad/gradient_check.h"

namespace dermlens::grad {
namespace {

using namespace graph;

TEST(TransposeGradient, IsTheInversePermutation) {
  for (const auto& permutation :
       std::vector<std::vector<std::size_t>>{{0, 1, 2}, {2, 0, 1}, {1, 2, 0}, {0, 2, 1}}) {
    GradientCheck check;
    const ValueId x = check.input({2, 3, 4});
    check.expect_gradients(check.add(Transpose{permutation}, {x}), {x});
  }
}

TEST(ReshapeGradient, AgreesWithDifferences) {
  for (const Shape& shape : {Shape{6, 4}, Shape{24}, Shape{1, 2, 12, 1}, Shape{2, 3, 4}}) {
    GradientCheck check;
    const ValueId x = check.input({2, 3, 4});
    check.expect_gradients(check.add(Reshape{shape}, {x}), {x});
  }
}

TEST(ExpandGradient, SumsWhatWasRepeated) {
  for (const Shape& from : {Shape{2, 3, 4}, Shape{3, 1}, Shape{1}, Shape{}, Shape{2, 1, 4}}) {
    GradientCheck check;
    const ValueId x = check.input(from);
    check.expect_gradients(check.add(Expand{{2, 3, 4}}, {x}), {x});
  }
}

TEST(SliceGradient, AgreesWithDifferences) {
  for (const Slice& slice :
       {Slice{{0, 0}, {1, 1}, {5, 6}}, Slice{{1, 2}, {1, 1}, {3, 2}}, Slice{{0, 1}, {2, 3}, {3, 2}},
        Slice{{4, 5}, {-1, -2}, {5, 3}}, Slice{{2, 0}, {1, 1}, {1, 6}}}) {
    GradientCheck check;
    const ValueId x = check.input({5, 6});
    const ValueId y = check.add(slice, {x});
    check.expect_gradients(y, {x});
    EXPECT_EQ(check.backward_nodes(y, {x}), "SliceBackward");
  }
}

TEST(SliceBackwardGradient, IsTheSlice) {
  GradientCheck check;
  const ValueId dy = check.input({3, 2});
  const ValueId dx = check.add(SliceBackward{{{4, 1}, {-2, 3}, {3, 2}}, {5, 6}}, {dy});
  check.expect_gradients(dx, {dy});
  EXPECT_EQ(check.backward_nodes(dx, {dy}), "Slice");
}

TEST(ConcatGradient, CutsThePieces) {
  for (const std::size_t axis : {0, 1, 2}) {
    GradientCheck check;
    std::vector<ValueId> pieces;
    for (const std::int64_t size : {2, 1, 3}) {
      Shape shape{2, 2, 2};
      shape[axis] = size;
      pieces.push_back(check.input(shape));
    }
    const ValueId y = check.add(Concat{axis}, pieces);
    check.expect_gradients(y, pieces);
    check.expect_gradients(y, {pieces[2]});
    EXPECT_EQ(check.backward_nodes(y, {pieces[1]}), "Slice");
  }
}

TEST(ConcatGradient, OfOneOrOfTheSamePieces) {
  GradientCheck check;
  const ValueId x = check.input({2, 3});
  check.expect_gradients(check.add(Concat{1}, {x}), {x});
  check.expect_gradients(check.add(Concat{0}, {x, x, x}), {x});
}

// DenseNet pools what it has joined: the pieces' gradients need no copies.
TEST(ConcatGradient, OfAPooledJoinStaysSmall) {
  GradientCheck check;
  const ValueId a = check.input({1, 2, 4, 4});
  const ValueId b = check.input({1, 3, 4, 4});
  const ValueId joined = check.add(Concat{1}, {a, b});
  const ValueId scaled = check.add(binary(BinaryFn::mul), {joined, check.constant({1, 5, 1, 1})});
  const ValueId y = check.add(reduce(ReduceFn::mean, {2, 3}), {scaled});
  check.expect_gradients(y, {a, b});
  EXPECT_EQ(check.backward_nodes(y, {b}), "Unary Binary Slice Expand");
  const ValueId height = check.add(reduce(ReduceFn::sum, {1, 2}), {joined});
  check.expect_gradients(height, {a, b});
}

TEST(PadGradient, OfConstantsCropsAndOfCropsPads) {
  for (const auto& [begin, end] : std::vector<std::pair<Shape, Shape>>{
           {{0, 1}, {2, 0}}, {{1, 2}, {1, 2}}, {{-1, 0}, {0, -2}}, {{-1, 3}, {2, -1}}}) {
    GradientCheck check;
    const ValueId x = check.input({4, 5});
    const ValueId y =
        check.add(Pad{.mode = PadMode::constant, .begin = begin, .end = end, .value = 3}, {x});
    check.expect_gradients(y, {x});
    EXPECT_EQ(check.backward_nodes(y, {x}), "Pad");
  }
}

TEST(PadGradient, OfReflectionsAndEdgesAddsUpTheCopies) {
  for (const PadMode mode : {PadMode::reflect, PadMode::edge})
    for (const auto& [begin, end] : std::vector<std::pair<Shape, Shape>>{{{0, 0, 1}, {0, 0, 0}},
                                                                         {{0, 3, 2}, {0, 1, 4}},
                                                                         {{0, 2, 0}, {0, 2, 3}},
                                                                         {{0, 0, 0}, {0, 0, 0}}}) {
      GradientCheck check;
      const ValueId x = check.input({2, 4, 5});
      check.expect_gradients(
          check.add(Pad{.mode = mode, .begin = begin, .end = end, .value = 0}, {x}), {x});
    }
}

TEST(PadGradient, OfOneNumberRepeated) {
  GradientCheck check;
  const ValueId x = check.input({2, 1});
  check.expect_gradients(
      check.add(Pad{.mode = PadMode::edge, .begin = {0, 2}, .end = {1, 3}, .value = 0}, {x}), {x});
}

TEST(PadGradient, OfCroppingReflectionsIsRefusedByName) {
  GradientCheck check;
  const ValueId x = check.input({4, 5});
  const ValueId y = check.add(
      Pad{.mode = PadMode::reflect, .begin = {0, -1}, .end = {0, 2}, .value = 0}, {x}, "mirror");
  EXPECT_EQ(check.backward_error(y, {x}),
            "unsupported: no derivative of Pad 'mirror' with respect to its input: it crops and "
            "repeats at once");
}

TEST(GatherGradient, AgreesWithDifferences) {
  for (const auto& [shape, numbers] :
       std::vector<std::pair<Shape, std::vector<std::int64_t>>>{{{}, {2}},
                                                                {{1}, {-1}},
                                                                {{3}, {1, 2, 3}},
                                                                {{3}, {0, 2, 4}},
                                                                {{4}, {4, 3, 2, 1}},
                                                                {{5}, {0, 1, 2, 3, 4}},
                                                                {{4}, {2, 2, 2, 2}},
                                                                {{6}, {0, 3, 1, 1, 4, -5}},
                                                                {{2, 3}, {0, 1, 2, 2, 3, 4}},
                                                                {{2, 2}, {3, 0, 0, 3}}})
    for (const std::size_t axis : {0, 1}) {
      GradientCheck check;
      const ValueId x = check.input({5, 5, 2});
      const ValueId y = check.add(Gather{axis}, {x, check.indices(shape, numbers)});
      check.expect_gradients(y, {x});
    }
}

TEST(GatherGradient, OfTheClassTokenIsOnePlacing) {
  GradientCheck check;
  const ValueId tokens = check.input({1, 5, 4});
  const ValueId token = check.add(Gather{1}, {tokens, check.indices({}, {0})});
  EXPECT_EQ(check.backward_nodes(token, {tokens}), "Reshape SliceBackward");
}

TEST(GatherGradient, OfManyRunsOrComputedIndicesIsRefusedByName) {
  GradientCheck check;
  const ValueId x = check.input({200});
  std::vector<std::int64_t> scattered(130);
  for (std::size_t i = 0; i < scattered.size(); ++i)
    scattered[i] = static_cast<std::int64_t>(i * i % 199);
  EXPECT_EQ(check.backward_error(
                check.add(Gather{0}, {x, check.indices({130}, scattered)}, "scatter"), {x}),
            "unsupported: no derivative of Gather 'scatter' with respect to its data: the indices "
            "fall into more than 64 even runs");
  const ValueId computed = check.add(Cast{.to = DType::i64}, {check.input({3}, 0, 2)});
  EXPECT_EQ(check.backward_error(check.add(Gather{0}, {x, computed}, "lookup"), {x}),
            "unsupported: no derivative of Gather 'lookup' with respect to its data: the indices "
            "are no constant");
}

TEST(GatherGradient, RefusesIndicesOutsideTheData) {
  for (const std::int64_t index : {std::int64_t{5}, std::int64_t{-6}, INT64_MAX, INT64_MIN}) {
    GradientCheck check;
    const ValueId x = check.input({5});
    const ValueId y =
        check.add(Gather{0}, {x, check.indices({3}, {0, index, INT64_MAX})}, "outside");
    EXPECT_EQ(check.backward_error(y, {x}).substr(0, 10), "malformed:");
  }
}

TEST(GatherGradient, OfALongEvenRunIsOnePlacing) {
  GradientCheck check;
  const ValueId x = check.input({500});
  std::vector<std::int64_t> even(250);
  std::iota(even.begin(), even.end(), 100);
  EXPECT_EQ(check.backward_nodes(check.add(Gather{0}, {x, check.indices({250}, even)}), {x}),
            "SliceBackward");
}

}  // namespace
}  // namespace dermlens::grad
