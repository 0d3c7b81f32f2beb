// A model of bf16 or int8: what it declares is what is computed, where the CPU can, and the tail
// that a heatmap is made from stays fp32.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <oneapi/dnnl/dnnl.hpp>

#include "exec/program.h"
#include "grad/grad.h"
#include "graph/passes.h"
#include "kernels/lower.h"
#include "kernels/precision.h"
#include "onnx/reader.h"
#include "quantize/rewrite.h"

namespace dermlens::quantize {
namespace {

using graph::DType;

constexpr const char* kTarget = "watch_last_conv";

struct Case {
  onnx::Model model;
  std::string output, seed, gradient;
};

// With its backward part down to the target.
Case read(const std::string& path) {
  auto model = onnx::read_model(path);
  EXPECT_TRUE(model) << path;
  Case out{std::move(*model), {}, {}, {}};
  graph::Graph& graph = out.model.graph;
  const auto target = onnx::find_value(out.model, kTarget);
  EXPECT_TRUE(target) << path;
  out.output = graph.value(graph.outputs().front()).name;
  graph.add_output(*target);
  EXPECT_TRUE(graph::simplify(graph));
  const auto from = graph.find(out.output), to = graph.find(kTarget);
  const auto backward = grad::append_backward(graph, *from, std::span(&*to, 1));
  EXPECT_TRUE(backward);
  out.seed = graph.value(backward->seed).name;
  out.gradient = graph.value(backward->gradients.front()).name;
  return out;
}

std::vector<std::vector<float>> run(Case net) {
  Ledger ledger(Bytes{1} << 30);
  exec::ProgramOptions options;
  options.files = net.model.files;
  const auto program = exec::Program::load(std::move(net.model.graph), options, ledger);
  EXPECT_TRUE(program) << program.error().message;
  const auto session = exec::Session::open(*program, ledger);
  EXPECT_TRUE(session);
  float at = 0;
  for (float& value : (*session)->input(0)) value = std::sin(0.37F * at++);
  EXPECT_TRUE((*session)->forward());
  std::vector<std::vector<float>> out;
  const auto keep = [&](const std::string& name) {
    const auto values = (*session)->output(*(*program)->find_output(name));
    out.emplace_back(values.begin(), values.end());
  };
  keep(net.output);
  keep(kTarget);
  const auto seed = (*session)->input(*(*program)->find_input(net.seed));
  std::ranges::fill(seed, 0.0F);
  seed[0] = 1;
  EXPECT_TRUE((*session)->backward());
  keep(net.gradient);
  return out;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double lost = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    lost += (x - y) * (x - y);
    size += x * x;
  }
  return std::sqrt(lost / size);
}

// Convolutions whose weights are of this type, as lowered.
std::size_t steps_of(dnnl::memory::data_type type, graph::Graph graph) {
  EXPECT_TRUE(graph::fuse(graph));
  const auto lowered = kernels::lower(graph);
  EXPECT_TRUE(lowered) << lowered.error().message;
  std::size_t count = 0;
  for (const kernels::Step& step : lowered->steps) {
    const auto* pd = std::get_if<dnnl::primitive_desc_base>(&step.kernel);
    if (pd && pd->get_kind() == dnnl::primitive::kind::convolution &&
        pd->query_md(dnnl::query::weights_md).data_type() == type)
      ++count;
  }
  return count;
}

class Bf16 : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    from_ = DERMLENS_SOURCE_DIR "/tests/golden/fixtures/" + std::string(GetParam()) + "/model.onnx";
    to_ = testing::TempDir() + "bf16_" + GetParam() + std::to_string(::getpid()) + ".onnx";
    const auto model = onnx::read_model(from_);
    ASSERT_TRUE(model);
    auto edit = narrow_edit(*model, DType::bf16, kTarget);
    ASSERT_TRUE(edit) << edit.error().message;
    EXPECT_GT(edit->narrowed, 0u);
    EXPECT_GT(edit->kept, 0u);
    ASSERT_TRUE(onnx::rewrite_model(from_, to_, edit->edit));
  }
  void TearDown() override { std::remove(to_.c_str()); }

  std::string from_, to_;
};

TEST_P(Bf16, ConvolutionsReadItJustWhereTheCpuComputesIt) {
  constexpr auto kBf16 = dnnl::memory::data_type::bf16;
  EXPECT_EQ(steps_of(kBf16, read(from_).model.graph), 0u);
  EXPECT_EQ(steps_of(kBf16, read(to_).model.graph) > 0, kernels::computes_bf16());
}

TEST_P(Bf16, SaysNearlyTheSameAndLooksAtTheSame) {
  const auto exact = run(read(from_)), brief = run(read(to_));
  for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_LT(distance(exact[i], brief[i]), 0.03) << i;
  EXPECT_GT(distance(exact[0], brief[0]), 0);
}

TEST_P(Bf16, TheHeatmapsTailKeepsItsWeights) {
  const Case net = read(to_);
  const graph::Graph& graph = net.model.graph;
  const graph::Value& target = graph.value(*graph.find(kTarget));
  EXPECT_FALSE(kernels::bf16_values(graph)[*graph.find(kTarget)]);
  const graph::Node& maker = graph.node(target.producer);
  if (std::holds_alternative<graph::Conv>(maker.op)) {
    EXPECT_FALSE(kernels::is_bf16(graph, maker));
  }
}

TEST_P(Bf16, DoesNotBecomeFp16) {
  const auto edit = narrow_edit(*onnx::read_model(to_), DType::f16);
  ASSERT_FALSE(edit);
  EXPECT_EQ(edit.error().code, Errc::unsupported);
  EXPECT_NE(edit.error().message.find("bf16 already"), std::string::npos) << edit.error().message;
}

INSTANTIATE_TEST_SUITE_P(Networks, Bf16, testing::Values("mbconv", "fp16_weights"));

TEST(Int8, ConvolutionsReadItJustWhereTheCpuComputesIt) {
  auto model = onnx::read_model(DERMLENS_SOURCE_DIR "/tests/golden/fixtures/int8_qdq/model.onnx");
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_TRUE(graph::simplify(model->graph));
  const std::size_t steps = steps_of(dnnl::memory::data_type::s8, model->graph);
  EXPECT_EQ(steps > 0, kernels::computes_integers());
  EXPECT_EQ(kernels::precision_of(model->graph).computed,
            kernels::computes_integers() ? DType::i8 : DType::f32);
}

TEST(Int8, BecomesNothingElse) {
  const auto model =
      onnx::read_model(DERMLENS_SOURCE_DIR "/tests/golden/fixtures/int8_qdq/model.onnx");
  ASSERT_TRUE(model);
  for (const DType type : {DType::f16, DType::bf16, DType::i8}) {
    const auto checked = check_source(*model, type);
    ASSERT_FALSE(checked);
    EXPECT_NE(checked.error().message.find("int8 already"), std::string::npos);
  }
}

TEST(Precision, OfAModelOfFp32IsFp32) {
  const Case net = read(DERMLENS_SOURCE_DIR "/tests/golden/fixtures/mbconv/model.onnx");
  const kernels::Precision precision = kernels::precision_of(net.model.graph);
  EXPECT_EQ(precision.stored, DType::f32);
  EXPECT_EQ(precision.computed, DType::f32);
  EXPECT_EQ(precision.warning, "");
}

}  // namespace
}  // namespace dermlens::quantize
