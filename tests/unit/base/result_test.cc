// Laws of Result and the TRY macros.
#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace dermlens {
namespace {

Result<std::unique_ptr<int>> make(bool works) {
  if (!works) return fail(Errc::malformed, "no number (", 7, ", ", 8, ")");
  return std::make_unique<int>(7);
}

Result<int> pass_on(bool works) {
  TRY(const auto number, make(works));
  return *number;
}

TEST(Result, TryYieldsTheValueOrReturnsTheError) {
  EXPECT_EQ(*pass_on(true), 7);
  const auto failed = pass_on(false);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::malformed);
  EXPECT_EQ(failed.error().message, "no number (7, 8)");
}

TEST(Result, WithinNamesThePlaceFirst) {
  const tl::unexpected<Error> error = within("model.onnx", Error{Errc::io, "gone"});
  EXPECT_EQ(error.value().message, "model.onnx: gone");
  EXPECT_EQ(error.value().code, Errc::io);
}

}  // namespace
}  // namespace dermlens
