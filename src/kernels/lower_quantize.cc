// QuantizeLinear and DequantizeLinear on activations. With one scale and zero point 0 the integers
// are kept as such, channels last; otherwise they are computed as the definition says and kept as
// fp32, which holds eight bits exactly.
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
  const std::size_t channels = std::max(out.scale.size(), out.zero_point.size());
  for (auto* list : {&out.scale, &out.zero_point})
    if (list->size() == 1) list->resize(channels, list->front());
  if (channels == 1) {
    out.inner = graph.value(node.inputs[0]).type.elements();
    return out;
  }
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i < axis) out.outer *= static_cast<Bytes>(shape[i]);
    if (i > axis) out.inner *= static_cast<Bytes>(shape[i]);
  }
  return out;
}

bool is_integer(const Location& location) { return location.desc.data_type() != Type::f32; }

}  // namespace

Result<void> lower_quantize(Builder& builder, const graph::Node& node) {
  // Whoever made the input may have made the integers at once.
  if (builder.is_made(node.output)) return {};
  const auto& op = std::get<graph::Quantize>(node.op);
  const bool is_signed = op.to == graph::DType::i8;
  if (const auto scale = symmetric_scale(builder.graph(), node);
      scale && !builder.graph().is_output(node.output)) {
    dnnl::primitive_attr attr = attributes();
    attr.set_output_scales(0, {1 / *scale});
    const Location x = builder.where(node.inputs[0]);
    const Location y = builder.make(
        node.output, channels_last(builder.shape(node.output), is_signed ? Type::s8 : Type::u8));
    const dnnl::reorder::primitive_desc pd(cpu_engine(), x.desc, cpu_engine(), y.desc, attr);
    builder.emit(node.name, pd, {argument(DNNL_ARG_FROM, x), argument(DNNL_ARG_TO, y)});
    return {};
  }
  TRY(QuantizeParameters p, parameters(builder, node, op.axis));
  if (is_signed) {
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
  const auto scale = symmetric_scale(builder.graph(), node);
  if (builder.is_made(node.inputs[0]) && is_integer(builder.where(node.inputs[0]))) {
    if (!scale) return fail(Errc::unsupported, "Quantize and Dequantize differ in their kind");
    builder.place_lazily(node.output, node.inputs[0], *scale);
    return {};
  }
  TRY(QuantizeParameters p, parameters(builder, node, op.axis));
  const Location x = builder.get_plain(node.inputs[0]);
  const Location y = builder.make(node.output, x.desc);
  builder.emit(node.name, dequantize(std::move(p)), {argument(0, x), argument(1, y)});
  return {};
}

}  // namespace dermlens::kernels
