// The limit in force: the smallest of what the user asked for, what the control group allows
// (v1 and v2, every ancestor) and what the host has.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace dermlens {

enum class LimitSource { flag, cgroup, host };
std::string_view to_string(LimitSource source);

struct MemoryLimit {
  Bytes bytes = 0;
  LimitSource source = LimitSource::host;
};

// `root` is where /proc and /sys are looked for; tests point it at a folder of their own.
MemoryLimit find_memory_limit(std::optional<Bytes> flag, const std::string& root = "");

// What is left to this process: a limit, and what others under it hold that nobody can take back.
struct Headroom {
  MemoryLimit limit;
  Bytes others = 0;

  Bytes bytes() const { return limit.bytes > others ? limit.bytes - others : 0; }
};

// As find_memory_limit, but of all limits the one that leaves least. `own` is what this process
// holds that nobody can take back: anonymous and shared memory. What the kernel holds for it (page
// tables, sockets) looks like another's.
Headroom find_headroom(std::optional<Bytes> flag, Bytes own, const std::string& root = "");

// What the control group has charged now, page cache included; empty where there is none.
std::optional<Bytes> cgroup_usage(const std::string& root = "");

}  // namespace dermlens
