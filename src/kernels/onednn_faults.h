// What oneDNN 2.6.3 is known to compute wrongly, by the kernel it would use: the one place that
// knows. Whoever makes a descriptor asks here before a step is made of it. Private to `kernels`.
#pragma once

#include "kernels/lowered.h"

namespace dermlens::kernels {

enum class Verdict {
  sound,  // as far as we know
  apart,  // right, but not with these post-ops: they go into steps of their own
  wrong,  // not to be used for this shape at all
};

// Of the descriptor as it will run, post-ops included: they change which kernel is used.
Verdict judge(const dnnl::convolution_forward::primitive_desc& pd);

// Of a Binary over `desc`: whether post-ops may follow in it, and whether it may write over its
// input.
bool binary_takes_post_ops(const Desc& desc);
bool binary_works_in_place(const Desc& desc);

// A function that a list of post-ops applies.
struct PostFunction {
  dnnl::algorithm algorithm;
  float scale = 1, alpha = 0, beta = 0;
};
// Whether some function of the list would be computed with another's parameters.
bool mixes_parameters(std::span<const PostFunction> functions);

}  // namespace dermlens::kernels
