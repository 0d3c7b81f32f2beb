// What fits under a limit: every way to run a model with its bytes by the ledger's categories, the
// peak to expect, the most requests at once, and one way recommended. `dermlens plan` prints it,
// `dermlens serve` configures itself by it.
//
// Weights, arena, scratch, bodies and pictures are computed. What the bare process takes (base) and
// what the engine takes (code: machine code, library pages, the model's description) is measured:
// survey() runs every Program once, in this process, with weights that take no memory.
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "diagnose/model.h"
#include "image/header.h"
#include "memory/ledger.h"
#include "memory/limit.h"

namespace dermlens::capacity {

using plan::Placement;
using ByCategory = std::array<Bytes, kCategories>;

// What a server has open besides the bare process: connections, its page. An estimate.
inline constexpr Bytes kServerAllowance = Bytes{2} << 20;

// The kernel counts pages a core in batches of 32, anonymous ones and those of files apart: a
// reading may be low by that much.
Bytes counting_error();

// A phone's photo: 12 megapixels, baseline JPEG, 4:2:0.
Header phone_photo();

// What requests bring, what is kept of their answers, and what the operator has decided already.
struct Assumptions {
  Header photo = phone_photo();
  Bytes upload = Bytes{4} << 20;  // a request's body, held until it is answered
  bool overlay = true;            // explanations carry the overlay, not the map alone
  bool keep_photo = false;        // answers carry the photo as JPEG, too, as the server's page does
  int threads = 1;                // of a request
  Placement weights = Placement::automatic;  // recommend only this
};

// A placement of the weights, with heatmaps or without; any number of sessions.
struct Way {
  bool heatmaps = false;
  Placement placement = Placement::resident;
  plan::Plan plan;        // `code` is measured
  Bytes code_excess = 0;  // what loading asks for besides, until it is measured
  ByCategory shared{};    // held once: base, code, weights
  // The most that one request reserves of each category: not all of them at the same moment.
  ByCategory session{};
  Bytes session_peak = 0;  // the most that one request reserves, and has in memory, at any moment
  Bytes loading = 0;   // the most that the process has in memory until it serves, its pack found
  Bytes building = 0;  // the same where it must write the pack first

  // What the ledger must grant while the Program loads, with room for so many sessions.
  Bytes reserved_at_load(std::uint64_t sessions) const;
  // And for so many requests at once.
  Bytes reserved(std::uint64_t sessions) const;
  // The high-water mark of the resident set to expect, the pack being there: loading, or every
  // request at its own at the same moment.
  Bytes peak(std::uint64_t sessions) const;
  // The limit that would do, the pack being there or not.
  Bytes needed(std::uint64_t sessions) const;
  // How many requests at once fit under `limit`; 0: not even one.
  std::uint64_t most_sessions(Bytes limit) const;
};

// What to do: a way and a number of sessions.
struct Choice {
  std::size_t way = 0;  // index into Capacity::ways
  std::uint64_t sessions = 1;
};

struct Capacity {
  diagnose::Card card;
  std::string path;              // the model's
  std::string stored, computed;  // its precision: "fp32", "fp16", "bf16", "int8"
  MemoryLimit limit;
  Assumptions assumptions;
  Bytes base = 0;                     // measured
  Bytes least = 0;                    // the limit that would do for one request, as wished
  std::vector<Way> ways;              // with heatmaps first, the fastest placement first
  std::optional<Choice> recommended;  // empty: nothing fits
  std::string sentence;               // the recommendation, or what would do
};

// Reads the model, measures its Programs and adds up. `base` is what the process took before, as
// far as it is known. What runs meanwhile stays within the smallest way's bytes and is gone
// afterwards, but for the libraries' pages, which stay mapped. Call it while no request runs: what
// others allocate would be measured, too. Fails as Model::load does, but for memory: where nothing
// fits, nothing is recommended.
Result<Capacity> survey(const std::string& model, const MemoryLimit& limit, Bytes base,
                        const Assumptions& assumptions);

// The fastest way with weights at `wish` that fits `sessions` requests at once; where none does,
// with as many as fit. Heatmaps only if `heatmaps`, and then always. Fails with over_limit and the
// bytes that would do for one request, with unsupported where the model has no heatmaps.
Result<Choice> choose(const Capacity& capacity, bool heatmaps, Placement wish,
                      std::uint64_t sessions);

// "streamed weights, heatmaps on, 2 requests at once: peak 38.1 MB of 64.0 MB".
std::string describe(const Capacity& capacity, const Choice& choice);

// A plan or option of the system we replace, with its authors' estimate and our figure.
struct Comparison {
  std::string name;       // "A" to "D", "2A" to "2D"
  std::string meaning;    // theirs
  std::string seed_mb;    // as they wrote it; empty where they named none
  std::size_t model = 0;  // index of the capacity that answers it
  Choice choice;          // what it comes to here: one of that capacity's ways
  std::string remark;
};

// Rows A to D and 2A to 2D. The first of `models` is the model as it is; a smaller precision among
// the others answers what they wanted to reach by quantizing. Not empty.
std::vector<Comparison> compare_with_seed(std::span<const Capacity> models);

// Which of the seed's plans applies under the limit, and why: "A" with nothing given up, "B" with
// another precision, "C" without heatmaps, "D" on another host.
struct Applying {
  std::string plan;
  std::string reason;
};
Applying applying_plan(std::span<const Capacity> models);

// Which of `models` serves best: heatmaps before none, then most requests at once up to one a core,
// then the faster placement; the first of equals. Where nothing fits, the one that needs least. Not
// empty.
std::size_t best_of(std::span<const Capacity> models);

// All of it as one document, sizes in bytes. Of several models each has a document of its own under
// "plans".
boost::json::object to_json(std::span<const Capacity> models);

}  // namespace dermlens::capacity
