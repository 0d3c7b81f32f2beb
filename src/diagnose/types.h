// What goes into a diagnosis and what comes out: plain values, shared by the command line, the
// server and evaluation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/bytes.h"
#include "image/colormap.h"
#include "image/resize.h"
#include "memory/ledger.h"

namespace dermlens::diagnose {

struct Label {
  std::string key;                           // the class as the model's authors spell it
  std::map<std::string, std::string> names;  // display names by language ("en", "vi")

  // The display name, or the key where the language has none. Valid while the label lives.
  const std::string& name(std::string_view language) const;
};

// A sentence in several languages ("en", "vi"); never without any.
struct LocalizedText {
  std::map<std::string, std::string> by_language;

  // In that language, else in English, else in the first there is. Valid while the text lives.
  const std::string& in(std::string_view language) const;
};

enum class ChannelOrder { rgb, bgr };
using Filter = dermlens::Filter;

// pixel 0..255 -> (pixel * scale - mean[c]) / deviation[c]
struct Preprocessing {
  std::int64_t width = 0, height = 0;
  bool channels_last = false;  // NHWC
  ChannelOrder order = ChannelOrder::rgb;
  Filter filter = Filter::lanczos;
  float scale = 1.0F / 255.0F;
  std::array<float, 3> mean{0.485F, 0.456F, 0.406F};
  std::array<float, 3> deviation{0.229F, 0.224F, 0.225F};
};

// energy = T * logsumexp(logits / T); below the threshold the photo is unlike what the model knows.
struct Gate {
  float threshold = 0;
};

// The model as its metadata describes it.
struct Card {
  std::string name, version, description, licence;
  std::string input, output;          // the graph's names of the picture and of the scores
  std::vector<LocalizedText> limits;  // what must be said wherever the model is shown
  std::vector<Label> labels;
  Preprocessing preprocessing;
  bool outputs_probabilities = false;  // softmax inside the model
  float temperature = 1;
  std::string layer = "auto";
  std::optional<Gate> gate;
  std::vector<std::string> warnings;  // defaults that had to be assumed
};

enum class Method { gradcam, gradcam_plus_plus, hirescam, xgradcam, layercam, eigencam };
std::string_view to_string(Method method);  // "gradcam", "gradcam++", ...
Result<Method> parse_method(std::string_view text);

enum class Score { logit, probability };
std::string_view to_string(Score score);
Result<Score> parse_score(std::string_view text);

using Colormap = dermlens::Colormap;
using dermlens::parse_colormap;
using dermlens::to_string;

// "top1", a class id, or a label's key or display name.
struct Target {
  std::string text = "top1";
};

struct Request {
  bool explain = true;
  Target target;
  std::string layer = "auto";  // "auto", "last_conv", or a value's name
  Method method = Method::gradcam;
  Score score = Score::logit;
  std::size_t top_k = 0;  // 0: all classes
  Colormap colormap = Colormap::jet;
  float alpha = 0.4F;   // 0..1
  bool overlay = true;  // compose and encode the overlay PNG
  bool photo = false;   // also hand out the photo, upright, without metadata, as JPEG
  bool strict = false;  // fail with refused where the gate says no
};

struct Prediction {
  std::size_t class_id = 0;
  double probability = 0;  // 0..1
};

// A picture's bytes as they are handed out, with their place in the ledger; empty by default.
class EncodedPicture {
 public:
  EncodedPicture() = default;
  explicit EncodedPicture(GrowingBytes bytes) : bytes_(std::move(bytes)) {}

  // Valid while this object lives.
  std::string_view text() const { return bytes_.text(); }
  operator std::string_view() const { return text(); }
  std::size_t size() const { return text().size(); }
  bool empty() const { return text().empty(); }

 private:
  GrowingBytes bytes_;
};

struct Explanation {
  Method method = Method::gradcam;
  std::string layer;
  std::size_t class_id = 0;
  Score score = Score::logit;
  std::size_t rows = 0, columns = 0;
  std::vector<float> map;      // row-major, 0..1; all zero when degenerate
  bool degenerate = false;     // the heatmap says nothing: zero everywhere, or not finite
  EncodedPicture overlay_png;  // empty unless asked for
};

struct Timing {  // milliseconds
  double queue = 0, decode = 0, forward = 0, backward = 0, render = 0;
};

// Movable only: its large parts hold their place in the ledger.
struct Answer {
  std::string id;                       // 32 hex digits, unguessable
  std::vector<Prediction> predictions;  // sorted, most probable first
  std::optional<Explanation> explanation;
  EncodedPicture photo_jpeg;                       // empty unless asked for
  std::int64_t photo_width = 0, photo_height = 0;  // of the photo, upright
  std::optional<double> energy;                    // the gate's score
  bool known = true;  // the gate's verdict; true where there is no gate
  Timing timing;
  Bytes planned_bytes = 0;  // the ledger's reservations this request may use, with the program's
  Bytes peak_bytes = 0;     // the process's high-water mark when it was over
  std::vector<std::string> warnings;
  Reservation hold;  // of the map and the predictions above (results)
};

}  // namespace dermlens::diagnose
