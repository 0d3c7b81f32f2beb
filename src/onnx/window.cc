// The arithmetic of sliding windows.
#include "onnx/window.h"

#include <algorithm>

namespace dermlens::onnx {
namespace {

using graph::Shape;

// Beyond any real network, and far enough from overflow.
constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;

Result<void> check_range(std::string_view what, const Shape& values, std::size_t count,
                         std::int64_t least) {
  if (values.size() != count)
    return fail(Errc::malformed, what, " has another number of entries than the input asks for (",
                values.size(), ", ", count, ")");
  for (const std::int64_t value : values)
    if (value < least || value > kMaxExtent)
      return fail(Errc::malformed, what, " out of range (", value, ", ", least, " to ", kMaxExtent,
                  ")");
  return {};
}

std::int64_t reach(const Window& window, std::size_t i) {
  return (window.kernel[i] - 1) * window.dilations[i] + 1;
}

Result<void> read_pads(NodeImport& node, const Shape& input, std::string_view auto_pad,
                       Window& window) {
  const std::size_t rank = window.kernel.size();
  TRY(const auto given, node.integers("pads"));
  Shape pads = given.value_or(Shape(2 * rank, 0));
  TRY_VOID(check_range("pads", pads, 2 * rank, 0));
  const auto middle = pads.begin() + static_cast<std::ptrdiff_t>(rank);
  window.pads_begin.assign(pads.begin(), middle);
  window.pads_end.assign(middle, pads.end());
  if (auto_pad == "NOTSET") return {};
  if (std::ranges::any_of(pads, [](std::int64_t pad) { return pad != 0; }))
    return fail(Errc::malformed, "pads are given together with auto_pad '", auto_pad, "'");
  if (auto_pad == "VALID") return {};
  if (auto_pad != "SAME_UPPER" && auto_pad != "SAME_LOWER")
    return fail(Errc::unsupported, "auto_pad '", auto_pad, "'");
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t size = input[i + 2], stride = window.strides[i];
    const std::int64_t steps = (size + stride - 1) / stride;
    const std::int64_t total =
        std::max<std::int64_t>(0, (steps - 1) * stride + reach(window, i) - size);
    const std::int64_t smaller = total / 2;
    window.pads_begin[i] = auto_pad == "SAME_UPPER" ? smaller : total - smaller;
    window.pads_end[i] = total - window.pads_begin[i];
  }
  return {};
}

// PyTorch's and ONNX's rule: round up, but the last window must start inside the input or the
// padding before it. Rounding up makes one window of a kernel that reaches less than a stride
// beyond the input.
Result<void> apply_ceil_mode(const Shape& input, Window& window) {
  for (std::size_t i = 0; i < window.kernel.size(); ++i) {
    const std::int64_t stride = window.strides[i];
    const std::int64_t padded = input[i + 2] + window.pads_begin[i];
    const std::int64_t room = padded + window.pads_end[i] - reach(window, i);
    if (room <= -stride)
      return fail(Errc::malformed, "kernel is larger than the padded input (", reach(window, i),
                  ", ", room + reach(window, i), ")");
    std::int64_t steps = (room + stride - 1) / stride + 1;
    if ((steps - 1) * stride >= padded) --steps;
    const std::int64_t whole = room < 0 ? 1 : room / stride + 1;
    if (steps < whole)
      return fail(Errc::unsupported, "a window that starts in the padding behind the input");
    window.extra_end[i] = std::max<std::int64_t>(0, (steps - 1) * stride - room);
  }
  return {};
}

}  // namespace

bool Window::has_extra() const {
  return std::ranges::any_of(extra_end, [](std::int64_t extra) { return extra != 0; });
}

Result<Window> read_window(NodeImport& node, const Shape& input, Shape kernel, WindowKind kind) {
  if (input.size() < 3 || input.size() > 5)
    return fail(Errc::unsupported, "input of rank ", input.size(), " (3 to 5 are supported)");
  for (const std::int64_t size : input)
    if (size < 1 || size > kMaxExtent)
      return fail(Errc::malformed, "input dimension out of range (", size, ", 1 to ", kMaxExtent,
                  ")");
  const std::size_t rank = input.size() - 2;
  Window window;
  window.kernel = std::move(kernel);
  TRY_VOID(check_range("kernel_shape", window.kernel, rank, 1));
  TRY(const auto strides, node.integers("strides"));
  window.strides = strides.value_or(Shape(rank, 1));
  TRY_VOID(check_range("strides", window.strides, rank, 1));
  TRY(const auto dilations, node.integers("dilations"));
  window.dilations = dilations.value_or(Shape(rank, 1));
  TRY_VOID(check_range("dilations", window.dilations, rank, 1));
  TRY(const std::string_view auto_pad, node.text("auto_pad", "NOTSET"));
  TRY_VOID(read_pads(node, input, auto_pad, window));
  window.extra_end.assign(rank, 0);
  if (kind == WindowKind::conv) return window;
  TRY(const bool ceil_mode, node.flag("ceil_mode", false));
  if (ceil_mode) TRY_VOID(apply_ceil_mode(input, window));
  return window;
}

}  // namespace dermlens::onnx
