// One connection as coroutines: what the blocking client and the swarm have in common.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <vector>

#include "probe/http.h"

namespace dermlens::probe {

// Lives on one I/O context; one exchange at a time. Must outlive the coroutine it returned.
class Channel {
 public:
  Channel(boost::asio::io_context& io, Endpoint endpoint, std::vector<Header> always);

  // Sends and reads the whole answer. Connects where need be; where a connection that was kept
  // alive turns out to be closed, once more on a new one. Fails as HttpClient::send does.
  boost::asio::awaitable<Result<Reply>> exchange(Request request,
                                                 std::chrono::milliseconds timeout);

 private:
  boost::asio::awaitable<Result<void>> connect();
  boost::asio::awaitable<Result<Reply>> attempt(const Request& request);

  Endpoint endpoint_;
  std::vector<Header> always_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_{std::size_t{64} << 10};
  bool open_ = false;
  bool used_ = false;  // the open connection has answered before
};

}  // namespace dermlens::probe
