// Raw tensors on the command line: NAME=file.npy pairs in, a graph that runs on them, .npy files
// out. A tensor stays in its file until the session has a place for it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "base/npy.h"
#include "cli/engine.h"
#include "exec/program.h"
#include "onnx/reader.h"

namespace dermlens::cli {

struct TensorFile {
  std::shared_ptr<const MappedFile> file;
  NpyHeader header;
};
using Tensors = std::map<std::string, TensorFile>;  // by input name

// Opens NAME=file.npy pairs. Fails with usage on a pair that is none or a name given twice; as
// read_npy_header().
Result<Tensors> read_tensors(const std::vector<std::string>& pairs);

// A model and the bytes of the values its inputs are bound to.
struct BoundModel {
  onnx::Model model;
  Reservation bound;
};
// Reads the model with the tensors' shapes as its inputs'; integer tensors are bound, since they
// decide shapes. The graph may take what the ledger has. Fails with usage where a name is no input
// of the model, and as Ledger::reserve().
Result<BoundModel> read_model_for(const std::string& path, const Tensors& tensors, Ledger& ledger);

// The value of that name in model.graph. Fails with usage, or with unsupported.
Result<graph::ValueId> value_named(const onnx::Model& model, const std::string& name);

// Loads `graph`, simplified and made from model.graph, opens a session and fills its early inputs.
// Fails with usage where an input has no tensor or one of another size.
struct Running {
  std::shared_ptr<const exec::Program> program;
  std::unique_ptr<exec::Session> session;
};
Result<Running> start(graph::Graph graph, const CommonOptions& common, const onnx::Model& model,
                      const Tensors& tensors, Ledger& ledger);

}  // namespace dermlens::cli
