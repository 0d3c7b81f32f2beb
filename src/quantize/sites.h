// Where a network can be computed in integers: the convolutions, and the activations between them
// that must then be quantized. Says what is possible; which of them are worth it is measured.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diagnose/network.h"

namespace dermlens::quantize {

// A convolution, by its ONNX names.
struct Site {
  std::size_t node = 0;     // its index in the file
  std::string name;         // its result's name
  std::string activation;   // what it reads
  std::string weight;       // the value it reads as weights
  std::string initializer;  // the stored tensor behind that
  std::size_t reader = 0;   // the node that reads the initializer: a Cast, or the convolution
  std::string bias;         // empty where it has none, or one that is no plain initializer
  double work = 0;          // multiplications that it takes
  // Tensors on the way to `activation` that are best kept as integers as well: what a
  // squeeze-and-excite block scales.
  std::vector<std::string> scaled;
};

struct Sites {
  std::shared_ptr<const graph::Graph> graph;  // with the weights' casts folded
  std::vector<Site> sites;                    // in the file's order
  std::map<std::string, graph::ValueId> values;
  // By activation: the nodes of the file that read it, and the node that makes it (absent: input).
  std::map<std::string, std::vector<std::size_t>> readers;
  std::map<std::string, std::size_t> makers;
};

// The convolutions with constant weights of their own, but for the first (on the pixels), the last
// on a map (a heatmap's tail) and those on single pixels. Fails as visit_nodes does.
Result<Sites> find_sites(const diagnose::Network& network);

}  // namespace dermlens::quantize
