// dermlens pack: writes the pack file now, at install or in a container build.
#include <boost/json/object.hpp>
#include <iostream>

#include "base/checked.h"
#include "cli/commands.h"
#include "cli/engine.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

struct PackOptions {
  std::string model;
};

Result<int> pack(const CommonOptions& common, const PackOptions& options) {
  CommonOptions wanted = common;
  if (!options.model.empty()) wanted.model = options.model;
  // Building goes layer by layer, so that the smallest placement writes the same file.
  if (wanted.weights == "auto") wanted.weights = "streamed";
  if (wanted.weights == "resident")
    return fail(Errc::usage, "resident weights need no pack (--weights)");
  if (find_cache_dir(wanted).empty())
    return fail(Errc::usage, "no folder for packs (--cache-dir, or HOME)");
  TRY(const Engine engine, load_engine(wanted));
  const diagnose::Model& model = *engine.model;
  if (model.pack_path().empty())
    return fail(Errc::io, "the pack could not be kept ('", find_cache_dir(wanted), "')");
  const Bytes bytes = model.plan().weights;
  if (wanted.json)
    print_json(std::cout, json::object{{"path", model.pack_path()},
                                       {"built", model.pack_built()},
                                       {"weights_bytes", bytes}});
  else
    std::cout << printable(model.pack_path()) << (model.pack_built() ? ": written" : ": up to date")
              << ", weights " << format_size(bytes) << '\n';
  return kDone;
}

}  // namespace

void add_pack(Application& application) {
  CLI::App* command =
      application.command("pack", "Write the pack file of a model now",
                          "dermlens pack model.onnx --cache-dir /var/cache/dermlens");
  auto options = std::make_shared<PackOptions>();
  command->add_option("model_file", options->model, "The model (default: as --model)");
  add_common_options(*command, application.common);
  add_json_option(*command, application.common);
  on_run(application, *command, options, pack);
}

}  // namespace dermlens::cli
