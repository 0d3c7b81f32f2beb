// The functions of one argument and their derivatives, over double.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "graph/reference.h"

namespace dermlens::graph {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

// GELU's tanh form: 0.5 x (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3).
constexpr double kCubic = 0.044715;
double gelu_argument(double x) {
  return std::sqrt(2 / std::numbers::pi) * (x + kCubic * x * x * x);
}
double gelu_argument_slope(double x) {
  return std::sqrt(2 / std::numbers::pi) * (1 + 3 * kCubic * x * x);
}

double clip(double x, double low, double high) { return std::min(std::max(x, low), high); }

double gelu_tanh_derivative(double x) {
  const double t = std::tanh(gelu_argument(x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * gelu_argument_slope(x);
}

double hard_swish_derivative(double x) {
  if (x < -3) return 0;
  return x <= 3 ? x / 3 + 0.5 : 1;
}

}  // namespace

double evaluate(const Unary& unary, double x) {
  const double alpha = unary.alpha, beta = unary.beta;
  switch (unary.fn) {
    case UnaryFn::relu:
      return x < 0 ? 0 : x;
    case UnaryFn::clip:
      return clip(x, alpha, beta);
    case UnaryFn::sigmoid:
      return sigmoid(x);
    case UnaryFn::tanh:
      return std::tanh(x);
    case UnaryFn::silu:
      return x * sigmoid(x);
    case UnaryFn::hard_sigmoid:
      return clip(alpha * x + beta, 0, 1);
    case UnaryFn::hard_swish:
      return x * clip(x / 6 + 0.5, 0, 1);
    case UnaryFn::gelu_erf:
      return x * normal_cdf(x);
    case UnaryFn::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(gelu_argument(x)));
    case UnaryFn::erf:
      return std::erf(x);
    case UnaryFn::exp:
      return std::exp(x);
    case UnaryFn::log:
      return std::log(x);
    case UnaryFn::sqrt:
      return std::sqrt(x);
    case UnaryFn::reciprocal:
      return 1 / x;
    case UnaryFn::abs:
      return std::abs(x);
    case UnaryFn::neg:
      return -x;
    case UnaryFn::elu:
      return x > 0 ? x : alpha * std::expm1(x);
    case UnaryFn::leaky_relu:
      return x > 0 ? x : alpha * x;
    case UnaryFn::softplus:
      return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    case UnaryFn::linear:
      return alpha * x + beta;
    case UnaryFn::power:
      return std::pow(x, alpha);
    case UnaryFn::floor:
      return std::floor(x);
    case UnaryFn::ceil:
      return std::ceil(x);
    case UnaryFn::round:
      return std::nearbyint(x);
    case UnaryFn::sign:
      return (x > 0) - (x < 0);
    case UnaryFn::logical_not:
      return x == 0;
  }
  return x;
}

double derivative(const Unary& unary, double x) {
  const double alpha = unary.alpha, beta = unary.beta, y = evaluate(unary, x);
  switch (unary.fn) {
    case UnaryFn::relu:
      return x > 0;
    case UnaryFn::clip:
      return x >= alpha && x <= beta;
    case UnaryFn::sigmoid:
      return y * (1 - y);
    case UnaryFn::tanh:
      return 1 - y * y;
    case UnaryFn::silu:
      return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case UnaryFn::hard_sigmoid:
      return y > 0 && y < 1 ? alpha : 0;
    case UnaryFn::hard_swish:
      return hard_swish_derivative(x);
    case UnaryFn::gelu_erf:
      return normal_cdf(x) + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    case UnaryFn::gelu_tanh:
      return gelu_tanh_derivative(x);
    case UnaryFn::erf:
      return 2 / std::sqrt(std::numbers::pi) * std::exp(-x * x);
    case UnaryFn::exp:
      return y;
    case UnaryFn::log:
      return 1 / x;
    case UnaryFn::sqrt:
      return 0.5 / y;
    case UnaryFn::reciprocal:
      return -y * y;
    case UnaryFn::abs:
      return (x > 0) - (x < 0);
    case UnaryFn::neg:
      return -1;
    case UnaryFn::elu:
      return x > 0 ? 1 : alpha * std::exp(x);
    case UnaryFn::leaky_relu:
      return x > 0 ? 1 : alpha;
    case UnaryFn::softplus:
      return sigmoid(x);
    case UnaryFn::linear:
      return alpha;
    case UnaryFn::power:
      return alpha == 0 ? 0 : alpha * std::pow(x, alpha - 1);
    case UnaryFn::floor:
    case UnaryFn::ceil:
    case UnaryFn::round:
    case UnaryFn::sign:
    case UnaryFn::logical_not:
      return 0;
  }
  return 0;
}

}  // namespace dermlens::graph
