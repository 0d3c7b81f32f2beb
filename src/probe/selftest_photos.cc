// A photo larger than any phone's, files that are no photos, and the farewell.
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "probe/selftest_steps.h"

namespace dermlens::probe {

namespace json = boost::json;

namespace {

// Below this, a server of ours may say that 50 megapixels are too many for it.
constexpr double kEnoughForAll = 128;

struct Refusal {
  std::string sentence;
  std::string code;
};

Result<Refusal> read_refusal(const Reply& reply) {
  boost::system::error_code error;
  const json::value value = json::parse(reply.body, error);
  const json::object* whole = error ? nullptr : value.if_object();
  Refusal refusal;
  if (whole != nullptr) {
    for (const auto& [key, text] :
         {std::pair("error", &refusal.sentence), std::pair("code", &refusal.code)}) {
      const json::value* field = whole->if_contains(key);
      if (field != nullptr && field->is_string()) *text = field->as_string();
    }
  }
  if (refusal.sentence.empty() || refusal.code.empty())
    return fail(Errc::malformed, "an answer of ", reply.status, " without error and code");
  return refusal;
}

// The good photo again: empty where the answer is the one that it was at first.
Result<std::string> changed(Selftest& test) {
  TRY(const Reply reply, test.ask(test.photos.small));
  if (reply.status != 200)
    return "a good photo answers " + std::to_string(reply.status) + " afterwards";
  TRY(const Probabilities answer, test.read(reply.body));
  return test.reference.empty() ? std::string() : difference(test.reference, answer);
}

}  // namespace

Result<Outcome> step_large_photo(Selftest& test) {
  TRY(const Reply reply, test.ask(test.photos.large));
  TRY(const MemoryReading after, test.read_memory());
  Outcome outcome;
  if (reply.status == 200) {
    TRY_VOID(test.read(reply.body));
    outcome.ours = tenths(reply.milliseconds / 1000) + " s, peak " + tenths(after.peak) + " MB";
  } else {
    TRY(const Refusal refusal, read_refusal(reply));
    outcome.ours = std::to_string(reply.status) + ": " + refusal.sentence;
    if (reply.status != 413 && reply.status != 503)
      outcome.fault = "not refused for its size, but with " + outcome.ours;
    else if (test.plan.server != nullptr && after.limit >= kEnoughForAll)
      outcome.fault = "refused, though there is room";
  }
  if (outcome.fault.empty()) outcome.fault = test.over_limit();
  return outcome;
}

Result<Outcome> step_broken_files(Selftest& test) {
  std::map<unsigned, int> statuses;
  Outcome outcome;
  for (const Photos::Broken& file : test.photos.broken) {
    TRY(const Reply reply, test.ask(file.bytes));
    ++statuses[reply.status];
    if (reply.status < 400 || reply.status > 499) {
      outcome.fault = file.name + " answers " + std::to_string(reply.status);
      continue;
    }
    TRY_VOID(read_refusal(reply));
    TRY(const Reply health, test.client.get("/health/"));
    if (health.status != 200 || health.body != "ok")
      outcome.fault = "not healthy after " + file.name;
  }
  for (const auto& [status, count] : statuses)
    outcome.ours +=
        (outcome.ours.empty() ? "" : ", ") + std::to_string(count) + " x " + std::to_string(status);
  if (outcome.fault.empty()) {
    TRY(outcome.fault, changed(test));
    outcome.ours += ", a good photo answers as before";
  }
  return outcome;
}

Result<Outcome> step_end(Selftest& test) {
  TRY(const MemoryReading last, test.read_memory());
  Outcome outcome;
  outcome.ours = "peak of all " + tenths(test.figures.peak) + " MB";
  if (last.limit > 0) outcome.ours += " of " + tenths(last.limit);
  outcome.fault = test.over_limit();
  if (test.plan.server != nullptr) {
    TRY_VOID(test.plan.server->stop());
    outcome.ours += "; SIGTERM, code 0";
  }
  return outcome;
}

}  // namespace dermlens::probe
