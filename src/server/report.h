// What the server says of itself: the document of /memory/, the dashboard's events, the metrics'
// gauges.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "server/app.h"

namespace dermlens::server {

// /memory/: the seed's keys and ours. Never waits for anything but short locks.
boost::json::object memory_report(const App& app);

// One event of /api/v1/events, serialized.
std::string live_report(const App& app, double requests_per_second);

// Gauges and process figures as Prometheus text.
void write_gauges(const App& app, std::string& out);

// The bytes of a plan: {"weights":..,"arena":..,...}.
boost::json::object plan_report(const plan::Plan& plan, int sessions);

}  // namespace dermlens::server
