// The routes of the system we replace, with its shapes and its percentages.
#include <boost/json/array.hpp>
#include <cmath>

#include "diagnose/base64.h"
#include "diagnose/json_text.h"
#include "server/diagnosis.h"
#include "server/errors.h"
#include "server/handlers.h"
#include "server/report.h"

namespace dermlens::server {

namespace json = boost::json;

HttpResponse json_response(const boost::json::value& value) {
  HttpResponse response;
  response.body = to_text(value);
  return response;
}

HttpResponse redirect(std::string_view location, unsigned status) {
  HttpResponse response;
  response.status = status;
  response.content_type.clear();
  // What a client sent may be in it: nothing that a browser would drop or take for something else.
  response.headers.emplace_back("Location", percent_encoded(location, "-._~/?#[]@!$&'()*+,;=:%"));
  return response;
}

Result<HttpResponse> get_health(App&, HttpRequest&) {
  HttpResponse response;
  response.content_type = "text/plain; charset=utf-8";
  response.body = "ok";
  return response;
}

Result<HttpResponse> get_memory(App& app, HttpRequest&) {
  return json_response(memory_report(app));
}

// Both /upload/ and /upload/file/: a photo in, the way to its result out.
Result<HttpResponse> post_upload(App& app, HttpRequest& request) {
  TRY(PhotoInput input, read_photo_input(app, request, app.options.explain));
  input.wish.photo = true;
  auto diagnosed = diagnose_photo(app, request, input);
  if (!diagnosed) return std::move(diagnosed).error();
  Reservation hold;
  TRY(json::object native, to_native(app, *diagnosed, hold));
  const bool kept = keep_result(app, input, *diagnosed, native);
  if (request.prefers_json()) {
    HttpResponse response = json_response(native);
    response.hold = std::move(hold);
    return response;
  }
  if (!kept) return fail(Errc::no_memory, "the result could not be kept: memory is short");
  return redirect("/result/" + diagnosed->answer.id + "/", 302);
}

Result<HttpResponse> post_predict_with_gradcam(App& app, HttpRequest& request) {
  constexpr std::size_t kTop = 7;
  TRY(PhotoInput input, read_photo_input(app, request, app.options.explain));
  input.wish.photo = false;
  if (input.wish.top_k == 0) input.wish.top_k = kTop;
  auto diagnosed = diagnose_photo(app, request, input);
  if (!diagnosed) return std::move(diagnosed).error();
  const diagnose::Answer& answer = diagnosed->answer;
  const diagnose::Card& card = diagnosed->model->card();
  json::array results;
  for (const diagnose::Prediction& prediction : answer.predictions) {
    const std::string_view name = prediction.class_id < card.labels.size()
                                      ? std::string_view(card.labels[prediction.class_id].key)
                                      : std::string_view();
    results.push_back(
        {{"class", name}, {"probability", std::round(prediction.probability * 10000) / 100}});
  }
  json::object body{{"results", std::move(results)}, {"heatmap_base64", nullptr}};
  HttpResponse response;
  if (answer.explanation) {
    TRY(response.hold,
        app.ledger.reserve(Category::encode,
                           diagnose::document_bytes(answer.explanation->overlay_png.size(), 0)));
    body["heatmap_base64"] = diagnose::to_base64(answer.explanation->overlay_png);
    body["degenerate"] = answer.explanation->degenerate;
  }
  response.body = to_text(body);
  return response;
}

}  // namespace dermlens::server
