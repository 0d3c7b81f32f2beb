#include "unit/grad/gradient_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace dermlens::grad {

using namespace graph;

namespace {

constexpr double kStep = 1e-5;
constexpr double kNoise = 1e-6;

// The slopes to the left and to the right of a number, a step apart.
struct Slopes {
  double left, right;
  double mean() const { return (left + right) / 2; }
  double jump() const { return std::abs(right - left); }
};

// With a step ten times as small, a smooth function's slopes are about the same and differ ten
// times less from each other. Where a kink lies within a step, one of the two does not hold.
bool crosses_kink(const Slopes& wide, const Slopes& narrow) {
  const double noise = kNoise * std::max(1.0, std::abs(wide.mean()));
  return std::abs(wide.mean() - narrow.mean()) > noise ||
         (wide.jump() > noise && narrow.jump() > wide.jump() / 2);
}

}  // namespace

ValueId GradientCheck::input(const Shape& shape, double low, double high,
                             std::initializer_list<double> kinks) {
  const auto size = static_cast<std::size_t>(count(shape).value());
  std::vector<double> numbers(size);
  const double gap = (high - low) / static_cast<double>(std::max<std::size_t>(size, 1));
  for (std::size_t i = 0; i < size; ++i) {
    numbers[i] = low + gap * (static_cast<double>(i) + 0.47);
    for (const double kink : kinks)
      if (std::abs(numbers[i] - kink) < 0.01) numbers[i] = kink + 0.01 + gap / 10;
  }
  std::ranges::shuffle(numbers, random_);
  return input_of(shape, std::move(numbers));
}

ValueId GradientCheck::input_of(const Shape& shape, std::vector<double> numbers) {
  const TensorType type{DType::f32, shape};
  const std::string name = "x" + std::to_string(inputs_.size());
  inputs_.push_back({type, std::move(numbers), {}});
  return graph.add_input(name, type).value();
}

ValueId GradientCheck::constant(const Shape& shape, float low, float high) {
  std::vector<float> numbers(static_cast<std::size_t>(count(shape).value()));
  std::uniform_real_distribution<float> uniform(low, high);
  for (float& number : numbers) number = uniform(random_);
  return graph.add_constant("c", shape, numbers);
}

ValueId GradientCheck::indices(const Shape& shape, const std::vector<std::int64_t>& numbers) {
  return graph.add_constant("indices", shape, numbers);
}

ValueId GradientCheck::add(Op op, std::vector<ValueId> inputs, std::string_view name) {
  auto value = graph.add(std::move(op), std::move(inputs), name);
  if (!value) ADD_FAILURE() << value.error().message;
  return value.value();
}

std::vector<double> GradientCheck::random_numbers(std::size_t count) {
  std::vector<double> numbers(count);
  std::normal_distribution<double> normal;
  for (double& number : numbers) number = normal(random_);
  return numbers;
}

double GradientCheck::seeded_output(ValueId output, const std::vector<double>& seed) {
  const auto results = evaluate(graph, inputs_, std::vector{output});
  if (!results) {
    ADD_FAILURE() << results.error().message;
    return 0;
  }
  double sum = 0;
  for (std::size_t i = 0; i < seed.size(); ++i) sum += seed[i] * results->at(0).reals.at(i);
  return sum;
}

std::vector<double> GradientCheck::difference_quotients(ValueId output, std::size_t input,
                                                        const std::vector<double>& seed) {
  const double here = seeded_output(output, seed);
  std::vector<double> quotients;
  for (double& number : inputs_[input].reals) {
    const auto slopes = [&, kept = number](double step) {
      number = kept + step;
      const double above = seeded_output(output, seed);
      number = kept - step;
      const double below = seeded_output(output, seed);
      number = kept;
      return Slopes{(here - below) / step, (above - here) / step};
    };
    const Slopes wide = slopes(kStep);
    const bool kink = crosses_kink(wide, slopes(kStep / 10));
    quotients.push_back(kink ? std::numeric_limits<double>::quiet_NaN() : wide.mean());
  }
  return quotients;
}

std::vector<std::vector<double>> GradientCheck::gradients(ValueId output,
                                                          const std::vector<ValueId>& targets,
                                                          const std::vector<double>& seed) {
  Graph whole = graph;
  const auto backward = append_backward(whole, output, targets);
  if (!backward) {
    ADD_FAILURE() << backward.error().message;
    return {};
  }
  const auto sound = verify(whole);
  EXPECT_TRUE(sound) << sound.error().message;
  for (std::size_t i = 0; i < targets.size(); ++i)
    EXPECT_EQ(to_string(whole.value(backward->gradients[i]).type),
              to_string(whole.value(targets[i]).type));

  std::vector<Tensor> inputs = inputs_;
  inputs.push_back({whole.value(output).type, seed, {}});
  const auto results = evaluate(whole, inputs, backward->gradients);
  if (!results) {
    ADD_FAILURE() << results.error().message;
    return {};
  }
  std::vector<std::vector<double>> numbers;
  for (const Tensor& result : *results) numbers.push_back(result.reals);
  return numbers;
}

Agreement GradientCheck::compare(ValueId output, const std::vector<ValueId>& targets) {
  Agreement agreement;
  const std::vector<double> seed = random_numbers(elements(output));
  const auto computed = gradients(output, targets, seed);
  for (std::size_t t = 0; t < computed.size(); ++t) {
    const auto all = graph.inputs();
    const auto input = std::ranges::find(all, targets[t], &Input::value) - all.begin();
    const auto expected = difference_quotients(output, static_cast<std::size_t>(input), seed);
    EXPECT_EQ(computed[t].size(), expected.size());
    double largest = 1e-3;
    for (const double number : expected)
      if (!std::isnan(number)) largest = std::max(largest, std::abs(number));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (std::isnan(expected[i])) {
        ++agreement.kinks;
        continue;
      }
      ++agreement.compared;
      const double apart = std::abs(computed[t][i] - expected[i]) / largest;
      if (apart <= agreement.worst) continue;
      agreement.worst = apart;
      agreement.place = "target " + std::to_string(t) + ", element " + std::to_string(i) + ": " +
                        std::to_string(computed[t][i]) + " for " + std::to_string(expected[i]);
      // A NaN is worse than any number.
      if (std::isnan(apart)) agreement.worst = std::numeric_limits<double>::infinity();
    }
  }
  return agreement;
}

void GradientCheck::expect_gradients(ValueId output, const std::vector<ValueId>& targets,
                                     double tolerance) {
  const Agreement agreement = compare(output, targets);
  EXPECT_EQ(agreement.kinks, 0U);
  EXPECT_LE(agreement.worst, tolerance) << agreement.place;
}

std::vector<double> GradientCheck::numbers_of(ValueId value) {
  const auto results = evaluate(graph, inputs_, std::vector{value});
  if (!results) {
    ADD_FAILURE() << results.error().message;
    return {};
  }
  return results->at(0).reals;
}

std::string GradientCheck::backward_nodes(ValueId output, const std::vector<ValueId>& targets) {
  Graph whole = graph;
  const std::size_t forward = whole.nodes().size();
  const auto backward = append_backward(whole, output, targets);
  if (!backward) return backward.error().message;
  std::string names;
  for (const Node& node : whole.nodes().subspan(forward)) {
    if (!names.empty()) names += ' ';
    names += name_of(node.op);
  }
  return names;
}

std::string GradientCheck::backward_error(ValueId output, const std::vector<ValueId>& targets) {
  Graph whole = graph;
  const auto backward = append_backward(whole, output, targets);
  if (backward) return {};
  return std::string(to_string(backward.error().code)) + ": " + backward.error().message;
}

}  // namespace dermlens::grad
