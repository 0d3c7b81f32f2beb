// Raw tensors on the command line: NAME=file.npy pairs in, a graph that runs on them, .npy files
// out.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/npy.h"
#include "cli/engine.h"
#include "exec/program.h"
#include "onnx/reader.h"

namespace dermlens::cli {

using Tensors = std::map<std::string, NpyArray>;  // by input name

// Reads NAME=file.npy pairs. Fails with usage on a pair that is none or a name given twice.
Result<Tensors> read_tensors(const std::vector<std::string>& pairs);

// Reads the model with the tensors' shapes as its inputs'; integer tensors are bound, since they
// decide shapes. The graph may take `most_bytes`. Fails with usage where a name is no input of the
// model.
Result<onnx::Model> read_model_for(const std::string& path, const Tensors& tensors,
                                   Bytes most_bytes);

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
