// Pooling and reductions. A mean over all of a map is a pooling with one large window, which keeps
// the blocked layout.
#include "kernels/builder.h"
#include "kernels/native.h"

namespace dermlens::kernels {
namespace {

using dnnl::algorithm;

algorithm algorithm_of(graph::PoolKind kind) {
  switch (kind) {
    case graph::PoolKind::max:
      return algorithm::pooling_max;
    case graph::PoolKind::average_include_pad:
      return algorithm::pooling_avg_include_padding;
    case graph::PoolKind::average_exclude_pad:
      break;
  }
  return algorithm::pooling_avg_exclude_padding;
}

dnnl::memory::dims gaps(const graph::Shape& dilations) {
  dnnl::memory::dims gaps = to_dims(dilations);
  for (auto& gap : gaps) --gap;
  return gaps;
}

// `desc`'s layout for a map of another size.
Desc laid_out_like(const Desc& desc, const graph::Shape& shape) {
  const Type type = desc.data_type();
  if (desc == channels_last(desc.dims(), type)) return channels_last(shape, type);
  return with_type(blocked_like(desc, shape), type);
}

// [N, C, *S] reduced over exactly *S, with the kinds that pooling computes.
bool is_global_pool(const graph::Reduce& op, const graph::Shape& input) {
  if (op.fn != graph::ReduceFn::mean && op.fn != graph::ReduceFn::sum &&
      op.fn != graph::ReduceFn::max)
    return false;
  if (input.size() < 3 || input.size() > 5 || op.axes.size() != input.size() - 2) return false;
  return op.axes.front() == 2;  // sorted and distinct, so these are all of *S
}

void lower_global_pool(Builder& builder, const graph::Node& node, const graph::Reduce& op) {
  const graph::Shape& input = builder.shape(node.inputs[0]);
  graph::Shape reduced{input[0], input[1]};
  const graph::Shape kernel(input.begin() + 2, input.end());
  reduced.insert(reduced.end(), kernel.size(), 1);
  const dnnl::memory::dims ones(kernel.size(), 1), zeros(kernel.size(), 0);
  // A mean takes bf16 whatever its own result is; nobody else is asked to.
  const Location x = builder.where_made(node.inputs[0]);
  const bool is_max = op.fn == graph::ReduceFn::max;
  dnnl::primitive_attr attr = attributes();
  if (op.fn == graph::ReduceFn::sum) {
    float count = 1;
    for (const std::int64_t size : kernel) count *= static_cast<float>(size);
    dnnl::post_ops scale;
    scale.append_eltwise(1, algorithm::eltwise_linear, count, 0);
    attr.set_post_ops(scale);
  }
  const dnnl::pooling_forward::primitive_desc pd(
      {dnnl::prop_kind::forward_inference,
       is_max ? algorithm::pooling_max : algorithm::pooling_avg_include_padding, x.desc,
       Desc(to_dims(reduced), x.desc.data_type(), Tag::any), ones, to_dims(kernel), zeros, zeros},
      attr, cpu_engine());
  const Location y =
      op.keep_dims ? builder.make(node.output, pd.dst_desc()) : builder.temporary(pd.dst_desc());
  builder.emit(node.name, pd, {argument(DNNL_ARG_SRC, x), argument(DNNL_ARG_DST, y)});
  if (op.keep_dims) return;
  const Desc plain = plain_desc(reduced);
  Location flat = y;
  if (!same_bytes(y.desc, plain)) {
    flat = builder.temporary(plain);
    builder.reorder(node.name, y, flat);
  }
  builder.place(node.output, flat, plain_desc(builder.shape(node.output)));
}

}  // namespace

Result<void> lower_reduce(Builder& builder, const graph::Node& node) {
  if (lower_integer_mean(builder, node)) return {};
  const auto& op = std::get<graph::Reduce>(node.op);
  const graph::Shape& input = builder.shape(node.inputs[0]);
  if (is_global_pool(op, input)) {
    lower_global_pool(builder, node, op);
    return {};
  }
  const graph::Shape& output = builder.shape(node.output);
  const Location x = builder.get_plain(node.inputs[0]);
  graph::Shape reduced = input;
  for (const std::size_t axis : op.axes) reduced[axis] = 1;
  if (reduced == input) {
    builder.place(node.output, x, plain_desc(output));
    return {};
  }
  algorithm kind = algorithm::reduction_mean;
  switch (op.fn) {
    case graph::ReduceFn::sum:
      kind = algorithm::reduction_sum;
      break;
    case graph::ReduceFn::mean:
      kind = algorithm::reduction_mean;
      break;
    case graph::ReduceFn::max:
      kind = algorithm::reduction_max;
      break;
    case graph::ReduceFn::min:
      kind = algorithm::reduction_min;
      break;
    case graph::ReduceFn::prod:
      kind = algorithm::reduction_mul;
      break;
  }
  const Desc reduced_desc = plain_desc(reduced);
  const dnnl::reduction::primitive_desc pd({kind, x.desc, reduced_desc, 0, 0}, attributes(),
                                           cpu_engine());
  const Location y = builder.make(node.output, plain_desc(output));
  builder.emit(node.name, pd, {argument(DNNL_ARG_SRC, x), argument(DNNL_ARG_DST, y, reduced_desc)});
  return {};
}

Result<void> lower_pool(Builder& builder, const graph::Node& node) {
  const graph::PoolGeometry& g = std::get<graph::Pool>(node.op).geometry;
  const Location x = builder.operand_of(node, 0);
  // The kernels take one layout on both sides: between two they leave it to the reference code.
  const Desc wish = laid_out_like(x.desc, builder.shape(node.output));
  const dnnl::pooling_v2_forward::primitive_desc pd(
      {dnnl::prop_kind::forward_inference, algorithm_of(g.kind), x.desc, wish, to_dims(g.strides),
       to_dims(g.kernel), gaps(g.dilations), to_dims(g.pads_begin), to_dims(g.pads_end)},
      attributes(), cpu_engine());
  const Location y = builder.make(node.output, pd.dst_desc());
  builder.emit(node.name, pd, {argument(DNNL_ARG_SRC, x), argument(DNNL_ARG_DST, y)});
  return {};
}

Result<void> lower_pool_backward(Builder& builder, const graph::Node& node) {
  const graph::PoolGeometry& g = std::get<graph::PoolBackward>(node.op).geometry;
  const graph::Shape& output_shape = builder.shape(node.inputs[0]);
  const graph::Shape& input_shape = builder.shape(node.output);
  if (g.kind == graph::PoolKind::max) {
    const Location dy = builder.get_plain(node.inputs[0]);
    const Location x = builder.get_plain(node.inputs[1]);
    const Location dx = builder.make(node.output, plain_desc(input_shape));
    builder.emit(node.name, max_pool_backward(g, input_shape, output_shape),
                 {argument(0, dy), argument(1, x), argument(2, dx)});
    return {};
  }
  const Location dy = builder.where(node.inputs[0]);
  const Desc dx_desc = laid_out_like(dy.desc, input_shape);
  const auto kind = algorithm_of(g.kind);
  const dnnl::pooling_v2_forward::primitive_desc hint(
      {dnnl::prop_kind::forward_training, kind, dx_desc, dy.desc, to_dims(g.strides),
       to_dims(g.kernel), gaps(g.dilations), to_dims(g.pads_begin), to_dims(g.pads_end)},
      attributes(), cpu_engine());
  const dnnl::pooling_v2_backward::primitive_desc pd(
      {kind, dx_desc, dy.desc, to_dims(g.strides), to_dims(g.kernel), gaps(g.dilations),
       to_dims(g.pads_begin), to_dims(g.pads_end)},
      attributes(), cpu_engine(), hint);
  const Location dx = builder.make(node.output, dx_desc);
  builder.emit(node.name, pd, {argument(DNNL_ARG_DIFF_DST, dy), argument(DNNL_ARG_DIFF_SRC, dx)});
  return {};
}

}  // namespace dermlens::kernels
