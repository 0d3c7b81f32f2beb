// Results by their unguessable id: as JSON, pictures and a page; from memory, else from the
// history.
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cstdio>

#include "diagnose/model.h"
#include "server/errors.h"
#include "server/handlers.h"
#include "server/json_body.h"
#include "server/page_values.h"

namespace dermlens::server {
namespace {

namespace json = boost::json;

tl::unexpected<Error> no_such_result() {
  return fail(Errc::not_found, "no such result; they are kept for a while only");
}

// A result, and where one of its parts comes from: it is in memory already, or it is read from the
// history into room that is reserved first.
struct Found {
  std::shared_ptr<const StoredResult> held;  // null: in the history only
  history::PartSizes sizes;

  const std::string& part(history::Part part) const {
    return part == history::Part::json          ? held->json
           : part == history::Part::overlay_png ? held->overlay_png
                                                : held->photo_jpeg;
  }
  Bytes size(history::Part part) const {
    return part == history::Part::json          ? sizes.json
           : part == history::Part::overlay_png ? sizes.overlay_png
                                                : sizes.photo_jpeg;
  }
};

Result<Found> find_result(App& app, const std::string& id) {
  if (!is_result_id(id)) return no_such_result();
  if (auto held = app.results.find(id)) {
    const auto created =
        std::chrono::duration_cast<std::chrono::seconds>(held->created.time_since_epoch());
    const history::PartSizes sizes{created.count(), held->json.size(), held->overlay_png.size(),
                                   held->photo_jpeg.size()};
    return Found{std::move(held), sizes};
  }
  if (app.history == nullptr) return no_such_result();
  TRY(const auto sizes, app.history->find(id));
  if (!sizes) return no_such_result();
  return Found{nullptr, *sizes};
}

// The part's bytes as an answer, borrowed from memory or its own.
Result<HttpResponse> part_response(App& app, const std::string& id, history::Part part,
                                   std::string type) {
  TRY(Found found, find_result(app, id));
  HttpResponse response;
  response.content_type = std::move(type);
  if (found.held != nullptr) {
    response.view = found.part(part);
    response.owner = std::move(found.held);
    return response;
  }
  TRY(response.hold, app.ledger.reserve(Category::results, found.size(part) * 2));
  TRY(auto bytes, app.history->read(id, part));
  if (!bytes) return no_such_result();
  response.body = std::move(*bytes);
  TRY_VOID(response.hold.resize(response.body.size()));
  return response;
}

Result<HttpResponse> picture_response(App& app, const std::string& id, history::Part part,
                                      std::string type) {
  TRY(HttpResponse response, part_response(app, id, part, std::move(type)));
  if (response.bytes().empty()) return fail(Errc::not_found, "this result has no such picture");
  return response;
}

Result<bool> erase(App& app, const std::string& id) {
  if (!is_result_id(id)) return false;
  bool gone = app.results.erase(id);
  if (app.history != nullptr) {
    TRY(const bool there, app.history->erase(id));
    gone = gone || there;
  }
  return gone;
}

std::string fixed(double value, const char* format) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

double number_in(const json::value& object, std::string_view name) {
  const json::value* member = find(object, name);
  return member != nullptr && member->is_number() ? member->to_number<double>() : 0;
}

std::string text_in(const json::value& object, std::string_view name) {
  const json::string* text = find_string(object, name);
  return text != nullptr ? std::string(*text) : std::string();
}

const json::array& list_in(const json::value& object, std::string_view name) {
  static const json::array kNone;
  const json::value* member = find(object, name);
  return member != nullptr && member->is_array() ? member->get_array() : kNone;
}

std::string display_name(const json::value& prediction, std::string_view language) {
  if (const json::value* names = find(prediction, "names"))
    if (std::string name = text_in(*names, language); !name.empty()) return name;
  return text_in(prediction, "class");
}

void add_predictions(Values& values, const json::value& native, std::string_view language) {
  bool top = true;
  values.declare_list("predictions");
  for (const json::value& prediction : list_in(native, "predictions")) {
    const double probability = number_in(prediction, "probability");
    Values& row = values.append("predictions");
    row.set("class", display_name(prediction, language));
    row.set("key", text_in(prediction, "class"));
    row.set("class_id", fixed(number_in(prediction, "class_id"), "%.0f"));
    row.set("percent", fixed(probability * 100, "%.2f"));
    row.set("fraction", fixed(probability, "%.4f"));
    row.set("top", top);
    if (top) {
      values.set("top_class", display_name(prediction, language));
      values.set("top_percent", fixed(probability * 100, "%.2f"));
    }
    top = false;
  }
}

void add_heatmap(Values& values, const json::value& native, const std::string& address,
                 std::string_view language) {
  const json::array& explanations = list_in(native, "explanations");
  if (explanations.empty()) return;
  const json::value& explanation = explanations.front();
  values.set("heatmap", true);
  values.set("overlay_url", address + "/overlay.png");
  values.set("heatmap_sentence", std::string(diagnose::heatmap_explanation(language)));
  const json::value* degenerate = find(explanation, "degenerate");
  values.set("degenerate",
             degenerate != nullptr && degenerate->is_bool() && degenerate->get_bool());
  for (const char* name : {"method", "layer", "score"})
    values.set(name, text_in(explanation, name));
  const double id = number_in(explanation, "class_id");
  for (const json::value& prediction : list_in(native, "predictions"))
    if (number_in(prediction, "class_id") == id)
      values.set("explained_class", display_name(prediction, language));
}

void add_figures(Values& values, const json::value& native) {
  double total = 0;
  if (const json::value* timing = find(native, "timing_ms")) {
    for (const char* part : {"queue", "decode", "forward", "backward", "render"}) {
      const double ms = number_in(*timing, part);
      total += ms;
      values.set(std::string("timing_") + part, fixed(ms, "%.1f"));
    }
  }
  values.set("timing_total", fixed(total, "%.1f"));
  if (const json::value* memory = find(native, "memory")) {
    values.set("planned_mb", fixed(number_in(*memory, "planned_bytes") / (1 << 20), "%.1f"));
    values.set("peak_mb", fixed(number_in(*memory, "peak_bytes") / (1 << 20), "%.1f"));
  }
  values.declare_list("warnings");
  for (const json::value& warning : list_in(native, "warnings"))
    if (const auto* text = warning.if_string())
      values.append("warnings").set("text", std::string(*text));
  if (const json::value* gate = find(native, "gate"))
    if (const json::value* known = find(*gate, "known"))
      values.set("unknown", known->is_bool() && !known->get_bool());
}

}  // namespace

Result<HttpResponse> get_result(App& app, HttpRequest& request) {
  return part_response(app, request.captures[0], history::Part::json, "application/json");
}

Result<HttpResponse> delete_result(App& app, HttpRequest& request) {
  TRY(const bool gone, erase(app, request.captures[0]));
  if (!gone) return no_such_result();
  HttpResponse response;
  response.status = 204;
  return response;
}

Result<HttpResponse> get_overlay(App& app, HttpRequest& request) {
  return picture_response(app, request.captures[0], history::Part::overlay_png, "image/png");
}

Result<HttpResponse> get_photo(App& app, HttpRequest& request) {
  return picture_response(app, request.captures[0], history::Part::photo_jpeg, "image/jpeg");
}

Result<HttpResponse> get_result_page(App& app, HttpRequest& request) {
  const std::string& id = request.captures[0];
  TRY(const Found found, find_result(app, id));
  TRY(const HttpResponse text, part_response(app, id, history::Part::json, {}));
  const auto document = JsonBody::parse(text.bytes(), app.ledger);
  if (!document && document.error().code == Errc::malformed)
    return fail(Errc::corrupt, "the stored result is damaged");
  if (!document) return tl::make_unexpected(document.error());
  const json::value& native = document->value();
  const std::string_view language = language_of(request);
  Values values = page_values(app, request);
  values.set("id", id);
  values.set("created", minute_of(found.sizes.created));
  if (const json::value* model = find(native, "model")) {
    const std::string name = text_in(*model, "name");
    values.set("result_model_name", name);
    if (!name.empty()) add_limits(values, app, request, name);
    values.set("result_model_version", text_in(*model, "version"));
  }
  const std::string address = "/api/v1/results/" + id;
  values.set("json_url", address);
  values.set("delete_action", "/result/" + id + "/delete");
  if (found.sizes.photo_jpeg != 0) values.set("photo_url", address + "/photo.jpg");
  add_predictions(values, native, language);
  if (found.sizes.overlay_png != 0) add_heatmap(values, native, address, language);
  add_figures(values, native);
  return page_response(app, request, "result", values);
}

Result<HttpResponse> post_delete_result_page(App& app, HttpRequest& request) {
  TRY(const bool gone, erase(app, request.captures[0]));
  if (!gone) return no_such_result();
  return redirect("/");
}

}  // namespace dermlens::server
