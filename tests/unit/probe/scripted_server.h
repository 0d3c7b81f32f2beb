// A server that says what a test wants it to say, right or wrong: for what a real one never does.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "probe/http.h"

namespace dermlens::probe {

// Answers each connection's first request with the next of `answers` and closes. An empty answer
// says nothing and keeps the connection open until the end.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::string> answers) : answers_(std::move(answers)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), length);
    ::listen(listener_, 16);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (const int connection : open_) ::close(connection);
    ::close(listener_);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  Endpoint endpoint() const { return {"127.0.0.1", std::to_string(port_)}; }

 private:
  void serve() {
    for (const std::string& answer : answers_) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      std::array<char, 4096> request{};
      const ssize_t asked = ::recv(connection, request.data(), request.size(), 0);
      if (answer.empty() || asked < 0) {
        open_.push_back(connection);
        continue;
      }
      ::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(connection);
    }
  }

  std::vector<std::string> answers_;
  std::vector<int> open_;
  int listener_ = -1;
  unsigned port_ = 0;
  std::thread thread_;
};

}  // namespace dermlens::probe
