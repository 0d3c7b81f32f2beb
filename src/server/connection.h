// One client: header, route, admission of the body, handler, answer, and again. Owns nothing but
// its socket and its buffers; everything it can meet has a deadline and a bound.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>
#include <memory>

#include "server/app.h"

namespace dermlens::server {

struct Connection;

// The connections there are, oldest first; on the I/O thread only.
class Connections {
 public:
  explicit Connections(std::size_t most) : most_(most) {}

  bool full() const { return all_.size() >= most_; }
  std::size_t size() const { return all_.size(); }
  // Ends the one that has been waiting for a header the longest; false where all are at work.
  bool evict_waiting();
  // Ends all that wait for a header.
  void close_waiting();
  // Ends all.
  void close_all();

 private:
  friend struct Connection;
  std::size_t most_;
  std::list<Connection*> all_;
};

// Serves until the client leaves, misbehaves or the server drains.
boost::asio::awaitable<void> serve_connection(boost::asio::ip::tcp::socket socket,
                                              std::shared_ptr<App> app,
                                              std::shared_ptr<Connections> connections);

}  // namespace dermlens::server
