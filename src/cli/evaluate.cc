// dermlens evaluate: how right a model is on labelled photos, one photo in memory at a time.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_from.hpp>
#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/evaluate_report.h"
#include "cli/input_image.h"
#include "cli/render.h"
#include "cli/write_file.h"
#include "diagnose/json_text.h"
#include "evaluate/dataset.h"
#include "onnx/writer.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

constexpr double kKnownKept = 0.95;

struct EvaluateOptions {
  std::string folder, html, temperature_out, gate_out;
  bool explanations = false;
  double min_accuracy = 0, min_macro_f1 = 0, max_ece = 1;
};

Result<Evaluation> answer_all(Engine& engine, const EvaluateOptions& options) {
  TRY(const auto examples, evaluate::read_dataset(options.folder, engine.card));
  Evaluation out;
  diagnose::Request request;
  for (const evaluate::Example& example : examples) {
    request.explain = options.explanations && out.pictures.size() < kMaxReportPictures;
    request.overlay = request.explain;
    const auto answer = answer_file(engine, example.path, request);
    if (!answer) {
      if (answer.error().code == Errc::no_memory || answer.error().code == Errc::over_limit)
        return tl::make_unexpected(answer.error());
      ++out.unreadable;
      print_warning(answer.error().message);
      continue;
    }
    evaluate::Said said;
    said.class_id = example.class_id;
    said.probabilities.resize(engine.card.labels.size());
    for (const diagnose::Prediction& prediction : answer->predictions)
      said.probabilities[prediction.class_id] = prediction.probability;
    said.energy = answer->energy;
    if (answer->explanation && !answer->explanation->overlay_png.empty())
      out.pictures.push_back(
          {out.answers.size(), std::string(answer->explanation->overlay_png.text())});
    out.answers.push_back(std::move(said));
  }
  out.metrics = evaluate::compute_metrics(out.answers, engine.card.labels.size());
  return out;
}

void print_human(const Evaluation& evaluation, const diagnose::Card& card) {
  const evaluate::Metrics& metrics = evaluation.metrics;
  std::cout << metrics.photos << " photos of known classes, " << metrics.unknown << " of others, "
            << evaluation.unreadable << " unreadable\naccuracy " << thousandths(metrics.accuracy)
            << "  macro F1 " << thousandths(metrics.macro_f1) << "  top 3 "
            << thousandths(metrics.top3) << "  ECE " << thousandths(metrics.ece);
  if (metrics.gate_auroc) std::cout << "  gate AUROC " << thousandths(*metrics.gate_auroc);
  std::cout << "\n\n";
  std::vector<std::vector<std::string>> rows{{"class", "photos", "precision", "recall", "F1"}};
  std::vector<std::size_t> right{1, 2, 3, 4};
  for (std::size_t c = 0; c < metrics.classes.size(); ++c) {
    rows.front().push_back("said " + std::to_string(c));
    right.push_back(5 + c);
  }
  for (std::size_t c = 0; c < metrics.classes.size(); ++c) {
    const evaluate::ClassMetrics& one = metrics.classes[c];
    rows.push_back({std::to_string(c) + " " + printable(card.labels[c].name("en")),
                    std::to_string(one.photos), thousandths(one.precision), thousandths(one.recall),
                    thousandths(one.f1)});
    for (const std::size_t count : metrics.confusion[c])
      rows.back().push_back(std::to_string(count));
  }
  print_table(std::cout, rows, "", right);
}

json::object to_json(const Evaluation& evaluation, const diagnose::Card& card) {
  const evaluate::Metrics& metrics = evaluation.metrics;
  json::array classes;
  for (std::size_t c = 0; c < metrics.classes.size(); ++c)
    classes.push_back(json::object{{"class", card.labels[c].key},
                                   {"photos", metrics.classes[c].photos},
                                   {"precision", metrics.classes[c].precision},
                                   {"recall", metrics.classes[c].recall},
                                   {"f1", metrics.classes[c].f1}});
  json::object out{{"photos", metrics.photos},
                   {"unknown", metrics.unknown},
                   {"unreadable", evaluation.unreadable},
                   {"accuracy", metrics.accuracy},
                   {"macro_f1", metrics.macro_f1},
                   {"top3", metrics.top3},
                   {"ece", metrics.ece},
                   {"classes", std::move(classes)},
                   {"confusion", json::value_from(metrics.confusion)}};
  if (metrics.gate_auroc) out.emplace("gate_auroc", *metrics.gate_auroc);
  return out;
}

std::string number(double value) { return to_text(json::value(value)); }

// Copies of the model with other metadata.
Result<void> write_models(const std::string& model, const EvaluateOptions& options,
                          const Evaluation& evaluation, const diagnose::Card& card,
                          json::object& report) {
  if (!options.temperature_out.empty()) {
    TRY(const double fitted,
        evaluate::fit_temperature(evaluation.answers, static_cast<double>(card.temperature)));
    onnx::Edit edit;
    edit.metadata["dermlens.temperature"] = number(fitted);
    TRY_VOID(onnx::rewrite_model(model, options.temperature_out, edit));
    report.emplace("fitted_temperature", fitted);
  }
  if (!options.gate_out.empty()) {
    TRY(const double threshold, evaluate::fit_gate(evaluation.answers, kKnownKept));
    onnx::Edit edit;
    edit.metadata["dermlens.gate"] =
        to_text(json::object{{"score", "energy"}, {"threshold", threshold}});
    TRY_VOID(onnx::rewrite_model(model, options.gate_out, edit));
    report.emplace("fitted_gate", threshold);
  }
  return {};
}

Result<int> run_evaluate(const CommonOptions& common, const EvaluateOptions& options) {
  if (!options.html.empty()) TRY_VOID(check_writable(options.html));
  for (const std::string& path : {options.temperature_out, options.gate_out})
    if (!path.empty()) TRY_VOID(check_replaceable(path));
  TRY(const std::string model, find_model(common.model));
  TRY(Engine engine, load_engine(common));
  const diagnose::Card& card = engine.card;
  TRY(const Evaluation evaluation, answer_all(engine, options));
  if (evaluation.answers.empty())
    return fail(Errc::malformed, "no photo could be read (", evaluation.unreadable, ")");
  json::object report = to_json(evaluation, card);
  TRY_VOID(write_models(model, options, evaluation, card, report));
  if (!options.html.empty()) TRY_VOID(write_file(options.html, html_report(evaluation, card)));
  const evaluate::Metrics& metrics = evaluation.metrics;
  const bool passed = metrics.accuracy >= options.min_accuracy &&
                      metrics.macro_f1 >= options.min_macro_f1 && metrics.ece <= options.max_ece;
  report.emplace("passed", passed);
  if (common.json) {
    print_json(std::cout, report);
  } else {
    print_human(evaluation, card);
    for (const char* key : {"fitted_temperature", "fitted_gate"})
      if (report.contains(key)) std::cout << key << ' ' << report.at(key) << '\n';
    if (!passed) std::cout << "FAILED: below what was asked for\n";
  }
  return passed ? kDone : kVerdictFailed;
}

}  // namespace

void add_evaluate(Application& application) {
  CLI::App* command =
      application.command("evaluate", "Accuracy, calibration and confusion on labelled photos",
                          "dermlens evaluate photos --html report.html --min-accuracy 0.7");
  auto options = std::make_shared<EvaluateOptions>();
  command
      ->add_option("DIR", options->folder,
                   "Folders called as the classes (or N_name, other_name), or labels.csv")
      ->required();
  command->add_option("--html", options->html, "Write a report for people");
  command->add_flag("--explanations", options->explanations,
                    "Put the photos with their heatmaps into the report");
  command->add_option("--fit-temperature", options->temperature_out,
                      "Write the model with the temperature that fits these photos");
  command->add_option("--fit-gate", options->gate_out,
                      "Write the model with the gate that keeps 95 % of the known photos");
  command->add_option("--min-accuracy", options->min_accuracy, "Fail below this")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--min-macro-f1", options->min_macro_f1, "Fail below this")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--max-ece", options->max_ece, "Fail above this")
      ->check(CLI::Range(0.0, 1.0));
  add_common_options(*command, application.common);
  add_json_option(*command, application.common);
  on_run(application, *command, options, run_evaluate);
}

}  // namespace dermlens::cli
