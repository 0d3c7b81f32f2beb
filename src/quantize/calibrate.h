// What the activations of a network look like on real photos: how large they get, and which scale
// loses least when they become eight bits.
#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "diagnose/network.h"
#include "memory/ledger.h"

namespace dermlens::quantize {

// |x| counted in bins over [0, range); the range doubles when something larger comes.
class Histogram {
 public:
  void add(std::span<const float> values);
  double largest() const { return largest_; }
  // The clip in (0, largest] whose 127 steps on either side give the least mean square error; 0
  // where nothing but zeros was seen.
  double best_clip() const;
  // The least clip that at least this share of the values stays within.
  double quantile(double share) const;

 private:
  static constexpr std::size_t kBins = 4096;
  void widen_to(double value);
  double error_of(double clip) const;

  std::array<std::uint64_t, kBins> bins_{};
  double range_ = 0, largest_ = 0;
  std::uint64_t total_ = 0;
};

struct Statistics {
  Histogram histogram;
  std::vector<double> channel_sum;  // of [1, C, H, W]
  double positions = 0;             // that each was summed over
};

// Runs the network on every photo and observes the named values. Memory is bounded: the values are
// taken in batches, each a run over all photos. Photos that cannot be read are left out and counted
// in `unreadable`; fails where none is left, or as Program::load does.
Result<std::map<std::string, Statistics>> observe(const diagnose::Network& network,
                                                  std::span<const std::string> values,
                                                  std::span<const std::string> photos,
                                                  Ledger& ledger, std::size_t& unreadable);

}  // namespace dermlens::quantize
