// Laws of the limit in force: the smallest of flag, control group (either version, any ancestor)
// and host.
#include "memory/limit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace dermlens {
namespace {

class FakeRoot {
 public:
  FakeRoot() : path_(testing::TempDir() + "root_" + std::to_string(::getpid())) {
    std::filesystem::remove_all(path_);
    write("/proc/meminfo", "MemTotal:       1048576 kB\nMemFree: 1 kB\n");
  }
  ~FakeRoot() { std::filesystem::remove_all(path_); }
  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path_ + file).parent_path());
    std::ofstream(path_ + file) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Limit, IsTheHostsWhereNothingElseBinds) {
  const FakeRoot root;
  const MemoryLimit limit = find_memory_limit(std::nullopt, root.path());
  EXPECT_EQ(limit.bytes, Bytes{1} << 30);
  EXPECT_EQ(limit.source, LimitSource::host);
  EXPECT_EQ(find_memory_limit(Bytes{1} << 40, root.path()).source, LimitSource::host);
}

TEST(Limit, FindsTheSmallestAncestorOfACgroupV1) {
  const FakeRoot root;
  root.write("/proc/self/cgroup", "5:cpu:/x\n4:memory:/a/b\n");
  root.write("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
  root.write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "100663296\n");
  root.write("/sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "4096\n");
  const MemoryLimit limit = find_memory_limit(std::nullopt, root.path());
  EXPECT_EQ(limit.bytes, Bytes{96} << 20);
  EXPECT_EQ(limit.source, LimitSource::cgroup);
  EXPECT_EQ(cgroup_usage(root.path()), 4096U);
  EXPECT_EQ(find_memory_limit(Bytes{64} << 20, root.path()).source, LimitSource::flag);
}

TEST(Limit, ReadsCgroupV2AndItsMax) {
  const FakeRoot root;
  root.write("/proc/self/cgroup", "0::/app\n");
  root.write("/sys/fs/cgroup/app/memory.max", "max\n");
  EXPECT_EQ(find_memory_limit(std::nullopt, root.path()).source, LimitSource::host);
  root.write("/sys/fs/cgroup/app/memory.max", "536870912\n");
  EXPECT_EQ(find_memory_limit(std::nullopt, root.path()).bytes, Bytes{512} << 20);
}

TEST(Limit, OfACgroupV2IsWhereItSlowsUsDownIfThatComesFirst) {
  const FakeRoot root;
  root.write("/proc/self/cgroup", "0::/app\n");
  root.write("/sys/fs/cgroup/app/memory.max", "536870912\n");
  root.write("/sys/fs/cgroup/app/memory.high", "max\n");
  EXPECT_EQ(find_memory_limit(std::nullopt, root.path()).bytes, Bytes{512} << 20);
  root.write("/sys/fs/cgroup/app/memory.high", "100663296\n");
  EXPECT_EQ(find_memory_limit(std::nullopt, root.path()).bytes, Bytes{96} << 20);
  root.write("/sys/fs/cgroup/app/memory.max", "max\n");
  EXPECT_EQ(find_memory_limit(std::nullopt, root.path()).bytes, Bytes{96} << 20);
  root.write("/sys/fs/cgroup/app/memory.current", "62914560\n");
  root.write("/sys/fs/cgroup/app/memory.stat", "inactive_file 0\n");
  EXPECT_EQ(find_headroom(std::nullopt, Bytes{40} << 20, root.path()).bytes(), Bytes{76} << 20);
}

TEST(Headroom, IsTheLimitLessWhatOthersHoldForGood) {
  const FakeRoot root;
  root.write("/proc/self/cgroup", "4:memory:/a/b\n");
  const std::string group = "/sys/fs/cgroup/memory/a/b/";
  root.write(group + "memory.limit_in_bytes", "100000000\n");
  root.write(group + "memory.usage_in_bytes", "90000000\n");
  root.write(group + "memory.stat",
             "active_file 1\ntotal_inactive_file 20000000\ntotal_active_file 10000000\n");
  const Headroom room = find_headroom(std::nullopt, 25'000'000, root.path());
  EXPECT_EQ(room.others, 35'000'000U);
  EXPECT_EQ(room.bytes(), 65'000'000U);
  EXPECT_EQ(room.limit.source, LimitSource::cgroup);
  // What is ours alone is no reason for less.
  EXPECT_EQ(find_headroom(std::nullopt, 60'000'000, root.path()).bytes(), 100'000'000U);
  EXPECT_EQ(find_headroom(Bytes{50'000'000}, 25'000'000, root.path()).limit.source,
            LimitSource::flag);
}

TEST(Headroom, TheFullestAncestorBinds) {
  const FakeRoot root;
  root.write("/proc/self/cgroup", "0::/app/server\n");
  root.write("/sys/fs/cgroup/app/server/memory.max", "100000000\n");
  root.write("/sys/fs/cgroup/app/server/memory.current", "10000000\n");
  root.write("/sys/fs/cgroup/app/memory.max", "200000000\n");
  root.write("/sys/fs/cgroup/app/memory.current", "180000000\n");
  root.write("/sys/fs/cgroup/app/memory.stat", "anon 150000000\nactive_file 10000000\n");
  const Headroom room = find_headroom(std::nullopt, 10'000'000, root.path());
  EXPECT_EQ(room.limit.bytes, 200'000'000U);
  EXPECT_EQ(room.bytes(), 40'000'000U);
}

TEST(Headroom, IsNeverNegative) {
  const FakeRoot root;
  root.write("/proc/self/cgroup", "0::/app\n");
  root.write("/sys/fs/cgroup/app/memory.max", "1000\n");
  root.write("/sys/fs/cgroup/app/memory.current", "5000\n");
  EXPECT_EQ(find_headroom(std::nullopt, 0, root.path()).bytes(), 0U);
}

}  // namespace
}  // namespace dermlens
