#include "kernels/onednn_faults.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "kernels/builder.h"

namespace dermlens::kernels {
namespace {

constexpr dnnl_dim_t kWidestBlock = 16;

// What the faults of convolutions depend on.
struct Facts {
  bool integers = false;       // of its input
  bool operand = false;        // a post-op has one, be it the sum in the result's own place
  bool full_binary = false;    // one elsewhere, as large as the result
  bool one_pixel = false;      // the result has nothing after the channels
  bool odd_input = false;      // an odd number of channels goes into each result
  bool blocked = false;        // the result's channels are
  bool fills_blocks = false;   // so many channels that every block is full
  bool narrow = false;         // at most one block of channels
  bool ragged_groups = false;  // several groups, whose channels fill no block
  bool exponential = false;    // a post-op that computes e^x on its way
  bool leaves_gaps = false;    // a stride is larger than the kernel
};

struct Fault {
  std::string_view kernel;  // part of its name; empty: any
  bool (*applies)(const Facts& facts);
  Verdict verdict;
};

// In order: the first that applies decides.
constexpr std::array kFaults = {
    // 5 to 20 % of the numbers are wrong, and bf16 writes up to 56 KB behind the scratchpad.
    Fault{"brgconv:avx512_core_amx", [](const Facts& f) { return f.leaves_gaps; }, Verdict::wrong},
    // There is a descriptor, but no primitive can be made of it.
    Fault{"jit_int8_1x1", [](const Facts& f) { return f.ragged_groups && f.exponential; },
          Verdict::wrong},
    // Writes up to 7 KB behind the result: seen with 3 tiles of 9 to 16 positions (a map of 6x6).
    Fault{"jit_1x1:avx512_core_amx", [](const Facts& f) { return f.full_binary; }, Verdict::apart},
    // Takes the wrong numbers of the operand: blocks that are not full, and channels last in
    // depthwise convolutions (brdgmm_dw) whatever their number.
    Fault{"", [](const Facts& f) { return f.one_pixel && f.operand; }, Verdict::apart},
    // By matrix product the operand is wrong in maps of width 1 and where channels do not fill
    // blocks; nothing is lost in the others, it is slow by itself.
    Fault{"gemm", [](const Facts& f) { return f.operand; }, Verdict::apart},
    // Wrong where an operand follows and positions are a multiple of 30 (a map of 5x6).
    Fault{"jit_bf16_1x1", [](const Facts& f) { return f.odd_input && !f.blocked; }, Verdict::wrong},
    // Channels last, few of them or in the reference code: the operand is added wrongly.
    Fault{"",
          [](const Facts& f) {
            return f.operand && f.narrow && !f.fills_blocks && !f.blocked && !f.integers;
          },
          Verdict::apart},
    Fault{"ref", [](const Facts& f) { return f.operand && !f.fills_blocks && !f.blocked; },
          Verdict::apart},
};

bool is_integer(dnnl_data_type_t type) { return type == dnnl_s8 || type == dnnl_u8; }

bool is_one_pixel(const dnnl_memory_desc_t& desc) {
  return std::all_of(desc.dims + 2, desc.dims + desc.ndims, [](auto size) { return size == 1; });
}

bool needs_exp(dnnl::algorithm algorithm) {
  switch (algorithm) {
    case dnnl::algorithm::eltwise_elu:
    case dnnl::algorithm::eltwise_exp:
    case dnnl::algorithm::eltwise_gelu_erf:
    case dnnl::algorithm::eltwise_logistic:
    case dnnl::algorithm::eltwise_swish:
      return true;
    default:
      return false;
  }
}

void read_post_ops(const dnnl::convolution_forward::primitive_desc& pd, Facts& facts) {
  const dnnl::primitive_attr attr = pd.get_primitive_attr();
  const dnnl::post_ops list = attr.get_post_ops();  // a view of `attr`
  for (int i = 0; i < list.len(); ++i) {
    dnnl::algorithm algorithm{};
    if (list.kind(i) == dnnl::primitive::kind::sum) facts.operand = true;
    if (list.kind(i) == dnnl::primitive::kind::binary) {
      Desc operand;
      list.get_params_binary(i, algorithm, operand);
      facts.operand = true;
      facts.full_binary = facts.full_binary || operand.dims() == pd.dst_desc().dims();
    } else if (list.kind(i) == dnnl::primitive::kind::eltwise) {
      float scale = 0, alpha = 0, beta = 0;
      list.get_params_eltwise(i, scale, algorithm, alpha, beta);
      facts.exponential = facts.exponential || needs_exp(algorithm);
    }
  }
}

Facts facts_of(const dnnl::convolution_forward::primitive_desc& pd) {
  const dnnl_convolution_desc_t* conv = nullptr;
  dnnl_primitive_desc_query(pd.get(), dnnl_query_convolution_d, 0, static_cast<void*>(&conv));
  const Desc result = pd.dst_desc();
  const dnnl_memory_desc_t& weights = conv->weights_desc;
  Facts facts;
  facts.integers = is_integer(conv->src_desc.data_type);
  facts.one_pixel = is_one_pixel(result.data);
  facts.blocked = is_blocked(result);
  facts.fills_blocks = fills_blocks(result);
  facts.narrow = result.data.dims[1] <= kWidestBlock;
  const bool has_groups = weights.ndims > result.data.ndims;
  facts.ragged_groups = has_groups && weights.dims[1] % kWidestBlock != 0;
  facts.odd_input = weights.dims[has_groups ? 2 : 1] % 2 != 0;
  const int spatial = result.data.ndims - 2;
  for (int i = 0; i < spatial; ++i)
    if (conv->strides[i] > weights.dims[weights.ndims - spatial + i]) facts.leaves_gaps = true;
  read_post_ops(pd, facts);
  return facts;
}

}  // namespace

Verdict judge(const dnnl::convolution_forward::primitive_desc& pd) {
  const std::string_view kernel = pd.impl_info_str();
  const Facts facts = facts_of(pd);
  for (const Fault& fault : kFaults)
    if (kernel.find(fault.kernel) != std::string_view::npos && fault.applies(facts))
      return fault.verdict;
  return Verdict::sound;
}

bool binary_takes_post_ops(const Desc& desc) {
  // In a block narrower than the machine's it writes past its end.
  if (is_blocked(desc) && !fills_blocks(desc)) return false;
  // An operand that varies by channel is taken for one that varies by image where there is nothing
  // after the channels.
  return desc.data.ndims <= 2 || desc.data.dims[0] == 1 || !is_one_pixel(desc.data);
}

bool binary_works_in_place(const Desc& desc) {
  // Wrong on AVX2 where channels are padded.
  return std::equal(desc.data.dims, desc.data.dims + desc.data.ndims, desc.data.padded_dims);
}

// One kernel keeps one set of parameters for each algorithm of a list, and computes a second
// function with the first's, in silence.
bool mixes_parameters(std::span<const PostFunction> functions) {
  for (std::size_t i = 0; i < functions.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const PostFunction &a = functions[j], &b = functions[i];
      if (a.algorithm == b.algorithm &&
          (a.scale != b.scale || a.alpha != b.alpha || a.beta != b.beta))
        return true;
    }
  return false;
}

}  // namespace dermlens::kernels
