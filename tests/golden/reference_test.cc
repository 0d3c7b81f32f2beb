// Whole networks against PyTorch: logits, activations, gradients by autograd and Grad-CAM grids
// that tools/make_reference_models.py has written. Too large to commit: the folder is named by
// DERMLENS_REFERENCE_DIR, or build/reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/npy.h"
#include "exec/program.h"
#include "grad/grad.h"
#include "graph/passes.h"
#include "onnx/reader.h"

namespace dermlens {
namespace {

namespace fs = std::filesystem;

// Relative to the largest element; gradients relative in L2 (docs/architecture.md says why).
constexpr double kLogits = 1e-4;
constexpr double kGrid = 3e-4;
constexpr double kSmoothGradient = 1e-3;
constexpr double kKinkedGradient = 5e-2;

fs::path reference_folder() {
  const char* folder = std::getenv("DERMLENS_REFERENCE_DIR");
  return folder != nullptr ? fs::path(folder) : fs::path(DERMLENS_SOURCE_DIR "/build/reference");
}

std::vector<std::string> models() {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(reference_folder(), ignored))
    if (fs::exists(entry.path() / "manifest.json")) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

boost::json::object read_json(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return boost::json::parse(text.str()).as_object();
}

std::vector<float> read_floats(const fs::path& path) { return read_npy(path)->to_floats(); }

double max_abs(std::span<const float> values) {
  double largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(double{value}));
  return largest;
}

// Largest difference relative to the largest element of `wanted`.
double max_error(std::span<const float> actual, std::span<const float> wanted) {
  double worst = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    worst = std::max(worst, std::abs(double{actual[i]} - double{wanted[i]}));
  return worst / max_abs(wanted);
}

double l2_error(std::span<const float> actual, std::span<const float> wanted) {
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    error += std::pow(double{actual[i]} - double{wanted[i]}, 2);
    norm += std::pow(double{wanted[i]}, 2);
  }
  return std::sqrt(error / norm);
}

// Mean of the gradient over each map, weighted sum of the maps, ReLU, divided by the maximum
// (Selvaraju et al., 2017).
std::vector<float> grad_cam(std::span<const float> maps, std::span<const float> gradient,
                            std::size_t channels) {
  const std::size_t area = maps.size() / channels;
  std::vector<double> grid(area, 0);
  for (std::size_t c = 0; c < channels; ++c) {
    double weight = 0;
    for (std::size_t i = 0; i < area; ++i) weight += gradient[c * area + i];
    weight /= static_cast<double>(area);
    for (std::size_t i = 0; i < area; ++i) grid[i] += weight * maps[c * area + i];
  }
  const double largest = std::max(*std::ranges::max_element(grid), 1e-30);
  std::vector<float> positive;
  for (const double value : grid)
    positive.push_back(static_cast<float>(std::max(value, 0.0) / largest));
  return positive;
}

class Reference : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    folder_ = reference_folder() / GetParam();
    manifest_ = read_json(folder_ / "manifest.json");
  }
  std::string text(const char* key) const { return std::string(manifest_.at(key).as_string()); }
  std::vector<float> floats(const char* key) const { return read_floats(folder_ / text(key)); }

  fs::path folder_;
  boost::json::object manifest_;
};

struct Loaded {
  Ledger ledger{Bytes{4} << 30};
  std::shared_ptr<const exec::Program> program;
  std::unique_ptr<exec::Session> session;
  std::string seed;
  std::vector<std::string> maps, gradients;
};

// The network with the backward part down to each layer of the manifest.
void load(const fs::path& path, const std::string& output, const boost::json::array& layers,
          Loaded& loaded) {
  auto model = onnx::read_model(path.string());
  ASSERT_TRUE(model) << model.error().message;
  graph::Graph& graph = model->graph;
  std::vector<graph::ValueId> targets;
  for (const auto& layer : layers) {
    const auto value =
        onnx::find_value(*model, std::string(layer.as_object().at("name").as_string()));
    ASSERT_TRUE(value) << value.error().message;
    graph.add_output(*value);
    targets.push_back(*value);
    loaded.maps.push_back(graph.value(*value).name);
  }
  const auto simplified = graph::simplify(graph);
  ASSERT_TRUE(simplified) << simplified.error().message;
  const auto backward = grad::append_backward(graph, *graph.find(output), targets);
  ASSERT_TRUE(backward) << backward.error().message;
  loaded.seed = graph.value(backward->seed).name;
  for (const graph::ValueId gradient : backward->gradients)
    loaded.gradients.push_back(graph.value(gradient).name);
  exec::ProgramOptions options;
  options.placement = plan::Placement::resident;
  options.files = model->files;
  auto program = exec::Program::load(std::move(graph), options, loaded.ledger);
  ASSERT_TRUE(program) << program.error().message;
  loaded.program = *program;
  auto session = exec::Session::open(loaded.program, loaded.ledger);
  ASSERT_TRUE(session) << session.error().message;
  loaded.session = std::move(*session);
}

void forward(Loaded& loaded, const std::string& input, const std::vector<float>& values) {
  const auto index = loaded.program->find_input(input);
  ASSERT_TRUE(index);
  std::ranges::copy(values, loaded.session->input(*index).begin());
  const auto done = loaded.session->forward();
  ASSERT_TRUE(done) << done.error().message;
}

std::span<const float> output(const Loaded& loaded, const std::string& name) {
  return loaded.session->output(*loaded.program->find_output(name));
}

TEST_P(Reference, LogitsActivationsGradientsAndGridsAreThoseOfPyTorch) {
  const boost::json::array& layers = manifest_.at("layers").as_array();
  Loaded loaded;
  ASSERT_NO_FATAL_FAILURE(load(folder_ / text("onnx"), text("output"), layers, loaded));
  ASSERT_NO_FATAL_FAILURE(forward(loaded, text("input"), floats("second_input_file")));
  const auto second = output(loaded, text("output"));
  const std::vector<float> second_logits(second.begin(), second.end());
  EXPECT_LE(max_error(second_logits, floats("second_logits_file")), kLogits);
  ASSERT_NO_FATAL_FAILURE(forward(loaded, text("input"), floats("input_file")));
  const auto logits = output(loaded, text("output"));
  EXPECT_LE(max_error(logits, floats("logits_file")), kLogits);
  // An engine that prints the same for every photo would pass a test of one photo.
  EXPECT_GT(max_error(second_logits, logits), 0.05);

  const auto seed = loaded.session->input(*loaded.program->find_input(loaded.seed));
  std::ranges::fill(seed, 0.0F);
  seed[static_cast<std::size_t>(manifest_.at("class_index").as_int64())] = 1;
  ASSERT_TRUE(loaded.session->backward());
  const double tolerance = manifest_.at("kinks").as_bool() ? kKinkedGradient : kSmoothGradient;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const boost::json::object& layer = layers[i].as_object();
    const auto file = [&](const char* key) {
      return read_floats(folder_ / std::string(layer.at(key).as_string()));
    };
    SCOPED_TRACE(std::string(layer.at("kind").as_string()));
    const auto maps = output(loaded, loaded.maps[i]);
    const auto gradient = output(loaded, loaded.gradients[i]);
    EXPECT_LE(max_error(maps, file("act")), kGrid);
    const double error = l2_error(gradient, file("grad"));
    EXPECT_LE(error, tolerance);
    RecordProperty("gradient_l2_" + std::string(layer.at("kind").as_string()),
                   std::to_string(error));
    const std::string kind(layer.at("kind").as_string());
    if (kind != "last_conv" && kind != "auto") continue;
    const auto channels = static_cast<std::size_t>(layer.at("shape").at(1).as_int64());
    EXPECT_LE(max_error(grad_cam(maps, gradient, channels), file("cam")), kGrid);
  }
}

INSTANTIATE_TEST_SUITE_P(, Reference, testing::ValuesIn(models()),
                         [](const auto& network) { return network.param; });
// Without references there is nothing to instantiate, which test.sh makes sure of.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Reference);

}  // namespace
}  // namespace dermlens
