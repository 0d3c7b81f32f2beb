// Plain POSIX: exclusive creation beside the target, fsync, rename.
#include "base/draft_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace dermlens {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBufferBytes = 64 * 1024;

tl::unexpected<Error> io_error(std::string_view what, const std::string& path) {
  return fail(Errc::io, what, " '", path, "' (", std::strerror(errno), ")");
}

// Where the links lead, to a file that need not be there yet: a rename would replace the link.
fs::path end_of_links(fs::path path) {
  constexpr int kMostLinks = 40;  // as the kernel
  std::error_code error;
  for (int i = 0; i < kMostLinks && fs::is_symlink(fs::symlink_status(path, error)); ++i)
    path = path.parent_path() / fs::read_symlink(path, error);
  return path;
}

}  // namespace

Result<DraftFile> DraftFile::create(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::none)
    return fail(Errc::io, "cannot write '", path, "' (", error.message(), ")");
  if (fs::exists(status) && !fs::is_regular_file(status))
    return fail(Errc::usage, "not a regular file ('", path, "')");
  const fs::path target = end_of_links(path);
  // Hidden, and short enough beside the longest name there can be.
  const std::string name = "." + target.filename().string().substr(0, 200) + "." +
                           std::to_string(::getpid()) + "." + std::to_string(counter++);
  std::string draft = (target.parent_path() / name).string();
  Descriptor file(
      ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (file.get() < 0) return io_error("cannot write beside", path);
  return DraftFile(target.string(), std::move(draft), std::move(file));
}

DraftFile::DraftFile(DraftFile&& other) noexcept
    : path_(std::move(other.path_)),
      draft_(std::exchange(other.draft_, {})),
      file_(std::move(other.file_)),
      buffer_(std::move(other.buffer_)),
      size_(other.size_) {}

DraftFile::~DraftFile() {
  if (!draft_.empty()) ::unlink(draft_.c_str());
}

Result<void> DraftFile::write(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return io_error("cannot write", path_);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> DraftFile::flush() {
  TRY_VOID(write(buffer_));
  buffer_.clear();
  return {};
}

Result<void> DraftFile::append(ByteView bytes) {
  size_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBufferBytes) TRY_VOID(flush());
  if (bytes.size() > kBufferBytes) return write(bytes);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Result<void> DraftFile::commit() {
  TRY_VOID(flush());
  if (::fsync(file_.get()) != 0) return io_error("cannot write", path_);
  if (file_.close() != 0) return io_error("cannot write", path_);
  if (std::rename(draft_.c_str(), path_.c_str()) != 0) return io_error("cannot rename to", path_);
  draft_.clear();
  return {};
}

}  // namespace dermlens
