#include "cli/write_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace dermlens::cli {
namespace {

namespace fs = std::filesystem;

// A descriptor that is closed with its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

tl::unexpected<Error> cannot_write(const std::string& path, int reason) {
  return fail(Errc::io, "cannot write '", path, "' (", std::strerror(reason), ")");
}

// 0, or errno.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

Result<void> write_through(const std::string& path, std::string_view bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) return cannot_write(path, errno);
  if (const int reason = write_all(file.get(), bytes)) return cannot_write(path, reason);
  return {};
}

Result<void> replace(const fs::path& target, std::string_view bytes) {
  std::string temporary =
      (target.parent_path() / ("." + target.filename().string().substr(0, 200) + ".XXXXXX"))
          .string();
  Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) return cannot_write(target.string(), errno);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  int reason = write_all(file.get(), bytes);
  if (reason == 0 && ::fchmod(file.get(), 0666 & ~mask) != 0) reason = errno;
  if (reason == 0 && file.close() != 0) reason = errno;
  if (reason == 0 && ::rename(temporary.c_str(), target.c_str()) != 0) reason = errno;
  if (reason == 0) return {};
  ::unlink(temporary.c_str());
  return cannot_write(target.string(), reason);
}

}  // namespace

Result<void> check_writable(const std::string& path) {
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

Result<void> write_file(const std::string& path, std::string_view bytes) {
  TRY_VOID(check_writable(path));
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) return write_through(path, bytes);
  const fs::path target = fs::weakly_canonical(path, error);
  return replace(error ? fs::absolute(path) : target, bytes);
}

}  // namespace dermlens::cli
