// Everything that a request touches is touched once, in small.
#include "capacity/rehearsal.h"

#include <algorithm>
#include <array>
#include <limits>
#include <thread>

#include "diagnose/programs.h"
#include "exec/program.h"
#include "image/decode.h"
#include "image/encode.h"
#include "memory/process.h"

namespace dermlens::capacity {
namespace {

// The kernel counts pages a core in batches of 32, anonymous ones and those of files apart: a
// reading may be low by that much.
Bytes counting_error() {
  constexpr Bytes kBatch = Bytes{2} * 32 * 4096;
  return std::min<Bytes>(std::thread::hardware_concurrency() * kBatch, Bytes{1} << 20);
}

Bytes occupied() {
  const ProcessMemory memory = read_process_memory();
  return memory.anon + memory.file + counting_error();
}

// The codecs' own pages and tables, by a picture of a few pixels.
Result<void> read_and_write_pictures(Ledger& ledger) {
  constexpr Size kSize{64, 64};
  constexpr int kQuality = 85;
  TRY(const Picture picture, Picture::make(kSize, ledger));
  TRY(const GrowingBytes jpeg, encode_jpeg(picture, kQuality, ledger));
  TRY(const GrowingBytes png, encode_png(picture, ledger));
  const std::array targets{Target::exact({32, 32}), Target::fit(48)};
  for (const GrowingBytes* encoded : {&jpeg, &png}) {
    const ByteView bytes = std::as_bytes(encoded->bytes());
    TRY(const Header header, read_header(bytes));
    TRY(const std::vector<Picture> pictures, decode(bytes, header, targets, ledger));
  }
  return {};
}

}  // namespace

Result<plan::Plan> rehearse(const diagnose::Network& network, const std::string& layer, Bytes base,
                            int threads) {
  Ledger ledger(std::numeric_limits<Bytes>::max());
  exec::ProgramOptions options;
  options.threads = threads;
  options.files = network.model.files;
  TRY(graph::Graph graph, diagnose::program_graph(network, layer, true));
  TRY(const auto program, exec::Program::load_blank(std::move(graph), options, ledger));
  {
    TRY(const auto session, exec::Session::open(program, ledger));
    TRY_VOID(session->forward());
    TRY_VOID(session->backward());
    TRY_VOID(read_and_write_pictures(ledger));
  }
  plan::Plan plan = program->plan();
  const Bytes now = occupied();
  plan.code = now > base ? now - base : 0;
  return plan;
}

}  // namespace dermlens::capacity
