// What a model says of itself before its graph is read: metadata and declared inputs. For those who
// must know them to read the graph (a size that only the metadata holds), and for a cheap look at a
// model that is not to be loaded.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "graph/type.h"

namespace dermlens::onnx {

struct Outline {
  struct Input {
    std::string name;
    bool has_shape = false;
    graph::Shape dims;  // -1 where a dimension has no number
  };
  std::map<std::string, std::string> metadata;
  std::vector<Input> inputs;  // without those that have an initializer
  std::int64_t model_version = 0;
};

// Reads no weights. Fails with malformed, too_large, not_found or io; says nothing about whether
// read_model() would succeed.
Result<Outline> read_outline(const std::string& path);

}  // namespace dermlens::onnx
