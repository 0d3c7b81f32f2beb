#include "server/v2_message.h"

#include <gtest/gtest.h>

#include <cstring>

namespace dermlens::server {
namespace {

class V2MessageTest : public testing::Test {
 protected:
  HttpRequest request(const std::string& json, const std::string& tail = {}) {
    HttpRequest made;
    auto body = Body::reserve(ledger_, json.size() + tail.size());
    EXPECT_TRUE(body);
    std::memcpy(body->bytes().data(), json.data(), json.size());
    if (!tail.empty()) {
      std::memcpy(body->bytes().data() + json.size(), tail.data(), tail.size());
      made.headers.emplace_back("inference-header-content-length", std::to_string(json.size()));
    }
    made.body = std::move(*body);
    return made;
  }
  Result<V2Request> read(HttpRequest& made) { return read_v2_request(made, ledger_, 1000); }
  Errc code(const std::string& json, const std::string& tail = {}) {
    HttpRequest made = request(json, tail);
    const auto message = read(made);
    EXPECT_FALSE(message) << json;
    return message ? Errc::internal : message.error().code;
  }

  Ledger ledger_{16 << 20};
};

std::string tensor(const std::string& rest) { return R"({"inputs":[{"name":"x",)" + rest + "}]}"; }

TEST_F(V2MessageTest, NestedAndFlatDataAreTheSame) {
  for (const char* data : {"[1,2,3,4]", "[[1,2],[3,4]]", "[[[1],[2]],[[3],[4.0]]]"}) {
    HttpRequest made =
        request(tensor(R"("datatype":"FP32","shape":[2,2],"data":)" + std::string(data)));
    const auto message = read(made);
    ASSERT_TRUE(message) << message.error().message;
    EXPECT_EQ(message->input.values, (std::vector<float>{1, 2, 3, 4}));
  }
}

TEST_F(V2MessageTest, RawFloatsAreTakenAsTheyAre) {
  const std::vector<float> values{0.5F, -2};
  const std::string tail(reinterpret_cast<const char*>(values.data()), 8);
  HttpRequest made =
      request(tensor(R"("datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8})"), tail);
  const auto message = read(made);
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(message->input.values, values);
}

TEST_F(V2MessageTest, BytesComeAsBase64OrWithTheirLength) {
  HttpRequest as_text = request(tensor(R"("datatype":"BYTES","shape":[1],"data":["aGVsbG8="])"));
  const auto from_text = read(as_text);
  ASSERT_TRUE(from_text) << from_text.error().message;
  EXPECT_EQ(from_text->input.bytes.size(), 5U);
  const std::string tail("\5\0\0\0hello", 9);
  HttpRequest raw = request(
      tensor(R"("datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":9})"), tail);
  const auto from_raw = read(raw);
  ASSERT_TRUE(from_raw) << from_raw.error().message;
  EXPECT_EQ(std::memcmp(from_raw->input.bytes.data(), "hello", 5), 0);
}

TEST_F(V2MessageTest, ShapesThatDoNotMatchTheDataAreMalformed) {
  const std::string fp32 = R"("datatype":"FP32",)";
  EXPECT_EQ(code(tensor(fp32 + R"("shape":[3],"data":[1,2])")), Errc::malformed);
  EXPECT_EQ(code(tensor(fp32 + R"("shape":[1],"data":[1,2])")), Errc::malformed);
  EXPECT_EQ(code(tensor(fp32 + R"("shape":[-1],"data":[])")), Errc::malformed);
  EXPECT_EQ(code(tensor(fp32 + R"("shape":[4294967296,4294967296],"data":[])")), Errc::too_large);
  EXPECT_EQ(code(tensor(fp32 + R"("shape":[1000000000],"data":[])")), Errc::malformed);
  EXPECT_EQ(code(tensor(fp32 + R"("shape":[1],"data":["x"])")), Errc::malformed);
  EXPECT_EQ(code(tensor(fp32 + R"("shape":[1])")), Errc::malformed);
  EXPECT_EQ(code(tensor(fp32 + R"("shape":[1,1,1,1,1,1,1,1,1],"data":[1])")), Errc::malformed);
  EXPECT_EQ(code(tensor(fp32 + R"("shape":[2],"parameters":{"binary_data_size":8})"), "1234567"),
            Errc::malformed);
  EXPECT_EQ(code(tensor(R"("datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5})"),
                 std::string("\xff\0\0\0x", 5)),
            Errc::malformed);
}

TEST_F(V2MessageTest, GarbageIsMalformed) {
  for (const char* json :
       {"{}", "[]", R"({"inputs":[]})", R"({"inputs":[1]})", R"({"inputs":[{},{}]})",
        R"({"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[1]}]})",
        R"({"inputs":[{"name":"","datatype":"FP32","shape":[1],"data":[1]}]})"})
    EXPECT_EQ(code(json), Errc::malformed) << json;
  HttpRequest made = request("{}");
  made.headers.emplace_back("inference-header-content-length", "99");
  EXPECT_FALSE(read(made));
}

TEST_F(V2MessageTest, OutputsGoOutAsAskedFor) {
  HttpRequest made =
      request(R"({"id":"7","inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}],)"
              R"("outputs":[{"name":"a","parameters":{"binary_data":true}},{"name":"b"}]})");
  const auto message = read(made);
  ASSERT_TRUE(message);
  const std::vector<float> values{1, 2};
  const auto response = write_v2_response(
      {}, *message, {{"a", "FP32", {2}, values, {}, false}, {"b", "BYTES", {1}, {}, "t", false}},
      ledger_);
  ASSERT_TRUE(response);
  ASSERT_EQ(response->headers.size(), 1U);
  const std::size_t length = std::stoul(response->headers[0].second);
  EXPECT_EQ(response->body.size() - length, 8U);
  EXPECT_NE(response->body.find(R"("id":"7")"), std::string::npos);
  EXPECT_NE(response->body.find(R"("data":["t"])"), std::string::npos);
}

}  // namespace
}  // namespace dermlens::server
