// Mapping, and the SIGBUS handler: a fault inside one of our mappings is answered by putting
// zeros there and marking the mapping damaged; a fault elsewhere goes the way it always went.
#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <utility>

namespace dermlens {
namespace {

constexpr std::size_t kPage = 4096;
// A fault in a file maps a block around it (fault_around_bytes) or, since Linux 6.18, the whole of
// the page cache's folio: up to 2 MB on either side, where the file was written in one piece.
constexpr std::size_t kFolio = 2 * 1024 * 1024;

// What faults in [offset, offset + length) may have mapped, at most `size`: begin and end.
std::pair<std::size_t, std::size_t> neighbourhood(std::size_t offset, std::size_t length,
                                                  std::size_t size) {
  const std::size_t end = std::min(align_up(offset + length, kFolio), align_up(size, kPage));
  return {offset & ~(kFolio - 1), end};
}

// What the handler may look at: plain atomics, no locks. A slot is free while `base` is 0.
struct Slot {
  std::atomic<std::uintptr_t> base{0};
  std::atomic<std::size_t> size{0};
  std::atomic<bool> damaged{false};
  int file = -1;  // the mapping's own descriptor; under slots_mutex
};

constexpr int kSlots = 256;
std::array<Slot, kSlots> slots;
std::mutex slots_mutex;
struct sigaction previous_action;

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (Slot& slot : slots) {
    const std::uintptr_t base = slot.base.load(std::memory_order_acquire);
    if (base == 0 || address < base || address >= base + slot.size.load()) continue;
    // From the faulting page to the mapping's end: a truncated file has lost all of that.
    const std::uintptr_t page = address & ~(kPage - 1);
    const std::size_t rest = base + align_up(slot.size.load(), kPage) - page;
    void* zeros = ::mmap(reinterpret_cast<void*>(page), rest, PROT_READ,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (zeros == MAP_FAILED) break;
    slot.damaged.store(true, std::memory_order_release);
    return;
  }
  if ((previous_action.sa_flags & SA_SIGINFO) != 0 && previous_action.sa_sigaction != nullptr) {
    previous_action.sa_sigaction(signal, info, context);
    return;
  }
  ::signal(SIGBUS, SIG_DFL);
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &previous_action);
  });
}

Result<int> claim_slot(std::uintptr_t base, std::size_t size, int file) {
  const std::lock_guard lock(slots_mutex);
  for (int i = 0; i < kSlots; ++i) {
    Slot& slot = slots[static_cast<std::size_t>(i)];
    if (slot.base.load() != 0) continue;
    slot.damaged = false;
    slot.size = size;
    slot.file = file;
    slot.base.store(base, std::memory_order_release);
    return i;
  }
  return fail(Errc::too_large, "too many mapped files (", kSlots + 1, ", ", kSlots, ")");
}

FileIdentity identity_of(const struct stat& status) {
  const auto ns = [](const timespec& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(time.tv_nsec);
  };
  return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
          ns(status.st_mtim), ns(status.st_ctim)};
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: a FIFO in the place of a model must not hang us.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0)
    return fail(errno == ENOENT || errno == ENOTDIR ? Errc::not_found : Errc::io, "cannot open '",
                path, "' (", std::strerror(errno), ")");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0)
    return fail(Errc::io, "cannot stat '", path, "' (", std::strerror(errno), ")");
  if (!S_ISREG(status.st_mode)) return fail(Errc::malformed, "not a regular file ('", path, "')");
  if (status.st_size == 0) return fail(Errc::malformed, "file is empty ('", path, "')");
  const auto size = static_cast<std::size_t>(status.st_size);
  // A disk may be set to read 8 MB ahead, twice over, and pages on their way cannot be taken back:
  // a small control group was full of them, and the kernel killed. read() looks ahead by itself.
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_RANDOM);
  install_handler();
  void* base = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (base == MAP_FAILED)
    return fail(Errc::io, "cannot map '", path, "' (", std::strerror(errno), ")");
  auto slot = claim_slot(reinterpret_cast<std::uintptr_t>(base), size, file.get());
  if (!slot) {
    ::munmap(base, size);
    return tl::make_unexpected(std::move(slot).error());
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(
      path, identity_of(status), std::move(file), static_cast<const std::byte*>(base), *slot));
}

MappedFile::MappedFile(std::string path, FileIdentity identity, Descriptor file,
                       const std::byte* base, int slot)
    : path_(std::move(path)),
      identity_(identity),
      file_(std::move(file)),
      base_(base),
      size_(identity.size),
      slot_(slot) {}

MappedFile::~MappedFile() {
  // The slot goes first: after munmap the addresses may belong to somebody else.
  const std::lock_guard lock(slots_mutex);
  slots[static_cast<std::size_t>(slot_)].base = 0;
  ::munmap(const_cast<std::byte*>(base_), size_);
}

bool MappedFile::damaged() const {
  return slots[static_cast<std::size_t>(slot_)].damaged.load(std::memory_order_acquire);
}

void MappedFile::read(std::size_t offset, std::span<std::byte> out) const {
  // Who reads on finds the next piece on its way: enough to keep a disk busy.
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  const std::size_t piece = (offset + out.size()) / kPiece;
  if (piece != offset / kPiece)
    ::posix_fadvise(file_.get(), static_cast<off_t>((piece + 1) * kPiece), kPiece,
                    POSIX_FADV_WILLNEED);
  while (!out.empty()) {
    const ssize_t length = ::pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) break;
    offset += static_cast<std::size_t>(length);
    out = out.subspan(static_cast<std::size_t>(length));
  }
  if (out.empty()) return;
  std::ranges::fill(out, std::byte{0});
  slots[static_cast<std::size_t>(slot_)].damaged.store(true, std::memory_order_release);
}

void MappedFile::drop(std::size_t offset, std::size_t length) const {
  // A damaged mapping keeps its zeros: dropping them would only fault again.
  if (offset > size_ || length > size_ - offset || damaged()) return;
  const auto [begin, end] = neighbourhood(offset, length, size_);
  ::madvise(const_cast<std::byte*>(base_) + begin, end - begin, MADV_DONTNEED);
}

bool is_mapped(ByteView bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::lock_guard lock(slots_mutex);
  return std::ranges::any_of(slots, [address](const Slot& slot) {
    const std::uintptr_t base = slot.base;
    return base != 0 && address >= base && address < base + slot.size;
  });
}

void drop_pages(ByteView bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::lock_guard lock(slots_mutex);
  for (const Slot& slot : slots) {
    const std::uintptr_t base = slot.base;
    if (base == 0 || address < base || address + bytes.size() > base + slot.size) continue;
    if (slot.damaged) return;
    const auto [begin, end] = neighbourhood(address - base, bytes.size(), slot.size);
    ::madvise(reinterpret_cast<void*>(base + begin), end - begin, MADV_DONTNEED);
    return;
  }
}

void evict_mapped_files() {
  const std::lock_guard lock(slots_mutex);
  for (const Slot& slot : slots) {
    if (slot.base == 0 || slot.damaged) continue;
    ::madvise(reinterpret_cast<void*>(slot.base.load()), slot.size, MADV_DONTNEED);
    // Pages that are not on the disk yet would stay.
    ::fdatasync(slot.file);
    ::posix_fadvise(slot.file, 0, 0, POSIX_FADV_DONTNEED);
  }
}

}  // namespace dermlens
