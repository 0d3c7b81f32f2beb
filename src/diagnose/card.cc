#include "diagnose/card.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cctype>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "diagnose/metadata_text.h"

namespace dermlens::diagnose {
namespace {

namespace json = boost::json;
using graph::Graph;
using graph::Shape;
using graph::ValueId;

constexpr std::int64_t kMaxSide = 4096;

// What is being read, and into what.
struct Reading {
  const onnx::Model& model;
  Bytes most_bytes;
  Card card;

  const std::string* find(const std::string& key) const {
    const auto found = model.metadata.find("dermlens." + key);
    return found == model.metadata.end() ? nullptr : &found->second;
  }
};

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
}

Result<void> read_names(Reading& reading) {
  Card& card = reading.card;
  if (const std::string* name = reading.find("name")) {
    if (name->empty() || name->size() > 64 ||
        !std::all_of(name->begin(), name->end(), is_name_character))
      return fail(Errc::malformed,
                  "bad model metadata (dermlens.name: [A-Za-z0-9._-]{1,64} is expected)");
    card.name = *name;
  } else {
    card.name = std::filesystem::path(reading.model.path).stem().string().substr(0, 64);
    for (char& c : card.name)
      if (!is_name_character(c)) c = '_';
    if (card.name.empty()) card.name = "model";
  }
  const auto text = [&](const char* key, std::size_t limit, std::string& into) -> Result<void> {
    if (const std::string* value = reading.find(key)) {
      TRY(into, read_text(std::string("dermlens.") + key, *value, limit));
    }
    return {};
  };
  card.version = std::to_string(reading.model.model_version);
  TRY_VOID(text("version", 64, card.version));
  TRY_VOID(text("description", kMaxTextBytes, card.description));
  TRY_VOID(text("license", kMaxTextBytes, card.licence));
  card.layer = "auto";
  TRY_VOID(text("layer", kMaxTextBytes, card.layer));
  if (const std::string* limits = reading.find("limits")) {
    TRY(card.limits, read_sentences("dermlens.limits", *limits, reading.most_bytes));
  }
  return {};
}

Result<void> read_ends(Reading& reading) {
  const Graph& graph = reading.model.graph;
  Card& card = reading.card;
  if (const std::string* name = reading.find("input")) {
    const auto value = graph.find(*name);
    if (!value || std::none_of(graph.inputs().begin(), graph.inputs().end(),
                               [&](const auto& input) { return input.value == *value; }))
      return fail(Errc::malformed, "bad model metadata (dermlens.input: '", name->substr(0, 64),
                  "' is no input)");
    card.input = *name;
  } else if (graph.inputs().size() == 1) {
    card.input = graph.value(graph.inputs()[0].value).name;
  } else {
    return fail(Errc::unsupported, "the model has ", graph.inputs().size(),
                " inputs; dermlens.input must name the picture's");
  }
  if (const std::string* name = reading.find("output")) {
    const auto value = onnx::find_value(reading.model, *name);
    if (!value && value.error().code == Errc::unsupported)
      return tl::make_unexpected(value.error());
    if (!value || !graph.is_output(*value))
      return fail(Errc::malformed, "bad model metadata (dermlens.output: '", name->substr(0, 64),
                  "' is no output)");
    card.output = *name;
  } else {
    TRY(const ValueId first, onnx::find_value(reading.model, reading.model.outputs.front()));
    card.output = graph.value(first).name;
  }
  return {};
}

Result<void> read_size(Reading& reading) {
  const Graph& graph = reading.model.graph;
  const graph::TensorType& type =
      graph.value(*onnx::find_value(reading.model, reading.card.input)).type;
  Preprocessing& how = reading.card.preprocessing;
  if (type.shape.size() != 4 || type.dtype != graph::DType::f32)
    return fail(Errc::unsupported, "input '", reading.card.input, "' is no picture (",
                to_string(type), ", f32[1, 3, height, width] is expected)");
  how.channels_last = type.shape[3] == 3 && type.shape[1] != 3;
  if (const std::string* layout = reading.find("layout")) {
    TRY(const std::size_t choice, read_choice("dermlens.layout", *layout, {"NCHW", "NHWC"}));
    how.channels_last = choice == 1;
  }
  const std::size_t first_side = how.channels_last ? 1 : 2;
  how.height = type.shape[first_side];
  how.width = type.shape[first_side + 1];
  if (type.shape[0] != 1 || type.shape[how.channels_last ? 3 : 1] != 3)
    return fail(Errc::unsupported, "input '", reading.card.input, "' is no colour picture (",
                to_string(type), ", ", how.channels_last ? "NHWC" : "NCHW",
                ", batch 1 and 3 channels are expected)");
  if (how.height < 1 || how.width < 1 || how.height > kMaxSide || how.width > kMaxSide)
    return fail(Errc::too_large, "the model's picture has an impossible size (", how.height, " x ",
                how.width, ", limit ", kMaxSide, ")");
  if (const std::string* text = reading.find("size")) {
    TRY(const auto size, read_picture_size(*text));
    if (size.first != how.height || size.second != how.width)
      return fail(Errc::malformed, "bad model metadata (dermlens.size: ", size.first, " x ",
                  size.second, ", but the input is ", how.height, " x ", how.width, ")");
  }
  return {};
}

Result<std::array<float, 3>> read_triple(const std::string& key, std::string_view text) {
  TRY(const json::value parsed, read_json(key, text));
  const json::array* array = parsed.if_array();
  if (!array || array->size() != 3)
    return fail(Errc::malformed, "bad model metadata (", key, ": three numbers are expected)");
  std::array<float, 3> triple{};
  for (std::size_t i = 0; i < 3; ++i) {
    TRY(triple[i], read_number(key, (*array)[i]));
  }
  return triple;
}

Result<void> read_preprocessing(Reading& reading) {
  Preprocessing& how = reading.card.preprocessing;
  std::string assumed;
  const auto absent = [&](const char* what) {
    assumed += assumed.empty() ? "" : ", ";
    assumed += what;
  };
  if (const std::string* text = reading.find("color")) {
    TRY(const std::size_t choice, read_choice("dermlens.color", *text, {"RGB", "BGR"}));
    how.order = choice == 0 ? ChannelOrder::rgb : ChannelOrder::bgr;
  } else {
    absent("RGB");
  }
  if (const std::string* text = reading.find("resize")) {
    TRY(const std::size_t choice,
        read_choice("dermlens.resize", *text, {"lanczos", "bicubic", "bilinear"}));
    how.filter = std::array{Filter::lanczos, Filter::bicubic, Filter::bilinear}[choice];
  } else {
    absent("Lanczos");
  }
  if (const std::string* text = reading.find("scale")) {
    TRY(how.scale, read_number("dermlens.scale", std::string_view(*text)));
  } else {
    absent("scale 1/255");
  }
  if (const std::string* text = reading.find("mean")) {
    TRY(how.mean, read_triple("dermlens.mean", *text));
  } else {
    absent("ImageNet mean");
  }
  if (const std::string* text = reading.find("std")) {
    TRY(how.deviation, read_triple("dermlens.std", *text));
    for (const float value : how.deviation)
      if (value == 0) return fail(Errc::malformed, "bad model metadata (dermlens.std: 0)");
  } else {
    absent("ImageNet deviation");
  }
  if (!assumed.empty())
    reading.card.warnings.push_back("the model does not state its preprocessing; assumed: " +
                                    assumed);
  return {};
}

Result<std::optional<std::string>> read_labels_file(const std::string& model_path) {
  const std::filesystem::path path = std::filesystem::path(model_path).parent_path() / "labels.txt";
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return std::optional<std::string>();
  const auto size = std::filesystem::file_size(path, error);
  if (error) return std::optional<std::string>();
  if (size > kMaxMetadataBytes)
    return fail(Errc::too_large, "labels.txt is too long (", size, " bytes, limit ",
                kMaxMetadataBytes, ", beside the model)");
  std::string text(size, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(text.data(), static_cast<std::streamsize>(size));
  if (!file) return fail(Errc::io, "labels.txt cannot be read (beside the model)");
  return std::optional<std::string>(std::move(text));
}

Result<void> read_class_labels(Reading& reading) {
  const Graph& graph = reading.model.graph;
  Card& card = reading.card;
  const graph::TensorType& type = graph.value(*onnx::find_value(reading.model, card.output)).type;
  const Bytes classes = type.elements();
  const bool is_vector = std::ranges::any_of(
      type.shape, [&](std::int64_t n) { return static_cast<Bytes>(n) == classes; });
  if (type.dtype != graph::DType::f32 || !is_vector || classes < 2 || classes > kMaxClasses)
    return fail(Errc::unsupported, "output '", card.output, "' holds no class scores (",
                to_string(type), ", one vector of 2 to ", kMaxClasses, " f32 is expected)");
  if (const std::string* text = reading.find("labels")) {
    TRY(card.labels, read_labels("dermlens.labels", *text, classes, reading.most_bytes));
  } else {
    TRY(const auto lines, read_labels_file(reading.model.path));
    if (lines) {
      TRY(card.labels, read_label_lines("labels.txt", *lines, classes, reading.most_bytes));
    } else {
      for (Bytes i = 0; i < classes; ++i) card.labels.push_back({"class_" + std::to_string(i), {}});
      card.warnings.emplace_back(
          "the model does not name its classes; assumed: class_0, class_1, ...");
    }
  }
  return {};
}

Result<void> read_calibration(Reading& reading) {
  const Graph& graph = reading.model.graph;
  Card& card = reading.card;
  card.outputs_probabilities =
      logits_behind_softmax(graph, *onnx::find_value(reading.model, card.output)).has_value();
  if (const std::string* text = reading.find("softmax")) {
    TRY(const std::size_t choice, read_choice("dermlens.softmax", *text, {"outside", "inside"}));
    card.outputs_probabilities = choice == 1;
  }
  if (const std::string* text = reading.find("temperature")) {
    TRY(card.temperature, read_number("dermlens.temperature", std::string_view(*text)));
    if (!(card.temperature >= 1e-3F && card.temperature <= 1e3F))
      return fail(Errc::malformed, "bad model metadata (dermlens.temperature: ", card.temperature,
                  ", 0.001 to 1000 is expected)");
  }
  if (const std::string* text = reading.find("gate")) {
    TRY(const json::value parsed, read_json("dermlens.gate", *text));
    const json::object* object = parsed.if_object();
    const json::value* score = object ? object->if_contains("score") : nullptr;
    const json::value* threshold = object ? object->if_contains("threshold") : nullptr;
    if (!score || !threshold || *score != json::value("energy"))
      return fail(Errc::malformed,
                  "bad model metadata (dermlens.gate: {\"score\":\"energy\",\"threshold\":number} "
                  "is expected)");
    if (card.outputs_probabilities)
      return fail(Errc::malformed, "bad model metadata (dermlens.gate: the output is no logits)");
    TRY(const float number, read_number("dermlens.gate", *threshold));
    card.gate = Gate{number};
  }
  return {};
}

void warn_of_unknown_keys(Reading& reading) {
  constexpr std::string_view kKnown[] = {
      "name",  "version", "labels",      "input",  "output", "layout",  "size",
      "color", "resize",  "scale",       "mean",   "std",    "softmax", "temperature",
      "layer", "gate",    "description", "limits", "license"};
  constexpr std::string_view kPrefix = "dermlens.";
  constexpr std::size_t kMaxWarnings = 8;
  std::size_t warnings = 0;
  for (const auto& [key, value] : reading.model.metadata) {
    if (!key.starts_with(kPrefix)) continue;
    const std::string_view name = std::string_view(key).substr(kPrefix.size());
    if (std::find(std::begin(kKnown), std::end(kKnown), name) != std::end(kKnown)) continue;
    if (++warnings > kMaxWarnings) break;
    reading.card.warnings.push_back(
        "unknown metadata ignored: " +
        (is_clean_text(key) && key.size() <= 64 ? key : std::string("(an unprintable key)")));
  }
}

}  // namespace

std::optional<ValueId> logits_behind_softmax(const Graph& graph, ValueId output) {
  const Bytes elements = graph.value(output).type.elements();
  for (ValueId value = output; graph.value(value).producer != graph::kNoNode;) {
    const graph::Node& node = graph.node(graph.value(value).producer);
    const bool softmax = std::holds_alternative<graph::Softmax>(node.op);
    if (!softmax && !std::holds_alternative<graph::Reshape>(node.op) &&
        !std::holds_alternative<graph::Cast>(node.op))
      return std::nullopt;
    if (softmax) {
      const auto& op = std::get<graph::Softmax>(node.op);
      const Shape& shape = graph.value(node.inputs[0]).type.shape;
      // Over all classes, not over pixels.
      const bool whole = shape[op.axis] == static_cast<std::int64_t>(elements);
      if (op.log || !whole) return std::nullopt;
      return node.inputs[0];
    }
    value = node.inputs[0];
    if (graph.value(value).type.elements() != elements) return std::nullopt;
  }
  return std::nullopt;
}

Result<Card> read_card(const onnx::Model& model, Bytes most_bytes) {
  Reading reading{model, most_bytes, {}};
  TRY_VOID(read_names(reading));
  TRY_VOID(read_ends(reading));
  TRY_VOID(read_size(reading));
  TRY_VOID(read_class_labels(reading));
  TRY_VOID(read_preprocessing(reading));
  TRY_VOID(read_calibration(reading));
  warn_of_unknown_keys(reading);
  return std::move(reading.card);
}

}  // namespace dermlens::diagnose
