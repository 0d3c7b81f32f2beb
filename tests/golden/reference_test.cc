// Whole networks against PyTorch: logits, activations, gradients by autograd, Grad-CAM grids.
// The mini networks of tests/golden/fixtures are committed; those that
// tools/make_reference_models.py writes are too large: their folder is named by
// DERMLENS_REFERENCE_DIR, or is build/reference.
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
#include "golden/tolerances.h"
#include "grad/grad.h"
#include "graph/passes.h"
#include "kernels/precision.h"
#include "onnx/reader.h"

namespace dermlens {
namespace {

namespace fs = std::filesystem;

fs::path reference_folder() {
  const char* folder = std::getenv("DERMLENS_REFERENCE_DIR");
  return folder != nullptr ? fs::path(folder) : fs::path(DERMLENS_SOURCE_DIR "/build/reference");
}

// One ONNX file with the goldens beside it.
struct Network {
  fs::path folder;
  std::string file = "onnx";  // the manifest's key of the file's name
  std::string name() const {
    return folder.filename().string() + (file == "onnx" ? "" : file.substr(4));
  }
};

boost::json::object read_json(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return boost::json::parse(text.str()).as_object();
}

// Every network of the committed fixtures and of the reference folder, in both forms where it has
// two: batch norm folded by the exporter, or not.
std::vector<Network> networks() {
  std::vector<Network> found;
  for (const fs::path& root :
       {fs::path(DERMLENS_SOURCE_DIR "/tests/golden/fixtures"), reference_folder()}) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(root, ignored)) {
      if (!fs::exists(entry.path() / "manifest.json")) continue;
      found.push_back({entry.path()});
      if (read_json(entry.path() / "manifest.json").contains("onnx_unfolded"))
        found.push_back({entry.path(), "onnx_unfolded"});
    }
  }
  std::ranges::sort(found, {}, &Network::name);
  return found;
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

class Reference : public testing::TestWithParam<Network> {
 protected:
  void SetUp() override {
    folder_ = GetParam().folder;
    manifest_ = read_json(folder_ / "manifest.json");
  }
  std::string text(const char* key) const { return std::string(manifest_.at(key).as_string()); }
  std::vector<float> floats(const char* key) const { return read_floats(folder_ / text(key)); }
  bool is(const char* key) const { return manifest_.contains(key) && manifest_.at(key).as_bool(); }

  fs::path folder_;
  boost::json::object manifest_;
};

struct Loaded {
  Ledger ledger{Bytes{4} << 30};
  std::shared_ptr<const exec::Program> program;
  std::unique_ptr<exec::Session> session;
  bool is_bf16 = false;  // computed so
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
  loaded.is_bf16 = kernels::precision_of(graph).computed == graph::DType::bf16;
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
  const fs::path file = folder_ / text(GetParam().file.c_str());
  ASSERT_NO_FATAL_FAILURE(load(file, text("output"), layers, loaded));
  const auto allowed = [&](double exact, double bf16) {
    return loaded.is_bf16 ? bf16 : is("quantized") ? golden::kQuantized : exact;
  };
  const double of_logits = allowed(golden::kLogits, golden::kBf16);
  const double of_maps = allowed(golden::kActivation, golden::kBf16);
  const double of_grids = allowed(golden::kCamGrid, golden::kBf16CamGrid);
  const double of_gradients = is("kinks") ? golden::kGradientKinks : golden::kGradientSmooth;
  ASSERT_NO_FATAL_FAILURE(forward(loaded, text("input"), floats("second_input_file")));
  const auto second = output(loaded, text("output"));
  const std::vector<float> second_logits(second.begin(), second.end());
  EXPECT_LE(max_error(second_logits, floats("second_logits_file")), of_logits);
  ASSERT_NO_FATAL_FAILURE(forward(loaded, text("input"), floats("input_file")));
  const auto logits = output(loaded, text("output"));
  EXPECT_LE(max_error(logits, floats("logits_file")), of_logits);
  // An engine that prints the same for every photo would pass a test of one photo.
  EXPECT_GT(max_error(second_logits, logits), golden::kLogitSpread);

  const auto seed = loaded.session->input(*loaded.program->find_input(loaded.seed));
  std::ranges::fill(seed, 0.0F);
  seed[static_cast<std::size_t>(manifest_.at("class_index").as_int64())] = 1;
  ASSERT_TRUE(loaded.session->backward());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const boost::json::object& layer = layers[i].as_object();
    const auto wanted = [&](const char* key) {
      return read_floats(folder_ / std::string(layer.at(key).as_string()));
    };
    SCOPED_TRACE(std::string(layer.at("kind").as_string()));
    const auto maps = output(loaded, loaded.maps[i]);
    const auto gradient = output(loaded, loaded.gradients[i]);
    EXPECT_LE(max_error(maps, wanted("act")), of_maps);
    const double error = l2_error(gradient, wanted("grad"));
    EXPECT_LE(error, of_gradients);
    RecordProperty("gradient_l2_" + std::string(layer.at("kind").as_string()),
                   std::to_string(error));
    // Below, gradients through kinks are too far apart for the grid's tolerance.
    const std::string kind(layer.at("kind").as_string());
    if (kind != "last_conv" && kind != "auto" && kind != "top") continue;
    const auto channels = static_cast<std::size_t>(layer.at("shape").at(1).as_int64());
    EXPECT_LE(max_error(grad_cam(maps, gradient, channels), wanted("cam")), of_grids);
  }
}

TEST_P(Reference, ASecondProgramInTheSameProcessSaysTheSame) {
  const fs::path file = folder_ / text(GetParam().file.c_str());
  const boost::json::array& layers = manifest_.at("layers").as_array();
  std::vector<float> logits;
  for (int time = 0; time < 2; ++time) {
    Loaded loaded;
    ASSERT_NO_FATAL_FAILURE(load(file, text("output"), layers, loaded));
    ASSERT_NO_FATAL_FAILURE(forward(loaded, text("input"), floats("input_file")));
    const auto again = output(loaded, text("output"));
    if (time == 0) logits.assign(again.begin(), again.end());
    EXPECT_TRUE(std::ranges::equal(again, logits));
  }
}

INSTANTIATE_TEST_SUITE_P(, Reference, testing::ValuesIn(networks()),
                         [](const auto& network) { return network.param.name(); });

}  // namespace
}  // namespace dermlens
