// The native answer and the card as JSON, as docs/interfaces.md has them.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "diagnose/base64.h"
#include "diagnose/model.h"

namespace dermlens::diagnose {
namespace {

namespace json = boost::json;

std::string_view key_of(const Card& card, std::size_t class_id) {
  return class_id < card.labels.size() ? std::string_view(card.labels[class_id].key) : "";
}

json::object model_of(const Card& card) { return {{"name", card.name}, {"version", card.version}}; }

json::array strings(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

json::object to_object(const std::map<std::string, std::string>& texts) {
  json::object object;
  for (const auto& [language, text] : texts) object.emplace(language, text);
  return object;
}

json::object to_object(const Explanation& explanation) {
  json::array map;
  map.reserve(explanation.map.size());
  for (const float value : explanation.map) map.emplace_back(static_cast<double>(value));
  json::object object{{"method", to_string(explanation.method)},
                      {"layer", explanation.layer},
                      {"class_id", explanation.class_id},
                      {"score", to_string(explanation.score)},
                      {"grid", json::array{explanation.rows, explanation.columns}},
                      {"map", std::move(map)},
                      {"degenerate", explanation.degenerate}};
  if (!explanation.overlay_png.empty())
    object.emplace("overlay", json::object{{"mime", "image/png"},
                                           {"b64", to_base64(explanation.overlay_png)}});
  return object;
}

json::object to_object(const Preprocessing& how) {
  return {{"width", how.width},
          {"height", how.height},
          {"layout", how.channels_last ? "NHWC" : "NCHW"},
          {"color", how.order == ChannelOrder::rgb ? "RGB" : "BGR"},
          {"resize", to_string(how.filter)},
          {"scale", how.scale},
          {"mean", json::array(how.mean.begin(), how.mean.end())},
          {"std", json::array(how.deviation.begin(), how.deviation.end())}};
}

}  // namespace

Bytes document_bytes(Bytes picture, std::size_t numbers) {
  constexpr Bytes kRest = 4096, kNumber = 64;  // a value of 24 bytes, its text and commas
  return 2 * ((picture + 2) / 3 * 4) + numbers * kNumber + kRest;
}

json::value to_json(const Answer& answer, const Card& card) {
  json::array predictions;
  for (const Prediction& prediction : answer.predictions)
    predictions.push_back(json::object{{"class", key_of(card, prediction.class_id)},
                                       {"class_id", prediction.class_id},
                                       {"probability", prediction.probability}});
  json::array explanations;
  if (answer.explanation) explanations.push_back(to_object(*answer.explanation));
  json::object object{{"id", answer.id},
                      {"model", model_of(card)},
                      {"predictions", std::move(predictions)},
                      {"explanations", std::move(explanations)}};
  if (answer.energy && card.gate)
    object.emplace("gate", json::object{{"score", "energy"},
                                        {"value", *answer.energy},
                                        {"threshold", card.gate->threshold},
                                        {"known", answer.known}});
  object.emplace("timing_ms", json::object{{"queue", answer.timing.queue},
                                           {"decode", answer.timing.decode},
                                           {"forward", answer.timing.forward},
                                           {"backward", answer.timing.backward},
                                           {"render", answer.timing.render}});
  object.emplace("memory", json::object{{"planned_bytes", answer.planned_bytes},
                                        {"peak_bytes", answer.peak_bytes}});
  object.emplace("warnings", strings(answer.warnings));
  object.emplace("disclaimer", disclaimer("en"));
  return object;
}

json::value to_json(const Card& card) {
  json::array classes;
  for (std::size_t i = 0; i < card.labels.size(); ++i)
    classes.push_back(json::object{{"class", card.labels[i].key},
                                   {"class_id", i},
                                   {"names", to_object(card.labels[i].names)}});
  json::array limits;
  for (const LocalizedText& limit : card.limits) limits.push_back(to_object(limit.by_language));
  json::object object{{"name", card.name},
                      {"version", card.version},
                      {"description", card.description},
                      {"license", card.licence},
                      {"input", card.input},
                      {"output", card.output},
                      {"classes", std::move(classes)},
                      {"preprocessing", to_object(card.preprocessing)},
                      {"softmax", card.outputs_probabilities ? "inside" : "outside"},
                      {"temperature", card.temperature},
                      {"layer", card.layer},
                      {"limits", std::move(limits)},
                      {"warnings", strings(card.warnings)},
                      {"disclaimer", disclaimer("en")}};
  if (card.gate)
    object.emplace("gate", json::object{{"score", "energy"}, {"threshold", card.gate->threshold}});
  return object;
}

}  // namespace dermlens::diagnose
