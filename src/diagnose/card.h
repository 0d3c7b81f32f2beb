// The model's card, from ONNX metadata_props (docs/model-format.md). Every field is a stranger's:
// bounded in length, UTF-8, free of control characters (it ends up on terminals and pages). What is
// absent gets the documented default and, where that is a guess, a warning; what is present and
// breaks its syntax is malformed.
#pragma once

#include <optional>
#include <string>

#include "diagnose/types.h"
#include "onnx/reader.h"

namespace dermlens::diagnose {

// What the labels of 65,536 classes in two languages may take while they are read.
inline constexpr Bytes kMostCardBytes = Bytes{64} << 20;

// Fails with malformed naming the key, with unsupported where the network is no picture classifier
// (one f32 input [1, 3, H, W] or [1, H, W, 3], an output of two classes or more), or with
// over_limit where reading takes more than `most_bytes`. Reads labels.txt beside model.path where
// the metadata holds no labels.
Result<Card> read_card(const onnx::Model& model, Bytes most_bytes = kMostCardBytes);

// The input of the Softmax that makes `output`, looking through nodes that only reshape; nullopt
// where there is none of the same size.
std::optional<graph::ValueId> logits_behind_softmax(const graph::Graph& graph,
                                                    graph::ValueId output);

}  // namespace dermlens::diagnose
