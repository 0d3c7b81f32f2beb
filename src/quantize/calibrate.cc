#include "quantize/calibrate.h"

#include <algorithm>
#include <cmath>

#include "diagnose/preprocess.h"
#include "exec/program.h"
#include "graph/passes.h"
#include "quantize/photos.h"

namespace dermlens::quantize {
namespace {

constexpr Bytes kBatchBytes = Bytes{48} << 20;
constexpr double kSteps = 127;

// One run over all photos with some of the values as outputs.
Result<void> observe_batch(const diagnose::Network& network, std::span<const std::string> values,
                           std::span<const std::string> photos, Ledger& ledger,
                           std::map<std::string, Statistics>& out, std::size_t& unreadable) {
  graph::Graph graph = network.model.graph;
  std::vector<graph::ValueId> ids;
  for (const std::string& name : values) {
    TRY(const graph::ValueId id, onnx::find_value(network.model, name));
    ids.push_back(id);
  }
  graph.replace_outputs(ids);
  std::vector<std::string> names;
  names.reserve(ids.size());
  for (const graph::ValueId id : ids) names.push_back(graph.value(id).name);
  TRY_VOID(graph::simplify(graph));
  exec::ProgramOptions options;
  options.files = network.model.files;
  TRY(const auto program, exec::Program::load(std::move(graph), options, ledger));
  TRY(const auto session, exec::Session::open(program, ledger));
  const auto input = program->find_input(network.input);
  if (!input) return fail(Errc::internal, "the program lost its input '", network.input, "'");
  unreadable = 0;
  for (const std::string& photo : photos) {
    const auto picture = read_photo(photo, network.card.preprocessing, ledger);
    if (!picture) {
      ++unreadable;
      continue;
    }
    diagnose::write_input(*picture, network.card.preprocessing, session->input(*input));
    TRY_VOID(session->forward());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto index = program->find_output(names[i]);
      if (!index) return fail(Errc::internal, "the program lost its output '", names[i], "'");
      const std::span<const float> numbers = session->output(*index);
      Statistics& statistics = out[values[i]];
      statistics.histogram.add(numbers);
      const auto channels = static_cast<std::size_t>(program->outputs()[*index].type.shape[1]);
      const std::size_t plane = numbers.size() / channels;
      statistics.channel_sum.resize(channels);
      statistics.positions += static_cast<double>(plane);
      for (std::size_t n = 0; n < numbers.size(); ++n)
        statistics.channel_sum[n / plane] += static_cast<double>(numbers[n]);
    }
  }
  if (unreadable == photos.size())
    return fail(Errc::malformed, "no photo could be read (", photos.size(), ")");
  return {};
}

}  // namespace

void Histogram::widen_to(double value) {
  if (range_ == 0) range_ = value * 1.0001;
  while (value >= range_) {
    for (std::size_t i = 0; i < kBins / 2; ++i) bins_[i] = bins_[2 * i] + bins_[2 * i + 1];
    std::fill(bins_.begin() + kBins / 2, bins_.end(), 0);
    range_ *= 2;
  }
}

void Histogram::add(std::span<const float> values) {
  for (const float value : values) {
    const double size = std::abs(static_cast<double>(value));
    if (!std::isfinite(size)) continue;
    ++total_;
    if (size > largest_) {
      largest_ = size;
      widen_to(size);
    }
    const auto bin =
        range_ > 0 ? static_cast<std::size_t>(size / range_ * static_cast<double>(kBins)) : 0;
    ++bins_[std::min(bin, kBins - 1)];
  }
}

double Histogram::error_of(double clip) const {
  const double width = range_ / static_cast<double>(kBins), step = clip / kSteps;
  double error = 0;
  for (std::size_t i = 0; i < kBins; ++i) {
    if (bins_[i] == 0) continue;
    const double size = (static_cast<double>(i) + 0.5) * width;
    const double lost = size > clip ? (size - clip) * (size - clip) : step * step / 12;
    error += static_cast<double>(bins_[i]) * lost;
  }
  return error;
}

double Histogram::best_clip() const {
  constexpr int kCandidates = 80;
  double best = largest_, least = error_of(largest_);
  for (int i = 1; largest_ > 0 && i < kCandidates; ++i) {
    const double clip = largest_ * i / kCandidates;
    if (const double error = error_of(clip); error < least) {
      least = error;
      best = clip;
    }
  }
  return best;
}

double Histogram::quantile(double share) const {
  double seen = 0;
  for (std::size_t i = 0; i < kBins; ++i) {
    seen += static_cast<double>(bins_[i]);
    if (seen >= share * static_cast<double>(total_))
      return std::min(largest_, range_ * (static_cast<double>(i) + 1) / static_cast<double>(kBins));
  }
  return largest_;
}

Result<std::map<std::string, Statistics>> observe(const diagnose::Network& network,
                                                  std::span<const std::string> values,
                                                  std::span<const std::string> photos,
                                                  Ledger& ledger, std::size_t& unreadable) {
  std::map<std::string, Statistics> out;
  std::size_t begin = 0;
  while (begin < values.size()) {
    Bytes bytes = 0;
    std::size_t end = begin;
    while (end < values.size()) {
      TRY(const graph::ValueId id, onnx::find_value(network.model, values[end]));
      const Bytes more = network.model.graph.value(id).type.bytes();
      if (end > begin && bytes + more > kBatchBytes) break;
      bytes += more;
      ++end;
    }
    TRY_VOID(observe_batch(network, values.subspan(begin, end - begin), photos, ledger, out,
                           unreadable));
    begin = end;
  }
  return out;
}

}  // namespace dermlens::quantize
