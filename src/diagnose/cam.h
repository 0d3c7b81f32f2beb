// Class activation maps from a layer's activation A and gradient G (both [channels, rows, columns],
// row-major), as pytorch-grad-cam computes them before it resizes:
//   gradcam     sum_k mean(G_k) A_k                     Selvaraju et al. 2017, arXiv:1610.02391
//   gradcam++   weights sum(alpha_k relu(G_k)) with alpha_k = G_k^2 / (2 G_k^2 + sum(A_k) G_k^3)
//                                                       Chattopadhay et al. 2018, arXiv:1710.11063
//   hirescam    sum_k G_k A_k                           Draelos and Carin 2020, arXiv:2011.08891
//   xgradcam    weights sum(G_k A_k) / sum(A_k)         Fu et al. 2020, arXiv:2008.02312
//   layercam    sum_k relu(G_k) A_k                     Jiang et al. 2021, TIP 30
//   eigencam    A projected on its first principal component (over positions; G is not read)
//                                                       Muhammad and Yeasin 2020, arXiv:2008.00299
// Then ReLU and division by the maximum. Memory: one double a position, and for eigencam one more a
// position and a channel; nothing else is allocated.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "diagnose/types.h"

namespace dermlens::diagnose {

// The shape of a layer with batch 1.
struct Grid {
  std::size_t channels = 0, rows = 0, columns = 0;
  std::size_t positions() const { return rows * columns; }
};

struct Heatmap {
  std::vector<float> values;  // rows x columns, 0..1; all zero when degenerate
  bool degenerate = false;    // nothing positive, or something not finite
};

// `activation` and `gradient` have channels * rows * columns elements each; eigencam takes an empty
// gradient too.
Heatmap make_heatmap(Method method, Grid grid, std::span<const float> activation,
                     std::span<const float> gradient);

// Whether the method reads the gradient at all.
constexpr bool needs_gradient(Method method) { return method != Method::eigencam; }

}  // namespace dermlens::diagnose
