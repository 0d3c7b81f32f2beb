// Convolutions and their data gradients. Layouts are oneDNN's choice, but a blocked input is kept
// as it is where a fast kernel takes it, and a residual's layout decides the result's.
#include <string_view>

#include "kernels/builder.h"
#include "kernels/onednn_faults.h"
#include "kernels/precision.h"

namespace dermlens::kernels {
namespace {

using dnnl::memory;

struct ConvShape {
  Type type = Type::f32;  // of the input and the weights
  memory::dims input, weights, output, strides, dilations, pads_begin, pads_end;
};

ConvShape conv_shape(const graph::ConvGeometry& geometry, const graph::Shape& input,
                     const graph::Shape& weights, const graph::Shape& output) {
  ConvShape shape{Type::f32,
                  to_dims(input),
                  to_dims(weights),
                  to_dims(output),
                  to_dims(geometry.strides),
                  to_dims(geometry.dilations),
                  to_dims(geometry.pads_begin),
                  to_dims(geometry.pads_end)};
  for (auto& dilation : shape.dilations) --dilation;  // oneDNN counts the gaps
  if (geometry.groups > 1) {
    shape.weights.front() /= geometry.groups;
    shape.weights.insert(shape.weights.begin(), geometry.groups);
  }
  return shape;
}

Desc any(const memory::dims& dims, Type type = Type::f32) { return {dims, type, Tag::any}; }

bool is_slow(const dnnl::primitive_desc_base& pd) {
  const std::string_view name = pd.impl_info_str();
  return name.find("ref") != std::string_view::npos || name.find("gemm") != std::string_view::npos;
}

using Forward = dnnl::convolution_forward;
using Backward = dnnl::convolution_backward_data;

Forward::primitive_desc forward_pd(const ConvShape& shape, const Desc& input, const Desc& output,
                                   bool bias, const dnnl::primitive_attr& attr,
                                   dnnl::prop_kind kind = dnnl::prop_kind::forward_inference) {
  const Desc bias_desc = bias ? Desc({shape.output[1]}, Type::f32, Tag::a) : Desc();
  const auto algorithm = dnnl::algorithm::convolution_direct;
  const Forward::desc desc =
      bias ? Forward::desc(kind, algorithm, input, any(shape.weights, shape.type), bias_desc,
                           output, shape.strides, shape.dilations, shape.pads_begin, shape.pads_end)
           : Forward::desc(kind, algorithm, input, any(shape.weights, shape.type), output,
                           shape.strides, shape.dilations, shape.pads_begin, shape.pads_end);
  return {desc, attr, cpu_engine()};
}

// The layouts without post-ops in mind: the input as it lies if that is blocked and fast.
Forward::primitive_desc choose_layouts(const ConvShape& shape, const Desc& made, Type result,
                                       bool bias) {
  if (is_blocked(made)) {
    try {
      auto pd = forward_pd(shape, with_type(made, shape.type), any(shape.output, result), bias,
                           attributes());
      if (!is_slow(pd)) return pd;
    } catch (const dnnl::error&) {
      // No kernel takes this layout; let oneDNN choose.
    }
  }
  return forward_pd(shape, any(shape.input, shape.type), any(shape.output, result), bias,
                    attributes());
}

// The residual's layout, if there is one and it is blocked: adding it then needs no reorder.
std::optional<Desc> residual_layout(Builder& builder, const graph::Node& node,
                                    const graph::PostOps& post_ops, Type type) {
  std::size_t operand = 3;
  for (const graph::PostOp& post_op : post_ops) {
    if (post_op.kind == graph::PostOp::Kind::unary) continue;
    const graph::ValueId value = node.inputs[operand++];
    if (builder.shape(value) != builder.shape(node.output) || builder.graph().is_constant(value))
      continue;
    const Desc desc = builder.where_made(value).desc;
    if (is_blocked(desc)) return with_type(desc, type);
  }
  return std::nullopt;
}

struct Layouts {
  ConvShape shape;
  Type result = Type::f32;
  bool bias = false;
  Desc input, output;
};

// Without post-ops in mind, but for the residual's layout: the result takes it where a fast kernel
// does. Where bf16 is computed wrongly, all is fp32.
Layouts layouts_of(Builder& builder, const graph::Node& node) {
  const auto& op = std::get<graph::Conv>(node.op);
  Layouts out{conv_shape(op.geometry, builder.shape(node.inputs[0]), builder.shape(node.inputs[1]),
                         builder.shape(node.output)),
              Type::f32,
              node.inputs.size() > 2 && node.inputs[2] != graph::kNoValue,
              {},
              {}};
  if (is_bf16(builder.graph(), node)) out.shape.type = Type::bf16;
  if (builder.may_be_bf16(node.output)) out.result = out.shape.type;
  const Desc made = builder.where_made(node.inputs[0]).desc;
  auto pd = choose_layouts(out.shape, made, out.result, out.bias);
  if (out.shape.type != Type::f32 && judge(pd) == Verdict::wrong) {
    out.shape.type = out.result = Type::f32;
    pd = choose_layouts(out.shape, made, out.result, out.bias);
  }
  out.input = pd.src_desc();
  out.output = pd.dst_desc();
  const auto wish = residual_layout(builder, node, op.post_ops, out.result);
  if (!wish || *wish == out.output) return out;
  try {
    const auto other = forward_pd(out.shape, out.input, *wish, out.bias, attributes());
    if (!is_slow(other) && judge(other) != Verdict::wrong) out.output = *wish;
  } catch (const dnnl::error&) {
    // The residual will be reordered instead.
  }
  return out;
}

}  // namespace

Result<void> lower_conv(Builder& builder, const graph::Node& node) {
  TRY(const bool done, lower_integer_conv(builder, node));
  if (done) return {};
  const graph::PostOps& post_ops = std::get<graph::Conv>(node.op).post_ops;
  const auto [shape, result, has_bias, input_desc, output_desc] = layouts_of(builder, node);
  dnnl::primitive_attr attr = attributes();
  TRY(PostOpArguments post, append_post_ops(builder, node, post_ops, 3, output_desc, true, attr));
  auto pd = forward_pd(shape, input_desc, output_desc, has_bias, attr);
  const bool is_apart = judge(pd) != Verdict::sound;
  if (is_apart) {
    post = {};
    pd = forward_pd(shape, input_desc, output_desc, has_bias, attributes());
  }

  const Location input = builder.get(node.inputs[0], input_desc);
  Location weights;
  if (builder.graph().is_constant(node.inputs[1])) {
    weights =
        builder.weight(node.inputs[1], plain_desc(graph::Shape(shape.weights)), pd.weights_desc());
  } else {
    weights = builder.get(node.inputs[1], pd.weights_desc());
  }
  std::vector<Argument> arguments{argument(DNNL_ARG_SRC, input),
                                  argument(DNNL_ARG_WEIGHTS, weights)};
  if (has_bias)
    arguments.push_back(argument(
        DNNL_ARG_BIAS, builder.get(node.inputs[2], Desc({shape.output[1]}, Type::f32, Tag::a))));
  arguments.insert(arguments.end(), post.arguments.begin(), post.arguments.end());
  Location output = post.accumulate ? Location{post.accumulate->operand, output_desc}
                                    : builder.temporary(output_desc);
  arguments.push_back(argument(DNNL_ARG_DST, output));
  builder.emit(node.name, pd, std::move(arguments));
  if (is_apart) {
    TRY(output, apply_post_ops(builder, node, post_ops, 3, output));
  }
  builder.place(node.output, output, output.desc);
  return {};
}

Result<void> lower_conv_backward(Builder& builder, const graph::Node& node) {
  const auto& op = std::get<graph::ConvBackwardData>(node.op);
  const ConvShape shape = conv_shape(op.geometry, op.input_shape, builder.shape(node.inputs[1]),
                                     builder.shape(node.inputs[0]));
  const auto make = [&shape](const Desc& output) {
    const auto hint = forward_pd(shape, any(shape.input), output, false, attributes(),
                                 dnnl::prop_kind::forward_training);
    const Backward::desc desc(dnnl::algorithm::convolution_direct, any(shape.input),
                              any(shape.weights), output, shape.strides, shape.dilations,
                              shape.pads_begin, shape.pads_end);
    return Backward::primitive_desc(desc, attributes(), cpu_engine(), hint);
  };
  const auto pd = make(any(shape.output));
  const Location gradient = builder.get(node.inputs[0], pd.diff_dst_desc());
  const Location weights =
      builder.graph().is_constant(node.inputs[1])
          ? builder.weight(node.inputs[1], plain_desc(graph::Shape(shape.weights)),
                           pd.weights_desc())
          : builder.get(node.inputs[1], pd.weights_desc());
  const Location output = builder.make(node.output, pd.diff_src_desc());
  builder.emit(node.name, pd,
               {argument(DNNL_ARG_DIFF_DST, gradient), argument(DNNL_ARG_WEIGHTS, weights),
                argument(DNNL_ARG_DIFF_SRC, output)});
  return {};
}

}  // namespace dermlens::kernels
