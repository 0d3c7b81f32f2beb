#include "server/multipart.h"

#include <gtest/gtest.h>

namespace dermlens::server {
namespace {

const std::string kHead = "Content-Disposition: form-data; name=\"image\"; filename=\"a.jpg\"\r\n";

std::string body(const std::string& header, const std::string& content) {
  return "--b\r\n" + header + "\r\n" + content + "\r\n--b--\r\n";
}

TEST(Multipart, PartsAreViewsOfTheBody) {
  const std::string text = "--b\r\n" + kHead + "Content-Type: image/jpeg\r\n\r\n\xff\xd8\r\n--x" +
                           "\r\n--b\r\nContent-Disposition: form-data; name=age\r\n\r\n42\r\n--b--";
  const auto parts = parse_multipart(text, "b");
  ASSERT_TRUE(parts) << parts.error().message;
  ASSERT_EQ(parts->size(), 2U);
  EXPECT_EQ((*parts)[0].content, "\xff\xd8\r\n--x");
  EXPECT_TRUE((*parts)[0].is_file);
  EXPECT_GE((*parts)[0].content.data(), text.data());
  EXPECT_EQ((*parts)[1].name, "age");
  EXPECT_EQ((*parts)[1].content, "42");
  EXPECT_FALSE((*parts)[1].is_file);
}

TEST(Multipart, EmptyContentIsAPartOfNoBytes) {
  const auto parts = parse_multipart(body(kHead, ""), "b");
  ASSERT_TRUE(parts);
  EXPECT_TRUE(parts->front().content.empty());
}

TEST(Multipart, QuotedNamesMayHoldSemicolonsAndQuotes) {
  const auto parts = parse_multipart(
      body("Content-Disposition: form-data; name=\"a;\\\"b\"; filename=\"x;y\"\r\n", "c"), "b");
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->front().name, "a;\"b");
}

TEST(Multipart, WhatIsBrokenIsMalformedAndNeverACrash) {
  const std::string good = body(kHead, "photo");
  for (const std::string& text :
       {std::string(), std::string("--b"), std::string("--b\r\n"), std::string("garbage"),
        std::string("--b\r\n\r\n"), body("", "no disposition"),
        body("Content-Disposition: attachment; name=\"image\"\r\n", "x"),
        body("Content-Disposition: form-data\r\n", "no name"),
        body("Content-Disposition: form-data; name=\"a\"; name=\"b\"\r\n", "x"),
        body("Content-Disposition: form-data; name=\"a\r\n", "quote does not end"),
        body(std::string("Content-Disposition: form-data; name=\"a\x01\"\r\n"), "control"),
        body(kHead + kHead, "twice"),
        body(kHead + "Content-Type: multipart/mixed; boundary=c\r\n", "nested"),
        body(kHead + "Content-Transfer-Encoding: base64\r\n", "encoded"),
        body(kHead + " folded\r\n", "x"), good + "trailing", good.substr(0, good.size() - 6)})
    EXPECT_FALSE(parse_multipart(text, "b")) << text;
}

TEST(Multipart, EveryTruncationIsRefused) {
  const std::string good = body(kHead, "photo");
  ASSERT_TRUE(parse_multipart(good, "b"));
  // Without the last line end it is still whole.
  for (std::size_t length = 0; length < good.size() - 2; ++length)
    EXPECT_FALSE(parse_multipart(std::string_view(good).substr(0, length), "b")) << length;
}

TEST(Multipart, BoundsAreKept) {
  EXPECT_EQ(
      parse_multipart(body(kHead + "X: " + std::string(3000, 'x') + "\r\n", ""), "b").error().code,
      Errc::too_large);
  EXPECT_EQ(
      parse_multipart(
          body("Content-Disposition: form-data; name=\"" + std::string(101, 'n') + "\"\r\n", ""),
          "b")
          .error()
          .code,
      Errc::too_large);
  std::string many;
  for (std::size_t i = 0; i <= kMaxParts; ++i) many += "--b\r\n" + kHead + "\r\nx\r\n";
  EXPECT_EQ(parse_multipart(many + "--b--", "b").error().code, Errc::too_large);
}

TEST(Boundary, IsTakenFromTheContentType) {
  EXPECT_EQ(*multipart_boundary("multipart/form-data; boundary=----WebKit12ab"), "----WebKit12ab");
  EXPECT_EQ(*multipart_boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\""), "a b");
}

TEST(Boundary, ForeignOnesAreRefused) {
  EXPECT_EQ(multipart_boundary("text/plain").error().code, Errc::unsupported);
  for (const std::string& type :
       {std::string("multipart/form-data"), std::string("multipart/form-data; boundary="),
        std::string("multipart/form-data; boundary=\"\""),
        "multipart/form-data; boundary=" + std::string(71, 'x'),
        std::string("multipart/form-data; boundary=a; boundary=b"),
        std::string("multipart/form-data; boundary=\"a\\\\b\""),
        std::string("multipart/form-data; boundary=\"a ")})
    EXPECT_FALSE(multipart_boundary(type)) << type;
}

}  // namespace
}  // namespace dermlens::server
