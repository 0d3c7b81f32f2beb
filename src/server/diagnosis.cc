// Acquire a session, answer, measure; then the answer as JSON, kept as long as it may be.
#include "server/diagnosis.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <thread>
#include <utility>

#include "diagnose/json_text.h"
#include "server/errors.h"

namespace dermlens::server {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kMemoryPoll{20};
constexpr std::chrono::seconds kMemoryPatience{3};

// Memory that others hold comes back when they finish; so a request that has its session already
// waits a little before it gives up.
Result<diagnose::Answer> answer_patiently(App& app, diagnose::Model& model,
                                          const HttpRequest& request, const PhotoInput& input) {
  const auto patience = std::min(request.deadline, Clock::now() + kMemoryPatience);
  for (;;) {
    auto answer = model.answer(input.photo, input.wish);
    if (answer || answer.error().code != Errc::no_memory || app.draining) return answer;
    if (Clock::now() >= patience) return answer;
    // Where nobody is there to wait for, or that has not helped, what is kept for later makes room
    // for what is asked now.
    const bool alone = app.workers.busy() <= 1;
    if ((alone || Clock::now() >= patience - kMemoryPatience / 2) &&
        (app.results.make_room(answer.error().missing()) || app.models->unload_one()))
      continue;
    if (alone) return answer;
    std::this_thread::sleep_for(kMemoryPoll);
  }
}

void count_answer(App& app, const diagnose::Answer& answer) {
  app.metrics.inferred((answer.timing.decode + answer.timing.forward) / 1000);
  if (!answer.explanation) return;
  app.metrics.explained(diagnose::to_string(answer.explanation->method),
                        (answer.timing.backward + answer.timing.render) / 1000);
  if (answer.explanation->degenerate) app.metrics.degenerate();
}

void add_warning(json::object& native, std::string_view sentence) {
  if (auto* warnings = native["warnings"].if_array())
    warnings->emplace_back(sentence);
  else
    native["warnings"] = json::array{sentence};
}

history::Record record_of(const PhotoInput& input, const Diagnosed& diagnosed,
                          std::chrono::system_clock::time_point created) {
  const diagnose::Answer& answer = diagnosed.answer;
  const diagnose::Card& card = diagnosed.model->card();
  history::Record record;
  record.id = answer.id;
  record.created =
      std::chrono::duration_cast<std::chrono::seconds>(created.time_since_epoch()).count();
  record.model_name = card.name;
  record.model_version = card.version;
  if (!answer.predictions.empty()) {
    const diagnose::Prediction& top = answer.predictions.front();
    if (top.class_id < card.labels.size()) record.top_class = card.labels[top.class_id].key;
    record.top_probability = top.probability;
  }
  record.note = input.note;
  return record;
}

history::Parts parts_of(const diagnose::Answer& answer, std::string_view json) {
  return {.json = json,
          .overlay_png = answer.explanation ? answer.explanation->overlay_png.text() : "",
          .photo_jpeg = answer.photo_jpeg.text()};
}

// Into the history; the database holds the row once more while it writes it.
Result<void> remember(App& app, const history::Record& record, const history::Parts& parts) {
  const Bytes row = parts.json.size() + parts.overlay_png.size() + parts.photo_jpeg.size();
  Reservation hold;
  TRY_VOID(app.make_room(hold, row));
  return app.history->add(record, parts);
}

}  // namespace

tl::expected<Diagnosed, HttpResponse> diagnose_photo(App& app, const HttpRequest& request,
                                                     const PhotoInput& input,
                                                     std::string_view model_name,
                                                     std::string_view version) {
  if (input.deadline_ms && request.queue_ms > *input.deadline_ms)
    return tl::make_unexpected(
        error_response(Error{Errc::deadline, "the request's deadline passed in the queue", 0, 0}));
  auto lease = app.models->acquire(model_name, version, request.deadline);
  if (!lease) return tl::make_unexpected(error_response(lease.error(), Blame::model));
  auto answer = answer_patiently(app, lease->model(), request, input);
  if (!answer) {
    const Error& error = answer.error();
    if (error.code == Errc::corrupt) lease->distrust();
    if (error.code == Errc::malformed || error.code == Errc::unsupported ||
        error.code == Errc::too_large || error.code == Errc::refused)
      app.metrics.image_rejected(to_string(error.code));
    // A class or a layer that the model does not have is a mistake in a parameter.
    if (error.code == Errc::not_found)
      return tl::make_unexpected(error_response(400, to_string(error.code), error.message));
    return tl::make_unexpected(error_response(error));
  }
  count_answer(app, *answer);
  answer->timing.queue = request.queue_ms;
  return Diagnosed{std::move(*answer), lease->share(), lease->name(), lease->version()};
}

Result<boost::json::object> to_native(App& app, Diagnosed& diagnosed, Reservation& hold,
                                      Bytes picture_bytes) {
  const diagnose::Card& card = diagnosed.model->card();
  auto& explanation = diagnosed.answer.explanation;
  if (explanation)
    TRY_VOID(app.make_room(hold, diagnose::document_bytes(picture_bytes, explanation->map.size())));
  // Set aside, so that nobody makes text of it that is thrown away.
  auto overlay =
      explanation ? std::exchange(explanation->overlay_png, {}) : diagnose::EncodedPicture();
  json::value value = diagnose::to_json(diagnosed.answer, card);
  if (explanation) explanation->overlay_png = std::move(overlay);
  json::object& native = value.as_object();
  if (auto* predictions = native["predictions"].if_array())
    for (std::size_t i = 0; i < predictions->size(); ++i) {
      const std::size_t id = diagnosed.answer.predictions[i].class_id;
      json::object names;
      if (id < card.labels.size())
        for (const auto& [language, name] : card.labels[id].names) names[language] = name;
      (*predictions)[i].as_object()["names"] = std::move(names);
    }
  return std::move(native);
}

bool keep_result(App& app, const PhotoInput& input, const Diagnosed& diagnosed,
                 boost::json::object& native) {
  const auto now = std::chrono::system_clock::now();
  bool kept = false;
  if (app.history != nullptr) {
    const std::string text = to_text(native);
    const auto added =
        remember(app, record_of(input, diagnosed, now), parts_of(diagnosed.answer, text));
    kept = added.has_value();
    if (!added) {
      log(LogLevel::error, "a result was not kept in the history: " + added.error().message);
      add_warning(native, "this result could not be kept in the history");
    }
  }
  const diagnose::Answer& answer = diagnosed.answer;
  StoredResult stored{.id = answer.id,
                      .created = now,
                      .json = to_text(native),
                      .overlay_png = {},
                      .photo_jpeg = {}};
  const std::string_view overlay =
      answer.explanation ? answer.explanation->overlay_png.text() : std::string_view();
  if (app.results.put(std::move(stored), overlay, answer.photo_jpeg)) return true;
  if (!kept) add_warning(native, "this result could not be kept: memory is short");
  return kept;
}

}  // namespace dermlens::server
