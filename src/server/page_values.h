// What every page is filled with, and how a filled page goes out.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "server/app.h"

namespace dermlens::server {

// The values that templates.h lists as common to all pages, and the loaded model's limits.
Values page_values(const App& app, const HttpRequest& request);

// Renders one of the six templates. With ?lang= the choice is remembered in a cookie.
Result<HttpResponse> page_response(const App& app, const HttpRequest& request,
                                   std::string_view name, const Values& values);

// "2025-01-31 14:05" in UTC.
std::string minute_of(std::time_t time);

}  // namespace dermlens::server
