// Results that somebody asked to keep: one SQLite file, write-ahead log, readable by its owner
// only, deleted rows overwritten. Opened with --history and never otherwise.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct sqlite3;

namespace dermlens::history {

// What a clinic may note beside a photo; every field may be empty.
struct PatientNote {
  std::string age, gender, symptom, illness_history, drug_history;
};
inline constexpr std::size_t kMaxNote = 2000;  // bytes a field

struct Record {
  std::string id;            // 32 hex digits
  std::int64_t created = 0;  // seconds since 1970, UTC
  std::string model_name, model_version;
  std::string top_class;       // the model's own spelling
  double top_probability = 0;  // 0..1
  PatientNote note;
};

// What is large of a result; each is read for itself.
enum class Part { json, overlay_png, photo_jpeg };
struct Parts {
  std::string_view json;  // the native answer
  std::string_view overlay_png, photo_jpeg;
};
struct PartSizes {
  std::int64_t created = 0;
  Bytes json = 0, overlay_png = 0, photo_jpeg = 0;
};

struct Filter {
  std::optional<std::string> top_class;
  std::optional<std::int64_t> from, before;  // seconds; from <= created < before
  std::size_t limit = 50;                    // at most kMaxList
  std::size_t offset = 0;
};
inline constexpr std::size_t kMaxList = 1000;

// Any thread may call; calls wait for each other, and for the disk.
class Store {
 public:
  // Creates the file or brings an older one up to date. Fails with usage (cannot be opened) or io;
  // with corrupt where the integrity check finds damage; with unsupported where the file is of a
  // newer version or of another program.
  static Result<std::unique_ptr<Store>> open(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Fails with io where the disk is full or gone, with too_large for a note over kMaxNote; nothing
  // is kept then.
  Result<void> add(const Record& record, const Parts& parts);
  // How large its parts are; nullopt where there is no such record. Reads no picture.
  Result<std::optional<PartSizes>> find(std::string_view id);
  // One part; nullopt where there is no such record. Takes twice its size while it reads.
  Result<std::optional<std::string>> read(std::string_view id, Part part);
  // Newest first.
  Result<std::vector<Record>> list(const Filter& filter);
  // What list() would take, roughly and never less.
  Result<Bytes> weigh(const Filter& filter);
  Result<std::int64_t> count(const Filter& filter);
  // Every class that occurs, in alphabetical order.
  Result<std::vector<std::string>> classes();
  // What was deleted is in no file any more when these return: rows are overwritten, and the log,
  // which holds them too, is emptied. Fails with busy while another program reads the file, with
  // io where it could not be done otherwise; asked again, they empty the log of what is gone.
  Result<bool> erase(std::string_view id);
  // Returns how many records there were.
  Result<std::int64_t> erase_before(std::int64_t seconds);

 private:
  explicit Store(sqlite3* database) : database_(database) {}
  Result<void> migrate();
  Result<void> empty_log();

  std::mutex mutex_;
  sqlite3* database_;
};

// One line each with a header line; RFC 4180, and a cell that a spreadsheet would take for a
// formula begins with an apostrophe.
std::string csv_header();
std::string csv_line(const Record& record);

// "2025-01-31T14:05:00Z"
std::string format_time(std::int64_t seconds);
// Midnight, UTC, of "2025-01-31". Fails with malformed.
Result<std::int64_t> parse_date(std::string_view text);

}  // namespace dermlens::history
