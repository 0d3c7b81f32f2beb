// Antialiased resizing, row by row: the photo flows through and never exists in full.
// The arithmetic is Pillow's Image.resize to the bit (8-bit fixed point, horizontal pass first),
// since models are trained on its pictures.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "image/header.h"
#include "image/picture.h"

namespace dermlens {

enum class Filter { bilinear, bicubic, lanczos };
std::string_view to_string(Filter filter);

// Takes a picture's rows from top to bottom, 3 bytes a pixel; each is valid during the call only.
// Called from between C frames that are left by longjmp: must not throw.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void row(const std::uint8_t* rgb) = 0;
};

// `extent` is the part of the input's width and height that holds picture: a JPEG decoded at 3/8
// ends within its last column.
struct Resampling {
  Size in;
  double extent_width = 0;
  double extent_height = 0;
  Size out;
  Filter filter = Filter::lanczos;

  static Resampling whole(Size in, Size out, Filter filter) {
    return {in, static_cast<double>(in.width), static_cast<double>(in.height), out, filter};
  }
};

// Feeds `in.height` rows in, gets exactly `out.height` rows out into the sink, each as soon as
// the last row it depends on is there. One thread.
class Resizer final : public RowSink {
 public:
  // What a Resizer allocates: the caller reserves this before making one.
  static Bytes bytes_of(const Resampling& resampling);

  Resizer(const Resampling& resampling, RowSink& out);
  void row(const std::uint8_t* rgb) override;

 private:
  // The input pixels that one output pixel is made of, and their weights' place.
  struct Window {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  // One direction: from `in` pixels, of which `extent` count, to `out`.
  struct Axis {
    std::uint32_t in = 0;
    double extent = 0;
    std::uint32_t out = 0;
    Filter filter = Filter::lanczos;

    bool identity() const { return in == out && extent == static_cast<double>(in); }
    std::uint32_t taps() const;
    Window window(std::uint32_t index, double* scratch, std::int32_t* weights) const;
  };

  static Axis horizontal(const Resampling& resampling);
  static Axis vertical(const Resampling& resampling);
  void squeeze(const std::uint8_t* rgb, std::uint8_t* out) const;
  void emit_ready_rows();

  Axis across_;
  Axis down_;
  RowSink& out_;
  std::vector<double> scratch_;
  std::vector<Window> windows_;        // across: one an output column
  std::vector<std::int32_t> weights_;  // across: taps() an output column
  std::vector<std::uint8_t> ring_;     // down: the last taps() rows, squeezed
  Window next_;                        // down: of the next output row
  std::vector<std::int32_t> next_weights_;
  std::vector<std::int32_t> sums_;
  std::vector<std::uint8_t> row_;
  std::uint32_t rows_in_ = 0;
  std::uint32_t rows_out_ = 0;
};

// A whole picture at once.
Result<Picture> resize(const Picture& picture, Size size, Filter filter, Ledger& ledger);

}  // namespace dermlens
