// dermlens quantize: a smaller model of the same format, and the verdict on it, each figure from a
// fresh process.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>

#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/quantize_report.h"
#include "cli/write_file.h"
#include "kernels/precision.h"
#include "probe/fresh_process.h"
#include "quantize/photos.h"
#include "quantize/rewrite.h"
#include "quantize/search.h"
#include "quantize/verify.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

struct QuantizeOptions {
  std::string model, to, calibrate, verify, output;
  double search_seconds = 120;
  std::optional<double> max_change, min_agreement;

  double change_allowed() const {
    return max_change.value_or(to == "fp16" ? 0.02 : to == "bf16" ? 0.05 : 0.10);
  }
  // bf16 and int8 round every activation.
  double agreement_wanted() const { return min_agreement.value_or(to == "fp16" ? 0.99 : 0.97); }
};

constexpr int kTurns = 3;
constexpr std::size_t kPhotosOfLaterTurns = 12;

Result<json::object> write_narrowed(const QuantizeOptions& options) {
  const bool is_half = options.to == "fp16";
  TRY(const onnx::Model model, onnx::read_model(options.model));
  std::string tail_from;
  if (!is_half) {
    // What is no classifier has no heatmap to keep exact.
    if (const auto network = diagnose::read_network(options.model))
      tail_from = network->layers.automatic;
  }
  TRY(const quantize::Narrowed narrowed,
      quantize::narrow_edit(model, is_half ? graph::DType::f16 : graph::DType::bf16, tail_from));
  TRY_VOID(onnx::rewrite_model(options.model, options.output, narrowed.edit));
  return json::object{{"narrowed", narrowed.narrowed},
                      {"already", narrowed.already},
                      {"kept_for_the_heatmap", narrowed.kept}};
}

Result<json::object> write_integers(const CommonOptions& common, const QuantizeOptions& options,
                                    const std::vector<std::string>& photos) {
  TRY(const Budget budget, make_budget(common));
  quantize::IntegerOptions how;
  how.search_seconds = options.search_seconds;
  how.photos = photos;
  // Photos it has not seen change more.
  how.enough = options.change_allowed() / 2;
  const auto start = std::chrono::steady_clock::now();
  TRY(const quantize::IntegerReport report,
      quantize::quantize_to_integers(options.model, options.output, how, *budget.ledger));
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  return json::object{{"convolutions", report.candidates},
                      {"kept_fp32", json::array(report.kept.begin(), report.kept.end())},
                      {"clipping", report.clipping},
                      {"trials", report.trials},
                      {"seconds", passed.count()},
                      {"calibrated_on", photos.size() - report.unreadable},
                      {"unreadable_photos", report.unreadable},
                      {"calibration_largest_change", report.change}};
}

// Writes the model; what there is to say of it as JSON text.
Result<std::string> write_model(const CommonOptions& common, const QuantizeOptions& options,
                                const std::vector<std::string>& photos) {
  json::object report;
  if (options.to == "int8") {
    TRY(report, write_integers(common, options, photos));
  } else {
    TRY(report, write_narrowed(options));
  }
  TRY(const onnx::Model written, onnx::read_model(options.output));
  const kernels::Precision precision = kernels::precision_of(written.graph);
  report.emplace("computed", kernels::usual_name(precision.computed));
  if (!precision.warning.empty()) report.emplace("warning", precision.warning);
  return json::serialize(report);
}

Result<quantize::Measurement> measure(const CommonOptions& common, const std::string& model,
                                      const std::vector<std::string>& photos) {
  TRY(const std::string text, in_fresh_process([&]() -> Result<std::string> {
        TRY(const Budget budget, make_budget(common));
        TRY(const diagnose::LoadOptions load, load_options(common));
        TRY(const quantize::Measurement measured,
            quantize::measure(model, photos, load, *budget.ledger));
        return quantize::to_text(measured);
      }));
  return quantize::from_text(text);
}

// In turns, so that a slow minute hits both.
Result<double> speedup(const CommonOptions& common, const QuantizeOptions& options,
                       std::vector<std::string> photos, double first) {
  photos.resize(std::min(photos.size(), kPhotosOfLaterTurns));
  std::vector<double> ratios{first};
  while (ratios.size() < kTurns) {
    TRY(const quantize::Measurement before, measure(common, options.model, photos));
    TRY(const quantize::Measurement after, measure(common, options.output, photos));
    ratios.push_back(before.latency_ms / after.latency_ms);
  }
  std::ranges::sort(ratios);
  return ratios[ratios.size() / 2];
}

Result<QuantizeVerdict> verify(const CommonOptions& common, const QuantizeOptions& options,
                               const std::vector<std::string>& photos,
                               const std::vector<bool>& seen) {
  QuantizeVerdict verdict;
  verdict.to = options.to;
  verdict.change_allowed = options.change_allowed();
  verdict.agreement_wanted = options.agreement_wanted();
  TRY(verdict.before, measure(common, options.model, photos));
  TRY(verdict.after, measure(common, options.output, photos));
  TRY(verdict.all, quantize::compare(verdict.before, verdict.after));
  verdict.seen = static_cast<std::size_t>(std::ranges::count(seen, true));
  if (verdict.seen > 0 && verdict.seen < photos.size()) {
    std::vector<bool> unseen = seen;
    unseen.flip();
    TRY(verdict.held_out, quantize::compare(verdict.before, verdict.after, unseen));
  }
  verdict.turns = kTurns;
  TRY(verdict.speedup,
      speedup(common, options, photos, verdict.before.latency_ms / verdict.after.latency_ms));
  return verdict;
}

// By whatever name: the verdict would compare the new model with itself.
bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  return std::filesystem::equivalent(a, b, error);
}

// In a process of its own, as what it allocates would count for every measurement.
Result<void> check_all_photos(const CommonOptions& common, const QuantizeOptions& options,
                              const std::vector<std::string>& calibrate,
                              const std::vector<std::string>& verify) {
  if (calibrate.empty() && verify.empty()) return {};
  const auto done = in_fresh_process([&]() -> Result<std::string> {
    TRY(const Budget budget, make_budget(common));
    TRY(const diagnose::Network network, diagnose::read_network(options.model));
    const diagnose::Preprocessing& how = network.card.preprocessing;
    TRY_VOID(quantize::check_photos(options.calibrate, calibrate, how, *budget.ledger));
    TRY_VOID(quantize::check_photos(options.verify, verify, how, *budget.ledger));
    return std::string();
  });
  return done ? Result<void>() : tl::make_unexpected(done.error());
}

Result<int> run_quantize(const CommonOptions& common, const QuantizeOptions& options) {
  const bool calibrates = options.to == "int8";
  if (calibrates && options.calibrate.empty())
    return fail(Errc::usage, "int8 needs photos to calibrate on (--calibrate DIR)");
  TRY_VOID(check_replaceable(options.output));
  if (is_same_file(options.model, options.output))
    return fail(Errc::usage, "the output is the model itself ('", options.output, "')");
  std::vector<std::string> photos, to_verify;
  if (calibrates) {
    TRY(photos, quantize::find_photos(options.calibrate));
  }
  if (!options.verify.empty()) {
    TRY(to_verify, quantize::find_photos(options.verify));
  }
  const quantize::Split split = quantize::hold_out(photos, to_verify);
  TRY_VOID(check_all_photos(common, options, split.calibrate, to_verify));
  TRY(const std::string text,
      in_fresh_process([&] { return write_model(common, options, split.calibrate); }));
  json::object report = json::parse(text).as_object();
  if (!common.json) print_written(options.output, options.to, report);
  if (options.verify.empty()) {
    if (common.json) print_json(std::cout, report);
    return kDone;
  }
  TRY(const QuantizeVerdict verdict, verify(common, options, to_verify, split.seen));
  if (common.json) {
    report.emplace("verdict", to_json(verdict));
    print_json(std::cout, report);
  } else {
    print_verdict(verdict);
  }
  return verdict.passed() ? kDone : kVerdictFailed;
}

}  // namespace

void add_quantize(Application& application) {
  CLI::App* command = application.command(
      "quantize", "A smaller model: fp16, bf16 or int8, and a verdict on it",
      "dermlens quantize model.onnx --to int8 --calibrate photos --verify photos -o small.onnx");
  auto options = std::make_shared<QuantizeOptions>();
  command->add_option("MODEL", options->model, "The model")->required();
  command->add_option("--to", options->to, "What to store and compute in")
      ->required()
      ->check(CLI::IsMember({"fp16", "bf16", "int8"}));
  command->add_option("--calibrate", options->calibrate, "A folder of photos (for int8)");
  command->add_option("--verify", options->verify, "A folder of photos to compare on");
  command->add_option("-o,--output", options->output, "The new model")->required();
  command
      ->add_option("--search-seconds", options->search_seconds,
                   "How long to look for layers better left in fp32 (0: not at all)")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  command
      ->add_option("--max-probability-change", options->max_change,
                   "Fail past this (default 0.02 fp16, 0.05 bf16, 0.10 int8)")
      ->check(CLI::Range(0.0, 1.0));
  command
      ->add_option("--min-agreement", options->min_agreement,
                   "Fail below this share of equal top classes (default 0.99 fp16, else 0.97)")
      ->check(CLI::Range(0.0, 1.0));
  add_common_options(*command, application.common, false);
  add_json_option(*command, application.common);
  on_run(application, *command, options, run_quantize);
}

}  // namespace dermlens::cli
