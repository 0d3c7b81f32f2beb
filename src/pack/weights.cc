// One weight: read by its recipe, reordered, handed on.
#include "pack/weights.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/checked.h"
#include "base/mapped_file.h"
#include "kernels/lower.h"

namespace dermlens::pack {
namespace {

// Two buffers for the largest weight, reserved before they are made.
class Workspace {
 public:
  static Result<Workspace> make(const Source& source, bool small, Ledger& ledger) {
    const plan::Staging need =
        plan::staging_of(source.lowered, source.layout.weight_is_small, small);
    Workspace space;
    TRY(space.hold_, ledger.reserve(Category::scratch, need.total()));
    space.plain_.resize(need.source / sizeof(float));
    space.target_.resize(need.target);
    return space;
  }

  std::span<float> plain(Bytes bytes) {
    return std::span(plain_).first(align_up(bytes, sizeof(float)) / sizeof(float));
  }
  std::span<std::byte> target(Bytes bytes) { return std::span(target_).first(bytes); }

 private:
  Reservation hold_;
  std::vector<float> plain_;
  std::vector<std::byte> target_;
};

constexpr std::size_t kAtOnce = std::size_t{1} << 20;

// All rows, some at a time: the pages of the model's file that were read go before the next come.
void read_by_parts(const graph::Value& value, std::span<float> plain) {
  if (plain.empty()) return;
  const std::size_t rows =
      value.type.shape.empty() ? 1 : static_cast<std::size_t>(value.type.shape.front());
  const ByteView stored = value.constant->stored;
  const std::size_t elements = plain.size() / rows;
  const std::size_t bytes = stored.size() / rows;
  const std::size_t part =
      std::clamp<std::size_t>(kAtOnce / std::max<std::size_t>(1, bytes), 1, rows);
  for (std::size_t row = 0; row < rows; row += part) {
    const std::size_t count = std::min(part, rows - row);
    graph::read_rows(value, row, count, plain.subspan(row * elements, count * elements));
    drop_pages(stored.subspan(row * bytes, count * bytes));
  }
}

// The same where the bytes are wanted as they are.
void copy_by_parts(ByteView stored, std::span<std::byte> out) {
  for (std::size_t at = 0; at < stored.size(); at += kAtOnce) {
    const ByteView part = stored.subspan(at, std::min(kAtOnce, stored.size() - at));
    std::ranges::copy(part, out.begin() + static_cast<std::ptrdiff_t>(at));
    drop_pages(part);
  }
}

void multiply_rows(std::span<float> values, const std::vector<float>& factor) {
  if (factor.empty()) return;
  const std::size_t row = values.size() / factor.size();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= factor[i / row];
}

// The constants that something is multiplied by: there an infinite number times 0 is none.
std::vector<bool> find_factors(const graph::Graph& graph) {
  std::vector<bool> factors(graph.value_count(), false);
  for (const graph::Node& node : graph.nodes()) {
    const auto* binary = std::get_if<graph::Binary>(&node.op);
    const bool multiplies = std::holds_alternative<graph::Conv>(node.op) ||
                            std::holds_alternative<graph::ConvBackwardData>(node.op) ||
                            std::holds_alternative<graph::MatMul>(node.op) ||
                            (binary != nullptr && binary->fn == graph::BinaryFn::mul);
    if (multiplies)
      for (const graph::ValueId value : std::span(node.inputs).first(2)) factors[value] = true;
    std::size_t operand = node.inputs.size() - graph::operand_count(graph::post_ops_of(node.op));
    for (const graph::PostOp& post_op : graph::post_ops_of(node.op)) {
      if (post_op.kind == graph::PostOp::Kind::unary) continue;
      if (post_op.kind == graph::PostOp::Kind::binary_mul) factors[node.inputs[operand]] = true;
      ++operand;
    }
  }
  return factors;
}

// Kernels turn what is not a number into one (max(NaN, 0) is 0): it must not reach them. A sum or
// a choice may well have an infinite operand, as the masks of attention do.
Result<void> expect_sound(const graph::Value& value, std::span<const float> numbers, bool finite) {
  if (std::ranges::all_of(numbers, [finite](float number) {
        return finite ? std::isfinite(number) : !std::isnan(number);
      }))
    return {};
  return fail(Errc::malformed, "weight '", value.name, "' holds a number that is not finite");
}

void reorder(const kernels::Weight& weight, std::span<float> plain, std::span<std::byte> target) {
  const dnnl::engine& engine = kernels::cpu_engine();
  dnnl::stream stream(engine);
  dnnl::memory from(weight.source, engine, plain.data());
  dnnl::memory to(weight.target, engine, target.data());
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
}

}  // namespace

Result<void> write_weights(const Source& source, bool small, Ledger& ledger, const Sink& sink) {
  TRY(Workspace space, Workspace::make(source, small, ledger));
  const std::vector<bool> factors = find_factors(source.graph);
  for (std::size_t i = 0; i < source.lowered.weights.size(); ++i) {
    if (source.layout.weight_is_small[i] != small) continue;
    const kernels::Weight& weight = source.lowered.weights[i];
    const graph::Value& value = source.graph.value(weight.value);
    const std::span<float> plain = space.plain(weight.source.get_size());
    if (weight.as_stored) {
      copy_by_parts(value.constant->stored, std::as_writable_bytes(plain));
    } else {
      read_by_parts(value, plain);
      multiply_rows(plain, weight.factor);
      TRY_VOID(expect_sound(value, plain, factors[weight.value] || !weight.factor.empty()));
    }
    drop_pages(value.constant->stored);
    if (weight.source == weight.target) {
      TRY_VOID(sink(source.layout.weight_offsets[i], std::as_bytes(plain).first(weight.bytes)));
      continue;
    }
    // Padding inside blocks must be zero, and the last weight's bytes are still there.
    const std::span<std::byte> target = space.target(weight.bytes);
    std::ranges::fill(target, std::byte{0});
    reorder(weight, plain, target);
    TRY_VOID(sink(source.layout.weight_offsets[i], target));
  }
  return {};
}

}  // namespace dermlens::pack
