// A photo through a model and out as the native answer; shared by every route that diagnoses.
#pragma once

#include <boost/json/object.hpp>

#include "server/app.h"
#include "server/photo_input.h"

namespace dermlens::server {

// Either a diagnosis or the response that says why there is none.
struct Diagnosed {
  diagnose::Answer answer;
  std::shared_ptr<const diagnose::Model> model;  // for its card
  std::string name, version;                     // under which it is served
};
tl::expected<Diagnosed, HttpResponse> diagnose_photo(App& app, const HttpRequest& request,
                                                     const PhotoInput& input,
                                                     std::string_view model_name = {},
                                                     std::string_view version = {});

// The native answer without the overlay's bytes: what is kept under the id. Every prediction has
// the display names of its class, too. `diagnosed` is as it was afterwards. `hold` grows by what
// the answer takes as values and as text, with a picture of `picture_bytes` in base64.
Result<boost::json::object> to_native(App& app, Diagnosed& diagnosed, Reservation& hold,
                                      Bytes picture_bytes = 0);

// Keeps the result under its id, and in the history where there is one. What cannot be kept is said
// in `warnings` of `native`. False where it is in neither.
bool keep_result(App& app, const PhotoInput& input, const Diagnosed& diagnosed,
                 boost::json::object& native);

}  // namespace dermlens::server
