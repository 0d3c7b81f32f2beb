// Metrics, the OpenAPI document, a request's place in the queue, and the door to the event stream.
#include <boost/json/object.hpp>

#include "server/errors.h"
#include "server/handlers.h"
#include "server/live.h"
#include "server/report.h"

namespace dermlens::server {

Result<HttpResponse> get_metrics(App& app, HttpRequest&) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  write_gauges(app, response.body);
  app.metrics.write(response.body);
  return response;
}

Result<HttpResponse> get_openapi(App& app, HttpRequest&) {
  TRY(Asset asset, app.assets->find("openapi.json"));
  HttpResponse response;
  response.view = asset.content;
  response.owner = std::move(asset.owner);
  return response;
}

Result<HttpResponse> get_place(App& app, HttpRequest& request) {
  const auto place = app.workers.place(request.captures[0]);
  boost::json::object report{{"state", !place       ? "absent"
                                       : *place > 0 ? "waiting"
                                                    : "computing"},
                             {"place", place.value_or(0)},
                             {"model_loaded", app.models->loaded() != 0}};
  return json_response(report);
}

// Only decides whether there may be one more; the connection itself writes the events.
Result<HttpResponse> get_events(App& app, HttpRequest&) {
  if (app.event_streams >= kMaxEventStreams)
    return fail(Errc::busy, "too many event streams (", kMaxEventStreams, ")");
  HttpResponse response;
  response.content_type = "text/event-stream";
  return response;
}

}  // namespace dermlens::server
