#include "diagnose/cam.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace dermlens::diagnose {
namespace {

using Channel = std::span<const float>;

double sum(Channel values) { return std::accumulate(values.begin(), values.end(), 0.0); }

double dot(Channel a, Channel b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

// The epsilons are pytorch-grad-cam's: they decide what a dead channel contributes.
double gradcam_plus_plus_weight(Channel a, Channel g) {
  constexpr double kEpsilon = 1e-6;
  const double activation = sum(a);
  double weight = 0;
  for (const double value : g) {
    const double square = value * value;
    const double divisor = 2 * square + activation * square * value + kEpsilon;
    if (value != 0) weight += std::max(value, 0.0) * square / divisor;
  }
  return weight;
}

double xgradcam_weight(Channel a, Channel g) {
  constexpr double kEpsilon = 1e-7;
  return dot(a, g) / (sum(a) + kEpsilon);
}

// The weight of a channel, for the methods that have one number a channel.
double channel_weight(Method method, Channel a, Channel g) {
  switch (method) {
    case Method::gradcam_plus_plus:
      return gradcam_plus_plus_weight(a, g);
    case Method::xgradcam:
      return xgradcam_weight(a, g);
    default:
      return sum(g) / static_cast<double>(g.size());
  }
}

std::vector<double> weighted_sum(Method method, Grid grid, std::span<const float> activation,
                                 std::span<const float> gradient) {
  const std::size_t positions = grid.positions();
  std::vector<double> map(positions, 0.0);
  for (std::size_t k = 0; k < grid.channels; ++k) {
    const Channel a = activation.subspan(k * positions, positions);
    const Channel g = gradient.subspan(k * positions, positions);
    if (method == Method::hirescam) {
      for (std::size_t i = 0; i < positions; ++i) map[i] += static_cast<double>(a[i]) * g[i];
    } else if (method == Method::layercam) {
      for (std::size_t i = 0; i < positions; ++i)
        map[i] += static_cast<double>(a[i]) * std::max(g[i], 0.0F);
    } else {
      const double weight = channel_weight(method, a, g);
      for (std::size_t i = 0; i < positions; ++i) map[i] += weight * a[i];
    }
  }
  return map;
}

// The first principal component of the positions' channel vectors, by power iteration on the
// centred matrix, and the projection on it. Its sign is the data's to choose: we take the one whose
// projection correlates with the mean activation, where numpy's SVD takes either.
std::vector<double> first_principal_projection(Grid grid, std::span<const float> activation) {
  const std::size_t positions = grid.positions();
  std::vector<double> means(grid.channels);
  std::vector<double> direction(grid.channels);
  std::vector<double> projection(positions, 0.0);
  for (std::size_t k = 0; k < grid.channels; ++k) {
    means[k] = sum(activation.subspan(k * positions, positions)) / static_cast<double>(positions);
    for (std::size_t i = 0; i < positions; ++i)
      projection[i] += activation[k * positions + i] - means[k];
  }
  const std::vector<double> total = projection;

  // Not orthogonal to anything in particular, so that the iteration never starts from zero by luck.
  for (std::size_t i = 0; i < positions; ++i)
    projection[i] += 1e-3 * static_cast<double>(i % 7) * (std::abs(total[i]) + 1e-6);
  double previous = 0;
  for (int step = 0; step < 500; ++step) {
    double norm = 0;
    for (std::size_t k = 0; k < grid.channels; ++k) {
      double value = 0;
      for (std::size_t i = 0; i < positions; ++i)
        value += (activation[k * positions + i] - means[k]) * projection[i];
      direction[k] = value;
      norm += value * value;
    }
    norm = std::sqrt(norm);
    if (!(norm > 0) || !std::isfinite(norm)) return std::vector<double>(positions, 0.0);
    std::fill(projection.begin(), projection.end(), 0.0);
    for (std::size_t k = 0; k < grid.channels; ++k) {
      direction[k] /= norm;
      for (std::size_t i = 0; i < positions; ++i)
        projection[i] += (activation[k * positions + i] - means[k]) * direction[k];
    }
    const double size = std::sqrt(
        std::inner_product(projection.begin(), projection.end(), projection.begin(), 0.0));
    if (!(size > 0)) return projection;
    if (std::abs(size - previous) <= 1e-13 * size) break;
    previous = size;
  }
  if (std::inner_product(projection.begin(), projection.end(), total.begin(), 0.0) < 0)
    for (double& value : projection) value = -value;
  return projection;
}

}  // namespace

Heatmap make_heatmap(Method method, Grid grid, std::span<const float> activation,
                     std::span<const float> gradient) {
  const std::vector<double> raw = method == Method::eigencam
                                      ? first_principal_projection(grid, activation)
                                      : weighted_sum(method, grid, activation, gradient);
  Heatmap map{std::vector<float>(raw.size(), 0.0F), false};
  double highest = 0;
  for (const double value : raw) {
    if (!std::isfinite(value)) highest = std::numeric_limits<double>::infinity();
    highest = std::max(highest, value);
  }
  // Below float's normal range the quotients are rounding noise.
  map.degenerate = !(highest >= std::numeric_limits<float>::min()) || !std::isfinite(highest);
  if (map.degenerate) return map;
  for (std::size_t i = 0; i < raw.size(); ++i)
    map.values[i] = static_cast<float>(std::max(raw[i], 0.0) / highest);
  return map;
}

}  // namespace dermlens::diagnose
