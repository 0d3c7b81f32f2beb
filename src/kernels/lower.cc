// Walks the nodes in running order and hands each to its family. oneDNN's exceptions end here.
#include "kernels/lower.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "kernels/builder.h"

namespace dermlens::kernels {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
// Clang 14 does not deduce an aggregate's arguments by itself.
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

Result<void> lower_node(Builder& builder, const graph::Node& node) {
  return std::visit(
      Overloaded{
          [&](const graph::Conv&) { return lower_conv(builder, node); },
          [&](const graph::ConvBackwardData&) { return lower_conv_backward(builder, node); },
          [&](const graph::MatMul&) { return lower_matmul(builder, node); },
          [&](const graph::Unary&) { return lower_unary(builder, node); },
          [&](const graph::UnaryBackward&) { return lower_unary_backward(builder, node); },
          [&](const graph::Binary&) { return lower_binary(builder, node); },
          [&](const graph::Where&) { return lower_where(builder, node); },
          [&](const graph::Softmax&) { return lower_softmax(builder, node); },
          [&](const graph::Reduce&) { return lower_reduce(builder, node); },
          [&](const graph::Pool&) { return lower_pool(builder, node); },
          [&](const graph::PoolBackward&) { return lower_pool_backward(builder, node); },
          [&](const graph::Transpose&) { return lower_transpose(builder, node); },
          [&](const graph::Reshape&) { return lower_reshape(builder, node); },
          [&](const graph::Concat&) { return lower_concat(builder, node); },
          [&](const graph::Cast&) { return lower_cast(builder, node); },
          [&](const graph::Quantize&) { return lower_quantize(builder, node); },
          [&](const graph::Dequantize&) { return lower_dequantize(builder, node); },
          [&](const auto&) { return lower_index_map(builder, node); },
      },
      node.op);
}

// Integers at run time would have to be kept exactly, and nothing we serve needs them.
Result<void> check_type(const graph::Graph& graph, const graph::Node& node) {
  const graph::DType type = graph.value(node.output).type.dtype;
  if (type == graph::DType::i64 || type == graph::DType::i32 || type == graph::DType::f64)
    return fail(Errc::unsupported, "node '", node.name, "' (", graph::name_of(node.op),
                ") computes ", graph::to_string(type), " at run time");
  return {};
}

bool is_sound(const graph::Unary& op) {
  const bool finite = op.fn != graph::UnaryFn::linear || std::isfinite(op.alpha);
  return finite && !std::isnan(op.alpha) && !std::isnan(op.beta);
}

// Numbers of the file that became parameters of a node are held to what its weights are held to:
// none is NaN, and factors are finite.
Result<void> check_parameters(const graph::Node& node) {
  const auto* unary = std::get_if<graph::Unary>(&node.op);
  const auto* pad = std::get_if<graph::Pad>(&node.op);
  const bool sound = (unary == nullptr || is_sound(*unary)) &&
                     (pad == nullptr || !std::isnan(pad->value)) &&
                     std::ranges::all_of(graph::post_ops_of(node.op), [](const auto& post_op) {
                       return post_op.kind != graph::PostOp::Kind::unary || is_sound(post_op.unary);
                     });
  if (sound) return {};
  return fail(Errc::malformed, "node '", node.name, "' (", graph::name_of(node.op),
              ") has a parameter that is not finite");
}

Result<void> lower_part(Builder& builder, std::size_t begin, std::size_t end, bool late) {
  for (std::size_t i = begin; i < end; ++i) {
    const graph::Node& node = builder.graph().node(builder.order[i]);
    TRY_VOID(check_type(builder.graph(), node));
    TRY_VOID(check_parameters(node));
    builder.begin(builder.order[i], late);
    try {
      if (auto done = lower_node(builder, node); !done)
        return within("node '" + node.name + "'", std::move(done).error());
    } catch (const dnnl::error& error) {
      return fail(Errc::unsupported, "node '", node.name, "' (", graph::name_of(node.op),
                  ") has no kernel (", error.what(), ")");
    }
  }
  return {};
}

}  // namespace

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

Desc plain_desc(const graph::Shape& dims, dnnl::memory::data_type type) {
  const dnnl::memory::dims sizes = to_dims(dims);
  dnnl::memory::dims strides(sizes.size(), 1);
  for (std::size_t i = sizes.size(); i-- > 1;) strides[i - 1] = strides[i] * sizes[i];
  return {sizes, type, strides};
}

Bytes lowering_bytes(const graph::Graph& graph) {
  // A descriptor of oneDNN's, and those that were looked at before it (8,000 convolutions took 31
  // KiB each); one of its operands; and an entry of a list, as read and as kept.
  constexpr Bytes kProduct = 32 * 1024, kNode = 16 * 1024, kOperand = 2 * 1024, kEntry = 16;
  Bytes total = 0;
  for (const graph::Node& node : graph.nodes()) {
    const bool product = std::holds_alternative<graph::Conv>(node.op) ||
                         std::holds_alternative<graph::ConvBackwardData>(node.op) ||
                         std::holds_alternative<graph::MatMul>(node.op);
    total += (product ? kProduct : kNode) + kOperand * node.inputs.size();
    const bool lists = std::holds_alternative<graph::Gather>(node.op) ||
                       std::holds_alternative<graph::Quantize>(node.op) ||
                       std::holds_alternative<graph::Dequantize>(node.op);
    if (lists) total += kEntry * graph.value(node.inputs[1]).type.elements();
  }
  return total;
}

Result<Lowered> lower(const graph::Graph& graph) {
  for (graph::ValueId id = 0; id < graph.value_count(); ++id) {
    const graph::Value& value = graph.value(id);
    if (value.type.elements() == 0)
      return fail(Errc::unsupported, "value '", value.name, "' has no elements ",
                  graph::to_string(value.type.shape));
  }
  for (const graph::Input& input : graph.inputs()) {
    const graph::Value& value = graph.value(input.value);
    if (value.type.dtype != graph::DType::f32)
      return fail(Errc::unsupported, "input '", value.name, "' is ",
                  graph::to_string(value.type.dtype), ", only f32 is computed");
  }
  try {
    Builder builder(graph);
    TRY_VOID(lower_part(builder, 0, builder.early_count, false));
    // Early outputs are read after the forward part: their row-major form belongs to it.
    for (const graph::ValueId output : graph.outputs())
      if (builder.is_made(output) || builder.quantized(output)) builder.get_plain(output);
    const std::size_t late_begin = builder.step_count();
    TRY_VOID(lower_part(builder, builder.early_count, builder.order.size(), true));
    return std::move(builder).finish(late_begin);
  } catch (const dnnl::error& error) {
    return fail(Errc::unsupported, "no kernel for a layout change (", error.what(), ")");
  }
}

std::string engine_version() {
  const dnnl_version_t* version = dnnl::version();
  std::ostringstream text;
  text << "dermlens " << DERMLENS_VERSION << " onednn " << version->major << '.' << version->minor
       << '.' << version->patch << " isa " << static_cast<int>(dnnl::get_effective_cpu_isa());
  return text.str();
}

}  // namespace dermlens::kernels
