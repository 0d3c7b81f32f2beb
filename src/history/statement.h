// A prepared SQLite statement that is finalised by scope; errors become ours with SQLite's words.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace dermlens::history {

// Fails with io (full, busy, gone), corrupt or internal, after `code`.
tl::unexpected<Error> sqlite_failure(sqlite3* database, int code, std::string_view doing);

class Statement {
 public:
  static Result<Statement> prepare(sqlite3* database, std::string_view sql);
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Parameters are numbered from 1; the text must outlive the next step.
  void bind(int index, std::string_view text);
  void bind_blob(int index, std::string_view bytes);
  void bind(int index, std::int64_t number);
  void bind(int index, double number);

  // True where there is a row, false at the end.
  Result<bool> step();

  std::string text(int column) const;  // also of blobs
  std::int64_t integer(int column) const;
  double real(int column) const;

 private:
  Statement(sqlite3* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}

  sqlite3* database_;
  sqlite3_stmt* statement_;
};

// Runs statements that yield no rows of interest.
Result<void> execute(sqlite3* database, const char* sql);

}  // namespace dermlens::history
