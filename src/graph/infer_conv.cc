// Type rules of windows that slide over an image: convolution, pooling and their gradients.
#include <algorithm>
#include <array>

#include "graph/infer.h"

namespace dermlens::graph::rules {
namespace {

// Kernel, stride, dilation and padding of one spatial dimension stay below this, so that their
// products and sums cannot overflow 64 bits.
constexpr std::int64_t kMaxWindow = std::int64_t{1} << 24;
constexpr std::size_t kFirstSpatial = 2;
// A pool's kernel costs its node a few bytes and the machine every tap, so taps are bounded: one
// window's by the picture under it, beyond what any network slides over a small one, and all of
// them by some seconds' work.
constexpr Bytes kMostTapsBesidePicture = Bytes{1} << 16;
constexpr Bytes kMostTaps = Bytes{1} << 33;

struct Window {
  std::int64_t kernel, stride, dilation, pad_begin, pad_end;
  std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
};

Result<void> expect_range(std::string_view what, std::int64_t number, std::int64_t low,
                          std::size_t dimension) {
  if (number < low || number > kMaxWindow)
    return fail(Errc::malformed, what, " out of range (", number, ", ", low, "..", kMaxWindow,
                ", spatial dimension ", dimension, ")");
  return {};
}

Result<std::int64_t> slide(std::int64_t size, const Window& window, std::size_t dimension) {
  TRY_VOID(expect_range("kernel", window.kernel, 1, dimension));
  TRY_VOID(expect_range("stride", window.stride, 1, dimension));
  TRY_VOID(expect_range("dilation", window.dilation, 1, dimension));
  TRY_VOID(expect_range("padding", window.pad_begin, 0, dimension));
  TRY_VOID(expect_range("padding", window.pad_end, 0, dimension));
  const std::int64_t padded = size + window.pad_begin + window.pad_end;
  if (window.reach() > padded)
    return fail(Errc::malformed, "kernel is larger than the padded input (", window.reach(), ", ",
                padded, ", spatial dimension ", dimension, ")");
  return (padded - window.reach()) / window.stride + 1;
}

Result<void> expect_image(const TensorType& x) {
  if (x.shape.size() < 3 || x.shape.size() > 5)
    return fail(Errc::malformed, "input must have rank 3 to 5 (", to_string(x.shape), ")");
  if (std::ranges::any_of(x.shape, [](std::int64_t dim) { return dim < 1; }))
    return fail(Errc::malformed, "input is empty (", to_string(x.shape), ")");
  TRY_VOID(count(x.shape));
  return {};
}

Result<void> expect_sizes(std::initializer_list<const Shape*> lists, std::size_t spatial) {
  for (const Shape* list : lists)
    if (list->size() != spatial)
      return fail(Errc::malformed, "attribute needs one number a spatial dimension (", list->size(),
                  ", ", spatial, ")");
  return {};
}

Result<void> expect_weights(const TensorType& x, const TensorType& w, std::int64_t groups) {
  TRY_VOID(expect_float(x));
  TRY_VOID(expect_same_dtype(x, w));
  if (w.shape.size() != x.shape.size())
    return fail(Errc::malformed, "weights and input differ in rank (", to_string(w.shape), ", ",
                to_string(x.shape), ")");
  const std::int64_t channels = x.shape[1];
  if (groups < 1 || channels % groups != 0)
    return fail(Errc::malformed, "channels do not divide into groups (", channels, ", ", groups,
                ")");
  if (w.shape[1] != channels / groups)
    return fail(Errc::malformed, "weights have the wrong number of input channels (", w.shape[1],
                ", ", channels / groups, ")");
  if (w.shape[0] < 1 || w.shape[0] % groups != 0)
    return fail(Errc::malformed, "output channels do not divide into groups (", w.shape[0], ", ",
                groups, ")");
  return {};
}

Result<Shape> conv_shape(const ConvGeometry& geometry, const TensorType& x, const TensorType& w) {
  TRY_VOID(expect_image(x));
  TRY_VOID(expect_weights(x, w, geometry.groups));
  const std::size_t spatial = x.shape.size() - kFirstSpatial;
  TRY_VOID(expect_sizes(
      {&geometry.strides, &geometry.dilations, &geometry.pads_begin, &geometry.pads_end}, spatial));
  Shape shape = {x.shape[0], w.shape[0]};
  for (std::size_t i = 0; i < spatial; ++i) {
    const Window window{w.shape[kFirstSpatial + i], geometry.strides[i], geometry.dilations[i],
                        geometry.pads_begin[i], geometry.pads_end[i]};
    TRY(const std::int64_t size, slide(x.shape[kFirstSpatial + i], window, i));
    shape.push_back(size);
  }
  return shape;
}

// Every window must hold at least one element of the input, or its maximum and its average have no
// meaning: the first must not end, and the last not start, outside; and no stretch of `dilation`
// elements may step over the input altogether.
Result<void> expect_no_empty_window(std::int64_t size, const Window& window, std::int64_t windows,
                                    std::size_t dimension) {
  const std::int64_t last_start = (windows - 1) * window.stride - window.pad_begin;
  const bool steps_over = window.kernel > 1 && window.dilation > size;
  if (window.pad_begin >= window.reach() || last_start >= size || steps_over)
    return fail(Errc::malformed, "a window lies wholly in the padding (kernel ", window.reach(),
                ", padding ", window.pad_begin, " and ", window.pad_end, ", input ", size,
                ", spatial dimension ", dimension, ")");
  return {};
}

// The product, or `most` + 1 if it is more.
Bytes product_up_to(Bytes most, std::span<const std::int64_t> factors, Bytes start = 1) {
  for (const std::int64_t factor : factors)
    start =
        start > most / static_cast<Bytes>(factor) ? most + 1 : start * static_cast<Bytes>(factor);
  return start;
}

Result<void> expect_bounded_work(const Shape& kernel, const Shape& x, const Shape& y) {
  const Bytes picture = product_up_to(kMostTaps, std::span(x).subspan(kFirstSpatial));
  const Bytes taps = product_up_to(kMostTaps, kernel);
  const Bytes most = std::max(picture, kMostTapsBesidePicture);
  if (taps > most)
    return fail(Errc::too_large, "kernel has more taps than its picture has elements (",
                to_string(kernel), ", at most ", most, ")");
  if (product_up_to(kMostTaps, y, taps) > kMostTaps)
    return fail(Errc::too_large, "too many taps (kernel ", to_string(kernel), ", result ",
                to_string(y), ", at most ", kMostTaps, ")");
  return {};
}

Result<Shape> pool_shape(const PoolGeometry& geometry, const TensorType& x) {
  TRY_VOID(expect_image(x));
  const std::size_t spatial = x.shape.size() - kFirstSpatial;
  TRY_VOID(expect_sizes({&geometry.kernel, &geometry.strides, &geometry.dilations,
                         &geometry.pads_begin, &geometry.pads_end},
                        spatial));
  Shape shape = {x.shape[0], x.shape[1]};
  for (std::size_t i = 0; i < spatial; ++i) {
    const Window window{geometry.kernel[i], geometry.strides[i], geometry.dilations[i],
                        geometry.pads_begin[i], geometry.pads_end[i]};
    TRY(const std::int64_t size, slide(x.shape[kFirstSpatial + i], window, i));
    TRY_VOID(expect_no_empty_window(x.shape[kFirstSpatial + i], window, size, i));
    shape.push_back(size);
  }
  TRY_VOID(expect_bounded_work(geometry.kernel, x.shape, shape));
  return shape;
}

Result<void> expect_gradient(const TensorType& dy, const Shape& shape) {
  if (dy.shape != shape)
    return fail(Errc::malformed, "gradient does not have the result's shape (", to_string(dy.shape),
                ", ", to_string(shape), ")");
  return {};
}

}  // namespace

Result<TensorType> infer_type(const Conv& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 2, 3 + operand_count(op.post_ops)));
  const TensorType& x = *inputs[0];
  TRY(Shape shape, conv_shape(op.geometry, x, *inputs[1]));
  if (inputs[2] != nullptr) {
    TRY_VOID(expect_same_dtype(x, *inputs[2]));
    if (inputs[2]->shape != Shape{shape[1]})
      return fail(Errc::malformed, "bias does not fit the output channels (",
                  to_string(inputs[2]->shape), ", ", shape[1], ")");
  }
  return with_post_ops({x.dtype, std::move(shape)}, op.post_ops, inputs.subspan(3));
}

Result<TensorType> infer_type(const ConvBackwardData& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 2, 2));
  TensorType x{inputs[0]->dtype, op.input_shape};
  TRY(const Shape shape, conv_shape(op.geometry, x, *inputs[1]));
  TRY_VOID(expect_gradient(*inputs[0], shape));
  return x;
}

Result<TensorType> infer_type(const Pool& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 1, 1));
  const TensorType& x = *inputs[0];
  const bool bytes = x.dtype == DType::i8 || x.dtype == DType::u8;
  if (!(bytes && op.geometry.kind == PoolKind::max)) TRY_VOID(expect_float(x));
  TRY(Shape shape, pool_shape(op.geometry, x));
  return TensorType{x.dtype, std::move(shape)};
}

Result<TensorType> infer_type(const PoolBackward& op, Types inputs) {
  TRY_VOID(expect_inputs(inputs, 2, 2));
  const TensorType& x = *inputs[1];
  TRY_VOID(expect_float(x));
  TRY_VOID(expect_same_dtype(*inputs[0], x));
  TRY(const Shape shape, pool_shape(op.geometry, x));
  TRY_VOID(expect_gradient(*inputs[0], shape));
  return x;
}

}  // namespace dermlens::graph::rules
