// The native API: photos in, the whole answer out; and what there is to know of a model.
#include <boost/json/array.hpp>

#include "diagnose/base64.h"
#include "diagnose/json_text.h"
#include "server/diagnosis.h"
#include "server/errors.h"
#include "server/handlers.h"
#include "server/report.h"

namespace dermlens::server {
namespace {

namespace json = boost::json;

std::string overlay_address(const std::string& id) {
  return "/api/v1/results/" + id + "/overlay.png";
}

Result<HttpResponse> answer_natively(App& app, HttpRequest& request, bool explain) {
  TRY(const PhotoInput input, read_photo_input(app, request, explain));
  auto diagnosed = diagnose_photo(app, request, input, request.parameter("model").value_or(""));
  if (!diagnosed) return std::move(diagnosed).error();
  const auto& explanation = diagnosed->answer.explanation;
  const Bytes picture =
      explanation && input.overlay_in_answer ? explanation->overlay_png.size() : 0;
  HttpResponse response;
  // Before anything is kept: who hears of no memory asks again, and finds nothing twice.
  TRY(json::object native, to_native(app, *diagnosed, response.hold, picture));
  const bool kept = input.keep && keep_result(app, input, *diagnosed, native);
  diagnosed->answer.photo_jpeg = {};  // it is kept, or nobody wants it
  if (explanation) {
    json::object& out = native["explanations"].as_array().front().as_object();
    if (!input.map_in_answer) out.erase("map");
    if (input.overlay_in_answer)
      out["overlay"] = {{"mime", "image/png"},
                        {"b64", diagnose::to_base64(explanation->overlay_png)}};
    else if (input.overlay_by_link && kept)
      out["overlay"] = {{"mime", "image/png"}, {"url", overlay_address(diagnosed->answer.id)}};
  }
  response.body = to_text(native);
  return response;
}

json::object describe(const ModelInfo& info) {
  return {
      {"name", info.name},          {"version", info.version},
      {"default", info.is_default}, {"state", to_string(info.state)},
      {"reason", info.reason},      {"sessions", {{"total", info.sessions}, {"busy", info.busy}}}};
}

// The route's model, loaded where need be: what there is to know of it lies in its file.
tl::expected<Models::Used, HttpResponse> loaded_model(App& app, const HttpRequest& request) {
  auto used = app.models->use(request.captures[0], {}, request.deadline);
  if (!used) return tl::make_unexpected(error_response(used.error(), Blame::model));
  return std::move(*used);
}

}  // namespace

Result<HttpResponse> post_classify(App& app, HttpRequest& request) {
  return answer_natively(app, request, false);
}

Result<HttpResponse> post_explain(App& app, HttpRequest& request) {
  if (!app.options.explain)
    return error_response(403, "gradcam_disabled", "heatmaps are switched off (ENABLE_GRADCAM)");
  return answer_natively(app, request, true);
}

Result<HttpResponse> get_models(App& app, HttpRequest&) {
  TRY_VOID(app.models->rescan());
  json::array models;
  for (const ModelInfo& info : app.models->list()) models.push_back(describe(info));
  return json_response(json::object{{"models", std::move(models)}});
}

Result<HttpResponse> get_model(App& app, HttpRequest& request) {
  auto used = loaded_model(app, request);
  if (!used) return std::move(used).error();
  TRY(const ModelInfo info, app.models->info(used->name, used->version));
  json::value card = diagnose::to_json(used->model->card());
  card.as_object()["state"] = to_string(info.state);
  card.as_object()["default"] = info.is_default;
  card.as_object()["served_as"] = info.name;
  return json_response(card);
}

Result<HttpResponse> get_layers(App& app, HttpRequest& request) {
  auto used = loaded_model(app, request);
  if (!used) return std::move(used).error();
  json::array layers;
  for (const diagnose::Layer& layer : used->model->layers())
    layers.push_back({{"name", layer.name},
                      {"shape", json::array(layer.shape.begin(), layer.shape.end())},
                      {"op", layer.op},
                      {"auto", layer.is_auto},
                      {"last_conv", layer.is_last_conv}});
  return json_response(json::object{{"layers", std::move(layers)}});
}

Result<HttpResponse> get_plan(App& app, HttpRequest& request) {
  auto used = loaded_model(app, request);
  if (!used) return std::move(used).error();
  json::object report = plan_report(used->model->plan(), used->model->sessions());
  report["limit_bytes"] = app.ledger.limit();
  report["base_bytes"] = app.ledger.reserved(Category::base);
  return json_response(report);
}

}  // namespace dermlens::server
