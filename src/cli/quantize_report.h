// What `dermlens quantize` found out, for people and as JSON.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "quantize/verify.h"

namespace dermlens::cli {

// The new model beside the old one, and what was asked of it.
struct QuantizeVerdict {
  std::string to;
  quantize::Measurement before, after;
  quantize::Comparison all;
  std::optional<quantize::Comparison> held_out;  // over photos that were not calibrated on
  std::size_t seen = 0;                          // photos that were
  double speedup = 0;                            // median over the turns
  int turns = 0;
  double change_allowed = 0, agreement_wanted = 0;
  bool passed() const {
    return all.largest_change <= change_allowed && all.agreement >= agreement_wanted;
  }
};

void print_verdict(const QuantizeVerdict& verdict);
boost::json::object to_json(const QuantizeVerdict& verdict);

// The line about the written model; `report` is what write_model gave.
void print_written(const std::string& path, const std::string& to,
                   const boost::json::object& report);

}  // namespace dermlens::cli
