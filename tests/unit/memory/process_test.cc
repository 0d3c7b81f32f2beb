// Laws of the process readings: they follow what the process really touches.
#include "memory/process.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

namespace dermlens {
namespace {

TEST(ProcessMemory, AnonymousReadingFollowsTouchedPages) {
  constexpr std::size_t kSize = std::size_t{32} << 20;
  const ProcessMemory before = read_process_memory();
  void* pages = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  std::memset(pages, 1, kSize);
  const ProcessMemory during = read_process_memory();
  ::munmap(pages, kSize);
  const ProcessMemory after = read_process_memory();
  EXPECT_GE(during.anon, before.anon + kSize);
  EXPECT_LT(after.anon, before.anon + kSize / 2);
  // The kernel counts in batches a CPU and thread, so two readings may differ by some of them.
  constexpr Bytes kBatches = Bytes{1} << 20;
  EXPECT_GE(after.peak_rss + kBatches, during.rss);
  EXPECT_GT(after.peak_rss, after.rss + kSize / 2);
  EXPECT_GE(during.rss, during.anon + during.file);
}

TEST(ProcessMemory, TrimmingLeavesCodeUsableAndDoesNotGrowAnything) {
  const ProcessMemory before = read_process_memory();
  trim_heap();
  const ProcessMemory after = read_process_memory();
  // Batches, as above.
  EXPECT_LE(after.file, before.file + (Bytes{1} << 20));
  EXPECT_LE(after.anon, before.anon + (Bytes{1} << 20));
}

}  // namespace
}  // namespace dermlens
