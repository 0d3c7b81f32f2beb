// The outline is the outer message, the declared inputs, and which of them have initializers.
#include "onnx/outline.h"

#include <set>

#include "base/mapped_file.h"
#include "onnx/pages_behind.h"
#include "onnx/protobuf.h"

namespace dermlens::onnx {
namespace {

Result<Outline> outline_of(const MappedFile& file) {
  TRY(const ModelView model, parse_model(file.bytes()));
  Outline outline;
  outline.model_version = model.model_version;
  for (const MetadataView& entry : model.metadata)
    outline.metadata.insert_or_assign(std::string(entry.key), std::string(entry.value));
  // Copies: comparing names in the file would map the pages behind the walk again.
  std::set<std::string, std::less<>> initialized;
  PagesBehind pages(&file);
  TRY(const GraphView graph, parse_graph(model.graph, [&](ByteView message) -> Result<void> {
        TRY(const TensorView tensor, parse_tensor(message));
        initialized.emplace(tensor.name);
        pages.passed(message);
        return {};
      }));
  for (const ValueInfoView& input : graph.inputs)
    if (!initialized.contains(input.name))
      outline.inputs.push_back({std::string(input.name), input.has_shape, input.dims});
  return outline;
}

}  // namespace

Result<Outline> read_outline(const std::string& path) {
  TRY(const auto file, MappedFile::open(path));
  auto outline = outline_of(*file);
  if (file->damaged()) return fail(Errc::corrupt, "'", path, "' changed while it was read");
  if (!outline) return within(path, std::move(outline).error());
  return outline;
}

}  // namespace dermlens::onnx
