// The thin layer between SQLite's C interface and Result.
#include "history/statement.h"

#include <utility>

namespace dermlens::history {

tl::unexpected<Error> sqlite_failure(sqlite3* database, int code, std::string_view doing) {
  Errc errc = Errc::io;
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) errc = Errc::corrupt;
  if (code == SQLITE_NOMEM) errc = Errc::no_memory;
  if (code == SQLITE_MISUSE || code == SQLITE_ERROR) errc = Errc::internal;
  return fail(errc, "history: ", doing, " failed (",
              database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(code), ")");
}

Result<Statement> Statement::prepare(sqlite3* database, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return sqlite_failure(database, code, "preparing");
  return Statement(database, statement);
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Statement::~Statement() { sqlite3_finalize(statement_); }

// Binding fails only for an index that is not there or text over 1 GB; neither can be.
void Statement::bind(int index, std::string_view text) {
  CHECK(sqlite3_bind_text(statement_, index, text.data() == nullptr ? "" : text.data(),
                          static_cast<int>(text.size()), SQLITE_STATIC) == SQLITE_OK);
}

void Statement::bind_blob(int index, std::string_view bytes) {
  CHECK(sqlite3_bind_blob(statement_, index, bytes.data() == nullptr ? "" : bytes.data(),
                          static_cast<int>(bytes.size()), SQLITE_STATIC) == SQLITE_OK);
}

void Statement::bind(int index, std::int64_t number) {
  CHECK(sqlite3_bind_int64(statement_, index, number) == SQLITE_OK);
}

void Statement::bind(int index, double number) {
  CHECK(sqlite3_bind_double(statement_, index, number) == SQLITE_OK);
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return sqlite_failure(database_, code, "running a statement");
}

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr || size <= 0) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Statement::real(int column) const { return sqlite3_column_double(statement_, column); }

Result<void> execute(sqlite3* database, const char* sql) {
  const int code = sqlite3_exec(database, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return sqlite_failure(database, code, "a statement");
  return {};
}

}  // namespace dermlens::history
