// A model that answers: the card, the Programs (one for each heatmap layer in use) and their
// sessions. Photo bytes in, Answer out.
#pragma once

#include <boost/json/value.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/checked.h"
#include "diagnose/types.h"
#include "memory/ledger.h"
#include "plan/plan.h"

namespace dermlens::diagnose {

struct LoadOptions {
  plan::Placement placement = plan::Placement::automatic;
  int threads = 1;
  int sessions = 1;          // requests that may run at once
  std::string cache_dir;     // for packs; empty: no pack is kept
  bool let_reclaim = false;  // as plan::Plan::let_reclaim, of the default Program
  Bytes max_pixels = 50'000'000;
  bool explain = true;  // false: Programs without a backward part
};

// A value a heatmap can be made at.
struct Layer {
  std::string name;
  std::vector<std::int64_t> shape;  // [1, C, H, W]
  std::string op;                   // the operator that makes it
  bool is_auto = false;
  bool is_last_conv = false;
};

// All methods may be called from any thread. At most `sessions` requests run at once; a further
// one fails with busy (the server queues before it gets here).
class Model {
 public:
  // Reads, plans and packs. Fails with not_found, malformed, unsupported, over_limit (the smallest
  // plan does not fit) or no_memory (not now).
  static Result<std::shared_ptr<Model>> load(const std::string& path, const LoadOptions& options,
                                             Ledger& ledger);
  virtual ~Model() = default;

  virtual const Card& card() const = 0;
  virtual const std::vector<Layer>& layers() const = 0;
  virtual const plan::Plan& plan() const = 0;
  // The default Program's pack: where it lies (empty: nowhere), and whether load() had to build it.
  virtual const std::string& pack_path() const = 0;
  virtual bool pack_built() const = 0;
  // Whether a mapped file changed under us: answers fail with corrupt until it is loaded anew.
  virtual bool damaged() const = 0;
  virtual int sessions() const = 0;
  virtual int busy_sessions() const = 0;

  // Classifies, and explains when asked to. `image` is an encoded photo. Memory beyond the sessions
  // is reserved in the ledger (decode, encode).
  virtual Result<Answer> answer(ByteView image, const Request& request) = 0;

  // For inference protocols: raw input values, row-major, in the model's own layout; every output.
  struct RawOutput {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<float> values;
    Reservation hold;  // of the values (results)
  };
  struct RawInput {
    std::string name;
    std::vector<std::int64_t> shape;
  };
  virtual std::vector<RawInput> raw_inputs() const = 0;
  virtual std::vector<RawInput> raw_outputs() const = 0;
  virtual Result<std::vector<RawOutput>> infer(std::span<const float> values) = 0;
};

// What loading would take, computed without loading, compiling or reserving anything.
struct ModelPlan {
  Card card;
  plan::Plan forward;                 // without heatmaps
  std::optional<plan::Plan> explain;  // with the automatic layer's; empty where none is possible
};
// Fails as Model::load does, but for memory.
Result<ModelPlan> plan_model(const std::string& path);

// The native answer of docs/interfaces.md.
boost::json::value to_json(const Answer& answer, const Card& card);
// What a document with a picture of so many bytes and so many numbers takes while it is written:
// the picture as base64, in the document and in its text.
Bytes document_bytes(Bytes picture, std::size_t numbers);
boost::json::value to_json(const Card& card);

// The sentences that go with every answer.
std::string_view disclaimer(std::string_view language);  // "en", "vi"
std::string_view heatmap_explanation(std::string_view language);

}  // namespace dermlens::diagnose
