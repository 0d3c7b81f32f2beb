// The n-th reservation fails, for every n, while real requests run over real connections: the
// answer is 200 or a 503 that says when to come back, and the next request is answered.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "server/app.h"
#include "server/connection.h"

namespace dermlens::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr int kMostReservations = 200;

// The server's own connections and handlers, with the listener's part played here.
class Served {
 public:
  explicit Served(std::shared_ptr<App> app)
      : app_(std::move(app)), connections_(std::make_shared<Connections>(8)) {
    asio::co_spawn(io_, accept(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Served() {
    io_.stop();
    thread_.join();
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  http::response<http::string_body> post(const std::string& target, const std::string& type,
                                         const std::string& body) {
    asio::io_context io;
    tcp::socket socket(io);
    socket.connect(acceptor_.local_endpoint());
    http::request<http::string_body> request(http::verb::post, target, 11);
    request.set(http::field::host, "localhost");
    request.set(http::field::content_type, type);
    request.keep_alive(false);
    request.body() = body;
    request.prepare_payload();
    http::write(socket, request);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(std::uint64_t{64} << 20);
    http::read(socket, buffer, parser);
    return parser.release();
  }

  App& app() { return *app_; }

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      tcp::socket socket = co_await acceptor_.async_accept(asio::use_awaitable);
      asio::co_spawn(io_, serve_connection(std::move(socket), app_, connections_), asio::detached);
    }
  }

  std::shared_ptr<App> app_;
  std::shared_ptr<Connections> connections_;
  asio::io_context io_;
  tcp::acceptor acceptor_{io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::thread thread_;
};

struct Asked {
  std::string name, target, type;
  plan::Placement placement = plan::Placement::resident;
};

class ReservationFailures : public testing::TestWithParam<Asked> {
 protected:
  void SetUp() override {
    const std::string model = DERMLENS_SOURCE_DIR "/models/skin7-b0.onnx";
    if (!std::filesystem::exists(model)) GTEST_SKIP() << "the shipped model is not there";
    folder_ = testing::TempDir() + "failuresXXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    Options options;
    options.model = model;
    options.cache_dir = folder_;
    options.sessions = 1;
    options.placement = GetParam().placement;
    options.memory_limit = Bytes{512} << 20;
    auto app = App::open(options);
    ASSERT_TRUE(app) << app.error().message;
    served_ = std::make_unique<Served>(std::move(*app));
    std::ifstream file(DERMLENS_SOURCE_DIR "/samples/sample.jpg", std::ios::binary);
    photo_.assign(std::istreambuf_iterator<char>(file), {});
    ASSERT_FALSE(photo_.empty());
  }
  void TearDown() override {
    served_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  http::response<http::string_body> ask() {
    return served_->post(GetParam().target, GetParam().type, body());
  }

  std::string body() const {
    if (GetParam().type.starts_with("image/")) return photo_;
    return "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"p.jpg\"\r\n"
           "Content-Type: image/jpeg\r\n\r\n" +
           photo_ + "\r\n--b--\r\n";
  }

  void expect_answered(const http::response<http::string_body>& response) const {
    EXPECT_TRUE(response.result_int() == 200 || response.result_int() == 302)
        << response.result_int() << ": " << response.body().substr(0, 200);
  }

  // Lets the n-th reservation of a request fail until there is no n-th one; before each,
  // `prepare()`, and nothing is kept that could give way. Returns how many failed; one that the
  // server could make up for, such as a result's that is then not kept, is answered.
  template <class Prepare>
  int fail_every(Prepare prepare) {
    Ledger& ledger = served_->app().ledger;
    int refused = 0;
    for (int n = 0; n < kMostReservations; ++n) {
      prepare();
      served_->app().results.make_room(served_->app().ledger.limit());
      const std::uint64_t before = ledger.refused();
      ledger.fail_at(n);
      const auto response = ask();
      ledger.fail_at(-1);
      const bool failed = ledger.refused() != before;
      if (response.result_int() == 503) {
        ++refused;
        EXPECT_TRUE(failed) << "refused for another reason: " << response.body();
        EXPECT_NE(response.find(http::field::retry_after), response.end()) << n;
      } else {
        expect_answered(response);
      }
      expect_answered(ask());
      if (!failed) {
        EXPECT_GE(refused, 1) << "a body that cannot be held is refused";
        return n;
      }
    }
    ADD_FAILURE() << "a request reserves more than " << kMostReservations << " times";
    return kMostReservations;
  }

  std::string folder_, photo_;
  std::unique_ptr<Served> served_;
};

TEST_P(ReservationFailures, OfALoadedModelsRequestAreAnsweredAndTheNextOneIsServed) {
  expect_answered(ask());
  App& app = served_->app();
  const Bytes of_model = app.ledger.reserved(Category::arena) +
                         app.ledger.reserved(Category::weights) +
                         app.ledger.reserved(Category::scratch);
  EXPECT_GE(fail_every([] {}), 2) << "a body and a decoder reserve at least once each";
  // The client has its answer a moment before the connection's scope ends.
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (app.ledger.reserved(Category::bodies) != 0 && Clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(app.ledger.reserved(Category::bodies), 0U);
  EXPECT_EQ(app.ledger.reserved(Category::decode), 0U);
  EXPECT_EQ(app.ledger.reserved(Category::arena) + app.ledger.reserved(Category::weights) +
                app.ledger.reserved(Category::scratch),
            of_model);
}

TEST_P(ReservationFailures, OfARequestThatLoadsTheModelAreAnsweredAndTheNextOneIsServed) {
  App& app = served_->app();
  const auto unload = [&app] {
    if (app.models->loaded() == 0) return;
    const auto done = app.models->unload("skin7-b0", {}, Clock::now() + std::chrono::seconds(10));
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(app.ledger.reserved(Category::arena), 0U);
    EXPECT_EQ(app.ledger.reserved(Category::weights), 0U);
  };
  EXPECT_GE(fail_every(unload), 5) << "weights, code, arena and scratch reserve, too";
}

INSTANTIATE_TEST_SUITE_P(
    , ReservationFailures,
    testing::Values(Asked{"classify", "/api/v1/classify", "image/jpeg"},
                    Asked{"explain", "/api/v1/explain?output=overlay,map", "image/jpeg"},
                    Asked{"explain_mapped", "/api/v1/explain?output=overlay,map", "image/jpeg",
                          plan::Placement::mapped},
                    Asked{"explain_streamed", "/api/v1/explain?output=overlay,map", "image/jpeg",
                          plan::Placement::streamed},
                    Asked{"page", "/upload/", "multipart/form-data; boundary=b"}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace dermlens::server
