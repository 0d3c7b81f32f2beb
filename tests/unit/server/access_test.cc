#include "server/access.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace dermlens::server {
namespace {

const std::string kToken = "0123456789abcdef-token";

class AccessTest : public testing::Test {
 protected:
  AccessTest()
      : path_(std::filesystem::temp_directory_path() /
              ("dermlens-tokens-" + std::to_string(::getpid()))) {
    write("# ours\n" + kToken + "\r\n\nanother-token-of-more-than-16\n");
  }
  ~AccessTest() override { std::filesystem::remove(path_); }

  void write(const std::string& text) const { std::ofstream(path_) << text; }
  std::unique_ptr<Access> open(std::string origin = {}) const {
    auto access = Access::open(path_.string(), std::move(origin), "127.0.0.1");
    EXPECT_TRUE(access) << (access ? "" : access.error().message);
    return access ? std::move(*access) : nullptr;
  }
  static HttpRequest request(Method method,
                             std::vector<std::pair<std::string, std::string>> headers) {
    HttpRequest request;
    request.method = method;
    request.headers = std::move(headers);
    request.headers.emplace_back("host", "our.host:8000");
    return request;
  }

  std::filesystem::path path_;
};

TEST_F(AccessTest, OnlyTheWholeTokenOpensGuardedRoutes) {
  const auto access = open();
  for (const auto& [header, fine] :
       std::vector<std::pair<std::string, bool>>{{"Bearer " + kToken, true},
                                                 {"Bearer another-token-of-more-than-16", true},
                                                 {"Bearer " + kToken.substr(1), false},
                                                 {"Bearer " + kToken + "x", false},
                                                 {"Bearer ", false},
                                                 {"Basic " + kToken, false},
                                                 {"", false}}) {
    HttpRequest asked = request(Method::get, {{"authorization", header}});
    EXPECT_EQ(access->admit(asked, true).has_value(), fine) << header;
    EXPECT_TRUE(access->admit(asked, false)) << header;
  }
}

TEST_F(AccessTest, ALoginIsGoodUntilTheLogout) {
  const auto access = open();
  const auto session = access->login(kToken, "1.2.3.4");
  ASSERT_TRUE(session);
  EXPECT_EQ(session->size(), 64U);
  HttpRequest asked = request(Method::get, {{"cookie", "dermlens_session=" + *session}});
  EXPECT_TRUE(access->admit(asked, true));
  EXPECT_EQ(asked.identity, Identity::cookie);
  access->logout(*session);
  EXPECT_FALSE(access->admit(asked, true));
}

TEST_F(AccessTest, CookiesChangeThingsFromOurOwnPagesOnly) {
  const auto access = open();
  const std::string cookie = "dermlens_session=" + *access->login(kToken, "1.2.3.4");
  const auto admitted = [&](const char* origin) {
    std::vector<std::pair<std::string, std::string>> headers{{"cookie", cookie}};
    if (origin != nullptr) headers.emplace_back("origin", origin);
    HttpRequest asked = request(Method::post, headers);
    return access->admit(asked, true).has_value();
  };
  EXPECT_TRUE(admitted("http://our.host:8000"));
  EXPECT_FALSE(admitted("http://evil.host"));
  EXPECT_FALSE(admitted("http://our.host:8000.evil.host"));
  EXPECT_FALSE(admitted("null"));
  EXPECT_FALSE(admitted(nullptr));
}

TEST_F(AccessTest, ForeignPagesAreRefusedEvenWithoutTokens) {
  const auto access = Access::open({}, "https://friend.example", "0.0.0.0");
  ASSERT_TRUE(access);
  EXPECT_FALSE((*access)->required());
  HttpRequest foreign = request(Method::post, {{"origin", "https://evil.example"}});
  EXPECT_EQ((*access)->admit(foreign, true).error().code, Errc::refused);
  HttpRequest friendly = request(Method::post, {{"origin", "https://friend.example"}});
  EXPECT_TRUE((*access)->admit(friendly, true));
  HttpRequest curl = request(Method::post, {});
  EXPECT_TRUE((*access)->admit(curl, true));
}

TEST_F(AccessTest, ABareLoopbackServerKnowsItsOwnNamesOnly) {
  const auto known = [](const std::string& listening, const std::string& origin, const char* host) {
    return (*Access::open({}, origin, listening))->knows_host(host);
  };
  for (const char* host : {"localhost", "LocalHost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"})
    EXPECT_TRUE(known("127.0.0.1", {}, host)) << host;
  for (const char* host : {"evil.example", "evil.example:8000", "localhost.evil.example", "::1",
                           "127.0.0.1.evil.example", "localhost:8000@evil.example", ":", "x"})
    EXPECT_FALSE(known("127.0.0.1", {}, host)) << host;
  EXPECT_TRUE(known("127.0.0.9", {}, "127.0.0.9:1"));
  EXPECT_TRUE(known("::1", {}, "[::1]:8000"));
  EXPECT_FALSE(known("localhost", {}, "evil.example"));
  // Where others are let in, there is more to protect with, and names are anybody's guess.
  EXPECT_TRUE(known("0.0.0.0", {}, "evil.example"));
  EXPECT_TRUE(open()->knows_host("clinic.example"));
  EXPECT_TRUE(known("127.0.0.1", "https://friend.example:444", "friend.example"));
  EXPECT_FALSE(known("127.0.0.1", "https://friend.example:444", "evil.example"));
  EXPECT_TRUE(known("127.0.0.1", "*", "evil.example"));
}

TEST_F(AccessTest, GuessingIsSlowedDownForOneAddress) {
  const auto access = open();
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(access->login("wrong-token-0123456789", "1.2.3.4").error().code, Errc::denied);
  EXPECT_EQ(access->login("wrong-token-0123456789", "1.2.3.4").error().code, Errc::busy);
  EXPECT_EQ(access->login("wrong-token-0123456789", "5.6.7.8").error().code, Errc::denied);
  EXPECT_TRUE(access->login(kToken, "1.2.3.4")) << "others' mistakes are not the owner's";
}

TEST_F(AccessTest, BadTokenFilesAreRefused) {
  EXPECT_EQ(Access::open("/nowhere/tokens", {}, {}).error().code, Errc::usage);
  for (const char* text : {"", "# nothing\n", "short\n", "has blanks in the token\n"}) {
    write(text);
    EXPECT_FALSE(Access::open(path_.string(), {}, {})) << text;
  }
}

TEST(ConstantTime, EqualsOnlyWhatIsEqual) {
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
  EXPECT_FALSE(equal_in_constant_time("abcabc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("", "a"));
  EXPECT_FALSE(equal_in_constant_time(std::string_view("\0", 1), {}));
  EXPECT_TRUE(equal_in_constant_time("", ""));
}

}  // namespace
}  // namespace dermlens::server
