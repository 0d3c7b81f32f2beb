#include "server/photo_input.h"

#include <gtest/gtest.h>

#include <cstring>

namespace dermlens::server {
namespace {

class PhotoInputTest : public testing::Test {
 protected:
  PhotoInputTest() : app_(small_options(), {16 << 20, LimitSource::flag}, {}) {}

  static Options small_options() {
    Options options;
    options.max_upload = 1000;
    return options;
  }
  HttpRequest request(const std::string& type, const std::string& text) {
    HttpRequest made;
    auto body = Body::reserve(app_.ledger, text.size());
    EXPECT_TRUE(body);
    if (!text.empty()) std::memcpy(body->bytes().data(), text.data(), text.size());
    made.body = std::move(*body);
    made.headers.emplace_back("content-type", type);
    return made;
  }
  static std::string_view text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  App app_;
};

TEST_F(PhotoInputTest, APhotoMayComeInEveryWay) {
  const std::vector<std::pair<std::string, std::string>> ways{
      {"image/jpeg", "hello"},
      {"Image/JPEG", "hello"},
      {"application/octet-stream", "hello"},
      {"application/json ; charset=utf-8", R"({"data":"aGVsbG8="})"},
      {"Multipart/Form-Data; boundary=b",
       "--b\r\nContent-Disposition: form-data; name=image; filename=x\r\n\r\nhello\r\n--b--"},
      {"application/json", R"({"image":{"b64":"aGVsbG8="}})"},
      {"application/json; charset=utf-8", R"({"image":"data:image/png;base64,aGVsbG8="})"},
      {"application/json", R"({"data":"aGVsbG8="})"},
      {"application/x-www-form-urlencoded", "age=4&image=data%3Aimage%2Fpng%3Bbase64%2CaGVsbG8%3D"},
      {"multipart/form-data; boundary=b",
       "--b\r\nContent-Disposition: form-data; name=image; filename=x\r\n\r\nhello\r\n--b--"},
      {"multipart/form-data; boundary=b",
       "--b\r\nContent-Disposition: form-data; "
       "name=image\r\n\r\ndata:image/png;base64,aGVsbG8=\r\n--b--"},
  };
  for (const auto& [type, body] : ways) {
    HttpRequest made = request(type, body);
    const auto input = read_photo_input(app_, made, true);
    ASSERT_TRUE(input) << type << ": " << input.error().message;
    EXPECT_EQ(text(input->photo), "hello") << type;
  }
}

TEST_F(PhotoInputTest, NamesThatAreNotOursAreNeitherKeptNorRepeated) {
  const std::string name(1 << 20, 'n');
  const std::string value(history::kMaxNote + 1, 'v');
  for (const auto& [type, body] : std::vector<std::pair<std::string, std::string>>{
           {"application/x-www-form-urlencoded", name + "=" + value + "&image=aGVsbG8="},
           {"application/json", R"({"data":"aGVsbG8=","parameters":{")" + name + "\":{}}}"}}) {
    HttpRequest made = request(type, body);
    const auto input = read_photo_input(app_, made, true);
    ASSERT_FALSE(input);
    EXPECT_LT(input.error().message.size(), 200U);
  }
  HttpRequest made = request("application/x-www-form-urlencoded", name + "=1&image=aGVsbG8=");
  EXPECT_TRUE(read_photo_input(app_, made, true));
}

TEST_F(PhotoInputTest, ParametersComeFromQueryFieldsAndJson) {
  HttpRequest made =
      request("application/json", R"({"data":"aGVsbG8=","parameters":{"alpha":0.5,"top_k":3,)"
                                  R"("output":["map"],"strict":true,"age":"42"}})");
  made.query = {{"method", "hirescam"}, {"target", "Heathy"}, {"unknown", "x"}};
  const auto input = read_photo_input(app_, made, true);
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_EQ(input->wish.method, diagnose::Method::hirescam);
  EXPECT_EQ(input->wish.target.text, "Heathy");
  EXPECT_FLOAT_EQ(input->wish.alpha, 0.5F);
  EXPECT_EQ(input->wish.top_k, 3U);
  EXPECT_TRUE(input->wish.strict);
  EXPECT_FALSE(input->wish.overlay);
  EXPECT_TRUE(input->map_in_answer);
  EXPECT_EQ(input->note.age, "42");
}

TEST_F(PhotoInputTest, AFormsPlusIsASpaceButInThePhoto) {
  HttpRequest made = request("application/x-www-form-urlencoded",
                             "target=Eczema+Photos&image=++++&symptom=red+itchy%2Bwet");
  const auto input = read_photo_input(app_, made, true);
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_EQ(input->wish.target.text, "Eczema Photos");
  EXPECT_EQ(input->note.symptom, "red itchy+wet");
  EXPECT_EQ(text(input->photo), "\xfb\xef\xbe");
}

TEST_F(PhotoInputTest, WrongParametersAreNamed) {
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"method", "magic"},
                                                        {"alpha", "x"},
                                                        {"top_k", "-1"},
                                                        {"colormap", "plaid"},
                                                        {"score", "points"},
                                                        {"output", "overlay,everything"},
                                                        {"strict", "perhaps"},
                                                        {"layer", std::string(3000, 'x')}}) {
    HttpRequest made = request("image/png", "hello");
    made.query = {{name, value}};
    EXPECT_FALSE(read_photo_input(app_, made, true)) << name;
  }
}

TEST_F(PhotoInputTest, BodiesWithoutAPhotoAreRefused) {
  const std::vector<std::pair<std::string, std::string>> bodies{
      {"image/jpeg", ""},
      {"text/plain", "hello"},
      {"", "hello"},
      {"application/json", "{}"},
      {"application/json", "[1]"},
      {"application/json", R"({"image":5})"},
      {"application/json", R"({"data":""})"},
      {"application/json", R"({"data":"!!!"})"},
      {"application/json", R"({"data":"aGVsbG8=","parameters":[]})"},
      {"application/json", R"({"data":"data:text/html;base64,aGVsbG8="})"},
      {"application/x-www-form-urlencoded", "age=4"},
      {"application/x-www-form-urlencoded", "image=%4"},
      {"application/x-www-form-urlencoded", "image=aGVs&image=aGVs"},
      {"multipart/form-data", "x"},
      {"multipart/form-data; boundary=b",
       "--b\r\nContent-Disposition: form-data; name=other; filename=x\r\n\r\nhello\r\n--b--"},
      {"multipart/form-data; boundary=b",
       "--b\r\nContent-Disposition: form-data; name=image; filename=x\r\n\r\na\r\n--b\r\n"
       "Content-Disposition: form-data; name=image; filename=y\r\n\r\nb\r\n--b--"},
  };
  for (const auto& [type, body] : bodies) {
    HttpRequest made = request(type, body);
    EXPECT_FALSE(read_photo_input(app_, made, true)) << type << " " << body;
  }
}

TEST_F(PhotoInputTest, PhotosOverTheBoundAreTooLarge) {
  HttpRequest raw = request("image/png", std::string(1001, 'x'));
  EXPECT_EQ(read_photo_input(app_, raw, true).error().code, Errc::too_large);
  HttpRequest json = request("application/json", R"({"data":")" + std::string(1400, 'A') + "\"}");
  EXPECT_EQ(read_photo_input(app_, json, true).error().code, Errc::too_large);
}

}  // namespace
}  // namespace dermlens::server
