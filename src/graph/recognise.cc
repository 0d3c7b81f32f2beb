// Chains of arithmetic that exporters write for one activation become that activation: SiLU,
// hard-sigmoid, hard-swish and both GELUs, whatever the order of their factors. Arithmetic with one
// constant number becomes a function of one argument first, so there are fewer forms to know.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <numbers>

#include "graph/passes.h"
#include "graph/rewrite.h"

namespace dermlens::graph {
namespace {

// Exporters round constants to float, sometimes after a division: a few parts in ten million.
bool near(double a, double b) { return std::abs(a - b) <= 2e-6 * std::abs(b); }

// c[0] + c[1] x + c[2] x^2 + c[3] x^3
using Polynomial = std::array<double, 4>;

std::optional<Polynomial> product(const Polynomial& a, const Polynomial& b) {
  Polynomial result{};
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < b.size(); ++j) {
      const double term = a[i] * b[j];
      if (term == 0) continue;
      if (i + j >= result.size()) return std::nullopt;
      result[i + j] += term;
    }
  }
  return result;
}

Polynomial sum(const Polynomial& a, const Polynomial& b, double sign) {
  Polynomial result = a;
  for (std::size_t i = 0; i < result.size(); ++i) result[i] += sign * b[i];
  return result;
}

class Recogniser {
 public:
  explicit Recogniser(const Rewrite& rewrite) : rewrite_(rewrite) {}

  // The one function that node `i` amounts to, and its argument.
  struct Found {
    Unary unary;
    ValueId x = kNoValue;
  };
  std::optional<Found> find(const Node& node) const {
    if (auto scalar = with_scalar(node)) return find_in_product(node.output).value_or(*scalar);
    return find_in_product(node.output);
  }

 private:
  static constexpr int kDepth = 6;
  static constexpr std::size_t kStates = 16;

  // coefficient * factors[0] * factors[1] * ...
  struct Product {
    double coefficient = 1;
    std::vector<ValueId> factors;
  };

  bool has_type_of(ValueId a, ValueId b) const { return rewrite_.type(a) == rewrite_.type(b); }

  // Binary arithmetic of a value and one number, as a function of the value.
  std::optional<Found> with_scalar(const Node& node) const {
    const auto* binary = std::get_if<Binary>(&node.op);
    if (binary == nullptr || !binary->post_ops.empty()) return std::nullopt;
    for (const std::size_t constant : {1u, 0u}) {
      const ValueId x = node.inputs[1 - constant];
      const auto number = rewrite_.scalar(node.inputs[constant]);
      if (!number || !has_type_of(x, node.output)) continue;
      if (auto unary = with_number(binary->fn, static_cast<float>(*number), constant == 0))
        return Found{*unary, x};
    }
    return std::nullopt;
  }

  static std::optional<Unary> with_number(BinaryFn fn, float number, bool first) {
    switch (fn) {
      case BinaryFn::add:
        return Unary{UnaryFn::linear, 1, number};
      case BinaryFn::sub:
        return first ? Unary{UnaryFn::linear, -1, number} : Unary{UnaryFn::linear, 1, -number};
      case BinaryFn::mul:
        return Unary{UnaryFn::linear, number, 0};
      case BinaryFn::div: {
        const float inverse = 1 / number;
        if (first || number == 0 || !std::isfinite(inverse)) return std::nullopt;
        return Unary{UnaryFn::linear, inverse, 0};
      }
      case BinaryFn::pow:
        if (first) return std::nullopt;
        if (number == 0.5f) return Unary{UnaryFn::sqrt, 0, 0};
        return Unary{UnaryFn::power, number, 0};
      default:
        return std::nullopt;
    }
  }

  // `value` as a polynomial of x; nullopt where it is none, or a longer one than we look for.
  std::optional<Polynomial> polynomial(ValueId value, ValueId x, int depth = kDepth) const {
    if (value == x) return Polynomial{0, 1, 0, 0};
    if (const auto number = rewrite_.scalar(value)) return Polynomial{*number, 0, 0, 0};
    const Node* node = rewrite_.producer(value);
    if (node == nullptr || depth == 0) return std::nullopt;
    if (const auto* unary = std::get_if<Unary>(&node->op)) {
      const auto inner = polynomial(node->inputs[0], x, depth - 1);
      return inner ? polynomial_of(*unary, *inner) : std::nullopt;
    }
    const auto* binary = std::get_if<Binary>(&node->op);
    if (binary == nullptr || !binary->post_ops.empty()) return std::nullopt;
    const auto a = polynomial(node->inputs[0], x, depth - 1);
    const auto b = a ? polynomial(node->inputs[1], x, depth - 1) : std::nullopt;
    if (!b) return std::nullopt;
    switch (binary->fn) {
      case BinaryFn::add:
        return sum(*a, *b, 1);
      case BinaryFn::sub:
        return sum(*a, *b, -1);
      case BinaryFn::mul:
        return product(*a, *b);
      default:
        return std::nullopt;
    }
  }

  static std::optional<Polynomial> polynomial_of(const Unary& unary, const Polynomial& x) {
    if (unary.fn == UnaryFn::linear) {
      const auto scaled = product(x, {unary.alpha, 0, 0, 0});
      return scaled ? std::optional(sum(*scaled, {unary.beta, 0, 0, 0}, 1)) : std::nullopt;
    }
    if (unary.fn == UnaryFn::neg) return product(x, {-1, 0, 0, 0});
    if (unary.fn != UnaryFn::power || (unary.alpha != 2 && unary.alpha != 3)) return std::nullopt;
    auto power = product(x, x);
    if (power && unary.alpha == 3) power = product(*power, x);
    return power;
  }

  // Whether `value` is constant + slope * x.
  bool is_line(ValueId value, ValueId x, double constant, double slope) const {
    const auto p = polynomial(value, x);
    return p && near((*p)[0], constant) && near((*p)[1], slope) && (*p)[2] == 0 && (*p)[3] == 0;
  }

  // factor = height * (1 + fn(argument)): the height and the argument, for erf and tanh.
  struct Step {
    double height = 0;
    ValueId argument = kNoValue;
  };
  std::optional<Step> one_plus(UnaryFn fn, ValueId factor) const {
    double slope = 1, shift = 0;
    for (int depth = 0; depth < kDepth; ++depth) {
      const auto* unary = rewrite_.made_by<Unary>(factor);
      if (unary == nullptr) return std::nullopt;
      factor = rewrite_.producer(factor)->inputs[0];
      if (unary->fn == fn && near(slope, shift)) return Step{slope, factor};
      if (unary->fn != UnaryFn::linear) return std::nullopt;
      shift += slope * unary->beta;
      slope *= unary->alpha;
    }
    return std::nullopt;
  }

  bool is_gelu_erf(double coefficient, ValueId x, ValueId factor) const {
    const auto step = one_plus(UnaryFn::erf, factor);
    return step && near(coefficient * step->height, 0.5) &&
           is_line(step->argument, x, 0, 1 / std::numbers::sqrt2);
  }

  bool is_gelu_tanh(double coefficient, ValueId x, ValueId factor) const {
    const auto step = one_plus(UnaryFn::tanh, factor);
    if (!step || !near(coefficient * step->height, 0.5)) return false;
    const auto p = polynomial(step->argument, x);
    const double slope = std::sqrt(2 / std::numbers::pi);
    return p && (*p)[0] == 0 && near((*p)[1], slope) && (*p)[2] == 0 &&
           near((*p)[3], slope * 0.044715);
  }

  // coefficient * clip(a x + b, 0, 1 / coefficient)
  std::optional<Found> hard_sigmoid(const Product& product) const {
    const auto* clip = rewrite_.made_by<Unary>(product.factors[0]);
    if (clip == nullptr || clip->fn != UnaryFn::clip || clip->alpha != 0 ||
        !near(clip->beta * product.coefficient, 1))
      return std::nullopt;
    const ValueId argument = rewrite_.producer(product.factors[0])->inputs[0];
    const auto* line = rewrite_.made_by<Unary>(argument);
    if (line == nullptr || line->fn != UnaryFn::linear) return std::nullopt;
    const auto number = [&](double factor) {
      return static_cast<float>(factor * product.coefficient);
    };
    return Found{{UnaryFn::hard_sigmoid, number(line->alpha), number(line->beta)},
                 rewrite_.producer(argument)->inputs[0]};
  }

  bool is_hard_swish(double coefficient, ValueId x, ValueId factor) const {
    const auto* gate = rewrite_.made_by<Unary>(factor);
    if (gate == nullptr) return false;
    const ValueId argument = rewrite_.producer(factor)->inputs[0];
    if (gate->fn == UnaryFn::hard_sigmoid)
      return argument == x && near(coefficient, 1) && near(gate->alpha, 1.0 / 6) &&
             near(gate->beta, 0.5);
    return gate->fn == UnaryFn::clip && gate->alpha == 0 && near(gate->beta, 6) &&
           near(coefficient * 6, 1) && is_line(argument, x, 3, 1);
  }

  bool is_silu(double coefficient, ValueId x, ValueId factor) const {
    const auto* gate = rewrite_.made_by<Unary>(factor);
    return gate != nullptr && gate->fn == UnaryFn::sigmoid && near(coefficient, 1) &&
           rewrite_.producer(factor)->inputs[0] == x;
  }

  std::optional<Found> match(const Product& product) const {
    if (product.factors.size() == 1) return hard_sigmoid(product);
    for (const std::size_t i : {0u, 1u}) {
      const ValueId x = product.factors[i], factor = product.factors[1 - i];
      const double coefficient = product.coefficient;
      if (is_silu(coefficient, x, factor)) return Found{{UnaryFn::silu, 0, 0}, x};
      if (is_hard_swish(coefficient, x, factor)) return Found{{UnaryFn::hard_swish, 0, 0}, x};
      if (is_gelu_erf(coefficient, x, factor)) return Found{{UnaryFn::gelu_erf, 0, 0}, x};
      if (is_gelu_tanh(coefficient, x, factor)) return Found{{UnaryFn::gelu_tanh, 0, 0}, x};
    }
    return std::nullopt;
  }

  // The product with one factor taken apart; nullopt where that factor is no product itself.
  std::optional<Product> expand(const Product& whole, std::size_t at) const {
    const ValueId factor = whole.factors[at];
    const Node* node = rewrite_.producer(factor);
    if (node == nullptr) return std::nullopt;
    Product result = whole;
    const auto* unary = std::get_if<Unary>(&node->op);
    const auto scalar = unary == nullptr ? with_scalar(*node) : std::nullopt;
    if (scalar) unary = &scalar->unary;
    if (unary != nullptr) {
      if (unary->fn != UnaryFn::linear || unary->beta != 0) return std::nullopt;
      result.coefficient *= unary->alpha;
      result.factors[at] = scalar ? scalar->x : node->inputs[0];
      return result;
    }
    const auto* binary = std::get_if<Binary>(&node->op);
    const bool plain = binary != nullptr && binary->fn == BinaryFn::mul &&
                       binary->post_ops.empty() && whole.factors.size() == 1;
    if (!plain || !has_type_of(node->inputs[0], factor) || !has_type_of(node->inputs[1], factor))
      return std::nullopt;
    result.factors = node->inputs;
    return result;
  }

  // Breadth first, matching before taking apart: the argument may be a product itself.
  std::optional<Found> find_in_product(ValueId root) const {
    const auto first = expand({1, {root}}, 0);
    if (!first || !is_float(rewrite_.type(root).dtype)) return std::nullopt;
    std::deque<Product> open = {*first};
    for (std::size_t seen = 0; !open.empty() && seen < kStates; ++seen) {
      const Product product = std::move(open.front());
      open.pop_front();
      if (auto found = match(product)) return found;
      for (std::size_t i = 0; i < product.factors.size(); ++i)
        if (auto next = expand(product, i)) open.push_back(std::move(*next));
    }
    return std::nullopt;
  }

  const Rewrite& rewrite_;
};

}  // namespace

Result<void> recognise_activations(Graph& graph) {
  Rewrite rewrite(graph);
  const Recogniser recogniser(rewrite);
  for (std::size_t i = 0; i < rewrite.size(); ++i) {
    const auto found = recogniser.find(*rewrite.node(i));
    if (found) rewrite.replace(i, found->unary, {found->x});
  }
  return rewrite.finish();
}

}  // namespace dermlens::graph
