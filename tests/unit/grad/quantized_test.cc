// The straight-through estimator has no difference quotient: it is compared with what
// torch.fake_quantize_per_tensor_affine and _per_channel_affine give.
#include <gtest/gtest.h>

#include "unit/grad/gradient_check.h"

namespace dermlens::grad {
namespace {

using namespace graph;

ValueId scales(GradientCheck& check, const Shape& shape, std::vector<float> numbers) {
  return check.graph.add_constant("scale", shape, numbers);
}

ValueId zero_points(GradientCheck& check, DType type, const Shape& shape,
                    const std::vector<int>& numbers) {
  auto bytes = std::make_shared<std::vector<std::byte>>();
  for (const int number : numbers) bytes->push_back(static_cast<std::byte>(number));
  Constant recipe;
  recipe.stored_as = type;
  recipe.stored = *bytes;
  recipe.owner = bytes;
  return check.graph.add_constant("zero_point", {type, shape}, recipe).value();
}

std::vector<double> ones(std::size_t count) { return std::vector<double>(count, 1); }

TEST(FakeQuantizeGradient, PassesWhereXIsRepresented) {
  GradientCheck check;
  // Scale 0.5, zero point 10 of u8: -5 to 122.5; beyond by less than half a step still rounds into
  // the range. -5.25 is a tie: to the even -10, which is inside; 122.75 to the even 246: outside.
  const ValueId x =
      check.input_of({10}, {-100, -5.26, -5.25, -5.24, 0, 50, 122.74, 122.75, 122.76, 500});
  const ValueId scale = scales(check, {}, {0.5F});
  const ValueId zero = zero_points(check, DType::u8, {}, {10});
  const ValueId q = check.add(Quantize{.axis = 0, .to = DType::u8}, {x, scale, zero});
  const ValueId y = check.add(Dequantize{.axis = 0}, {q, scale, zero});
  EXPECT_EQ(check.gradients(y, {x}, ones(10))[0],
            (std::vector<double>{0, 0, 1, 1, 1, 1, 1, 0, 0, 0}));
  EXPECT_EQ(check.backward_nodes(y, {x}), "UnaryBackward");
}

TEST(FakeQuantizeGradient, KnowsTheSignedRangeAndTheAbsentZeroPoint) {
  GradientCheck check;
  const ValueId x = check.input_of({6}, {-129, -128, -1, 127, 128, 255});
  const ValueId scale = scales(check, {}, {1});
  const ValueId zero = zero_points(check, DType::i8, {}, {0});
  const ValueId q = check.add(Quantize{.axis = 0, .to = DType::i8}, {x, scale, zero});
  const ValueId y = check.add(Dequantize{.axis = 0}, {q, scale, zero});
  EXPECT_EQ(check.gradients(y, {x}, ones(6))[0], (std::vector<double>{0, 1, 1, 1, 0, 0}));
  const ValueId u = check.add(Quantize{.axis = 0, .to = DType::u8}, {x, scale});
  const ValueId z = check.add(Dequantize{.axis = 0}, {u, scale});
  EXPECT_EQ(check.gradients(z, {x}, ones(6))[0], (std::vector<double>{0, 0, 0, 1, 1, 1}));
}

TEST(FakeQuantizeGradient, TakesAScaleForEachChannel) {
  GradientCheck check;
  const ValueId x = check.input_of({2, 3}, {-1.4, 0, 1.3, -14, 0, 13});
  const ValueId scale = scales(check, {2}, {0.01F, 0.1F});
  const ValueId zero = zero_points(check, DType::i8, {2}, {0, -10});
  const ValueId q = check.add(Quantize{.axis = 0, .to = DType::i8}, {x, scale, zero});
  const ValueId y = check.add(Dequantize{.axis = 0}, {q, scale, zero});
  // Ranges [-1.28, 1.27] and [-11.8, 13.7].
  EXPECT_EQ(check.gradients(y, {x}, ones(6))[0], (std::vector<double>{0, 1, 0, 0, 1, 1}));
}

TEST(FakeQuantizeGradient, TakesOneScaleWithManyZeroPointsAndTheOtherWayRound) {
  GradientCheck check;
  const ValueId x = check.input_of({2, 3}, {-1, 0, 256, -1, 0, 256});
  const ValueId scale = scales(check, {}, {1});
  const ValueId zero = zero_points(check, DType::u8, {2}, {0, 1});
  const ValueId q = check.add(Quantize{.axis = 0, .to = DType::u8}, {x, scale, zero});
  const ValueId y = check.add(Dequantize{.axis = 0}, {q, scale, zero});
  EXPECT_EQ(check.gradients(y, {x}, ones(6))[0], (std::vector<double>{0, 1, 0, 1, 1, 0}));
  const ValueId two_scales = scales(check, {2}, {1, 2});
  const ValueId one_zero = zero_points(check, DType::u8, {}, {0});
  const ValueId r = check.add(Quantize{.axis = 0, .to = DType::u8}, {x, two_scales, one_zero});
  const ValueId z = check.add(Dequantize{.axis = 0}, {r, two_scales, one_zero});
  // -1 / 2 is a tie, rounded to the even 0.
  EXPECT_EQ(check.gradients(z, {x}, ones(6))[0], (std::vector<double>{0, 1, 0, 1, 1, 1}));
}

TEST(FakeQuantizeGradient, AddsUpOverSeveralReaders) {
  GradientCheck check;
  const ValueId x = check.input_of({3}, {-1, 2, 300});
  const ValueId scale = scales(check, {}, {1});
  const ValueId same_scale = scales(check, {}, {1});
  const ValueId q = check.add(Quantize{.axis = 0, .to = DType::u8}, {x, scale});
  const ValueId a = check.add(Dequantize{.axis = 0}, {q, scale});
  const ValueId b = check.add(Dequantize{.axis = 0}, {q, same_scale});
  const ValueId y = check.add(binary(BinaryFn::add), {a, b});
  EXPECT_EQ(check.gradients(y, {x}, ones(3))[0], (std::vector<double>{0, 2, 0}));
}

TEST(FakeQuantizeGradient, IsRefusedWhereThePairIsNoPair) {
  GradientCheck check;
  const ValueId x = check.input({4});
  const ValueId scale = scales(check, {}, {1});
  const ValueId q = check.add(Quantize{.axis = 0, .to = DType::u8}, {x, scale});
  const ValueId other = check.add(Dequantize{.axis = 0}, {q, scales(check, {}, {2})}, "other");
  EXPECT_EQ(check.backward_error(other, {x}),
            "unsupported: no derivative of Dequantize 'other' with respect to its input: it does "
            "not undo a Quantize of the same scale");
  const ValueId scale_input = check.input_of({}, {1});
  const ValueId r = check.add(Quantize{.axis = 0, .to = DType::u8}, {x, scale_input}, "learned");
  const ValueId z = check.add(Dequantize{.axis = 0}, {r, scale_input});
  EXPECT_EQ(check.backward_error(z, {x}),
            "unsupported: no derivative of Quantize 'learned' with respect to its input: scale or "
            "zero point is no constant");
  EXPECT_NE(check.backward_error(z, {scale_input}), "");
}

TEST(FakeQuantizeGradient, FollowsNoOtherWayThroughIntegers) {
  GradientCheck check;
  const ValueId x = check.input({4});
  const ValueId scale = scales(check, {}, {1});
  const ValueId q = check.add(Quantize{.axis = 0, .to = DType::u8}, {x, scale});
  const ValueId turned = check.add(Reshape{{2, 2}}, {q});
  const ValueId y = check.add(Dequantize{.axis = 0}, {turned, scale}, "late");
  EXPECT_NE(check.backward_error(y, {x}), "");
  const ValueId read = check.add(Cast{.to = DType::f32}, {q}, "read");
  EXPECT_NE(check.backward_error(read, {x}), "");
}

}  // namespace
}  // namespace dermlens::grad
