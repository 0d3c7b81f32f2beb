// Server-sent events: one JSON document of /memory/'s kind a second, for the dashboard.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "server/app.h"

namespace dermlens::server {

inline constexpr std::size_t kMaxEventStreams = 16;

// Writes until the client leaves or the server drains. `socket` must live until this returns.
boost::asio::awaitable<void> stream_events(boost::asio::ip::tcp::socket& socket,
                                           std::shared_ptr<App> app,
                                           std::shared_ptr<HttpRequest> request);

}  // namespace dermlens::server
