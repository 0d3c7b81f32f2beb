#include "server/message.h"

#include <gtest/gtest.h>

#include "server/errors.h"

namespace dermlens::server {
namespace {

TEST(Target, IsDecodedOnce) {
  const auto target = parse_target("/a%2Fb/%25?x=1%202&y=a%26b&x=3");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/a/b/%");
  ASSERT_EQ(target->query.size(), 3U);
  EXPECT_EQ(target->query[0].second, "1 2");
  EXPECT_EQ(target->query[1].second, "a&b");
}

TEST(Target, AnAbsoluteUrlNamesTheHostToo) {
  const auto target = parse_target("http://name.example:8000/a%20b?c=d");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->host, "name.example:8000");
  EXPECT_EQ(target->path, "/a b");
  EXPECT_EQ(target->query.size(), 1U);
  EXPECT_EQ(parse_target("https://[::1]")->path, "/");
  EXPECT_EQ(parse_target("/a")->host, "");
  for (const char* text : {"http:///", "http://a@b/", "ftp://b/", "http://b/#c", "http://b//c"})
    EXPECT_FALSE(parse_target(text) && !parse_target(text)->host.empty()) << text;
}

TEST(Target, OtherFormsAreMalformed) {
  for (const char* text : {"", "*", "a", "/%", "/%zz", "/a b", "/a%00", "/\x80", "//evil.example/",
                           "/%2Fevil.example"})
    EXPECT_FALSE(parse_target(text)) << text;
  std::string many = "/?";
  for (int i = 0; i < 70; ++i) many += "a=1&";
  EXPECT_FALSE(parse_target(many));
}

TEST(PercentEncoding, KeepsWhatItIsToldAndNothingElse) {
  EXPECT_EQ(percent_encoded("/a b\x01\xc3%", "/"), "/a%20b%01%C3%25");
  EXPECT_EQ(parse_target(percent_encoded("/a&b?c", "/"))->path, "/a&b?c");
}

TEST(Request, FirstOfSeveralValuesCounts) {
  HttpRequest request;
  request.query = {{"a", "1"}, {"a", "2"}};
  EXPECT_EQ(request.parameter("a"), "1");
  EXPECT_FALSE(request.parameter("b"));
}

TEST(Request, GzipIsSentToThoseWhoTakeIt) {
  for (const auto& [header, takes] :
       std::vector<std::pair<std::string, bool>>{{"gzip, br", true},
                                                 {"gzip;q=0.5", true},
                                                 {"*", true},
                                                 {"", false},
                                                 {"br", false},
                                                 {"gzip;q=0", false},
                                                 {"*;q=1, gzip; q=0.000", false},
                                                 {"notgzip", false}}) {
    HttpRequest request;
    request.headers = {{"accept-encoding", header}};
    EXPECT_EQ(request.accepts_gzip(), takes) << header;
  }
  EXPECT_FALSE(HttpRequest().accepts_gzip());
}

TEST(Request, CookiesAreFoundByWholeName) {
  HttpRequest request;
  request.headers = {{"cookie", "xlang=no; lang=vi;  other=1"}};
  EXPECT_EQ(request.cookie("lang"), "vi");
  EXPECT_EQ(request.cookie("other"), "1");
  EXPECT_EQ(request.cookie("lan"), "");
}

TEST(Request, AcceptDecidesBetweenPageAndJson) {
  const auto with = [](const char* accept) {
    HttpRequest request;
    request.headers = {{"accept", accept}};
    return request;
  };
  const char* browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
  EXPECT_TRUE(with(browser).prefers_html());
  EXPECT_FALSE(with(browser).prefers_json());
  EXPECT_TRUE(with("application/json").prefers_json());
  EXPECT_TRUE(with("text/html;q=0.5, application/json;q=0.9").prefers_json());
  EXPECT_FALSE(with("*/*").prefers_json());
  EXPECT_FALSE(with("*/*").prefers_html());
  EXPECT_FALSE(with("").prefers_json());
}

TEST(Errors, MemoryAndInputAreNeverA500) {
  for (const Errc code : {Errc::usage, Errc::malformed, Errc::unsupported, Errc::not_found,
                          Errc::too_large, Errc::over_limit, Errc::no_memory, Errc::busy,
                          Errc::deadline, Errc::refused, Errc::denied, Errc::corrupt})
    for (const Blame blame : {Blame::request, Blame::model})
      EXPECT_NE(http_status(code, blame), 500U) << to_string(code);
}

TEST(Errors, ShortMemorySaysHowMuchAndWhen) {
  const HttpResponse response = error_response(Error{Errc::no_memory, "short", 100, 7});
  EXPECT_EQ(response.status, 503U);
  EXPECT_EQ(response.body,
            R"({"error":"short","code":"memory_limit","needed_bytes":100,"free_bytes":7})");
  ASSERT_EQ(response.headers.size(), 1U);
  EXPECT_EQ(response.headers[0].first, "Retry-After");
}

TEST(Errors, AModelThatCannotFitIs507AndARequest413) {
  EXPECT_EQ(http_status(Errc::over_limit, Blame::model), 507U);
  EXPECT_EQ(http_status(Errc::over_limit, Blame::request), 413U);
}

TEST(Body, IsReservedAndGivenBack) {
  Ledger ledger(1000);
  {
    auto body = Body::reserve(ledger, 600);
    ASSERT_TRUE(body);
    EXPECT_EQ(ledger.reserved(Category::bodies), 600U);
    EXPECT_FALSE(Body::reserve(ledger, 600));
    const Body moved = std::move(*body);
    EXPECT_EQ(moved.size(), 600U);
  }
  EXPECT_EQ(ledger.reserved(), 0U);
}

}  // namespace
}  // namespace dermlens::server
