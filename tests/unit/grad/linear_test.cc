#include <gtest/gtest.h>

#include "unit/grad/gradient_check.h"

namespace dermlens::grad {
namespace {

using namespace graph;

struct ConvCase {
  Shape x, w;
  ConvGeometry geometry;
};

class ConvGradient : public testing::TestWithParam<ConvCase> {};

TEST_P(ConvGradient, AgreesWithDifferences) {
  const auto& [x_shape, w_shape, geometry] = GetParam();
  GradientCheck check;
  const ValueId x = check.input(x_shape);
  const ValueId w = check.constant(w_shape);
  const ValueId b = check.input({w_shape[0]});
  const ValueId with_bias = check.add(Conv{geometry, {}}, {x, w, b});
  check.expect_gradients(with_bias, {x, b});
  const ValueId without = check.add(Conv{geometry, {}}, {x, w, kNoValue});
  check.expect_gradients(without, {x});
  EXPECT_EQ(check.backward_nodes(without, {x}), "ConvBackwardData");
}

TEST_P(ConvGradient, OfTheTransposedConvolutionAgreesToo) {
  const auto& [x_shape, w_shape, geometry] = GetParam();
  GradientCheck check;
  const ValueId w = check.constant(w_shape);
  const ValueId probe = check.add(Conv{geometry, {}}, {check.input(x_shape), w, kNoValue});
  const ValueId dy = check.input(check.graph.value(probe).type.shape);
  const ValueId dx = check.add(ConvBackwardData{geometry, x_shape}, {dy, w});
  check.expect_gradients(dx, {dy});
  EXPECT_EQ(check.backward_nodes(dx, {dy}), "Conv");
}

INSTANTIATE_TEST_SUITE_P(
    Geometries, ConvGradient,
    testing::Values(ConvCase{{2, 3, 5}, {4, 3, 3}, {{1}, {1}, {1}, {1}, 1}},
                    ConvCase{{1, 2, 5, 6}, {3, 2, 1, 1}, {{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1}},
                    ConvCase{{2, 3, 5, 6}, {4, 3, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1}},
                    ConvCase{{1, 3, 6, 6}, {4, 3, 3, 3}, {{2, 2}, {1, 1}, {0, 0}, {1, 1}, 1}},
                    ConvCase{{1, 3, 7, 6}, {2, 3, 3, 2}, {{3, 2}, {1, 2}, {2, 0}, {0, 1}, 1}},
                    ConvCase{{1, 4, 5, 5}, {4, 1, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 4}},
                    ConvCase{{1, 4, 7, 7}, {6, 2, 3, 3}, {{2, 1}, {2, 2}, {2, 1}, {1, 2}, 2}},
                    ConvCase{{1, 2, 3, 4, 3},
                             {2, 2, 2, 2, 2},
                             {{1, 2, 1}, {1, 1, 1}, {0, 1, 0}, {1, 0, 0}, 1}}));

TEST(ConvGradients, WithRespectToAComputedFilterAreRefusedByName) {
  GradientCheck check;
  const ValueId x = check.input({1, 2, 4, 4});
  const ValueId w = check.input({3, 2, 1, 1});
  const ConvGeometry geometry{{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1};
  const ValueId y = check.add(Conv{geometry, {}}, {x, w, kNoValue}, "dynamic");
  EXPECT_EQ(check.backward_error(y, {w}),
            "unsupported: no derivative of Conv 'dynamic' with respect to its filter");
  EXPECT_EQ(check.backward_error(y, {x}), "");
}

struct MatMulCase {
  Shape a, b, bias;  // as if not transposed
};

class MatMulGradient : public testing::TestWithParam<MatMulCase> {};

TEST_P(MatMulGradient, AgreesWithDifferencesForEveryTransposition) {
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true}) {
      auto [a_shape, b_shape, bias_shape] = GetParam();
      if (transpose_a) std::swap(a_shape[a_shape.size() - 1], a_shape[a_shape.size() - 2]);
      if (transpose_b) std::swap(b_shape[b_shape.size() - 1], b_shape[b_shape.size() - 2]);
      GradientCheck check;
      const ValueId a = check.input(a_shape);
      const ValueId b = check.input(b_shape);
      const ValueId bias = check.input(bias_shape);
      const MatMul op{.transpose_a = transpose_a, .transpose_b = transpose_b, .post_ops = {}};
      check.expect_gradients(check.add(op, {a, b, bias}), {a, b, bias});
      check.expect_gradients(check.add(op, {a, b, kNoValue}), {b});
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, MatMulGradient,
                         testing::Values(MatMulCase{{2, 3}, {3, 4}, {4}},
                                         MatMulCase{{1, 3}, {3, 1}, {1}},
                                         MatMulCase{{2, 2, 3}, {3, 4}, {2, 1}},
                                         MatMulCase{{2, 3}, {5, 3, 4}, {5, 1, 4}},
                                         MatMulCase{{2, 1, 2, 3}, {3, 3, 2}, {}},
                                         MatMulCase{{2, 2, 3}, {2, 3, 4}, {2, 2, 4}},
                                         MatMulCase{{1, 2, 3}, {2, 2, 3, 1}, {2, 1}}));

TEST(MatMulGradients, OfAFullyConnectedLayerAreOneNode) {
  GradientCheck check;
  const ValueId x = check.input({1, 8});
  const ValueId y = check.add(MatMul{.transpose_a = false, .transpose_b = true, .post_ops = {}},
                              {x, check.constant({3, 8}), check.constant({3})});
  EXPECT_EQ(check.backward_nodes(y, {x}), "MatMul");
}

}  // namespace
}  // namespace dermlens::grad
