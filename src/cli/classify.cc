// dermlens classify: photos to probabilities, as a table, JSON or NDJSON.
#include "cli/classify.h"

#include <boost/json/array.hpp>
#include <iostream>

#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/input_image.h"
#include "cli/render.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

struct ClassifyOptions {
  std::vector<std::string> images;
  bool ndjson = false;
  diagnose::Request request;
};

// How the answers of one run go out: each as it comes, or all in one document at the end.
class Report {
 public:
  Report(const diagnose::Card& card, bool json, bool ndjson, bool several)
      : card_(card), json_(json), ndjson_(ndjson), several_(several) {}

  void add(const std::string& path, const Result<diagnose::Answer>& answer) {
    if (!answer && worst_ == kDone) worst_ = exit_code(answer.error().code);
    if (!answer && !ndjson_) print_error(answer.error().message);
    if (json_ || ndjson_) {
      json::object object =
          answer ? diagnose::to_json(*answer, card_).as_object() : error_object(answer.error());
      if (several_ || ndjson_) object["path"] = path;
      if (ndjson_) {
        print_json(std::cout, object);
        std::cout << std::flush;
      } else {
        documents_.emplace_back(std::move(object));
      }
    } else if (answer) {
      std::cout << printable(path) << '\n';
      print_predictions(std::cout, *answer, card_);
      std::cout << std::flush;
      predicted_ = true;
      print_warnings(answer->warnings);
    }
  }

  int finish() {
    if (json_ && !ndjson_)
      print_json(std::cout, several_ ? json::value(std::move(documents_)) : documents_.at(0));
    if (predicted_) std::cout << diagnose::disclaimer("en") << '\n';
    return worst_;
  }

 private:
  const diagnose::Card& card_;
  bool json_, ndjson_, several_;
  json::array documents_;
  bool predicted_ = false;  // for people to read
  int worst_ = kDone;
};

Result<int> classify(const CommonOptions& common, const ClassifyOptions& options) {
  const bool stream = options.images.size() == 1 && options.images[0] == "-";
  TRY(Engine engine, load_engine(common));
  if (stream) return classify_stream(std::cin, std::cout, engine, options.request);
  Report report(engine.card, common.json, options.ndjson, options.images.size() > 1);
  for (const std::string& path : options.images)
    report.add(path, answer_file(engine, path, options.request));
  return report.finish();
}

}  // namespace

void add_classify(Application& application) {
  CLI::App* command =
      application.command("classify", "Class probabilities of photos",
                          "dermlens classify photo.jpg\n  dermlens classify --ndjson *.jpg\n"
                          "  echo '{\"id\":1,\"path\":\"photo.jpg\"}' | dermlens classify -");
  auto options = std::make_shared<ClassifyOptions>();
  options->request.explain = false;
  command
      ->add_option("image", options->images,
                   "Photos (JPEG, PNG, WebP), or - to read NDJSON lines from stdin")
      ->required();
  command->add_flag("--ndjson", options->ndjson, "One JSON line a photo, as it is done");
  command->add_option("--top-k", options->request.top_k, "Only the most probable classes (0: all)")
      ->check(CLI::Range(0, 65536));
  command->add_flag("--strict", options->request.strict,
                    "Refuse photos that the model's gate does not know");
  add_common_options(*command, application.common);
  add_json_option(*command, application.common);
  on_run(application, *command, options, classify);
}

}  // namespace dermlens::cli
