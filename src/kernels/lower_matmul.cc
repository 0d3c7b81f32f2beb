// Matrix products, softmax, and conversions that change no fp32 value.
#include "kernels/builder.h"
#include "kernels/precision.h"

namespace dermlens::kernels {
namespace {

// The operand's dimensions, padded to `rank`, with the last two swapped where asked; a view of the
// row-major value.
Desc matrix_view(const graph::Shape& shape, std::size_t rank, bool transpose,
                 Type type = Type::f32) {
  const Desc plain = plain_desc(padded_to(shape, rank), type);
  if (!transpose) return plain;
  std::vector<int> permutation(rank);
  for (std::size_t i = 0; i < rank; ++i) permutation[i] = static_cast<int>(i);
  std::swap(permutation[rank - 1], permutation[rank - 2]);
  return plain.permute_axes(permutation);
}

}  // namespace

Result<void> lower_matmul(Builder& builder, const graph::Node& node) {
  const auto& op = std::get<graph::MatMul>(node.op);
  const graph::Shape& shape = builder.shape(node.output);
  const std::size_t rank = shape.size();
  const graph::ValueId a = node.inputs[0], b = node.inputs[1];
  const bool has_bias = node.inputs.size() > 2 && node.inputs[2] != graph::kNoValue;
  const Type type = is_bf16(builder.graph(), node) ? Type::bf16 : Type::f32;
  const Desc a_desc = matrix_view(builder.shape(a), rank, op.transpose_a, type);
  const Desc b_view = matrix_view(builder.shape(b), rank, op.transpose_b);
  const bool b_constant = builder.graph().is_constant(b);
  const Desc b_wish = b_constant ? Desc(b_view.dims(), type, Tag::any) : b_view;
  const Desc y_desc = plain_desc(shape);
  Desc bias_desc;
  if (has_bias) bias_desc = plain_desc(padded_to(builder.shape(node.inputs[2]), rank));

  dnnl::primitive_attr attr = attributes();
  TRY(PostOpArguments post, append_post_ops(builder, node, op.post_ops, 3, y_desc, false, attr));
  const dnnl::matmul::desc desc = has_bias ? dnnl::matmul::desc(a_desc, b_wish, bias_desc, y_desc)
                                           : dnnl::matmul::desc(a_desc, b_wish, y_desc);
  const dnnl::matmul::primitive_desc pd(desc, attr, cpu_engine());

  const auto operand = [&](graph::ValueId value, const Desc& view) {
    return argument(0, builder.get(value, plain_desc(builder.shape(value), view.data_type())),
                    view);
  };
  std::vector<Argument> arguments{operand(a, a_desc)};
  arguments[0].id = DNNL_ARG_SRC;
  if (b_constant) {
    arguments.push_back(argument(DNNL_ARG_WEIGHTS, builder.weight(b, b_view, pd.weights_desc())));
  } else {
    arguments.push_back(operand(b, b_view));
    arguments.back().id = DNNL_ARG_WEIGHTS;
  }
  if (has_bias)
    arguments.push_back(argument(DNNL_ARG_BIAS, builder.get(node.inputs[2], bias_desc)));
  arguments.insert(arguments.end(), post.arguments.begin(), post.arguments.end());
  arguments.push_back(argument(DNNL_ARG_DST, builder.make(node.output, y_desc)));
  builder.emit(node.name, pd, std::move(arguments));
  return {};
}

Result<void> lower_softmax(Builder& builder, const graph::Node& node) {
  const auto& op = std::get<graph::Softmax>(node.op);
  const Location x = builder.get_plain(node.inputs[0]);
  const Location y = builder.make(node.output, x.desc);
  const int axis = static_cast<int>(op.axis);
  if (op.log) {
    const dnnl::logsoftmax_forward::primitive_desc pd(
        {dnnl::prop_kind::forward_inference, x.desc, axis}, attributes(), cpu_engine());
    builder.emit(node.name, pd, {argument(DNNL_ARG_SRC, x), argument(DNNL_ARG_DST, y)});
  } else {
    const dnnl::softmax_forward::primitive_desc pd(
        {dnnl::prop_kind::forward_inference, x.desc, axis}, attributes(), cpu_engine());
    builder.emit(node.name, pd, {argument(DNNL_ARG_SRC, x), argument(DNNL_ARG_DST, y)});
  }
  return {};
}

}  // namespace dermlens::kernels
