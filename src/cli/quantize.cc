// dermlens quantize: a smaller model of the same format, and the verdict on it, each figure from a
// fresh process.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/render.h"
#include "cli/write_file.h"
#include "probe/fresh_process.h"
#include "quantize/photos.h"
#include "quantize/rewrite.h"
#include "quantize/search.h"
#include "quantize/verify.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string model, to, calibrate, verify, output;
  double search_seconds = 120;
  std::optional<double> max_change, min_agreement;

  double change_allowed() const {
    return max_change.value_or(to == "fp16" ? 0.02 : to == "bf16" ? 0.05 : 0.10);
  }
  double agreement_wanted() const { return min_agreement.value_or(to == "int8" ? 0.97 : 0.99); }
};

std::string number(double value, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// Writes the model; what there is to say of it as JSON text.
Result<std::string> write_model(const CommonOptions& common, const Options& options) {
  if (options.to != "int8") {
    TRY(const onnx::Model model, onnx::read_model(options.model));
    const graph::DType type = options.to == "fp16" ? graph::DType::f16 : graph::DType::bf16;
    TRY(const onnx::Edit edit, quantize::narrow_edit(model, type));
    TRY_VOID(onnx::rewrite_model(options.model, options.output, edit));
    return json::serialize(json::object{{"narrowed", edit.replaced.size()}});
  }
  TRY(const Budget budget, make_budget(common));
  quantize::IntegerOptions how;
  how.search_seconds = options.search_seconds;
  TRY(how.photos, quantize::find_photos(options.calibrate));
  TRY(const quantize::IntegerReport report,
      quantize::quantize_to_integers(options.model, options.output, how, *budget.ledger));
  return json::serialize(
      json::object{{"convolutions", report.candidates},
                   {"kept_fp32", json::array(report.kept.begin(), report.kept.end())},
                   {"clipping", report.clipping},
                   {"trials", report.trials},
                   {"unreadable_photos", report.unreadable},
                   {"calibration_largest_change", report.change}});
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

struct Verdict {
  quantize::Measurement before, after;
  quantize::Comparison comparison;
  bool passed = false;
};

Result<Verdict> verify(const CommonOptions& common, const Options& options) {
  TRY(const auto photos, quantize::find_photos(options.verify));
  Verdict verdict;
  TRY(verdict.before, measure(common, options.model, photos));
  TRY(verdict.after, measure(common, options.output, photos));
  TRY(verdict.comparison, quantize::compare(verdict.before, verdict.after));
  verdict.passed = verdict.comparison.largest_change <= options.change_allowed() &&
                   verdict.comparison.agreement >= options.agreement_wanted();
  return verdict;
}

void print_verdict(const Options& options, const Verdict& verdict) {
  constexpr double kMebibyte = 1024.0 * 1024.0;
  const auto row = [&](const std::string& name, const quantize::Measurement& of) {
    return std::vector<std::string>{name,
                                    number(static_cast<double>(of.file_bytes) / kMebibyte, "%.1f"),
                                    number(static_cast<double>(of.peak_bytes) / kMebibyte, "%.1f"),
                                    number(of.latency_ms, "%.1f")};
  };
  auto before = row("before", verdict.before), after = row(options.to, verdict.after);
  const quantize::Comparison& seen = verdict.comparison;
  for (int i = 0; i < 3; ++i) before.emplace_back("");
  after.push_back(percent(seen.agreement));
  after.push_back(number(seen.largest_change, "%.4f"));
  after.push_back(seen.heatmaps > 0 ? number(seen.heatmap_correlation, "%.4f") : "-");
  print_table(std::cout,
              {{"model", "file MB", "peak MB", "ms", "agreement", "largest change", "heatmaps"},
               before,
               after},
              "", {1, 2, 3, 4, 5, 6});
  std::cout << (verdict.passed ? "passed" : "FAILED") << ": " << seen.photos
            << " photos, change allowed " << number(options.change_allowed(), "%.3f")
            << ", agreement wanted " << percent(options.agreement_wanted()) << '\n';
}

json::object to_json(const quantize::Measurement& measured) {
  return {{"file_bytes", measured.file_bytes},
          {"peak_bytes", measured.peak_bytes},
          {"latency_ms", measured.latency_ms}};
}

json::object to_json(const Options& options, const Verdict& verdict) {
  return {{"photos", verdict.comparison.photos},
          {"before", to_json(verdict.before)},
          {"after", to_json(verdict.after)},
          {"agreement", verdict.comparison.agreement},
          {"largest_probability_change", verdict.comparison.largest_change},
          {"heatmap_correlation", verdict.comparison.heatmap_correlation},
          {"max_probability_change", options.change_allowed()},
          {"min_agreement", options.agreement_wanted()},
          {"passed", verdict.passed}};
}

Result<int> run_quantize(const CommonOptions& common, const Options& options) {
  if (options.to == "int8" && options.calibrate.empty())
    return fail(Errc::usage, "int8 needs photos to calibrate on (--calibrate DIR)");
  TRY_VOID(check_writable(options.output));
  TRY(const std::string text, in_fresh_process([&] { return write_model(common, options); }));
  const json::value report = json::parse(text);
  if (!common.json) std::cout << options.output << ": " << options.to << ' ' << text << '\n';
  if (options.verify.empty()) {
    if (common.json) std::cout << text << '\n';
    return kDone;
  }
  TRY(const Verdict verdict, verify(common, options));
  if (common.json) {
    json::object whole = report.as_object();
    whole.emplace("verdict", to_json(options, verdict));
    std::cout << json::serialize(whole) << '\n';
  } else {
    print_verdict(options, verdict);
  }
  return verdict.passed ? kDone : kVerdictFailed;
}

}  // namespace

void add_quantize(Application& application) {
  CLI::App* command = application.command(
      "quantize", "A smaller model: fp16, bf16 or int8, and a verdict on it",
      "dermlens quantize model.onnx --to int8 --calibrate photos --verify photos -o small.onnx");
  auto options = std::make_shared<Options>();
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
                   "Fail below this share of equal top classes (default 0.99, int8 0.97)")
      ->check(CLI::Range(0.0, 1.0));
  add_common_options(*command, application.common, false);
  add_json_option(*command, application.common);
  on_run(application, *command, options, run_quantize);
}

}  // namespace dermlens::cli
