// Shapes and element types.
#include "graph/type.h"

#include <gtest/gtest.h>

namespace dermlens::graph {
namespace {

TEST(Shape, CountIsTheProductOfTheDimensions) {
  EXPECT_EQ(*count({}), 1u);
  EXPECT_EQ(*count({2, 3, 4}), 24u);
  EXPECT_EQ(*count({2, 0, 4}), 0u);
}

TEST(Shape, CountRefusesWhatNoTensorHas) {
  EXPECT_EQ(count({2, -1}).error().code, Errc::malformed);
  EXPECT_EQ(count({std::int64_t{1} << 40, std::int64_t{1} << 40}).error().code, Errc::too_large);
  EXPECT_EQ(count({0, std::int64_t{1} << 62, 8}).error().code, Errc::too_large);
  EXPECT_EQ(count(Shape(9, 1)).error().code, Errc::too_large);
  EXPECT_EQ(*count({std::int64_t{1} << 32}), kMaxElements);
  EXPECT_FALSE(count({(std::int64_t{1} << 32) + 1}).has_value());
}

TEST(Shape, BroadcastingIsSymmetricAndRightAligned) {
  EXPECT_EQ(*broadcast({3, 1}, {2, 1, 4}), (Shape{2, 3, 4}));
  EXPECT_EQ(*broadcast({2, 1, 4}, {3, 1}), (Shape{2, 3, 4}));
  EXPECT_EQ(*broadcast({}, {5}), (Shape{5}));
  EXPECT_EQ(*broadcast({0}, {1}), (Shape{0}));
  EXPECT_EQ(broadcast({3}, {4}).error().code, Errc::malformed);
}

TEST(Shape, AxesCountFromBothEnds) {
  EXPECT_EQ(*resolve_axis(-1, 4), 3u);
  EXPECT_EQ(*resolve_axis(2, 4), 2u);
  EXPECT_FALSE(resolve_axis(4, 4).has_value());
  EXPECT_FALSE(resolve_axis(-5, 4).has_value());
  EXPECT_FALSE(resolve_axis(0, 0).has_value());
}

TEST(TensorType, PrintsAsPeopleWriteIt) {
  EXPECT_EQ(to_string(TensorType{DType::f16, {1, 3}}), "f16[1, 3]");
  EXPECT_EQ((TensorType{DType::f16, {1, 3}}).bytes(), 6u);
}

}  // namespace
}  // namespace dermlens::graph
