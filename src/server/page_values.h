// What every page is filled with, and how a filled page goes out.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "server/app.h"

namespace dermlens::server {

// The values that templates.h lists as common to all pages.
Values page_values(const App& app, const HttpRequest& request);

// What must be said of a model, by its file's or its card's name (empty: the default one), as far
// as its card is at hand: shipped, class_count, limits.
void add_limits(Values& values, const App& app, const HttpRequest& request,
                std::string_view model_name);

// Renders one of the six templates, a large page in room that is reserved for it. With ?lang= the
// choice is remembered in a cookie.
Result<HttpResponse> page_response(App& app, const HttpRequest& request, std::string_view name,
                                   const Values& values);

// "2025-01-31 14:05" in UTC.
std::string minute_of(std::time_t time);

}  // namespace dermlens::server
