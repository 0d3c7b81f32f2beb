// LD_PRELOAD library: every block of 64 KiB or more, from malloc or mapped anonymously, is counted
// while it lives. At each one the sum is compared with what the program has reserved, which it
// exports as dermlens_reserved_bytes(). What exceeds it has escaped the ledger; the first few are
// reported, with their callers, to the file named by DERMLENS_ESCAPES when the program ends.
#include <dlfcn.h>
#include <execinfo.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace {

constexpr std::size_t kLarge = 64 * 1024;
constexpr std::size_t kBlocks = 1 << 16;
constexpr int kFrames = 24;
constexpr std::size_t kReports = 64;

struct Block {
  void* data = nullptr;
  std::size_t bytes = 0;
};

struct Report {
  std::size_t block = 0, live = 0, reserved = 0;
  int frames = 0;
  void* callers[kFrames] = {};
};

pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
Block blocks[kBlocks];
Report reports[kReports];
std::size_t live = 0, most_live = 0, counted = 0, escapes = 0, most_over = 0, reported = 0;
thread_local bool inside = false;  // our own calls, and those of backtrace(), are not counted

using Reserved = std::uint64_t (*)();

Reserved reserved_bytes() {
  static const auto function =
      reinterpret_cast<Reserved>(dlsym(RTLD_DEFAULT, "dermlens_reserved_bytes"));
  return function;
}

void check(std::size_t bytes) {
  if (reserved_bytes() == nullptr) return;
  const std::uint64_t reserved = reserved_bytes()();
  if (live <= reserved) return;
  ++escapes;
  // Each report is of more than the last one: a few tell the whole story.
  if (live - reserved < most_over + kLarge || reported == kReports) return;
  most_over = live - reserved;
  Report& report = reports[reported++];
  report.block = bytes;
  report.live = live;
  report.reserved = reserved;
  report.frames = backtrace(report.callers, kFrames);
}

void add(void* data, std::size_t bytes) {
  if (data == nullptr || bytes < kLarge || inside) return;
  inside = true;
  pthread_mutex_lock(&mutex);
  for (Block& block : blocks) {
    if (block.data != nullptr) continue;
    block = {data, bytes};
    break;
  }
  live += bytes;
  ++counted;
  if (live > most_live) most_live = live;
  check(bytes);
  pthread_mutex_unlock(&mutex);
  inside = false;
}

void remove(void* data) {
  if (data == nullptr || inside || live == 0) return;
  pthread_mutex_lock(&mutex);
  std::size_t seen = 0;
  for (Block& block : blocks) {
    if (block.data == data) {
      live -= block.bytes;
      block = {};
      break;
    }
    if (++seen > counted) break;
  }
  pthread_mutex_unlock(&mutex);
}

void forget_block_around(const void* address) {
  const auto* at = static_cast<const char*>(address);
  pthread_mutex_lock(&mutex);
  for (Block& block : blocks) {
    const auto* begin = static_cast<const char*>(block.data);
    // The page of an address may begin before its block does.
    if (begin == nullptr || at + kLarge / 16 <= begin || at >= begin + block.bytes) continue;
    live -= block.bytes;
    block = {};
    break;
  }
  pthread_mutex_unlock(&mutex);
}

__attribute__((destructor)) void write_report() {
  const char* path = getenv("DERMLENS_ESCAPES");
  if (path == nullptr) return;
  inside = true;
  FILE* file = std::fopen(path, "w");
  if (file == nullptr) return;
  std::fprintf(file, "exported %d\nblocks %zu\nmost_live %zu\nescapes %zu\nmost_over %zu\n",
               reserved_bytes() != nullptr, counted, most_live, escapes, most_over);
  for (std::size_t i = 0; i < reported; ++i) {
    std::fprintf(file, "escape of %zu B: %zu live, %zu reserved\n", reports[i].block,
                 reports[i].live, reports[i].reserved);
    char** names = backtrace_symbols(reports[i].callers, reports[i].frames);
    for (int frame = 2; names != nullptr && frame < reports[i].frames; ++frame)
      std::fprintf(file, "    %s\n", names[frame]);
  }
  std::fclose(file);
}

}  // namespace

extern "C" {

void* malloc(std::size_t bytes) {
  void* data = __libc_malloc(bytes);
  add(data, bytes);
  return data;
}

void* calloc(std::size_t count, std::size_t bytes) {
  void* data = __libc_calloc(count, bytes);
  add(data, count * bytes);
  return data;
}

void* realloc(void* old, std::size_t bytes) {
  if (malloc_usable_size(old) >= kLarge) remove(old);
  void* data = __libc_realloc(old, bytes);
  add(data, bytes);
  return data;
}

void* memalign(std::size_t alignment, std::size_t bytes) {
  void* data = __libc_memalign(alignment, bytes);
  add(data, bytes);
  return data;
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return memalign(alignment, bytes); }

int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) {
  *out = memalign(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}

void free(void* data) {
  if (malloc_usable_size(data) >= kLarge) remove(data);
  __libc_free(data);
}

// Stacks of threads are the process's base; mapped files are not ours alone.
void* mmap(void* address, std::size_t bytes, int protection, int flags, int fd,
           off_t offset) __THROW {
  using Map = void* (*)(void*, std::size_t, int, int, int, off_t);
  static const auto next = reinterpret_cast<Map>(dlsym(RTLD_NEXT, "mmap"));
  void* data = next(address, bytes, protection, flags, fd, offset);
  if (data != MAP_FAILED && (flags & MAP_ANONYMOUS) != 0 && (flags & MAP_STACK) == 0 &&
      protection != PROT_NONE)
    add(data, bytes);
  return data;
}

// Machine code in the making becomes code: its block is mostly empty, and what is in it is measured
// when a Program is loaded (Category::code).
int mprotect(void* address, std::size_t bytes, int protection) __THROW {
  using Protect = int (*)(void*, std::size_t, int);
  static const auto next = reinterpret_cast<Protect>(dlsym(RTLD_NEXT, "mprotect"));
  if ((protection & PROT_EXEC) != 0) forget_block_around(address);
  return next(address, bytes, protection);
}

int munmap(void* data, std::size_t bytes) __THROW {
  using Unmap = int (*)(void*, std::size_t);
  static const auto next = reinterpret_cast<Unmap>(dlsym(RTLD_NEXT, "munmap"));
  remove(data);
  return next(data, bytes);
}

}  // extern "C"
