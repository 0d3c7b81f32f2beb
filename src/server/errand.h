// From the I/O thread to a pool and back: a coroutine hands a request over, waits without blocking,
// and takes it out again when its time is over or its client has gone.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "server/app.h"

namespace dermlens::server {

// Disk and model control take their time, but not for ever.
inline constexpr std::chrono::seconds kChoreDeadline{120};

// Runs the request's handler on `pool`, a member of `app`. Absent: the client has gone, and there
// is nobody to answer; one that has closed its sending side only looks just like that, and counts
// as gone, too. A request that still waits at its deadline gets 504 and is never computed.
// `socket` must live until this returns.
boost::asio::awaitable<std::optional<HttpResponse>> run_errand(
    boost::asio::ip::tcp::socket& socket, std::shared_ptr<App> app, Workers* pool,
    std::shared_ptr<HttpRequest> request);

// Runs `work` among the chores and says what it says; false where it could not be run.
boost::asio::awaitable<bool> run_chore(boost::asio::any_io_executor executor,
                                       std::shared_ptr<App> app, std::function<bool(App&)> work);

}  // namespace dermlens::server
