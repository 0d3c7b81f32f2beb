// Stands in front of glibc's malloc, for libjpeg, libpng, zlib and libwebp as well as for
// ourselves.
#include "allocation_meter.h"

#include <malloc.h>

#include <atomic>
#include <cstddef>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

std::atomic<std::size_t> now = 0;
std::atomic<std::size_t> most = 0;

void* took(void* block) {
  if (block != nullptr) {
    const std::size_t sum = now += malloc_usable_size(block);
    if (sum > most) most = sum;
  }
  return block;
}

void gave(void* block) {
  if (block != nullptr) now -= malloc_usable_size(block);
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* block);

void* malloc(std::size_t size) { return took(__libc_malloc(size)); }
void* calloc(std::size_t count, std::size_t size) { return took(__libc_calloc(count, size)); }
void* realloc(void* block, std::size_t size) {
  gave(block);
  return took(__libc_realloc(block, size));
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return took(__libc_memalign(alignment, size));
}
void free(void* block) {
  gave(block);
  __libc_free(block);
}
}

namespace dermlens::meter {
bool available() { return true; }
void reset() { most = now.load(); }
std::size_t present() { return now; }
std::size_t peak() { return most; }
}  // namespace dermlens::meter

#else

namespace dermlens::meter {
bool available() { return false; }
void reset() {}
std::size_t present() { return 0; }
std::size_t peak() { return 0; }
}  // namespace dermlens::meter

#endif
