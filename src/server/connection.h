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

// What a connection may hold beside its body: header buffer, parser, fields, coroutine frames.
inline constexpr Bytes kConnectionBytes = 24 * 1024;
// So many are counted in Category::base, so that whoever asks whether we are well gets an answer
// when everything else is taken.
inline constexpr std::size_t kConnectionsInBase = 8;

// The connections there are; of those that wait, the longest waiting first. On the I/O thread only.
class Connections {
 public:
  explicit Connections(std::size_t most) : most_(most) {}

  bool full() const { return all_.size() >= most_; }
  std::size_t size() const { return all_.size(); }
  // From now on it waits for a header, and may be ended without harm.
  void begin_to_wait(Connection& connection);
  // Ends the one that has been waiting for a header the longest; null where all are at work. What
  // is returned lives until the I/O thread turns to something else.
  Connection* evict_waiting(const Connection* except = nullptr);
  // Memory for a new connection: of the base, of the ledger, else that of one that only waits.
  bool find_room(Connection& connection);
  // Ends all that wait for a header.
  void close_waiting();
  // Ends all.
  void close_all();

 private:
  friend struct Connection;
  std::size_t most_;
  std::size_t in_base_ = 0;
  std::list<Connection*> all_;
};

// Serves until the client leaves, misbehaves or the server drains.
boost::asio::awaitable<void> serve_connection(boost::asio::ip::tcp::socket socket,
                                              std::shared_ptr<App> app,
                                              std::shared_ptr<Connections> connections);

}  // namespace dermlens::server
