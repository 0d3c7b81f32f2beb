// Elementwise operators and the post-ops of the others.
#include <optional>

#include "kernels/builder.h"
#include "kernels/index_map.h"
#include "kernels/native.h"
#include "kernels/onednn_faults.h"

namespace dermlens::kernels {
namespace {

using dnnl::algorithm;
using graph::BinaryFn;
using graph::UnaryFn;

std::optional<algorithm> algorithm_of(BinaryFn fn) {
  switch (fn) {
    case BinaryFn::add:
      return algorithm::binary_add;
    case BinaryFn::sub:
      return algorithm::binary_sub;
    case BinaryFn::mul:
      return algorithm::binary_mul;
    case BinaryFn::div:
      return algorithm::binary_div;
    case BinaryFn::max:
      return algorithm::binary_max;
    case BinaryFn::min:
      return algorithm::binary_min;
    case BinaryFn::equal:
      return algorithm::binary_eq;
    case BinaryFn::less:
      return algorithm::binary_lt;
    case BinaryFn::less_or_equal:
      return algorithm::binary_le;
    case BinaryFn::greater:
      return algorithm::binary_gt;
    case BinaryFn::greater_or_equal:
      return algorithm::binary_ge;
    default:
      return std::nullopt;
  }
}

bool is_commutative(BinaryFn fn) {
  return fn == BinaryFn::add || fn == BinaryFn::mul || fn == BinaryFn::max || fn == BinaryFn::min ||
         fn == BinaryFn::equal;
}

// Where the result goes: over `input` if that is dead, else into a buffer of its own.
Location output_like(Builder& builder, const graph::Node& node, std::size_t index,
                     const Location& input) {
  if (builder.may_overwrite(input) && !builder.other_input_in(node, index, input))
    return builder.place(node.output, input, input.desc);
  return builder.make(node.output, input.desc);
}

// The operand broadcast to `shape`, row-major, in a buffer of its own.
Location expanded(Builder& builder, const graph::Node& node, graph::ValueId value,
                  const graph::Shape& shape) {
  const Location input = builder.get_plain(value);
  const Location output = builder.temporary(plain_desc(shape));
  builder.emit(node.name, index_map(expansion(builder.shape(value), shape)),
               {argument(0, input), argument(1, output)});
  return output;
}

Location full_operand(Builder& builder, const graph::Node& node, graph::ValueId value,
                      const graph::Shape& shape) {
  return builder.shape(value) == shape ? builder.get_plain(value)
                                       : expanded(builder, node, value, shape);
}

Result<void> native_binary(Builder& builder, const graph::Node& node, const graph::Binary& op) {
  if (!op.post_ops.empty()) return fail(Errc::internal, "post-ops on ", graph::to_string(op.fn));
  const graph::Shape& shape = builder.shape(node.output);
  const Location a = full_operand(builder, node, node.inputs[0], shape);
  const Location b = full_operand(builder, node, node.inputs[1], shape);
  const Location y = builder.make(node.output, plain_desc(shape));
  builder.emit(node.name, binary(op.fn, builder.graph().value(node.output).type.elements()),
               {argument(0, a), argument(1, b), argument(2, y)});
  return {};
}

}  // namespace

bool is_blocked(const Desc& desc) { return desc.data.format_desc.blocking.inner_nblks > 0; }

bool fills_blocks(const Desc& desc) {
  constexpr dnnl_dim_t kWidestBlock = 16;
  return desc.data.ndims > 1 && desc.data.dims[1] % kWidestBlock == 0;
}

std::optional<Eltwise> eltwise_of(const graph::Unary& op) {
  switch (op.fn) {
    case UnaryFn::relu:
      return Eltwise{algorithm::eltwise_relu};
    case UnaryFn::clip:
      return Eltwise{algorithm::eltwise_clip, op.alpha, op.beta};
    case UnaryFn::sigmoid:
      return Eltwise{algorithm::eltwise_logistic};
    case UnaryFn::tanh:
      return Eltwise{algorithm::eltwise_tanh};
    case UnaryFn::silu:
      return Eltwise{algorithm::eltwise_swish, 1};
    case UnaryFn::hard_swish:
      return Eltwise{algorithm::eltwise_hardswish};
    case UnaryFn::gelu_erf:
      return Eltwise{algorithm::eltwise_gelu_erf};
    case UnaryFn::gelu_tanh:
      return Eltwise{algorithm::eltwise_gelu_tanh};
    case UnaryFn::exp:
      return Eltwise{algorithm::eltwise_exp};
    case UnaryFn::log:
      return Eltwise{algorithm::eltwise_log};
    case UnaryFn::sqrt:
      return Eltwise{algorithm::eltwise_sqrt};
    case UnaryFn::abs:
      return Eltwise{algorithm::eltwise_abs};
    case UnaryFn::neg:
      return Eltwise{algorithm::eltwise_linear, -1, 0};
    case UnaryFn::elu:
      return Eltwise{algorithm::eltwise_elu, op.alpha};
    case UnaryFn::leaky_relu:
      return Eltwise{algorithm::eltwise_relu, op.alpha};
    case UnaryFn::linear:
      return Eltwise{algorithm::eltwise_linear, op.alpha, op.beta};
    default:
      return std::nullopt;
  }
}

namespace {

bool mixes_parameters(const dnnl::post_ops& list) {
  std::vector<PostFunction> functions;
  for (int i = 0; i < list.len(); ++i) {
    if (list.kind(i) != dnnl::primitive::kind::eltwise) continue;
    PostFunction& function = functions.emplace_back();
    list.get_params_eltwise(i, function.scale, function.algorithm, function.alpha, function.beta);
  }
  return kernels::mixes_parameters(functions);
}

}  // namespace

Result<PostOpArguments> append_post_ops(Builder& builder, const graph::Node& node,
                                        const graph::PostOps& post_ops, std::size_t first_operand,
                                        const Desc& result, bool allow_accumulate,
                                        dnnl::primitive_attr& attr) {
  PostOpArguments out;
  dnnl::post_ops list;
  std::size_t operand = first_operand;
  for (const graph::PostOp& post_op : post_ops) {
    if (post_op.kind == graph::PostOp::Kind::unary) {
      if (post_op.unary.fn == UnaryFn::hard_sigmoid) {
        list.append_eltwise(1, algorithm::eltwise_linear, post_op.unary.alpha, post_op.unary.beta);
        list.append_eltwise(1, algorithm::eltwise_clip, 0, 1);
        continue;
      }
      const auto eltwise = eltwise_of(post_op.unary);
      if (!eltwise)
        return fail(Errc::internal, "post-op ", graph::to_string(post_op.unary.fn),
                    " has no kernel");
      list.append_eltwise(1, eltwise->algorithm, eltwise->alpha, eltwise->beta);
      continue;
    }
    const std::size_t index = operand++;
    const graph::ValueId value = node.inputs[index];
    const graph::Shape dims = padded_to(builder.shape(value), builder.shape(node.output).size());
    const bool is_add = post_op.kind == graph::PostOp::Kind::binary_add;
    const bool is_full = dims == builder.shape(node.output);
    const Location location = builder.get(value, is_full ? result : blocked_like(result, dims));
    if (allow_accumulate && is_add && is_full && list.len() == 0 &&
        builder.may_overwrite(location) && !builder.other_input_in(node, index, location)) {
      list.append_sum(1);
      out.accumulate = location;
      continue;
    }
    list.append_binary(is_add ? algorithm::binary_add : algorithm::binary_mul, location.desc);
    out.arguments.push_back(
        argument(DNNL_ARG_ATTR_MULTIPLE_POST_OP(list.len() - 1) | DNNL_ARG_SRC_1, location));
  }
  if (mixes_parameters(list))
    return fail(Errc::internal, "two post-ops of one algorithm at node '", node.name, "'");
  attr.set_post_ops(list);
  return out;
}

namespace {

void emit_eltwise(Builder& builder, const graph::Node& node, const Eltwise& eltwise,
                  const Location& from, const Location& to) {
  const dnnl::eltwise_forward::primitive_desc pd(
      {dnnl::prop_kind::forward_inference, eltwise.algorithm, from.desc, eltwise.alpha,
       eltwise.beta},
      attributes(), cpu_engine());
  builder.emit(node.name, pd, {argument(DNNL_ARG_SRC, from), argument(DNNL_ARG_DST, to)});
}

Result<void> apply_unary(Builder& builder, const graph::Node& node, const graph::Unary& op,
                         const Location& value) {
  if (op.fn == UnaryFn::hard_sigmoid) {
    emit_eltwise(builder, node, {algorithm::eltwise_linear, op.alpha, op.beta}, value, value);
    emit_eltwise(builder, node, {algorithm::eltwise_clip, 0, 1}, value, value);
    return {};
  }
  const auto eltwise = eltwise_of(op);
  if (!eltwise) return fail(Errc::internal, "post-op ", graph::to_string(op.fn), " has no kernel");
  emit_eltwise(builder, node, *eltwise, value, value);
  return {};
}

}  // namespace

Result<Location> apply_post_ops(Builder& builder, const graph::Node& node,
                                const graph::PostOps& post_ops, std::size_t first_operand,
                                Location value) {
  std::size_t operand = first_operand;
  for (const graph::PostOp& post_op : post_ops) {
    if (post_op.kind == graph::PostOp::Kind::unary) {
      TRY_VOID(apply_unary(builder, node, post_op.unary, value));
      continue;
    }
    const graph::ValueId other = node.inputs[operand++];
    const graph::Shape dims = padded_to(builder.shape(other), builder.shape(node.output).size());
    const bool is_full = dims == builder.shape(node.output);
    const Location b = builder.get(other, is_full ? value.desc : blocked_like(value.desc, dims));
    const auto fn = post_op.kind == graph::PostOp::Kind::binary_add ? algorithm::binary_add
                                                                    : algorithm::binary_mul;
    const dnnl::binary::primitive_desc pd({fn, value.desc, b.desc, value.desc}, attributes(),
                                          cpu_engine());
    const Location y = binary_works_in_place(value.desc) ? value : builder.temporary(value.desc);
    builder.emit(
        node.name, pd,
        {argument(DNNL_ARG_SRC_0, value), argument(DNNL_ARG_SRC_1, b), argument(DNNL_ARG_DST, y)});
    value = y;
  }
  return value;
}

Result<void> lower_unary(Builder& builder, const graph::Node& node) {
  const auto& op = std::get<graph::Unary>(node.op);
  if (op.fn == UnaryFn::hard_sigmoid) {
    // Two steps: a line, then its ends cut off.
    const Location input = builder.operand_of(node, 0);
    const Location output = output_like(builder, node, 0, input);
    emit_eltwise(builder, node, {algorithm::eltwise_linear, op.alpha, op.beta}, input, output);
    emit_eltwise(builder, node, {algorithm::eltwise_clip, 0, 1}, output, output);
    return {};
  }
  if (const auto eltwise = eltwise_of(op)) {
    const Location input = builder.operand_of(node, 0);
    const Location output = output_like(builder, node, 0, input);
    emit_eltwise(builder, node, *eltwise, input, output);
    return {};
  }
  const Location input = builder.get_plain(node.inputs[0]);
  const Location output = output_like(builder, node, 0, input);
  builder.emit(node.name, unary(op, builder.graph().value(node.output).type.elements()),
               {argument(0, input), argument(1, output)});
  return {};
}

Result<void> lower_unary_backward(Builder& builder, const graph::Node& node) {
  const graph::Unary& op = std::get<graph::UnaryBackward>(node.op).unary;
  switch (op.fn) {
    case UnaryFn::relu:
    case UnaryFn::sigmoid:
    case UnaryFn::tanh:
    case UnaryFn::silu:
    case UnaryFn::gelu_erf:
    case UnaryFn::gelu_tanh:
    case UnaryFn::elu:
    case UnaryFn::leaky_relu: {
      const Eltwise eltwise = *eltwise_of(op);
      const Location x = builder.where(node.inputs[0]);
      const Location dy = builder.get(node.inputs[1], x.desc);
      const dnnl::eltwise_forward::primitive_desc hint(
          {dnnl::prop_kind::forward_training, eltwise.algorithm, x.desc, eltwise.alpha,
           eltwise.beta},
          attributes(), cpu_engine());
      const dnnl::eltwise_backward::primitive_desc pd(
          {eltwise.algorithm, x.desc, x.desc, eltwise.alpha, eltwise.beta}, attributes(),
          cpu_engine(), hint);
      const Location dx = output_like(builder, node, 1, dy);
      builder.emit(node.name, pd,
                   {argument(DNNL_ARG_SRC, x), argument(DNNL_ARG_DIFF_DST, dy),
                    argument(DNNL_ARG_DIFF_SRC, dx)});
      return {};
    }
    default:
      break;
  }
  const Location x = builder.get_plain(node.inputs[0]);
  const Location dy = builder.get_plain(node.inputs[1]);
  const Location dx = output_like(builder, node, 1, dy);
  builder.emit(node.name, unary_backward(op, builder.graph().value(node.output).type.elements()),
               {argument(0, x), argument(1, dy), argument(2, dx)});
  return {};
}

Result<void> lower_binary(Builder& builder, const graph::Node& node) {
  if (lower_integer_scale(builder, node)) return {};
  const auto& op = std::get<graph::Binary>(node.op);
  const auto algorithm = algorithm_of(op.fn);
  if (!algorithm) return native_binary(builder, node, op);
  const graph::Shape& shape = builder.shape(node.output);
  std::size_t large = 0;
  if (builder.shape(node.inputs[0]) != shape && is_commutative(op.fn) &&
      builder.shape(node.inputs[1]) == shape)
    large = 1;
  const bool needs_expansion = builder.shape(node.inputs[large]) != shape;
  const Location a = needs_expansion ? expanded(builder, node, node.inputs[large], shape)
                                     : builder.operand_of(node, large);
  const graph::ValueId small = node.inputs[1 - large];
  const graph::Shape dims = padded_to(builder.shape(small), shape.size());
  Location b = builder.get(small, dims == shape ? a.desc : blocked_like(a.desc, dims));

  const bool is_safe = binary_takes_post_ops(a.desc);
  dnnl::primitive_attr attr = attributes();
  PostOpArguments post;
  if (is_safe) {
    TRY(post, append_post_ops(builder, node, op.post_ops, 2, a.desc, false, attr));
  }
  const dnnl::binary::desc desc(*algorithm, a.desc, b.desc, a.desc);
  const dnnl::binary::primitive_desc pd(desc, attr, cpu_engine());
  const bool in_place =
      needs_expansion || (binary_works_in_place(a.desc) && builder.may_overwrite(a) &&
                          !builder.other_input_in(node, large, a));
  Location y = in_place ? a : builder.temporary(a.desc);
  std::vector<Argument> arguments{argument(DNNL_ARG_SRC_0, a), argument(DNNL_ARG_SRC_1, b)};
  arguments.insert(arguments.end(), post.arguments.begin(), post.arguments.end());
  arguments.push_back(argument(DNNL_ARG_DST, y));
  builder.emit(node.name, pd, std::move(arguments));
  if (!is_safe) {
    TRY(y, apply_post_ops(builder, node, op.post_ops, 2, y));
  }
  builder.place(node.output, y, y.desc);
  return {};
}

Result<void> lower_where(Builder& builder, const graph::Node& node) {
  const graph::Shape& shape = builder.shape(node.output);
  std::vector<Argument> arguments;
  for (int i = 0; i < 3; ++i)
    arguments.push_back(
        argument(i, full_operand(builder, node, node.inputs[static_cast<std::size_t>(i)], shape)));
  arguments.push_back(argument(3, builder.make(node.output, plain_desc(shape))));
  builder.emit(node.name, where(builder.graph().value(node.output).type.elements()),
               std::move(arguments));
  return {};
}

}  // namespace dermlens::kernels
