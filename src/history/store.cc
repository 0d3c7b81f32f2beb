// The SQLite file: opening, migrating, and one short statement for each question.
#include "history/store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "history/statement.h"

namespace dermlens::history {
namespace {

constexpr std::int64_t kApplicationId = 0x6465726d;  // "derm"
constexpr std::int64_t kVersion = 1;

constexpr const char* kSchema1 = R"(
  CREATE TABLE results(
    id TEXT PRIMARY KEY, created INTEGER NOT NULL,
    model_name TEXT NOT NULL, model_version TEXT NOT NULL,
    top_class TEXT NOT NULL, top_probability REAL NOT NULL,
    age TEXT NOT NULL, gender TEXT NOT NULL, symptom TEXT NOT NULL,
    illness_history TEXT NOT NULL, drug_history TEXT NOT NULL,
    json TEXT NOT NULL, overlay BLOB NOT NULL, photo BLOB NOT NULL) WITHOUT ROWID;
  CREATE INDEX results_by_time ON results(created);
  CREATE INDEX results_by_class ON results(top_class, created);
  PRAGMA application_id = 0x6465726d;
  PRAGMA user_version = 1;
)";

constexpr std::string_view kColumns =
    "id, created, model_name, model_version, top_class, top_probability, age, gender, symptom, "
    "illness_history, drug_history";

// Matches everything where a bound is absent, so that one statement serves all filters.
constexpr std::string_view kWhere =
    " FROM results WHERE (?1 = 0 OR top_class = ?2) AND created >= ?3 AND created < ?4";

void bind_filter(Statement& statement, const Filter& filter) {
  statement.bind(1, std::int64_t{filter.top_class.has_value()});
  statement.bind(2, filter.top_class ? std::string_view(*filter.top_class) : std::string_view());
  statement.bind(3, filter.from.value_or(INT64_MIN));
  statement.bind(4, filter.before.value_or(INT64_MAX));
}

constexpr std::string_view kPage = " ORDER BY created DESC, id LIMIT ?5 OFFSET ?6";

void bind_page(Statement& statement, const Filter& filter) {
  bind_filter(statement, filter);
  statement.bind(5, static_cast<std::int64_t>(std::min(filter.limit, kMaxList)));
  statement.bind(6, static_cast<std::int64_t>(std::min<std::size_t>(filter.offset, INT32_MAX)));
}

Record read_row(const Statement& row) {
  Record record;
  record.id = row.text(0);
  record.created = row.integer(1);
  record.model_name = row.text(2);
  record.model_version = row.text(3);
  record.top_class = row.text(4);
  record.top_probability = row.real(5);
  record.note = {row.text(6), row.text(7), row.text(8), row.text(9), row.text(10)};
  return record;
}

Result<std::int64_t> number(sqlite3* database, std::string_view sql) {
  TRY(auto statement, Statement::prepare(database, sql));
  TRY(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& path) {
  // SQLite would create it readable by everybody the umask lets in.
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail(Errc::usage, "cannot open the history file (", path, ")");
  ::close(fd);
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &database,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Store> store(new Store(database));
  if (code != SQLITE_OK) return sqlite_failure(database, code, "opening");
  sqlite3_busy_timeout(database, 2000);
  TRY_VOID(execute(database,
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                   "PRAGMA secure_delete = ON; PRAGMA cache_size = -512; PRAGMA mmap_size = 0;"
                   "PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 1048576"));
  {
    TRY(auto check, Statement::prepare(database, "PRAGMA integrity_check(1)"));
    TRY(const bool row, check.step());
    if (!row || check.text(0) != "ok")
      return fail(Errc::corrupt, "the history file is damaged (", path, ": ",
                  row ? check.text(0) : std::string("no answer"), ")");
  }
  TRY_VOID(store->migrate());
  // Of a process that ended between deleting and emptying. Who reads the file now, a backup say,
  // is no reason not to start: the next deletion empties the log, too.
  if (auto emptied = store->empty_log(); !emptied && emptied.error().code != Errc::busy)
    return tl::make_unexpected(std::move(emptied).error());
  return store;
}

Store::~Store() { sqlite3_close(database_); }

Result<void> Store::migrate() {
  TRY(const std::int64_t version, number(database_, "PRAGMA user_version"));
  TRY(const std::int64_t application, number(database_, "PRAGMA application_id"));
  TRY(const std::int64_t tables, number(database_, "SELECT count(*) FROM sqlite_schema"));
  if (version > kVersion)
    return fail(Errc::unsupported, "the history file is of a newer dermlens (version ", version,
                ", ", kVersion, ")");
  if (tables != 0 && application != kApplicationId)
    return fail(Errc::unsupported, "the history file belongs to another program");
  TRY_VOID(execute(database_, "BEGIN IMMEDIATE"));
  Result<void> done;
  if (version < 1) done = execute(database_, kSchema1);
  if (done) done = execute(database_, "COMMIT");
  if (!done) static_cast<void>(execute(database_, "ROLLBACK"));
  return done;
}

Result<void> Store::add(const Record& record, const Parts& parts) {
  const PatientNote& note = record.note;
  for (const std::string* text :
       {&note.age, &note.gender, &note.symptom, &note.illness_history, &note.drug_history})
    if (text->size() > kMaxNote)
      return fail(Errc::too_large, "a note is too long (", text->size(), " bytes, ", kMaxNote, ")");
  const std::lock_guard lock(mutex_);
  TRY(auto insert, Statement::prepare(database_,
                                      "INSERT INTO results VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
                                      "?9, ?10, ?11, ?12, ?13, ?14)"));
  insert.bind(1, record.id);
  insert.bind(2, record.created);
  insert.bind(3, record.model_name);
  insert.bind(4, record.model_version);
  insert.bind(5, record.top_class);
  insert.bind(6, record.top_probability);
  insert.bind(7, note.age);
  insert.bind(8, note.gender);
  insert.bind(9, note.symptom);
  insert.bind(10, note.illness_history);
  insert.bind(11, note.drug_history);
  insert.bind(12, parts.json);
  insert.bind_blob(13, parts.overlay_png);
  insert.bind_blob(14, parts.photo_jpeg);
  TRY_VOID(insert.step());
  return {};
}

Result<std::optional<PartSizes>> Store::find(std::string_view id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      Statement::prepare(database_,
                         "SELECT created, length(CAST(json AS BLOB)), length(overlay), "
                         "length(photo) FROM results WHERE id = ?1"));
  select.bind(1, id);
  TRY(const bool row, select.step());
  if (!row) return std::optional<PartSizes>();
  const auto size = [&select](int column) { return static_cast<Bytes>(select.integer(column)); };
  return std::optional<PartSizes>({select.integer(0), size(1), size(2), size(3)});
}

Result<std::optional<std::string>> Store::read(std::string_view id, Part part) {
  const std::string_view column = part == Part::json          ? "json"
                                  : part == Part::overlay_png ? "overlay"
                                                              : "photo";
  const std::lock_guard lock(mutex_);
  TRY(auto select, Statement::prepare(
                       database_, "SELECT " + std::string(column) + " FROM results WHERE id = ?1"));
  select.bind(1, id);
  TRY(const bool row, select.step());
  if (!row) return std::optional<std::string>();
  return std::optional<std::string>(select.text(0));
}

Result<Bytes> Store::weigh(const Filter& filter) {
  constexpr Bytes kRow = 512;  // the record itself, and what its strings are rounded up to
  const std::lock_guard lock(mutex_);
  const std::string rows =
      "SELECT " + std::string(kColumns) + std::string(kWhere) + std::string(kPage);
  TRY(auto select,
      Statement::prepare(
          database_,
          "SELECT count(*), total(length(CAST(model_name || model_version || top_class || "
          "age || gender || symptom || illness_history || drug_history AS BLOB))) FROM (" +
              rows + ")"));
  bind_page(select, filter);
  TRY_VOID(select.step());
  return static_cast<Bytes>(select.integer(0)) * kRow + static_cast<Bytes>(select.real(1));
}

Result<std::vector<Record>> Store::list(const Filter& filter) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, Statement::prepare(database_, "SELECT " + std::string(kColumns) +
                                                     std::string(kWhere) + std::string(kPage)));
  bind_page(select, filter);
  std::vector<Record> records;
  for (;;) {
    TRY(const bool row, select.step());
    if (!row) return records;
    records.push_back(read_row(select));
  }
}

Result<std::int64_t> Store::count(const Filter& filter) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, Statement::prepare(database_, "SELECT count(*)" + std::string(kWhere)));
  bind_filter(select, filter);
  TRY_VOID(select.step());
  return select.integer(0);
}

Result<std::vector<std::string>> Store::classes() {
  const std::lock_guard lock(mutex_);
  TRY(auto select, Statement::prepare(
                       database_, "SELECT DISTINCT top_class FROM results ORDER BY 1 LIMIT 1000"));
  std::vector<std::string> classes;
  for (;;) {
    TRY(const bool row, select.step());
    if (!row) return classes;
    classes.push_back(select.text(0));
  }
}

Result<bool> Store::erase(std::string_view id) {
  const std::lock_guard lock(mutex_);
  bool gone = false;
  {
    TRY(auto remove, Statement::prepare(database_, "DELETE FROM results WHERE id = ?1"));
    remove.bind(1, id);
    TRY_VOID(remove.step());
    gone = sqlite3_changes(database_) > 0;
  }
  TRY_VOID(empty_log());
  return gone;
}

Result<std::int64_t> Store::erase_before(std::int64_t seconds) {
  const std::lock_guard lock(mutex_);
  std::int64_t gone = 0;
  {
    TRY(auto remove, Statement::prepare(database_, "DELETE FROM results WHERE created < ?1"));
    remove.bind(1, seconds);
    TRY_VOID(remove.step());
    gone = sqlite3_changes64(database_);
  }
  TRY_VOID(empty_log());
  return gone;
}

// Not by the pragma, which reports that it could do nothing as a row and not as a failure.
Result<void> Store::empty_log() {
  const int code =
      sqlite3_wal_checkpoint_v2(database_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (code == SQLITE_BUSY)
    return fail(Errc::busy,
                "history: another program reads the file; until it ends, what was "
                "deleted stays in the log");
  if (code != SQLITE_OK) return sqlite_failure(database_, code, "emptying the log");
  return {};
}

}  // namespace dermlens::history
