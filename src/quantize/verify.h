// How a smaller model answers beside the one it was made from. Each is measured on its own (in a
// process of its own, if the caller wants to know its memory), then both are compared.
#pragma once

#include <string>
#include <vector>

#include "diagnose/model.h"

namespace dermlens::quantize {

struct Measurement {
  Bytes file_bytes = 0;
  Bytes peak_bytes = 0;                            // of the process, when all was done
  double latency_ms = 0;                           // median of forward and backward
  std::vector<std::vector<double>> probabilities;  // by photo; empty: it could not be read
  std::vector<std::vector<float>> maps;            // by photo; empty: no heatmap
};

// Answers for every photo. Fails as Model::load does.
Result<Measurement> measure(const std::string& model, const std::vector<std::string>& photos,
                            const diagnose::LoadOptions& options, Ledger& ledger);

// To and from text, to pass it between processes.
std::string to_text(const Measurement& measurement);
Result<Measurement> from_text(const std::string& text);

struct Comparison {
  std::size_t photos = 0;      // that the reference answered
  std::size_t unanswered = 0;  // of these, by the other: it disagrees there, and by 1
  double agreement = 0;        // share with the same most probable class
  double largest_change = 0;
  // Mean of Pearson's over the photos with a heatmap of the reference's; 0 where it is lost.
  double heatmap_correlation = 0;
  std::size_t heatmaps = 0;
};

// Over all photos, or those of `which` (by photo). Fails with malformed where the two do not speak
// of the same photos and classes, or the reference of none.
Result<Comparison> compare(const Measurement& reference, const Measurement& other,
                           const std::vector<bool>& which = {});

}  // namespace dermlens::quantize
