// KServe's first protocol: {"instances":[...]} in, {"predictions":[...]} out. An instance is a
// photo
// ({"b64":".."}, {"image":{"b64":".."}}, or the base64 text itself) or a tensor as nested lists.
#include <boost/json/array.hpp>
#include <cmath>

#include "server/base64.h"
#include "server/diagnosis.h"
#include "server/errors.h"
#include "server/handlers.h"
#include "server/json_body.h"

namespace dermlens::server {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxInstances = 16;

const json::string* photo_text(const json::value& instance) {
  if (const json::string* text = instance.if_string()) return text;
  if (const json::string* text = find_string(instance, "b64")) return text;
  for (const char* name : {"image", "image_bytes", "data"}) {
    if (const json::string* text = find_string(instance, name)) return text;
    if (const json::value* inner = find(instance, name))
      if (const json::string* text = find_string(*inner, "b64")) return text;
  }
  return nullptr;
}

void flatten(const json::value& value, std::vector<float>& out) {
  if (const json::array* list = value.if_array())
    for (const json::value& item : *list) flatten(item, out);
  else
    out.push_back(value.is_number() ? static_cast<float>(value.to_number<double>()) : NAN);
}

std::size_t count_numbers(const json::value& value) {
  const json::array* list = value.if_array();
  if (list == nullptr) return 1;
  std::size_t count = 0;
  for (const json::value& item : *list) count += count_numbers(item);
  return count;
}

// `hold`, which grows, is of the answer that the value becomes a part of.
using Answered = tl::expected<json::value, HttpResponse>;

Answered refused(const Error& error) { return tl::make_unexpected(error_response(error)); }

Answered answer_photo(App& app, HttpRequest& request, std::string_view text, const PhotoInput& wish,
                      Reservation& hold) {
  PhotoInput input = wish;
  auto photo = decode_photo_text(text, request.body.bytes(), app.options.max_upload);
  if (!photo) return refused(photo.error());
  input.photo = *photo;
  auto diagnosed = diagnose_photo(app, request, input, request.captures[0]);
  if (!diagnosed) return tl::make_unexpected(std::move(diagnosed).error());
  auto native = to_native(app, *diagnosed, hold);
  if (!native) return refused(native.error());
  native->erase("id");  // nothing is kept under it
  return json::value(std::move(*native));
}

// Every number of the list goes in as it is; the model's first output comes out.
Answered answer_tensor(App& app, const HttpRequest& request, const json::value& instance,
                       Reservation& hold) {
  auto lease = app.models->acquire(request.captures[0], {}, request.deadline);
  if (!lease) return tl::make_unexpected(error_response(lease.error(), Blame::model));
  auto room = app.ledger.reserve(Category::bodies, count_numbers(instance) * 2 * sizeof(float));
  if (!room) return refused(room.error());
  std::vector<float> values;
  flatten(instance, values);
  for (const float value : values)
    if (std::isnan(value))
      return refused(Error{Errc::malformed, "an instance holds something that is no number", 0, 0});
  const auto start = Clock::now();
  const auto results = lease->model().infer(values);
  if (!results && results.error().code == Errc::corrupt) lease->distrust();
  if (!results) return refused(results.error());
  app.metrics.inferred(std::chrono::duration<double>(Clock::now() - start).count());
  const Bytes text = diagnose::document_bytes(0, results->front().values.size());
  if (auto held = app.make_room(hold, text); !held) return refused(held.error());
  json::array out;
  for (const float value : results->front().values) out.emplace_back(static_cast<double>(value));
  return json::value(std::move(out));
}

Result<HttpResponse> answer(App& app, HttpRequest& request, bool explain) {
  TRY(const JsonBody document, JsonBody::parse(request.body.text(), app.ledger));
  const json::value* instances = find(document.value(), "instances");
  const json::array* list = instances != nullptr ? instances->if_array() : nullptr;
  if (list == nullptr || list->empty() || list->size() > kMaxInstances)
    return fail(Errc::malformed, "'instances' is not a list of 1 to ", kMaxInstances);
  PhotoInput wish;
  wish.wish.explain = explain;
  wish.wish.overlay = false;
  for (const auto& [name, value] : request.query) TRY_VOID(apply_parameter(wish, name, value));
  wish.wish.overlay = wish.wish.photo = false;
  json::array predictions;
  json::array explanations;
  Reservation hold;
  for (const json::value& instance : *list) {
    const json::string* text = photo_text(instance);
    if (text == nullptr && (explain || !instance.is_array()))
      return fail(Errc::malformed, "an instance is neither a photo nor a tensor");
    Answered one = text != nullptr ? answer_photo(app, request, *text, wish, hold)
                                   : answer_tensor(app, request, instance, hold);
    if (!one) return std::move(one).error();
    if (explain) {
      // Both lists have all but the maps, which are large.
      json::object& native = one->as_object();
      json::value maps = std::move(native["explanations"]);
      native.erase("explanations");
      json::object explained = native;
      explained["explanations"] = std::move(maps);
      explanations.push_back(std::move(explained));
    }
    predictions.push_back(std::move(*one));
  }
  json::object out{{"predictions", std::move(predictions)}};
  if (explain) out["explanations"] = std::move(explanations);
  HttpResponse response = json_response(out);
  response.hold = std::move(hold);
  return response;
}

}  // namespace

Result<HttpResponse> get_v1_models(App& app, HttpRequest&) {
  json::array names;
  for (const ModelInfo& info : app.models->list())
    if (names.empty() || names.back().as_string() != info.name) names.emplace_back(info.name);
  return json_response(json::object{{"models", std::move(names)}});
}

Result<HttpResponse> get_v1_model(App& app, HttpRequest& request) {
  TRY(const ModelInfo info, app.models->info(request.captures[0], {}));
  return json_response(json::object{{"name", info.name}, {"ready", !info.withdrawn}});
}

Result<HttpResponse> post_v1_predict(App& app, HttpRequest& request) {
  return answer(app, request, false);
}

Result<HttpResponse> post_v1_explain(App& app, HttpRequest& request) {
  if (!app.options.explain)
    return error_response(403, "gradcam_disabled", "heatmaps are switched off (ENABLE_GRADCAM)");
  return answer(app, request, true);
}

}  // namespace dermlens::server
