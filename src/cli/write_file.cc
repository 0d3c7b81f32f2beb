#include "cli/write_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>

#include "base/descriptor.h"
#include "base/draft_file.h"

namespace dermlens::cli {
namespace {

namespace fs = std::filesystem;

using Write = std::function<Result<void>(const Sink&)>;

Result<void> write_through(const std::string& path, const Write& write) {
  const auto cannot_write = [&path] {
    return fail(Errc::io, "cannot write '", path, "' (", std::strerror(errno), ")");
  };
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) return cannot_write();
  return write([&](ByteView bytes) -> Result<void> {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return cannot_write();
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  });
}

Result<void> replace(const std::string& path, const Write& write) {
  TRY(DraftFile draft, DraftFile::create(path));
  TRY_VOID(write([&draft](ByteView bytes) { return draft.append(bytes); }));
  return draft.commit();
}

// A device or a pipe.
bool is_special(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return fs::exists(status) && !fs::is_regular_file(status);
}

Result<void> check_place(const std::string& path) {
  if (path.empty()) return fail(Errc::usage, "the output's name is empty");
  std::error_code error;
  const fs::path target(path);
  if (fs::is_directory(target, error) || !target.has_filename())
    return fail(Errc::usage, "the output is a directory ('", path, "')");
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error))
    return fail(Errc::usage, "no such folder to write to ('", folder.string(), "')");
  return {};
}

}  // namespace

Result<void> check_replaceable(const std::string& path) {
  TRY_VOID(check_place(path));
  // Only trying tells: permissions say little of a file system that takes no files.
  if (auto draft = DraftFile::create(path); !draft) return fail(Errc::usage, draft.error().message);
  return {};
}

Result<void> check_writable(const std::string& path) {
  TRY_VOID(check_place(path));
  return is_special(path) ? Result<void>() : check_replaceable(path);
}

Result<void> write_in_pieces(const std::string& path, const Write& write) {
  TRY_VOID(check_place(path));
  return is_special(path) ? write_through(path, write) : replace(path, write);
}

Result<void> write_file(const std::string& path, std::string_view bytes) {
  return write_in_pieces(
      path, [bytes](const Sink& sink) { return sink(std::as_bytes(std::span(bytes))); });
}

}  // namespace dermlens::cli
