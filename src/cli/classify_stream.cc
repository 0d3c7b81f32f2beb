#include <boost/json/value.hpp>
#include <istream>
#include <limits>
#include <ostream>

#include "cli/application.h"
#include "cli/classify.h"
#include "cli/input_image.h"
#include "diagnose/base64.h"
#include "server/json_body.h"

namespace dermlens::cli {
namespace {

namespace json = boost::json;

// A 15 MB photo as base64 is 20 MB.
constexpr std::size_t kMaxLineBytes = std::size_t{32} << 20;

// Lines of bounded length out of a stream, each paid for as it grows.
class LineReader {
 public:
  LineReader(std::istream& in, Ledger& ledger) : in_(in), ledger_(ledger) {}

  // Reads the next line into text(); false at the end. Where the line is too long, or has no room,
  // it is skipped to its end and the result is an error.
  Result<bool> next() {
    text_.clear();
    text_.shrink_to_fit();
    hold_ = Reservation();
    TRY(hold_, ledger_.reserve(Category::bodies, 0));
    int c = in_.get();
    if (c == std::istream::traits_type::eof()) return false;
    for (; c != std::istream::traits_type::eof() && c != '\n'; c = in_.get()) {
      if (text_.size() == text_.capacity()) {
        if (auto grown = grow(); !grown) {
          in_.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
          return tl::make_unexpected(std::move(grown).error());
        }
      }
      text_ += static_cast<char>(c);
    }
    return true;
  }

  const std::string& text() const { return text_; }

 private:
  // The line, and the photo decoded from it. What the JSON parser makes of it asks for itself.
  static constexpr Bytes kCopies = 2;

  Result<void> grow() {
    const std::size_t capacity = std::max<std::size_t>(4096, text_.capacity() * 2);
    if (text_.size() >= kMaxLineBytes)
      return fail(Errc::too_large, "the line is too long (limit ", kMaxLineBytes, " bytes)");
    TRY_VOID(hold_.resize(capacity * kCopies));
    text_.reserve(capacity);
    return {};
  }

  std::istream& in_;
  Ledger& ledger_;
  Reservation hold_;
  std::string text_;
};

struct Line {
  json::value id;  // null where there was none
  std::string path, photo;
};

Result<void> parse_line(const std::string& text, Line& line, Ledger& ledger) {
  auto parsed = server::JsonBody::parse(text, ledger);
  if (!parsed && parsed.error().code != Errc::malformed)
    return tl::make_unexpected(std::move(parsed).error());
  const json::object* object = parsed ? parsed->value().if_object() : nullptr;
  if (!object) return fail(Errc::malformed, "the line is no JSON object");
  if (const json::value* id = object->if_contains("id")) {
    if (id->is_object() || id->is_array())
      return fail(Errc::malformed, "\"id\" must be a string or a number");
    // Into memory of its own: the line's goes with the line.
    line.id = json::value(*id, json::storage_ptr());
  }
  const json::value* path = object->if_contains("path");
  const json::value* b64 = object->if_contains("b64");
  if ((path != nullptr) == (b64 != nullptr))
    return fail(Errc::malformed, "the line needs \"path\" or \"b64\", and not both");
  const json::string* value = (path ? path : b64)->if_string();
  if (!value) return fail(Errc::malformed, path ? "\"path\"" : "\"b64\"", " must be a string");
  if (path) {
    line.path.assign(value->data(), value->size());
    if (line.path.find('\0') != std::string::npos)
      return fail(Errc::malformed, "\"path\" holds a zero byte");
    return {};
  }
  TRY(line.photo, diagnose::from_base64({value->data(), value->size()}));
  return {};
}

Result<diagnose::Answer> answer_line(const Line& line, Engine& engine,
                                     const diagnose::Request& request) {
  if (!line.path.empty()) return answer_file(engine, line.path, request);
  return answer(engine, std::as_bytes(std::span(line.photo)), request);
}

}  // namespace

int classify_stream(std::istream& in, std::ostream& out, Engine& engine,
                    const diagnose::Request& request) {
  int worst = kDone;
  Ledger& ledger = *engine.budget.ledger;
  LineReader reader(in, ledger);
  for (std::size_t number = 1;; ++number) {
    Line line;
    Result<bool> more = reader.next();
    if (more && !*more) return worst;
    Result<void> parsed = {};
    if (!more) parsed = tl::make_unexpected(std::move(more).error());
    if (parsed && reader.text().find_first_not_of(" \t\r") == std::string::npos) continue;
    if (parsed) parsed = parse_line(reader.text(), line, ledger);
    Result<diagnose::Answer> answer = fail(Errc::internal, "unset");
    if (parsed)
      answer = answer_line(line, engine, request);
    else
      answer = tl::make_unexpected(std::move(parsed).error());
    json::object object;
    if (answer) {
      object = diagnose::to_json(*answer, engine.card).as_object();
      if (!line.id.is_null()) object["id"] = line.id;
    } else {
      object = error_object(answer.error());
      object["id"] = line.id;
      object["line"] = number;
      if (worst == kDone) worst = exit_code(answer.error().code);
    }
    print_json(out, object);
    out << std::flush;
    if (!out) return kFailed;
  }
}

}  // namespace dermlens::cli
