// The client's laws: every way in which a server can fail it has a name, and none takes for ever.
#include "probe/http.h"

#include <gtest/gtest.h>

#include "probe/multipart.h"
#include "probe/swarm.h"
#include "unit/probe/scripted_server.h"

namespace dermlens::probe {
namespace {

using std::chrono::milliseconds;

Errc code_of(std::string answer, milliseconds timeout = milliseconds(5000)) {
  ScriptedServer server({std::move(answer)});
  HttpClient client(server.endpoint());
  const auto reply = client.send(Request{}, timeout);
  return reply ? Errc::internal : reply.error().code;
}

TEST(Endpoint, IsReadFromUrls) {
  const auto plain = parse_endpoint("http://example.org");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->host + "|" + plain->port, "example.org|80");
  const auto full = parse_endpoint("http://127.0.0.1:8000/");
  ASSERT_TRUE(full.has_value());
  EXPECT_EQ(full->host + "|" + full->port, "127.0.0.1|8000");
  const auto six = parse_endpoint("http://[::1]:81");
  ASSERT_TRUE(six.has_value());
  EXPECT_EQ(six->host + "|" + six->port, "::1|81");
}

TEST(Endpoint, WhatIsNoServersAddressIsRefused) {
  for (const char* url :
       {"", "example.org", "http://", "http://:80", "http://a:0", "http://a:65536", "http://a:b",
        "http://a/b", "http://a b", "http://[::1", "http://u@h", "http://a:80:80x", "http://[::1]x",
        "http://a?b", "http://a//", "https://a", "ftp://a"}) {
    const auto endpoint = parse_endpoint(url);
    ASSERT_FALSE(endpoint.has_value()) << url;
    EXPECT_EQ(endpoint.error().code, Errc::usage) << url;
  }
}

TEST(Endpoint, APathIsCalledAPath) {
  for (const char* url : {"http://localhost:1/x", "http://localhost/x", "http://[::1]/x"}) {
    const auto endpoint = parse_endpoint(url);
    ASSERT_FALSE(endpoint.has_value()) << url;
    EXPECT_NE(endpoint.error().message.find("a path is not taken ('/x'"), std::string::npos)
        << endpoint.error().message;
  }
}

TEST(HttpClient, ReadsAnAnswerAndConnectsAgainAfterAClose) {
  ScriptedServer server({"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok",
                         "HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"});
  HttpClient client(server.endpoint());
  const auto first = client.get("/");
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(first->status, 200U);
  EXPECT_EQ(first->body, "ok");
  EXPECT_EQ(first->header("x-a"), "b");
  EXPECT_EQ(first->header("x-b"), "");
  const auto second = client.post("/", "text/plain", "body");
  ASSERT_TRUE(second.has_value()) << second.error().message;
  EXPECT_EQ(second->status, 503U);
}

TEST(HttpClient, EachFailureHasItsName) {
  EXPECT_EQ(code_of("SSH-2.0-OpenSSH\r\n\r\n"), Errc::malformed);
  EXPECT_EQ(code_of("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"), Errc::io);
  EXPECT_EQ(code_of("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"), Errc::too_large);
  EXPECT_EQ(code_of("", milliseconds(100)), Errc::deadline);
}

TEST(HttpClient, NobodyThereIsAnError) {
  Endpoint gone;
  { gone = ScriptedServer({}).endpoint(); }
  HttpClient client(gone);
  const auto reply = client.get("/");
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, Errc::io);
}

TEST(Multipart, AFormHasItsPartsAndItsEnd) {
  MultipartForm form;
  form.add_field("method", "gradcam");
  form.add_file("image", "a.jpg", "image/jpeg", std::string("\xFF\xD8\0\n", 4));
  const std::string type = form.content_type();
  const std::string boundary = type.substr(type.find("boundary=") + 9);
  const std::string body = std::move(form).finish();
  EXPECT_EQ(body, "--" + boundary +
                      "\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\ngradcam\r\n--" +
                      boundary +
                      "\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.jpg\"\r\n"
                      "Content-Type: image/jpeg\r\n\r\n" +
                      std::string("\xFF\xD8\0\n", 4) + "\r\n--" + boundary + "--\r\n");
}

TEST(Swarm, PostponedRequestsAreAskedAgainAndWrongOnesAreCounted) {
  const std::string good = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  const std::string later =
      "HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  const std::string bad = "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  ScriptedServer server({later, good, bad, good});
  SwarmPlan plan;
  plan.endpoint = server.endpoint();
  plan.clients = 1;
  plan.requests = 3;
  plan.make = [](std::uint64_t) { return Request{}; };
  plan.judge = [](const Reply& reply) {
    return reply.status == 200 ? std::string() : std::to_string(reply.status);
  };
  const SwarmReport report = run_swarm(plan);
  EXPECT_EQ(report.postponed, 1U);
  EXPECT_EQ(report.answered, 2U);
  EXPECT_EQ(report.wrong, 1U);
  EXPECT_EQ(report.first_wrong, "500");
  EXPECT_FALSE(report.budget_reached);
}

TEST(Swarm, AServerThatIsGoneIsNotAskedForEver) {
  Endpoint gone;
  { gone = ScriptedServer({}).endpoint(); }
  SwarmPlan plan;
  plan.endpoint = gone;
  plan.clients = 4;
  plan.requests = 100'000;
  plan.budget = milliseconds(20'000);
  plan.make = [](std::uint64_t) { return Request{}; };
  plan.judge = [](const Reply&) { return std::string(); };
  const SwarmReport report = run_swarm(plan);
  EXPECT_EQ(report.answered, 0U);
  EXPECT_GE(report.wrong, 1000U);
  EXPECT_LE(report.wrong, 1004U);
}

}  // namespace
}  // namespace dermlens::probe
