// Every handler, by the file it lives in. Each runs in the room that routes.cc names for it and may
// fail with an Error, which becomes the response that errors.h has for it.
#pragma once

#include <boost/json/value.hpp>

#include "server/app.h"

namespace dermlens::server {

// handlers_seed.cc: the routes of the system we replace.
Result<HttpResponse> get_health(App& app, HttpRequest& request);
Result<HttpResponse> get_memory(App& app, HttpRequest& request);
Result<HttpResponse> post_upload(App& app, HttpRequest& request);
Result<HttpResponse> post_predict_with_gradcam(App& app, HttpRequest& request);

// handlers_native.cc: /api/v1.
Result<HttpResponse> post_classify(App& app, HttpRequest& request);
Result<HttpResponse> post_explain(App& app, HttpRequest& request);
Result<HttpResponse> get_models(App& app, HttpRequest& request);
Result<HttpResponse> get_model(App& app, HttpRequest& request);
Result<HttpResponse> get_layers(App& app, HttpRequest& request);
Result<HttpResponse> get_plan(App& app, HttpRequest& request);

// handlers_results.cc: results by their id, from memory or from the history.
Result<HttpResponse> get_result(App& app, HttpRequest& request);
Result<HttpResponse> delete_result(App& app, HttpRequest& request);
Result<HttpResponse> get_overlay(App& app, HttpRequest& request);
Result<HttpResponse> get_photo(App& app, HttpRequest& request);
Result<HttpResponse> get_result_page(App& app, HttpRequest& request);
Result<HttpResponse> post_delete_result_page(App& app, HttpRequest& request);

// handlers_pages.cc
Result<HttpResponse> get_start_page(App& app, HttpRequest& request);
Result<HttpResponse> get_system_page(App& app, HttpRequest& request);
Result<HttpResponse> get_login(App& app, HttpRequest& request);
Result<HttpResponse> post_login(App& app, HttpRequest& request);
Result<HttpResponse> post_logout(App& app, HttpRequest& request);
Result<HttpResponse> get_asset(App& app, HttpRequest& request);

// handlers_history.cc
Result<HttpResponse> get_history(App& app, HttpRequest& request);
Result<HttpResponse> get_history_csv(App& app, HttpRequest& request);
Result<HttpResponse> delete_history(App& app, HttpRequest& request);
Result<HttpResponse> get_history_page(App& app, HttpRequest& request);
Result<HttpResponse> post_delete_history_page(App& app, HttpRequest& request);

// handlers_v2.cc: the Open Inference Protocol.
Result<HttpResponse> get_v2(App& app, HttpRequest& request);
Result<HttpResponse> get_v2_live(App& app, HttpRequest& request);
Result<HttpResponse> get_v2_ready(App& app, HttpRequest& request);
Result<HttpResponse> get_v2_model(App& app, HttpRequest& request);
Result<HttpResponse> get_v2_model_ready(App& app, HttpRequest& request);
Result<HttpResponse> post_v2_infer(App& app, HttpRequest& request);
Result<HttpResponse> post_v2_explain(App& app, HttpRequest& request);
Result<HttpResponse> post_v2_index(App& app, HttpRequest& request);
Result<HttpResponse> post_v2_load(App& app, HttpRequest& request);
Result<HttpResponse> post_v2_unload(App& app, HttpRequest& request);

// handlers_v1.cc: KServe.
Result<HttpResponse> get_v1_models(App& app, HttpRequest& request);
Result<HttpResponse> get_v1_model(App& app, HttpRequest& request);
Result<HttpResponse> post_v1_predict(App& app, HttpRequest& request);
Result<HttpResponse> post_v1_explain(App& app, HttpRequest& request);

// handlers_admin.cc
Result<HttpResponse> get_metrics(App& app, HttpRequest& request);
Result<HttpResponse> get_openapi(App& app, HttpRequest& request);
Result<HttpResponse> get_place(App& app, HttpRequest& request);
Result<HttpResponse> get_events(App& app, HttpRequest& request);

// Answers in common.
HttpResponse json_response(const boost::json::value& value);
HttpResponse redirect(std::string_view location, unsigned status = 303);

}  // namespace dermlens::server
