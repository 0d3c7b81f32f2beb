// Digests by XXH3 (xxHash), and files that appear whole or not at all.
#include "pack/pack_file.h"

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "kernels/lower.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dermlens::pack {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;

class Hasher {
 public:
  Hasher() : state_(XXH3_createState()) { XXH3_128bits_reset(state_.get()); }
  void add(ByteView bytes) { XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()); }
  template <class T>
  void add_value(const T& value) {
    add(std::as_bytes(std::span(&value, 1)));
  }
  void add_text(std::string_view text) {
    add_value(text.size());
    add(std::as_bytes(std::span(text)));
  }
  void add_floats(const std::vector<float>& values) {
    add_value(values.size());
    add(std::as_bytes(std::span(values)));
  }
  Digest result() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return {hash.low64, hash.high64};
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

// Hashes a mapped range chunk by chunk and gives the pages back.
void add_file(Hasher& hasher, const MappedFile& file, std::size_t begin) {
  const ByteView bytes = file.bytes();
  for (std::size_t at = begin; at < bytes.size(); at += kChunk) {
    const std::size_t length = std::min(kChunk, bytes.size() - at);
    hasher.add(bytes.subspan(at, length));
    file.drop(at, length);
  }
}

// A file being written: nameless until it is whole.
class Draft {
 public:
  static Result<Draft> open(const std::string& folder) {
    const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
    if (fd < 0)
      return fail(Errc::io, "cannot write in '", folder, "' (", std::strerror(errno), ")");
    return Draft(fd);
  }
  Draft(Draft&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Draft(const Draft&) = delete;
  ~Draft() {
    if (fd_ >= 0) ::close(fd_);
  }

  Result<void> write(Bytes offset, ByteView bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return fail(Errc::io, "cannot write the pack (", std::strerror(errno), ")");
      offset += static_cast<Bytes>(written);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }

  Result<void> set_size(Bytes size) const {
    // Blocks now, so that a full disk is an error here and not SIGBUS later.
    if (const int error = ::posix_fallocate(fd_, 0, static_cast<off_t>(size)); error != 0)
      return fail(Errc::io, "no room for the pack (", size, " B, ", std::strerror(error), ")");
    return {};
  }

  std::string proc_path() const { return "/proc/self/fd/" + std::to_string(fd_); }

  Result<void> move_to(const std::string& path) const {
    const std::string draft = path + "." + std::to_string(::getpid()) + ".tmp";
    ::unlink(draft.c_str());
    if (::linkat(AT_FDCWD, proc_path().c_str(), AT_FDCWD, draft.c_str(), AT_SYMLINK_FOLLOW) != 0)
      return fail(Errc::io, "cannot name the pack '", path, "' (", std::strerror(errno), ")");
    if (::rename(draft.c_str(), path.c_str()) != 0) {
      const int error = errno;
      ::unlink(draft.c_str());
      return fail(Errc::io, "cannot move the pack to '", path, "' (", std::strerror(error), ")");
    }
    return {};
  }

 private:
  explicit Draft(int fd) : fd_(fd) {}
  int fd_;
};

bool is_in_memory(const std::string& folder) {
  struct statfs status {};
  if (::statfs(folder.c_str(), &status) != 0) return true;
  constexpr auto kTmpfs = 0x01021994, kRamfs = static_cast<int>(0x858458f6U);
  const auto type = static_cast<int>(status.f_type);
  return type == kTmpfs || type == kRamfs;
}

Result<Draft> open_draft(const std::string& path) {
  if (!path.empty()) return Draft::open(std::filesystem::path(path).parent_path().string());
  const char* wish = std::getenv("TMPDIR");
  for (const std::string& folder :
       {std::string(wish == nullptr ? "" : wish), std::string("/var/tmp"), std::string("/tmp")}) {
    // In a file system made of memory a pack would cost what it is meant to save.
    if (folder.empty() || is_in_memory(folder)) continue;
    if (auto draft = Draft::open(folder)) return draft;
  }
  return fail(Errc::io, "no folder on a disk can be written for the pack (TMPDIR, /var/tmp, /tmp)");
}

}  // namespace

Digest digest(ByteView bytes) {
  Hasher hasher;
  hasher.add(bytes);
  return hasher.result();
}

Digest digest_of(const Header& header) {
  Header copy = header;
  copy.self = {};
  return digest(std::as_bytes(std::span(&copy, 1)));
}

Digest layout_digest(const Source& source) {
  Hasher hasher;
  hasher.add_text(kernels::engine_version());
  for (std::size_t i = 0; i < source.lowered.weights.size(); ++i) {
    const kernels::Weight& weight = source.lowered.weights[i];
    const graph::Value& value = source.graph.value(weight.value);
    hasher.add_text(value.name);
    hasher.add_value(value.constant->stored_as);
    hasher.add_value(value.constant->axis);
    hasher.add_floats(value.constant->scale);
    hasher.add_floats(value.constant->zero_point);
    // What lies in the model's files is covered by their digest.
    if (!is_mapped(value.constant->stored)) hasher.add(value.constant->stored);
    hasher.add_value(weight.as_stored);
    hasher.add_floats(weight.factor);
    hasher.add_value(weight.source.data);
    hasher.add_value(weight.target.data);
    hasher.add_value(source.layout.weight_offsets[i]);
  }
  return hasher.result();
}

Digest content_digest(std::span<const std::shared_ptr<const MappedFile>> files) {
  Hasher hasher;
  for (const auto& file : files) {
    hasher.add_value(file->bytes().size());
    add_file(hasher, *file, 0);
  }
  return hasher.result();
}

Digest payload_digest(const MappedFile& file) {
  Hasher hasher;
  add_file(hasher, file, kHeaderBytes);
  return hasher.result();
}

Digest identity_digest(std::span<const std::shared_ptr<const MappedFile>> files) {
  Hasher hasher;
  for (const auto& file : files) hasher.add_value(file->identity());
  return hasher.result();
}

std::string file_name(const std::string& model_path, const Digest& layout) {
  std::error_code ignored;
  const std::filesystem::path absolute = std::filesystem::weakly_canonical(model_path, ignored);
  Hasher hasher;
  hasher.add_text(absolute.string());
  hasher.add_value(layout);
  char suffix[24];
  std::snprintf(suffix, sizeof suffix, "-%016llx.pack",
                static_cast<unsigned long long>(hasher.result()[0]));
  return absolute.stem().string() + suffix;
}

Result<std::shared_ptr<const MappedFile>> write_pack(const Source& source, Header header,
                                                     const std::string& path, Ledger& ledger) {
  TRY(const Draft draft, open_draft(path));
  TRY_VOID(draft.set_size(kHeaderBytes + header.large_bytes + header.small_bytes));
  const auto sink_at = [&draft](Bytes begin) {
    return [&draft, begin](Bytes offset, ByteView bytes) {
      return draft.write(begin + offset, bytes);
    };
  };
  TRY_VOID(write_weights(source, false, ledger, sink_at(kHeaderBytes)));
  TRY_VOID(write_weights(source, true, ledger, sink_at(kHeaderBytes + header.large_bytes)));
  TRY(auto file, MappedFile::open(draft.proc_path()));
  header.payload = payload_digest(*file);
  header.self = digest_of(header);
  TRY_VOID(draft.write(0, std::as_bytes(std::span(&header, 1))));
  if (!path.empty()) TRY_VOID(draft.move_to(path));
  return file;
}

}  // namespace dermlens::pack
