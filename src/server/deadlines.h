// A time limit on whatever a socket is doing: when it is over, the operation is cancelled and the
// connection may still say why (Beast's own stream would have closed it).
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

namespace dermlens::server {

// On the I/O thread only. The socket must outlive it.
class Deadline {
 public:
  explicit Deadline(boost::asio::ip::tcp::socket& socket)
      : state_(std::make_shared<State>(socket)) {}
  ~Deadline() {
    ++state_->generation;
    state_->timer.cancel();
    state_->socket = nullptr;
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // From now on; replaces an earlier one.
  void arm(std::chrono::steady_clock::duration limit) {
    state_->expired = false;
    const auto generation = ++state_->generation;
    state_->timer.expires_after(limit);
    state_->timer.async_wait([state = state_, generation](const boost::system::error_code& error) {
      if (error || generation != state->generation || state->socket == nullptr) return;
      state->expired = true;
      boost::system::error_code ignored;
      state->socket->cancel(ignored);
    });
  }
  void disarm() {
    ++state_->generation;
    state_->timer.cancel();
  }
  bool expired() const { return state_->expired; }

 private:
  struct State {
    explicit State(boost::asio::ip::tcp::socket& given)
        : socket(&given), timer(given.get_executor()) {}
    boost::asio::ip::tcp::socket* socket;
    boost::asio::steady_timer timer;
    std::uint64_t generation = 0;  // tells a timer that fired too late from the present one
    bool expired = false;
  };
  std::shared_ptr<State> state_;
};

}  // namespace dermlens::server
