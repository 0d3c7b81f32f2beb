#include <gtest/gtest.h>

#include "unit/grad/gradient_check.h"

namespace dermlens::grad {
namespace {

using namespace graph;

TEST(ReduceGradient, AgreesWithDifferences) {
  for (const ReduceFn fn :
       {ReduceFn::sum, ReduceFn::mean, ReduceFn::max, ReduceFn::min, ReduceFn::prod})
    for (const auto& axes :
         std::vector<std::vector<std::size_t>>{{0}, {1}, {2}, {0, 2}, {0, 1, 2}, {}})
      for (const bool keep_dims : {true, false}) {
        GradientCheck check;
        const ValueId x = check.input({2, 3, 4}, 0.5, 1.5);
        check.expect_gradients(check.add(reduce(fn, axes, keep_dims), {x}), {x});
      }
}

TEST(ReduceGradient, OfEqualExtremaIsShared) {
  for (const ReduceFn fn : {ReduceFn::max, ReduceFn::min}) {
    GradientCheck check;
    const double tie = fn == ReduceFn::max ? 7 : -7;
    const ValueId x = check.input_of({2, 4}, {tie, 1, tie, 0, 1, 2, -8, 9});
    const auto found = check.gradients(check.add(reduce(fn, {1}, false), {x}), {x}, {6, 5})[0];
    const bool max = fn == ReduceFn::max;
    EXPECT_EQ(found, (std::vector<double>{3, 0, 3, 0, 0, 0, max ? 0. : 5., max ? 5. : 0.}));
  }
}

TEST(ReduceGradient, OfAProductIsRightWhereThereAreZeros) {
  GradientCheck check;
  const ValueId x = check.input_of({3, 3}, {2, 3, 4, 2, 0, 4, 0, 3, 0});
  const auto found = check.gradients(check.add(reduce(ReduceFn::prod, {1}), {x}), {x}, {1, 1, 1});
  EXPECT_EQ(found[0], (std::vector<double>{12, 8, 6, 0, 8, 0, 0, 0, 0}));
}

TEST(ReduceGradient, OfTheGlobalMeanScalesBeforeItExpands) {
  for (const bool keep_dims : {true, false}) {
    GradientCheck check;
    const ValueId x = check.input({1, 3, 4, 4});
    const ValueId y = check.add(reduce(ReduceFn::mean, {2, 3}, keep_dims), {x});
    EXPECT_EQ(check.backward_nodes(y, {x}), keep_dims ? "Unary Expand" : "Reshape Unary Expand");
  }
}

PoolGeometry pool(PoolKind kind, Shape kernel, Shape strides, Shape dilations, Shape begin,
                  Shape end) {
  return {
      kind,          std::move(kernel), std::move(strides), std::move(dilations), std::move(begin),
      std::move(end)};
}

TEST(PoolGradient, AgreesWithDifferences) {
  for (const PoolKind kind :
       {PoolKind::max, PoolKind::average_include_pad, PoolKind::average_exclude_pad})
    for (const PoolGeometry& geometry : {pool(kind, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}),
                                         pool(kind, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}),
                                         pool(kind, {3, 2}, {1, 2}, {1, 1}, {0, 1}, {2, 0}),
                                         pool(kind, {2, 2}, {1, 1}, {2, 2}, {0, 0}, {0, 0}),
                                         pool(kind, {6, 6}, {1, 1}, {1, 1}, {0, 0}, {0, 0}),
                                         pool(kind, {6, 6}, {2, 2}, {1, 1}, {0, 0}, {0, 0})}) {
      GradientCheck check;
      const ValueId x = check.input({2, 2, 6, 6});
      check.expect_gradients(check.add(Pool{geometry}, {x}), {x});
    }
}

TEST(PoolGradient, OfOneDimensionAndOfThree) {
  GradientCheck check;
  const ValueId line = check.input({1, 2, 7});
  check.expect_gradients(check.add(Pool{pool(PoolKind::max, {3}, {2}, {1}, {1}, {1})}, {line}),
                         {line});
  const ValueId block = check.input({1, 2, 3, 4, 3});
  check.expect_gradients(check.add(Pool{pool(PoolKind::average_include_pad, {2, 2, 2}, {1, 2, 1},
                                             {1, 1, 1}, {0, 0, 0}, {0, 0, 0})},
                                   {block}),
                         {block});
}

TEST(PoolGradient, OfTheFirstOfEqualMaxima) {
  GradientCheck check;
  const ValueId x = check.input_of({1, 1, 2, 2}, {5, 5, 5, 5});
  const ValueId y =
      check.add(Pool{pool(PoolKind::max, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0})}, {x});
  EXPECT_EQ(check.gradients(y, {x}, {3})[0], (std::vector<double>{3, 0, 0, 0}));
}

TEST(PoolGradient, OfAnAverageOverAllDoesNotReadTheInput) {
  GradientCheck check;
  const ValueId x = check.input({1, 3, 4, 4});
  const ValueId y = check.add(
      Pool{pool(PoolKind::average_exclude_pad, {4, 4}, {1, 1}, {1, 1}, {0, 0}, {0, 0})}, {x});
  EXPECT_EQ(check.backward_nodes(y, {x}), "Unary Expand");
}

TEST(SoftmaxGradient, AgreesWithDifferences) {
  for (const bool log : {false, true})
    for (const std::size_t axis : {0, 1, 2}) {
      GradientCheck check;
      const ValueId x = check.input({2, 5, 3});
      check.expect_gradients(check.add(Softmax{.axis = axis, .log = log}, {x}), {x});
    }
}

TEST(SoftmaxGradient, OfOneClassIsZero) {
  for (const bool log : {false, true}) {
    GradientCheck check;
    const ValueId x = check.input({3, 1});
    const ValueId y = check.add(Softmax{.axis = 1, .log = log}, {x});
    EXPECT_EQ(check.gradients(y, {x}, {1, 2, 3})[0], (std::vector<double>{0, 0, 0}));
  }
}

}  // namespace
}  // namespace dermlens::grad
