#include "quantize/rewrite.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/precision.h"

namespace dermlens::quantize {
namespace {

using graph::DType;
using onnx::NewNode;

constexpr float kMostInt8 = 127;

template <class T>
onnx::NewTensor tensor_of(DType type, const graph::Shape& shape, std::span<const T> values) {
  return onnx::small_tensor(type, shape, std::as_bytes(values));
}

onnx::NewTensor scalar(float value) {
  return tensor_of<float>(DType::f32, {}, std::span(&value, 1));
}

// One channel's numbers and the scale that its largest asks for.
float read_row(const graph::Value& weight, std::size_t row, std::span<float> out) {
  graph::read_rows(weight, row, 1, out);
  float largest = 0;
  for (const float value : out) largest = std::max(largest, std::abs(value));
  return largest > 0 ? largest / kMostInt8 : 1.0F;
}

std::int8_t rounded(float value, float scale) {
  return static_cast<std::int8_t>(std::clamp(std::nearbyint(value / scale), -kMostInt8, kMostInt8));
}

class IntegerEdit {
 public:
  IntegerEdit(const Sites& sites, const std::map<std::string, Statistics>& statistics)
      : sites_(sites), statistics_(statistics) {
    edit.producer = "dermlens";
    edit.least_opset = 13;
  }

  void quantize_activation(const std::string& name, double clip) {
    const std::string scale = name + "_scale", zero = name + "_zero";
    edit.added.emplace(scale, scalar(static_cast<float>(clip) / kMostInt8));
    const std::int8_t none = 0;
    edit.added.emplace(zero, tensor_of<std::int8_t>(DType::i8, {}, std::span(&none, 1)));
    const auto maker = sites_.makers.find(name);
    auto& nodes = edit.nodes_before[maker == sites_.makers.end() ? 0 : maker->second + 1];
    nodes.push_back(
        {"QuantizeLinear", name + "_Quantize", {name, scale, zero}, {name + "_quantized"}, {}});
    nodes.push_back({"DequantizeLinear",
                     name + "_Dequantize",
                     {name + "_quantized", scale, zero},
                     {name + "_dequantized"},
                     {}});
    for (const std::size_t reader : sites_.readers.at(name))
      edit.redirected[reader][name] = name + "_dequantized";
  }

  void quantize_weight(const Site& site) {
    const graph::Value& weight = sites_.graph->value(sites_.values.at(site.weight));
    const auto channels = static_cast<std::size_t>(weight.type.shape[0]);
    std::vector<float> row(weight.type.elements() / channels), scales;
    std::vector<double> shift;
    const std::vector<double> means = input_means(site);
    const auto per_group = static_cast<std::size_t>(weight.type.shape[1]);
    for (std::size_t c = 0; c < channels; ++c) {
      scales.push_back(read_row(weight, c, row));
      shift.push_back(shift_of(row, scales.back(), means, c, channels, per_group));
    }
    correct_bias(site, shift);
    const std::string stored = site.initializer + "_quantized", scale = site.initializer + "_scale",
                      zero = site.initializer + "_zero", real = site.initializer + "_dequantized";
    const auto count = static_cast<std::int64_t>(channels);
    edit.added.emplace(scale, tensor_of<float>(DType::f32, {count}, scales));
    edit.added.emplace(
        zero, tensor_of<std::int8_t>(DType::i8, {count}, std::vector<std::int8_t>(channels, 0)));
    edit.replaced.emplace(site.initializer, onnx::Replacement{stored, rows_of(site, scales)});
    edit.nodes_before[site.reader].push_back({"DequantizeLinear",
                                              site.initializer + "_Dequantize",
                                              {stored, scale, zero},
                                              {real},
                                              {{"axis", std::int64_t{0}}}});
    edit.redirected[site.reader][site.initializer] = real;
  }

  onnx::Edit edit;

 private:
  onnx::NewTensor rows_of(const Site& site, const std::vector<float>& scales) const {
    const graph::ValueId id = sites_.values.at(site.weight);
    return {DType::i8, sites_.graph->value(id).type.shape,
            [graph = sites_.graph, id, scales](const onnx::ByteSink& sink) -> Result<void> {
              const graph::Value& weight = graph->value(id);
              std::vector<float> row(weight.type.elements() / scales.size());
              std::vector<std::int8_t> bytes(row.size());
              for (std::size_t c = 0; c < scales.size(); ++c) {
                graph::read_rows(weight, c, 1, row);
                for (std::size_t i = 0; i < row.size(); ++i) bytes[i] = rounded(row[i], scales[c]);
                TRY_VOID(sink(std::as_bytes(std::span(bytes))));
              }
              return {};
            }};
  }

  std::vector<double> input_means(const Site& site) const {
    const auto found = statistics_.find(site.activation);
    if (found == statistics_.end() || found->second.positions <= 0) return {};
    std::vector<double> means = found->second.channel_sum;
    for (double& mean : means) mean /= found->second.positions;
    return means;
  }

  // What the rounding of one row adds to its channel for an input of these means, borders aside.
  static double shift_of(std::span<const float> row, float scale, const std::vector<double>& means,
                         std::size_t channel, std::size_t channels, std::size_t per_group) {
    double shift = 0;
    const std::size_t area = row.size() / per_group;
    if (means.empty() || means.size() % per_group != 0) return shift;
    const std::size_t groups = means.size() / per_group;
    const std::size_t first = channel * groups / channels * per_group;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const double lost = static_cast<double>(row[i]) -
                          static_cast<double>(rounded(row[i], scale)) * static_cast<double>(scale);
      shift -= lost * means[first + i / area];
    }
    return shift;
  }

  void correct_bias(const Site& site, const std::vector<double>& shift) {
    if (site.bias.empty()) return;
    const graph::Value& bias = sites_.graph->value(sites_.values.at(site.bias));
    if (!bias.constant || bias.type.elements() != shift.size()) return;
    std::vector<float> values = graph::to_floats(bias);
    for (std::size_t c = 0; c < values.size(); ++c) values[c] -= static_cast<float>(shift[c]);
    edit.replaced.emplace(
        site.bias,
        onnx::Replacement{site.bias, tensor_of<float>(DType::f32, bias.type.shape, values)});
  }

  const Sites& sites_;
  const std::map<std::string, Statistics>& statistics_;
};

}  // namespace

Result<void> check_source(const onnx::Model& model, DType type) {
  const DType stored = kernels::precision_of(model.graph).stored;
  if (stored == DType::i8 || (stored == DType::bf16 && type == DType::f16))
    return fail(Errc::unsupported, model.path, " is stored as ", kernels::usual_name(stored),
                " already: quantize from the fp32 model");
  return {};
}

std::vector<std::string> activations_of(const Sites& sites,
                                        const std::vector<std::size_t>& chosen) {
  std::vector<std::string> names;
  const auto add = [&names](const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  for (const std::size_t index : chosen) {
    const Site& site = sites.sites[index];
    for (const std::string& name : site.scaled) add(name);
    add(site.activation);
  }
  return names;
}

Result<onnx::Edit> integer_edit(const Sites& sites, const std::vector<std::size_t>& chosen,
                                const std::map<std::string, double>& clips,
                                const std::map<std::string, Statistics>& statistics) {
  IntegerEdit out(sites, statistics);
  for (const std::string& name : activations_of(sites, chosen)) {
    const auto clip = clips.find(name);
    if (clip == clips.end()) return fail(Errc::internal, "'", name, "' was not calibrated");
    out.quantize_activation(name, clip->second > 0 ? clip->second : 1.0);
  }
  for (const std::size_t index : chosen) out.quantize_weight(sites.sites[index]);
  return std::move(out.edit);
}

}  // namespace dermlens::quantize
