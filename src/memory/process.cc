// Reads /proc without allocating much: this runs at every /memory/ request.
#include "memory/process.h"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

namespace dermlens {
namespace {

// The number after `key` in text made of "Key:\t  123 kB" lines; 0 when it is absent.
Bytes field(std::string_view text, std::string_view key) {
  for (std::size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
    if (at == 0 || text[at - 1] == '\n')
      return std::strtoull(text.data() + at + key.size(), nullptr, 10);
  }
  return 0;
}

// What a small file of /proc holds, in `buffer`; empty where it cannot be read.
template <std::size_t size>
std::string_view contents(const char* path, std::array<char, size>& buffer) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t length = ::read(fd, buffer.data(), buffer.size() - 1);
  ::close(fd);
  return {buffer.data(), length < 0 ? 0 : static_cast<std::size_t>(length)};
}

// Lets go of an object's segments that are never written: what runs or is read again comes back
// from the page cache. A segment of a position-independent object holds no relocated bytes.
int drop_clean_segments(dl_phdr_info* object, std::size_t, void*) {
  const auto page = static_cast<ElfW(Addr)>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const ElfW(Addr) start = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const ElfW(Addr) end = object->dlpi_addr + segment.p_vaddr + segment.p_filesz;
    ::madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

ProcessMemory read_process_memory() {
  ProcessMemory memory;
  std::array<char, 8192> buffer{};
  const std::string_view text = contents("/proc/self/status", buffer);
  memory.rss = field(text, "VmRSS:") * 1024;
  memory.peak_rss = field(text, "VmHWM:") * 1024;
  memory.virtual_size = field(text, "VmSize:") * 1024;
  memory.anon = field(text, "RssAnon:") * 1024;
  memory.file = field(text, "RssFile:") * 1024;
  memory.shared = field(text, "RssShmem:") * 1024;
  memory.threads = static_cast<int>(field(text, "Threads:"));
  return memory;
}

Bytes read_from_disk() {
  std::array<char, 1024> buffer{};
  return field(contents("/proc/self/io", buffer), "read_bytes:");
}

bool reset_peak_rss() {
  const int fd = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = ::write(fd, "5", 1) == 1;
  ::close(fd);
  return done;
}

void trim_heap() {
  ::malloc_trim(0);
  ::dl_iterate_phdr(drop_clean_segments, nullptr);
}

void pin_allocator() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 128 * 1024);
  ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

}  // namespace dermlens
