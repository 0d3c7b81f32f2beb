// An evaluation as one HTML file that needs nothing else.
#pragma once

#include <string>
#include <vector>

#include "diagnose/types.h"
#include "evaluate/metrics.h"

namespace dermlens::cli {

inline constexpr std::size_t kMaxReportPictures = 60;

struct Evaluation {
  struct Picture {
    std::size_t answer = 0;  // index into `answers`
    std::string png;
  };
  std::vector<evaluate::Said> answers;  // of the photos that could be read
  std::vector<Picture> pictures;        // only where explanations were asked for
  std::size_t unreadable = 0;
  evaluate::Metrics metrics;
};

// "0.914"
std::string thousandths(double value);

// Pictures stand in it as data: URIs; names of files do not.
std::string html_report(const Evaluation& evaluation, const diagnose::Card& card);

}  // namespace dermlens::cli
