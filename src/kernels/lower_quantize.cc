// QuantizeLinear and DequantizeLinear on activations, as their definition says, in fp32.
#include "kernels/builder.h"
#include "kernels/native.h"

namespace dermlens::kernels {
namespace {

Result<QuantizeParameters> parameters(const Builder& builder, const graph::Node& node,
                                      std::size_t axis) {
  const graph::Graph& graph = builder.graph();
  const graph::Shape& shape = builder.shape(node.inputs[0]);
  QuantizeParameters out;
  if (!graph.is_constant(node.inputs[1]))
    return fail(Errc::unsupported, "scale is computed at run time");
  out.scale = graph::to_floats(graph.value(node.inputs[1]));
  out.zero_point.assign(out.scale.size(), 0);
  if (node.inputs.size() > 2 && node.inputs[2] != graph::kNoValue) {
    if (!graph.is_constant(node.inputs[2]))
      return fail(Errc::unsupported, "zero point is computed at run time");
    out.zero_point = graph::to_floats(graph.value(node.inputs[2]));
  }
  if (out.scale.size() == 1) {
    out.inner = graph.value(node.inputs[0]).type.elements();
    return out;
  }
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i < axis) out.outer *= static_cast<Bytes>(shape[i]);
    if (i > axis) out.inner *= static_cast<Bytes>(shape[i]);
  }
  return out;
}

}  // namespace

Result<void> lower_quantize(Builder& builder, const graph::Node& node) {
  const auto& op = std::get<graph::Quantize>(node.op);
  TRY(QuantizeParameters p, parameters(builder, node, op.axis));
  if (op.to == graph::DType::i8) {
    p.low = -128;
    p.high = 127;
  }
  const Location x = builder.get_plain(node.inputs[0]);
  const Location y = builder.make(node.output, x.desc);
  builder.emit(node.name, quantize(std::move(p)), {argument(0, x), argument(1, y)});
  return {};
}

Result<void> lower_dequantize(Builder& builder, const graph::Node& node) {
  const auto& op = std::get<graph::Dequantize>(node.op);
  TRY(QuantizeParameters p, parameters(builder, node, op.axis));
  const Location x = builder.get_plain(node.inputs[0]);
  const Location y = builder.make(node.output, x.desc);
  builder.emit(node.name, dequantize(std::move(p)), {argument(0, x), argument(1, y)});
  return {};
}

}  // namespace dermlens::kernels
