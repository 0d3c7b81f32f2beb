#include <gtest/gtest.h>

#include <boost/json/value.hpp>

#include "diagnose/base64.h"
#include "diagnose/identifier.h"
#include "diagnose/model.h"

namespace dermlens::diagnose {
namespace {

Card two_classes() {
  Card card;
  card.name = "skin";
  card.version = "1";
  card.labels = {{"Eczema Photos", {{"vi", "Chàm"}}}, {"Heathy", {}}};
  return card;
}

Answer answer_with_map() {
  Answer answer;
  answer.id = "00";
  answer.predictions = {{1, 0.75}, {0, 0.25}};
  Explanation explanation;
  explanation.layer = "top";
  explanation.class_id = 1;
  explanation.rows = 1;
  explanation.columns = 2;
  explanation.map = {0, 1};
  answer.explanation = std::move(explanation);
  answer.warnings = {"careful"};
  return answer;
}

TEST(AnswerJson, HasTheShapeOfTheInterface) {
  const auto json = to_json(answer_with_map(), two_classes());
  EXPECT_EQ(json.at("id"), "00");
  EXPECT_EQ(json.at("model").at("name"), "skin");
  EXPECT_EQ(json.at("predictions").at(0).at("class"), "Heathy");
  EXPECT_EQ(json.at("predictions").at(0).at("class_id").to_number<int>(), 1);
  EXPECT_EQ(json.at("predictions").at(0).at("probability"), 0.75);
  const auto& explanation = json.at("explanations").at(0);
  EXPECT_EQ(explanation.at("method"), "gradcam");
  EXPECT_EQ(explanation.at("layer"), "top");
  EXPECT_EQ(explanation.at("score"), "logit");
  EXPECT_EQ(explanation.at("grid").at(1).to_number<int>(), 2);
  EXPECT_EQ(explanation.at("map").at(1), 1.0);
  EXPECT_EQ(explanation.at("degenerate"), false);
  EXPECT_FALSE(explanation.as_object().contains("overlay"));
  for (const char* time : {"queue", "decode", "forward", "backward", "render"})
    EXPECT_TRUE(json.at("timing_ms").at(time).is_double()) << time;
  EXPECT_TRUE(json.at("memory").as_object().contains("planned_bytes"));
  EXPECT_TRUE(json.at("memory").as_object().contains("peak_bytes"));
  EXPECT_EQ(json.at("warnings").at(0), "careful");
  EXPECT_EQ(std::string_view(json.at("disclaimer").as_string()), disclaimer("en"));
  EXPECT_FALSE(json.as_object().contains("gate"));
}

TEST(AnswerJson, TheGateIsThereWhereTheModelHasOne) {
  Card card = two_classes();
  card.gate = Gate{2};
  Answer answer = answer_with_map();
  answer.energy = 1.5;
  answer.known = false;
  const auto json = to_json(answer, card);
  EXPECT_EQ(json.at("gate").at("value"), 1.5);
  EXPECT_EQ(json.at("gate").at("known"), false);
}

TEST(CardJson, NamesClassesInEveryLanguage) {
  const auto json = to_json(two_classes());
  EXPECT_EQ(json.at("classes").at(0).at("names").at("vi"), "Chàm");
  EXPECT_EQ(json.at("preprocessing").at("color"), "RGB");
}

TEST(Base64, FollowsTheExamplesOfRfc4648) {
  const std::pair<const char*, const char*> examples[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : examples) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text).value(), bytes);
  }
}

TEST(Base64, WhatIsNotCanonicalIsMalformed) {
  for (const char* bad : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm 8=", "====", "Zg==Zg==", "Zm9v\n",
                          "=Zg=", "Z\xC3\xA9g="})
    EXPECT_FALSE(from_base64(bad)) << bad;
}

TEST(Identifier, Is32HexDigitsAndNeverTheSame) {
  const std::string one = random_identifier().value();
  EXPECT_EQ(one.size(), 32U);
  EXPECT_EQ(one.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(one, random_identifier().value());
}

TEST(Names, EveryChoiceIsReadBackFromItsName) {
  for (const Method method : {Method::gradcam, Method::gradcam_plus_plus, Method::hirescam,
                              Method::xgradcam, Method::layercam, Method::eigencam})
    EXPECT_EQ(parse_method(to_string(method)).value(), method);
  for (const Score score : {Score::logit, Score::probability})
    EXPECT_EQ(parse_score(to_string(score)).value(), score);
  EXPECT_EQ(parse_method("GradCAM").error().code, Errc::usage);
}

}  // namespace
}  // namespace dermlens::diagnose
