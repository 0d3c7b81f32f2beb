#include "cli/bench_measure.h"

#include <algorithm>
#include <chrono>

#include "base/mapped_file.h"
#include "cli/engine.h"
#include "cli/input_image.h"
#include "diagnose/programs.h"
#include "kernels/precision.h"
#include "kernels/rates.h"
#include "memory/process.h"
#include "probe/memory_reading.h"
#include "probe/server_process.h"
#include "probe/swarm.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

double now_ms() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Gigabytes a second of a file that the page cache does not hold.
Result<double> disk_rate(const std::string& path) {
  TRY(const auto file, MappedFile::open(path));
  const std::size_t size = file->bytes().size();
  std::vector<std::byte> part(std::min(size, std::size_t{1} << 20));
  evict_mapped_files();
  const double start = now_ms();
  for (std::size_t at = 0; at < size; at += part.size())
    file->read(at, std::span(part).first(std::min(part.size(), size - at)));
  return static_cast<double>(size) / (now_ms() - start) / 1e6;
}

diagnose::Request request_of(bool heatmap) {
  diagnose::Request request;
  request.explain = heatmap;
  request.overlay = heatmap;
  return request;
}

struct Times {
  std::vector<double> inference, forward, backward, decode, render, whole;

  void add(const diagnose::Timing& timing, double all) {
    whole.push_back(all);
    forward.push_back(timing.forward);
    backward.push_back(timing.backward);
    inference.push_back(timing.forward + timing.backward);
    decode.push_back(timing.decode);
    render.push_back(timing.render);
  }
};

probe::SwarmPlan swarm_of(const probe::ServerProcess& server, std::string_view photo,
                          unsigned clients) {
  constexpr unsigned kLeastRequests = 12;
  probe::SwarmPlan plan;
  plan.endpoint = server.endpoint();
  plan.clients = clients;
  plan.requests = std::max(kLeastRequests, 3 * clients);
  plan.make = [photo](std::uint64_t) {
    return probe::Request{"POST", "/api/v1/explain?keep=false&output=map", "image/jpeg", photo, {}};
  };
  plan.judge = [](const probe::Reply& reply) {
    return reply.status == 200 ? std::string() : "answer " + std::to_string(reply.status);
  };
  return plan;
}

}  // namespace

Result<json::object> measure_floor(const std::string& model) {
  TRY(const kernels::Rates rates, kernels::measure_rates());
  json::object out;
  for (const auto& [type, flops] : rates.flops)
    out.emplace(std::string(graph::to_string(type)) + "_gflops", flops / 1e9);
  out.emplace("gigabytes", rates.bytes_per_second / 1e9);
  TRY(const double disk, disk_rate(model));
  out.emplace("disk_gigabytes", disk);
  return out;
}

Result<json::object> work_of(const std::string& model) {
  TRY(const diagnose::Network network, diagnose::read_network(model));
  TRY(const graph::Graph graph, diagnose::program_graph(network, "", false));
  const kernels::Precision precision = kernels::precision_of(graph);
  json::object gflop;
  for (const auto& [type, flops] : kernels::flops_of(graph))
    gflop.emplace(graph::to_string(type), flops / 1e9);
  return json::object{{"stored", kernels::usual_name(precision.stored)},
                      {"computed", kernels::usual_name(precision.computed)},
                      {"gflop", std::move(gflop)}};
}

Result<json::object> measure_latency(const CommonOptions& common, const std::string& photo,
                                     int runs, bool heatmap) {
  const double start = now_ms();
  TRY(Engine engine, load_engine(common, heatmap));
  const double loaded = now_ms();
  const diagnose::Request request = request_of(heatmap);
  Times times;
  double first = 0;
  for (int run = 0; run <= runs; ++run) {
    const double before = now_ms();
    TRY(const diagnose::Answer answer, answer_file(engine, photo, request));
    if (run == 0)
      first = now_ms() - start;
    else
      times.add(answer.timing, now_ms() - before);
  }
  const ProcessMemory memory = read_process_memory();
  const plan::Plan& plan = engine.model->plan();
  return json::object{
      {"system", "dermlens"},
      {"placement", to_string(plan.placement)},
      {"gradcam", heatmap},
      {"runs", runs},
      {"load_ms", loaded - start},
      {"first_ms", first},
      {"median_ms", median(times.inference)},
      {"forward_ms", median(times.forward)},
      {"backward_ms", median(times.backward)},
      {"decode_ms", median(times.decode)},
      {"render_ms", median(times.render)},
      {"whole_ms", median(times.whole)},
      {"weight_bytes", plan.weights + plan.small},
      {"peak_bytes", memory.peak_rss},
      {"anon_bytes", memory.anon},
      {"file_bytes", memory.file},
      {"pack", engine.model->pack_path()},
      {"pack_built", engine.model->pack_built()},
  };
}

Result<json::object> measure_cold(const CommonOptions& common, const std::string& photo,
                                  const std::string& pack, int runs, bool heatmap) {
  for (const std::string& path : {common.model, pack}) {
    if (path.empty()) continue;
    TRY(const auto file, MappedFile::open(path));
    evict_mapped_files();
  }
  const diagnose::Request request = request_of(heatmap);
  const double start = now_ms();
  TRY(Engine engine, load_engine(common, heatmap));
  TRY_VOID(answer_file(engine, photo, request));
  const double first = now_ms() - start;
  std::vector<double> forward, read;
  for (int run = 0; run < runs; ++run) {
    evict_mapped_files();
    const Bytes before = read_from_disk();
    TRY(const diagnose::Answer answer, answer_file(engine, photo, request));
    forward.push_back(answer.timing.forward);
    read.push_back(static_cast<double>(read_from_disk() - before));
  }
  return json::object{{"cold_first_ms", first},
                      {"cold_forward_ms", median(forward)},
                      {"cold_read_bytes", median(read)}};
}

Result<json::object> measure_throughput(const CommonOptions& common, const std::string& photo,
                                        const std::vector<unsigned>& clients) {
  TRY(const auto file, MappedFile::open(photo));
  TRY(probe::ServerProcess server, probe::ServerProcess::start(server_options(common)));
  const std::string_view body(reinterpret_cast<const char*>(file->bytes().data()),
                              file->bytes().size());
  json::object out, rates;
  for (const unsigned count : clients) {
    const probe::SwarmReport report = probe::run_swarm(swarm_of(server, body, count));
    if (report.wrong > 0) return fail(Errc::io, "the server under load: ", report.first_wrong);
    rates.emplace(std::to_string(count), static_cast<double>(report.answered) / report.seconds);
  }
  probe::HttpClient client(server.endpoint());
  TRY(const probe::Reply reply, client.get("/memory/"));
  TRY(const probe::MemoryReading reading, probe::parse_memory(reply.body));
  TRY_VOID(server.stop());
  out.emplace("requests_per_second", std::move(rates));
  out.emplace("server_peak_mb", reading.peak);
  return out;
}

}  // namespace dermlens::cli
