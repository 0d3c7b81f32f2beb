// dermlens explain: a photo to probabilities, a heatmap over the photo, and the raw map.
#include <boost/json/object.hpp>
#include <iostream>

#include "base/npy.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/input_image.h"
#include "cli/render.h"
#include "cli/write_file.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

struct ExplainOptions {
  std::string image, overlay, map;
  std::string method = "gradcam", score = "logit", colormap = "jet";
  diagnose::Request request;
};

Result<diagnose::Request> to_request(const ExplainOptions& options) {
  diagnose::Request request = options.request;
  TRY(request.method, diagnose::parse_method(options.method));
  TRY(request.score, diagnose::parse_score(options.score));
  TRY(request.colormap, diagnose::parse_colormap(options.colormap));
  request.overlay = !options.overlay.empty();
  return request;
}

Result<void> write_results(const ExplainOptions& options,
                           const diagnose::Explanation& explanation) {
  if (!options.overlay.empty()) {
    TRY_VOID(write_file(options.overlay, explanation.overlay_png.text()));
  }
  if (!options.map.empty()) {
    const std::vector<std::int64_t> shape{static_cast<std::int64_t>(explanation.rows),
                                          static_cast<std::int64_t>(explanation.columns)};
    TRY(const std::string bytes, format_npy(shape, explanation.map));
    TRY_VOID(write_file(options.map, bytes));
  }
  return {};
}

// The native answer, but that the picture is where it was written and not in the document.
void print_document(const ExplainOptions& options, diagnose::Answer& answer,
                    const diagnose::Card& card) {
  answer.explanation->overlay_png = {};
  json::value document = diagnose::to_json(answer, card);
  json::object& explanation = document.at("explanations").at(0).as_object();
  if (!options.overlay.empty())
    explanation["overlay"] = json::object{{"mime", "image/png"}, {"path", options.overlay}};
  if (!options.map.empty()) explanation["map_path"] = options.map;
  print_json(std::cout, document);
}

void print_human(const ExplainOptions& options, const diagnose::Answer& answer,
                 const diagnose::Card& card) {
  const diagnose::Explanation& explanation = *answer.explanation;
  std::cout << printable(options.image) << '\n';
  print_predictions(std::cout, answer, card);
  std::cout << "heatmap: " << to_string(explanation.method) << " of "
            << card.labels[explanation.class_id].key << " at " << explanation.layer << " ("
            << explanation.rows << " x " << explanation.columns << ")\n";
  if (!options.overlay.empty()) std::cout << "overlay: " << printable(options.overlay) << '\n';
  if (!options.map.empty()) std::cout << "map: " << printable(options.map) << '\n';
  std::cout << std::flush;
  print_warnings(answer.warnings);
  std::cout << diagnose::heatmap_explanation("en") << '\n' << diagnose::disclaimer("en") << '\n';
}

Result<int> explain(const CommonOptions& common, const ExplainOptions& options) {
  TRY(const diagnose::Request request, to_request(options));
  if (options.overlay.empty() && options.map.empty() && !common.json)
    return fail(Errc::usage, "explain has nowhere to write to (-o overlay.png, --map or --json)");
  if (!options.overlay.empty()) TRY_VOID(check_writable(options.overlay));
  if (!options.map.empty()) TRY_VOID(check_writable(options.map));
  TRY(Engine engine, load_engine(common));
  TRY(diagnose::Answer answer, answer_file(engine, options.image, request));
  TRY_VOID(write_results(options, *answer.explanation));
  if (common.json)
    print_document(options, answer, engine.card);
  else
    print_human(options, answer, engine.card);
  return kDone;
}

}  // namespace

void add_explain(Application& application) {
  CLI::App* command =
      application.command("explain", "Probabilities and a heatmap over the photo",
                          "dermlens explain photo.jpg -o overlay.png --target top1");
  auto options = std::make_shared<ExplainOptions>();
  diagnose::Request& request = options->request;
  command->add_option("image", options->image, "A photo (JPEG, PNG, WebP)")->required();
  command->add_option("-o,--output", options->overlay, "The overlay to write (PNG)");
  command->add_option("--map", options->map, "The raw grid to write (.npy)");
  command->add_option("--target", request.target.text, "top1, a class's number, or its name")
      ->capture_default_str();
  command->add_option("--layer", request.layer, "auto, last_conv, or a value's name")
      ->capture_default_str();
  command
      ->add_option("--method", options->method,
                   "gradcam, gradcam++, hirescam, xgradcam, layercam or eigencam")
      ->capture_default_str();
  command->add_option("--score", options->score, "logit or probability")->capture_default_str();
  command->add_option("--colormap", options->colormap, "jet, turbo, viridis or gray")
      ->capture_default_str();
  command->add_option("--alpha", request.alpha, "The heatmap's opacity, 0 to 1")
      ->capture_default_str();
  command->add_option("--top-k", request.top_k, "Only the most probable classes (0: all)")
      ->check(CLI::Range(0, 65536));
  command->add_flag("--strict", request.strict,
                    "Refuse photos that the model's gate does not know");
  add_common_options(*command, application.common);
  add_json_option(*command, application.common);
  on_run(application, *command, options, explain);
}

}  // namespace dermlens::cli
