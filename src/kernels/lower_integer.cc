// Integer arithmetic between a Dequantize and a Quantize: convolutions in int8 (VNNI where the CPU
// has it), the mean and the scaling of squeeze-and-excite blocks. The graph says what is meant;
// that no fp32 tensor lies between is decided here.
#include <algorithm>
#include <cmath>
#include <span>

#include "kernels/builder.h"
#include "kernels/native.h"
#include "kernels/onednn_faults.h"
#include "kernels/precision.h"

namespace dermlens::kernels {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using Forward = dnnl::convolution_forward;

// Where an integer result goes and in which unit; fp32 when there is no Quantize to feed.
struct Result8 {
  graph::ValueId value = graph::kNoValue;
  Type type = Type::f32;
  float scale = 1;
};

Type integer_type(const graph::Graph& graph, graph::ValueId value) {
  return graph.value(value).type.dtype == graph::DType::i8 ? Type::s8 : Type::u8;
}

Result8 result_of(const Builder& builder, const graph::Node& node) {
  const auto quantize = builder.only_quantize(node.output);
  if (!quantize) return {node.output, Type::f32, 1};
  const graph::Node& user = builder.graph().node(*quantize);
  return {user.output, integer_type(builder.graph(), user.output),
          *symmetric_scale(builder.graph(), user)};
}

// One scale an output channel, if the weights are stored as signed integers around 0.
std::optional<std::vector<float>> weight_scales(const graph::Value& weights) {
  if (!weights.constant || weights.constant->stored_as != graph::DType::i8) return std::nullopt;
  const graph::Constant& constant = *weights.constant;
  if (std::ranges::any_of(constant.zero_point, [](float zero) { return zero != 0; }))
    return std::nullopt;
  const auto channels = static_cast<std::size_t>(weights.type.shape.front());
  if (constant.scale.size() == 1) return std::vector<float>(channels, constant.scale.front());
  if (constant.axis != 0 || constant.scale.size() != channels) return std::nullopt;
  return constant.scale;
}

// Post-ops, one after the other in the unit each needs, and at last the result's. A change of unit
// goes into the convolution's own scales or the scale of the function before it.
class PostOpList {
 public:
  PostOpList(Builder& builder, const graph::Node& node, const Result8& result, const Desc& desc)
      : builder_(builder), node_(node), result_(result), desc_(desc) {}

  Result<void> add(const graph::PostOp& post_op, std::size_t operand) {
    if (post_op.kind == graph::PostOp::Kind::unary) return add_unary(post_op.unary);
    const graph::ValueId value = node_.inputs[operand];
    const graph::Shape dims = padded_to(builder_.shape(value), builder_.shape(node_.output).size());
    const bool is_add = post_op.kind == graph::PostOp::Kind::binary_add;
    const bool is_full = dims == builder_.shape(node_.output);
    if (const auto integers = builder_.quantized(value); integers && is_add && is_full) {
      add_integers(*integers, operand);
      return {};
    }
    to_unit(1);
    append_operand(
        is_add ? algorithm::binary_add : algorithm::binary_mul,
        builder_.get(value, is_full ? channels_last(dims, Type::f32) : plain_desc(dims)));
    return {};
  }

  // The list for oneDNN; nullopt where it would be computed wrongly.
  std::optional<dnnl::post_ops> finish() {
    to_unit(result_.scale);
    dnnl::post_ops list;
    std::vector<PostFunction> functions;
    for (const Step& step : steps_) {
      if (step.kind == algorithm::undef) {
        list.append_sum(step.scale);
      } else if (step.kind == algorithm::binary_add || step.kind == algorithm::binary_mul) {
        list.append_binary(step.kind, step.operand);
      } else {
        list.append_eltwise(step.scale, step.kind, step.alpha, step.beta);
        functions.push_back({step.kind, step.scale, step.alpha, step.beta});
      }
    }
    if (mixes_parameters(functions)) return std::nullopt;
    return list;
  }

  std::vector<Argument> arguments;
  std::optional<Location> accumulate;
  float factor = 1;  // of the convolution's own scales

 private:
  // `undef` stands for the sum with what lies in the result's place.
  struct Step {
    algorithm kind = algorithm::undef;
    float scale = 1, alpha = 0, beta = 0;
    Desc operand;
    bool is_function() const {
      return kind != algorithm::undef && kind != algorithm::binary_add &&
             kind != algorithm::binary_mul;
    }
  };

  // The numbers at hand mean `unit` each from here on.
  void to_unit(float unit) {
    const float change = unit_ / unit;
    unit_ = unit;
    if (change == 1) return;
    if (steps_.empty()) {
      factor *= change;
    } else if (steps_.back().is_function()) {
      steps_.back().scale *= change;
    } else {
      steps_.push_back({algorithm::eltwise_linear, 1, change, 0, {}});
    }
  }

  Result<void> add_unary(const graph::Unary& op) {
    to_unit(1);
    if (op.fn == graph::UnaryFn::hard_sigmoid) {
      steps_.push_back({algorithm::eltwise_linear, 1, op.alpha, op.beta, {}});
      steps_.push_back({algorithm::eltwise_clip, 1, 0, 1, {}});
      return {};
    }
    const auto eltwise = eltwise_of(op);
    if (!eltwise)
      return fail(Errc::internal, "post-op ", graph::to_string(op.fn), " has no kernel");
    steps_.push_back({eltwise->algorithm, 1, eltwise->alpha, eltwise->beta, {}});
    return {};
  }

  void add_integers(const Builder::Quantized& integers, std::size_t operand) {
    if (steps_.empty() && integers.location.desc == desc_ &&
        builder_.may_overwrite(integers.location) &&
        !builder_.other_input_in(node_, operand, integers.location)) {
      steps_.push_back({algorithm::undef, integers.scale, 0, 0, {}});
      accumulate = integers.location;
      return;
    }
    // A binary operand has no scale of its own.
    to_unit(integers.scale);
    append_operand(algorithm::binary_add, integers.location);
  }

  void append_operand(algorithm kind, const Location& location) {
    steps_.push_back({kind, 1, 0, 0, location.desc});
    arguments.push_back(argument(
        DNNL_ARG_ATTR_MULTIPLE_POST_OP(static_cast<int>(steps_.size()) - 1) | DNNL_ARG_SRC_1,
        location));
  }

  Builder& builder_;
  const graph::Node& node_;
  const Result8& result_;
  const Desc& desc_;
  std::vector<Step> steps_;
  float unit_ = 1;
};

// The bias is counted in units of the products' scale. Where a batch norm switched a channel off
// that is 0: a unit of which no sum of products reaches 1e-15 stands for it.
float as_unit(float scale) {
  constexpr float kLeast = 1e-25F;
  return std::abs(scale) < kLeast ? kLeast : scale;
}

struct Units {
  std::vector<float> output_scales, bias_factors;  // by channel
};

// nullopt where a product's scale is not finite.
std::optional<Units> units_of(std::span<const float> weight_scales, float input_scale,
                              float factor) {
  Units units;
  for (const float weight_scale : weight_scales) {
    const float scale = as_unit(weight_scale * input_scale);
    if (!std::isfinite(scale)) return std::nullopt;
    units.bias_factors.push_back(1 / scale);
    units.output_scales.push_back(scale * factor);
  }
  return units;
}

memory::dims grouped(const graph::Shape& weights, std::int64_t groups) {
  memory::dims dims = to_dims(weights);
  if (groups == 1) return dims;
  dims.front() /= groups;
  dims.insert(dims.begin(), groups);
  return dims;
}

// The axes after the second, all of them.
bool is_spatial_mean(const graph::Reduce& op, const graph::Shape& input) {
  return op.fn == graph::ReduceFn::mean && op.keep_dims && input.size() >= 3 &&
         op.axes.size() == input.size() - 2 && op.axes.front() == 2;
}

Bytes pixels_of(const graph::Shape& shape) {
  Bytes pixels = static_cast<Bytes>(shape[0]);
  for (std::size_t i = 2; i < shape.size(); ++i) pixels *= static_cast<Bytes>(shape[i]);
  return pixels;
}

}  // namespace

std::optional<float> symmetric_scale(const graph::Graph& graph, const graph::Node& node) {
  const graph::Value& scale = graph.value(node.inputs[1]);
  if (!scale.constant || scale.type.elements() != 1) return std::nullopt;
  if (node.inputs.size() > 2 && node.inputs[2] != graph::kNoValue) {
    const graph::Value& zero = graph.value(node.inputs[2]);
    if (!zero.constant || zero.type.elements() != 1 || graph::to_floats(zero)[0] != 0)
      return std::nullopt;
  }
  return graph::to_floats(scale)[0];
}

Result<bool> lower_integer_conv(Builder& builder, const graph::Node& node) {
  const auto& op = std::get<graph::Conv>(node.op);
  const auto input = builder.quantized(node.inputs[0]);
  const auto scales = weight_scales(builder.graph().value(node.inputs[1]));
  if (!input || !scales || !computes_integers()) return false;
  const bool has_bias = node.inputs.size() > 2 && node.inputs[2] != graph::kNoValue;
  // It is divided by the products' scale when weights are packed.
  if (has_bias && !builder.graph().is_constant(node.inputs[2])) return false;
  const graph::Shape& shape = builder.shape(node.output);
  const Result8 result = result_of(builder, node);
  const Desc result_desc = channels_last(shape, result.type);

  PostOpList post(builder, node, result, result_desc);
  std::size_t operand = 3;
  for (const graph::PostOp& post_op : op.post_ops) {
    TRY_VOID(post.add(post_op, operand));
    if (post_op.kind != graph::PostOp::Kind::unary) ++operand;
  }
  const auto post_ops = post.finish();
  if (!post_ops) return false;
  const auto units = units_of(*scales, input->scale, post.factor);
  if (!units) return false;
  dnnl::primitive_attr attr = attributes();
  attr.set_output_scales(1 << 1, units->output_scales);
  attr.set_post_ops(*post_ops);

  const memory::dims weight_dims = grouped(builder.shape(node.inputs[1]), op.geometry.groups);
  const Desc weight_wish(weight_dims, Type::s8, Tag::any);
  const Desc bias_desc = has_bias ? Desc({shape[1]}, Type::f32, Tag::a) : Desc();
  memory::dims gaps = to_dims(op.geometry.dilations);
  for (auto& gap : gaps) --gap;
  const Forward::primitive_desc pd(
      {dnnl::prop_kind::forward_inference, algorithm::convolution_direct, input->location.desc,
       weight_wish, bias_desc, result_desc, to_dims(op.geometry.strides), gaps,
       to_dims(op.geometry.pads_begin), to_dims(op.geometry.pads_end)},
      attr, cpu_engine());
  if (judge(pd) != Verdict::sound) return false;

  const Desc weights_desc = pd.weights_desc();
  std::vector<Argument> arguments{
      argument(DNNL_ARG_SRC, input->location),
      argument(DNNL_ARG_WEIGHTS, builder.weight({node.inputs[1],
                                                 plain_desc(graph::Shape(weight_dims), Type::s8),
                                                 weights_desc,
                                                 weights_desc.get_size(),
                                                 true,
                                                 {}}))};
  if (has_bias)
    arguments.push_back(argument(
        DNNL_ARG_BIAS, builder.weight({node.inputs[2], bias_desc, bias_desc, bias_desc.get_size(),
                                       false, units->bias_factors})));
  arguments.insert(arguments.end(), post.arguments.begin(), post.arguments.end());
  const Location output = post.accumulate
                              ? builder.place(result.value, *post.accumulate, result_desc)
                              : builder.make(result.value, result_desc);
  arguments.push_back(argument(DNNL_ARG_DST, output));
  builder.emit(node.name, pd, std::move(arguments));
  return true;
}

bool lower_integer_mean(Builder& builder, const graph::Node& node) {
  const auto& op = std::get<graph::Reduce>(node.op);
  const graph::Shape& shape = builder.shape(node.inputs[0]);
  const auto input = builder.quantized(node.inputs[0]);
  if (!input || !is_spatial_mean(op, shape) || shape[0] != 1 ||
      input->location.desc != channels_last(shape, input->location.desc.data_type()))
    return false;
  const Location output = builder.make(node.output, plain_desc(builder.shape(node.output)));
  builder.emit(node.name,
               integer_mean(pixels_of(shape), static_cast<Bytes>(shape[1]), input->scale,
                            input->location.desc.data_type() == Type::s8),
               {argument(0, input->location), argument(1, output)});
  return true;
}

bool lower_integer_scale(Builder& builder, const graph::Node& node) {
  const auto& op = std::get<graph::Binary>(node.op);
  if (op.fn != graph::BinaryFn::mul || !op.post_ops.empty()) return false;
  const graph::Shape& shape = builder.shape(node.output);
  for (std::size_t large = 0; large < 2; ++large) {
    const auto input = builder.quantized(node.inputs[large]);
    const graph::ValueId small = node.inputs[1 - large];
    const graph::Shape dims = padded_to(builder.shape(small), shape.size());
    graph::Shape per_channel(shape.size(), 1);
    if (shape.size() < 3 || shape[0] != 1) return false;
    per_channel[1] = shape[1];
    if (!input || builder.shape(node.inputs[large]) != shape || dims != per_channel) continue;
    const Type type = input->location.desc.data_type();
    const Result8 result = result_of(builder, node);
    if (result.type != type || input->location.desc != channels_last(shape, type)) continue;
    const Location scale = builder.get(small, plain_desc(dims));
    const bool in_place = builder.may_overwrite(input->location) &&
                          !builder.other_input_in(node, large, input->location);
    const Location output = in_place
                                ? builder.place(result.value, input->location, input->location.desc)
                                : builder.make(result.value, input->location.desc);
    builder.emit(node.name,
                 integer_scale(pixels_of(shape), static_cast<Bytes>(shape[1]),
                               input->scale / result.scale, type == Type::s8),
                 {argument(0, input->location), argument(1, scale), argument(2, output)});
    return true;
  }
  return false;
}

}  // namespace dermlens::kernels
