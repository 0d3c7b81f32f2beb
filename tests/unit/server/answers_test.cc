// A large answer holds the memory that it takes until it is written, whichever route it is of; and
// who is told that there is none finds nothing kept.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "diagnose/base64.h"
#include "server/app.h"

namespace dermlens::server {
namespace {

class Answers : public testing::Test {
 protected:
  void SetUp() override {
    const std::string model = DERMLENS_SOURCE_DIR "/models/skin7-b0.onnx";
    if (!std::filesystem::exists(model)) GTEST_SKIP() << "the shipped model is not there";
    folder_ = testing::TempDir() + "answersXXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    Options options;
    options.model = model;
    options.cache_dir = folder_;
    options.history = folder_ + "/history.db";
    options.sessions = 1;
    options.memory_limit = Bytes{512} << 20;
    auto app = App::open(options);
    ASSERT_TRUE(app) << app.error().message;
    app_ = std::move(*app);
    std::ifstream file(DERMLENS_SOURCE_DIR "/samples/sample.jpg", std::ios::binary);
    photo_.assign(std::istreambuf_iterator<char>(file), {});
    ASSERT_FALSE(photo_.empty());
  }
  void TearDown() override {
    app_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  static Clock::time_point soon() { return Clock::now() + std::chrono::seconds(60); }

  HttpResponse ask(Method method, const std::string& target, const std::string& type = {},
                   const std::string& body = {}) {
    HttpRequest request;
    request.method = method;
    auto parsed = parse_target(target);
    EXPECT_TRUE(parsed);
    request.path = parsed->path;
    request.query = parsed->query;
    Match match = find_route(app_->routes, method, request.path);
    EXPECT_NE(match.route, nullptr) << target;
    request.route = match.route;
    request.captures = std::move(match.captures);
    request.headers = {{"content-type", type}, {"accept", "application/json"}};
    request.deadline = soon();
    auto held = Body::reserve(app_->ledger, body.size());
    EXPECT_TRUE(held);
    if (!body.empty()) std::memcpy(held->bytes().data(), body.data(), body.size());
    request.body = std::move(*held);
    return app_->handle(request);
  }

  // The layer with the largest maps.
  std::string largest_layer() {
    const auto used = app_->models->use({}, {}, soon());
    EXPECT_TRUE(used);
    std::string name;
    std::int64_t most = 0;
    for (const diagnose::Layer& layer : used->model->layers())
      if (layer.shape.size() == 4 && layer.shape[2] * layer.shape[3] > most) {
        most = layer.shape[2] * layer.shape[3];
        name = layer.name;
      }
    return percent_encoded(name, "-_.");
  }

  void expect_held(HttpResponse response, std::size_t least) {
    EXPECT_EQ(response.status, 200U) << response.body.substr(0, 300);
    EXPECT_GT(response.body.size(), least);
    EXPECT_GE(response.hold.bytes(), response.body.size());
    EXPECT_EQ(app_->ledger.reserved(Category::encode), response.hold.bytes());
    response = {};
    EXPECT_EQ(app_->ledger.reserved(Category::encode), 0U);
  }

  std::shared_ptr<App> app_;
  std::string folder_, photo_;
};

TEST_F(Answers, WithLargeMapsAreHeld) {
  const std::string layer = "?layer=" + largest_layer();
  const std::string one = R"({"b64":")" + diagnose::to_base64(photo_) + "\"}";
  expect_held(ask(Method::post, "/v1/models/skin7-b0:explain" + layer, "application/json",
                  R"({"instances":[)" + one + "," + one + "]}"),
              100'000);
  expect_held(ask(Method::post, "/upload/" + layer, "image/jpeg", photo_), 50'000);
  expect_held(ask(Method::post, "/api/v1/explain" + layer, "image/jpeg", photo_), 50'000);
}

TEST_F(Answers, KServesMapsAreInTheExplanationsOnly) {
  const HttpResponse response = ask(Method::post, "/v1/models/skin7-b0:explain", "application/json",
                                    R"({"instances":[")" + diagnose::to_base64(photo_) + "\"]}");
  const std::size_t first = response.body.find("\"map\"");
  ASSERT_NE(first, std::string::npos);
  EXPECT_GT(first, response.body.find("\"explanations\""));
  EXPECT_EQ(response.body.find("\"map\"", first + 1), std::string::npos);
}

TEST_F(Answers, OfAHistoryFullOfQuotesAreHeld) {
  for (int i = 0; i < 50; ++i) {
    history::Record record;
    record.id = std::string(30, 'a') + std::to_string(10 + i);
    record.created = i;
    record.note.symptom = record.note.drug_history = std::string(history::kMaxNote, '"');
    ASSERT_TRUE(app_->history->add(record, {"{}", {}, {}}));
  }
  for (const char* target : {"/history/?limit=1000", "/api/v1/history", "/api/v1/history.csv"})
    expect_held(ask(Method::get, target), 50 * 2 * 2 * history::kMaxNote);
}

TEST_F(Answers, ThatAHandlerDidNotReserveForAreReservedForAllTheSame) {
  const Route route{Method::get,
                    "/",
                    Room::instant,
                    Guard::open,
                    Payload::none,
                    [](App&, HttpRequest&) -> Result<HttpResponse> {
                      HttpResponse response;
                      response.body.assign(kSmallAnswer + 1, 'x');
                      return response;
                    }};
  HttpRequest request;
  request.route = &route;
  expect_held(app_->handle(request), kSmallAnswer);
  auto rest = app_->ledger.reserve(Category::decode, app_->ledger.available());
  ASSERT_TRUE(rest);
  EXPECT_EQ(app_->handle(request).status, 503U);
}

TEST_F(Answers, WhoIsToldThatThereIsNoMemoryFindsNothingKept) {
  constexpr int kMostReservations = 200;
  EXPECT_EQ(ask(Method::post, "/api/v1/explain", "image/jpeg", photo_).status, 200U);
  int refused = 0;
  for (int n = 1; n < kMostReservations; ++n) {  // the first one is the body's
    app_->results.make_room(app_->ledger.limit());
    const auto before = app_->history->count({});
    const std::uint64_t failures = app_->ledger.refused();
    app_->ledger.fail_at(n);
    const unsigned status = ask(Method::post, "/api/v1/explain", "image/jpeg", photo_).status;
    app_->ledger.fail_at(-1);
    const bool kept = *app_->history->count({}) != *before;
    if (status == 503) {
      ++refused;
      EXPECT_FALSE(kept) << "reservation " << n;
      EXPECT_EQ(app_->results.count(), 0U) << "reservation " << n;
    } else {
      EXPECT_EQ(status, 200U) << "reservation " << n;
    }
    if (app_->ledger.refused() == failures) break;
  }
  EXPECT_GE(refused, 2);
}

}  // namespace
}  // namespace dermlens::server
