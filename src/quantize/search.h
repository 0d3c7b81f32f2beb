// From a model and photos to the eight-bit model that is worth having: calibrated, tried out, and
// with those convolutions left in fp32 whose rounding hurts most.
#pragma once

#include <string>
#include <vector>

#include "memory/ledger.h"

namespace dermlens::quantize {

struct IntegerOptions {
  std::vector<std::string> photos;  // to calibrate on
  // How long to look for convolutions better left in fp32; 0: none is. What was found until then
  // is used.
  double search_seconds = 120;
  // What is looked for: no probability of the photos tried changes by more than this.
  double enough = 0.05;
};

struct IntegerReport {
  std::size_t candidates = 0;     // convolutions that integers could compute
  std::vector<std::string> kept;  // those left in fp32, by the names of their results
  std::string clipping;           // how activations are clipped: "mse", "99.99 %", ...
  double change = 0;              // largest change of a probability over the photos tried
  std::size_t trials = 0;
  std::size_t unreadable = 0;  // photos left out
};

// Writes `to`; it appears when it is complete. Trial models lie beside it meanwhile, each without a
// name while it is tried. Fails with unsupported where the model has no such convolution, is int8
// already or has an opset below 13, and as read_network, Program::load and rewrite_model do.
Result<IntegerReport> quantize_to_integers(const std::string& from, const std::string& to,
                                           const IntegerOptions& options, Ledger& ledger);

}  // namespace dermlens::quantize
