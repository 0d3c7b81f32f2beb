// The Open Inference Protocol, as Triton's clients speak it: a tensor in the model's own layout
// goes in as FP32 and comes out as it is; a photo goes in as BYTES and comes out as probabilities.
#include <algorithm>
#include <array>
#include <boost/json/array.hpp>

#include "server/diagnosis.h"
#include "server/errors.h"
#include "server/handlers.h"
#include "server/v2_message.h"

namespace dermlens::server {
namespace {

namespace json = boost::json;

std::string_view capture(const HttpRequest& request, std::size_t index) {
  return index < request.captures.size() ? std::string_view(request.captures[index])
                                         : std::string_view();
}

json::object describe(std::string_view name, std::string_view datatype,
                      const std::vector<std::int64_t>& shape) {
  return {
      {"name", name}, {"datatype", datatype}, {"shape", json::array(shape.begin(), shape.end())}};
}

json::object head_of(const Lease& lease) {
  return {{"model_name", lease.name()}, {"model_version", lease.version()}};
}

bool announced(const ModelInfo& info) {
  return !info.withdrawn && info.state != ModelState::draining;
}

// A photo's request: parameters from the query and from the body.
Result<PhotoInput> photo_of(const HttpRequest& request, const V2Request& message, bool explain) {
  PhotoInput input;
  input.photo = message.input.bytes;
  input.wish.explain = explain;
  input.wish.overlay = explain && message.wants("overlay_png") && !message.outputs.empty();
  for (const auto& [name, value] : request.query) TRY_VOID(apply_parameter(input, name, value));
  for (const auto& [name, value] : message.parameters)
    TRY_VOID(apply_parameter(input, name, value));
  input.wish.top_k = 0;
  input.wish.photo = false;
  return input;
}

constexpr std::array<std::string_view, 4> kPhotoOutputs{"probabilities", "top_class", "heatmap",
                                                        "overlay_png"};

// The outputs of a photo, in the order in which GET names them.
std::vector<V2Output> photo_outputs(const V2Request& message, const Diagnosed& diagnosed,
                                    std::span<const float> probabilities) {
  const auto& labels = diagnosed.model->card().labels;
  const std::size_t top = diagnosed.answer.predictions.front().class_id;
  std::vector<V2Output> outputs;
  const auto add_floats = [&](std::string_view name, std::vector<std::int64_t> shape,
                              std::span<const float> values) {
    if (message.wants(name))
      outputs.push_back({std::string(name), "FP32", std::move(shape), values, {}, false});
  };
  const auto add_bytes = [&](std::string_view name, std::string_view bytes, bool base64) {
    if (message.wants(name))
      outputs.push_back({std::string(name), "BYTES", {1}, {}, bytes, base64});
  };
  add_floats("probabilities", {1, static_cast<std::int64_t>(probabilities.size())}, probabilities);
  add_bytes("top_class", top < labels.size() ? std::string_view(labels[top].key) : "", false);
  if (const auto& map = diagnosed.answer.explanation) {
    add_floats("heatmap",
               {1, static_cast<std::int64_t>(map->rows), static_cast<std::int64_t>(map->columns)},
               map->map);
    if (!map->overlay_png.empty()) add_bytes("overlay_png", map->overlay_png, true);
  }
  return outputs;
}

Result<HttpResponse> photo_response(App& app, const V2Request& message,
                                    const Diagnosed& diagnosed) {
  const diagnose::Answer& answer = diagnosed.answer;
  std::vector<float> probabilities(answer.predictions.size());
  for (const diagnose::Prediction& prediction : answer.predictions)
    if (prediction.class_id < probabilities.size())
      probabilities[prediction.class_id] = static_cast<float>(prediction.probability);
  json::object head{{"model_name", diagnosed.name}, {"model_version", diagnosed.version}};
  if (const auto& map = answer.explanation)
    head["parameters"] = {{"method", to_string(map->method)},
                          {"layer", map->layer},
                          {"class_id", map->class_id},
                          {"score", to_string(map->score)},
                          {"degenerate", map->degenerate}};
  return write_v2_response(std::move(head), message,
                           photo_outputs(message, diagnosed, probabilities), app.ledger);
}

Result<HttpResponse> answer_photo(App& app, const HttpRequest& request, const V2Request& message,
                                  bool explain) {
  TRY_VOID(message.check_outputs(std::span(kPhotoOutputs).first(explain ? 4 : 2)));
  TRY(const PhotoInput input, photo_of(request, message, explain));
  auto diagnosed = diagnose_photo(app, request, input, capture(request, 0), capture(request, 1));
  if (!diagnosed) return std::move(diagnosed).error();
  return photo_response(app, message, *diagnosed);
}

Result<HttpResponse> answer_tensor(App& app, const HttpRequest& request, const V2Request& message) {
  auto lease = app.models->acquire(capture(request, 0), capture(request, 1), request.deadline);
  if (!lease) return error_response(lease.error(), Blame::model);
  const auto inputs = lease->model().raw_inputs();
  if (inputs.size() != 1 || inputs.front().name != message.input.name ||
      inputs.front().shape != message.input.shape)
    return fail(Errc::malformed, "the input is not '", inputs.front().name, "' with the model's ",
                "shape (see GET /v2/models/", lease->name(), ")");
  std::vector<std::string_view> known;
  const auto raw_outputs = lease->model().raw_outputs();
  for (const auto& output : raw_outputs) known.emplace_back(output.name);
  TRY_VOID(message.check_outputs(known));
  const auto start = Clock::now();
  auto results = lease->model().infer(message.input.values);
  if (!results && results.error().code == Errc::corrupt) lease->distrust();
  if (!results) return tl::make_unexpected(std::move(results).error());
  app.metrics.inferred(std::chrono::duration<double>(Clock::now() - start).count());
  std::vector<V2Output> outputs;
  for (const auto& result : *results)
    if (message.wants(result.name))
      outputs.push_back({.name = result.name,
                         .datatype = "FP32",
                         .shape = result.shape,
                         .values = result.values,
                         .bytes = {}});
  return write_v2_response(head_of(*lease), message, outputs, app.ledger);
}

}  // namespace

Result<HttpResponse> get_v2(App&, HttpRequest&) {
  return json_response(json::object{
      {"name", "dermlens"},
      {"version", DERMLENS_VERSION},
      {"extensions", json::array{"binary_tensor_data", "model_repository", "explain"}}});
}

Result<HttpResponse> get_v2_live(App&, HttpRequest&) {
  return json_response(json::object{{"live", true}});
}

Result<HttpResponse> get_v2_ready(App& app, HttpRequest&) {
  HttpResponse response = json_response(json::object{{"ready", !app.draining}});
  if (app.draining) response.status = 503;
  return response;
}

// Loads the model: its inputs and outputs lie in its file.
Result<HttpResponse> get_v2_model(App& app, HttpRequest& request) {
  const auto used = app.models->use(capture(request, 0), capture(request, 1), request.deadline);
  if (!used) return error_response(used.error(), Blame::model);
  const diagnose::Model& model = *used->model;
  const auto classes = static_cast<std::int64_t>(model.card().labels.size());
  json::array inputs;
  json::array outputs;
  for (const auto& input : model.raw_inputs())
    inputs.push_back(describe(input.name, "FP32", input.shape));
  for (const auto& output : model.raw_outputs())
    outputs.push_back(describe(output.name, "FP32", output.shape));
  json::object photo{{"input", describe("image", "BYTES", {1})},
                     {"outputs", json::array{describe("probabilities", "FP32", {1, classes}),
                                             describe("top_class", "BYTES", {1})}}};
  json::array versions;
  for (const ModelInfo& info : app.models->list())
    if (info.name == used->name) versions.emplace_back(info.version);
  return json_response(json::object{{"name", used->name},
                                    {"versions", std::move(versions)},
                                    {"platform", "dermlens_onnx"},
                                    {"inputs", std::move(inputs)},
                                    {"outputs", std::move(outputs)},
                                    {"parameters", {{"photo", std::move(photo)}}}});
}

Result<HttpResponse> get_v2_model_ready(App& app, HttpRequest& request) {
  TRY(const ModelInfo info, app.models->info(capture(request, 0), capture(request, 1)));
  const bool ready = announced(info);
  HttpResponse response = json_response(
      json::object{{"name", info.name}, {"ready", ready}, {"state", to_string(info.state)}});
  if (!ready) response.status = 503;
  return response;
}

Result<HttpResponse> post_v2_infer(App& app, HttpRequest& request) {
  TRY(const V2Request message, read_v2_request(request, app.ledger, app.options.max_upload));
  return message.input.datatype == "BYTES" ? answer_photo(app, request, message, false)
                                           : answer_tensor(app, request, message);
}

Result<HttpResponse> post_v2_explain(App& app, HttpRequest& request) {
  if (!app.options.explain)
    return error_response(403, "gradcam_disabled", "heatmaps are switched off (ENABLE_GRADCAM)");
  TRY(const V2Request message, read_v2_request(request, app.ledger, app.options.max_upload));
  if (message.input.datatype != "BYTES")
    return fail(Errc::malformed, "what is explained is a photo (BYTES)");
  return answer_photo(app, request, message, true);
}

// {"ready": true}: only those that are.
Result<HttpResponse> post_v2_index(App& app, HttpRequest& request) {
  bool ready_only = false;
  if (request.body.size() != 0) {
    TRY(const JsonBody wish, JsonBody::parse(request.body.text(), app.ledger));
    const json::value* flag = find(wish.value(), "ready");
    if (flag != nullptr && !flag->is_bool())
      return fail(Errc::malformed, "'ready' is neither true nor false");
    ready_only = flag != nullptr && flag->get_bool();
  }
  TRY_VOID(app.models->rescan());
  json::array models;
  for (const ModelInfo& info : app.models->list()) {
    const bool ready = info.state == ModelState::ready;
    if (ready_only && !ready) continue;
    const std::string_view state = ready                                ? "READY"
                                   : info.state == ModelState::loading  ? "LOADING"
                                   : info.state == ModelState::draining ? "UNLOADING"
                                                                        : "UNAVAILABLE";
    const std::string_view reason = !info.reason.empty() ? std::string_view(info.reason)
                                    : ready              ? std::string_view()
                                                         : "not loaded; loads when asked for";
    models.push_back(
        {{"name", info.name}, {"version", info.version}, {"state", state}, {"reason", reason}});
  }
  return json_response(models);
}

Result<HttpResponse> post_v2_load(App& app, HttpRequest& request) {
  if (auto loaded = app.models->load(capture(request, 0), {}, request.deadline); !loaded)
    return error_response(loaded.error(), Blame::model);
  return json_response(json::object());
}

Result<HttpResponse> post_v2_unload(App& app, HttpRequest& request) {
  if (auto gone = app.models->unload(capture(request, 0), {}, request.deadline); !gone)
    return error_response(gone.error(), Blame::model);
  return json_response(json::object());
}

}  // namespace dermlens::server
