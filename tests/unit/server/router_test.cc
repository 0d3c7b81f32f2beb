#include "server/router.h"

#include <gtest/gtest.h>

#include <array>

namespace dermlens::server {
namespace {

Result<HttpResponse> nothing(App&, HttpRequest&) { return HttpResponse(); }

Route route(Method method, std::string_view pattern) {
  return {method, pattern, Room::instant, Guard::open, Payload::none, nothing};
}

const std::array kRoutes{
    route(Method::get, "/"),
    route(Method::get, "/health/"),
    route(Method::get, "/result/{}/"),
    route(Method::del, "/result/{}/"),
    route(Method::post, "/v1/models/{}:predict"),
    route(Method::get, "/v1/models/{}"),
    route(Method::get, "/assets/{*}"),
};

Match find(Method method, std::string_view path) { return find_route(kRoutes, method, path); }

TEST(Router, CapturesOneSegment) {
  const Match match = find(Method::get, "/result/abc/");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.captures, std::vector<std::string>{"abc"});
  EXPECT_EQ(find(Method::get, "/result/a/b/").route, nullptr);
  EXPECT_EQ(find(Method::get, "/result//").route, nullptr);
}

TEST(Router, TheLastSlashMayBeForgottenButNotAdded) {
  EXPECT_NE(find(Method::get, "/health").route, nullptr);
  EXPECT_NE(find(Method::get, "/result/abc").route, nullptr);
  EXPECT_EQ(find(Method::get, "/health//").route, nullptr);
}

TEST(Router, TextMayStandBehindAHole) {
  EXPECT_EQ(find(Method::post, "/v1/models/m:predict").captures.front(), "m");
  EXPECT_EQ(find(Method::post, "/v1/models/:predict").route, nullptr);
}

TEST(Router, AnOpenEndTakesSlashes) {
  EXPECT_EQ(find(Method::get, "/assets/js/a.js").captures.front(), "js/a.js");
  EXPECT_EQ(find(Method::get, "/assets/").route, nullptr);
}

TEST(Router, HeadIsAnsweredByGet) { EXPECT_NE(find(Method::head, "/health/").route, nullptr); }

TEST(Router, AWrongMethodNamesTheRightOnes) {
  const Match match = find(Method::post, "/result/abc/");
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allow, "GET, HEAD, DELETE");
  EXPECT_TRUE(find(Method::post, "/nowhere").allow.empty());
}

}  // namespace
}  // namespace dermlens::server
