// Walks from the process's control group up to the root: a limit on an ancestor binds us too.
#include "memory/limit.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <utility>
#include <vector>

namespace dermlens {
namespace {

std::optional<Bytes> read_number(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  if (!(file >> text)) return std::nullopt;
  Bytes value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;  // "max"
  return value;
}

struct Group {
  std::string mount;  // where the hierarchy is mounted
  std::string path;   // our group inside it, "/" or "/a/b"
  bool v2 = false;
};

std::optional<Group> memory_group(const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::optional<Group> found;
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers.find(",memory,") != std::string::npos)
      return Group{root + "/sys/fs/cgroup/memory", path, false};
    if (controllers == ",,") found = Group{root + "/sys/fs/cgroup", path, true};
  }
  return found;
}

// The group's own folder and those of its ancestors. In a container the path may name folders
// that only the host sees; the mount's root is then our group.
std::vector<std::string> folders(const Group& group) {
  std::vector<std::string> all;
  for (std::string path = group.path; !path.empty() && path != "/";
       path.erase(path.find_last_of('/')))
    all.push_back(group.mount + path);
  all.push_back(group.mount);
  return all;
}

// Pages of files that the kernel can take back, by the group's own account.
Bytes reclaimable(const std::string& folder, bool v2) {
  std::ifstream file(folder + "/memory.stat");
  Bytes sum = 0, value = 0;
  for (std::string key; file >> key >> value;)
    if (v2 ? key == "active_file" || key == "inactive_file"
           : key == "total_active_file" || key == "total_inactive_file")
      sum += value;
  return sum;
}

// Beyond memory.high the kernel slows us down to a crawl: it is as good as a limit.
std::optional<Bytes> limit_of(const std::string& folder, bool v2) {
  if (!v2) return read_number(folder + "/memory.limit_in_bytes");
  const auto most = read_number(folder + "/memory.max"),
             high = read_number(folder + "/memory.high");
  return most && high ? std::min(most, high) : most ? most : high;
}

std::optional<Bytes> usage_of(const std::string& folder, bool v2) {
  return read_number(folder + (v2 ? "/memory.current" : "/memory.usage_in_bytes"));
}

}  // namespace

std::string_view to_string(LimitSource source) {
  switch (source) {
    case LimitSource::flag:
      return "flag";
    case LimitSource::cgroup:
      return "cgroup";
    case LimitSource::host:
      return "host";
  }
  return "host";
}

MemoryLimit find_memory_limit(std::optional<Bytes> flag, const std::string& root) {
  MemoryLimit limit;
  std::ifstream meminfo(root + "/proc/meminfo");
  for (std::string key, unit; meminfo >> key >> limit.bytes >> unit;)
    if (key == "MemTotal:") break;
  limit.bytes *= 1024;
  if (const auto group = memory_group(root)) {
    for (const std::string& folder : folders(*group)) {
      const auto value = limit_of(folder, group->v2);
      if (value && *value < limit.bytes) limit = {*value, LimitSource::cgroup};
    }
  }
  if (flag && *flag < limit.bytes) limit = {*flag, LimitSource::flag};
  return limit;
}

Headroom find_headroom(std::optional<Bytes> flag, Bytes own, const std::string& root) {
  Headroom room{find_memory_limit(flag, root), 0};
  const auto group = memory_group(root);
  if (!group) return room;
  for (const std::string& folder : folders(*group)) {
    const auto limit = limit_of(folder, group->v2);
    const auto usage = usage_of(folder, group->v2);
    if (!limit || !usage) continue;
    const Bytes spare = reclaimable(folder, group->v2) + own;
    const Headroom here{{*limit, LimitSource::cgroup}, *usage > spare ? *usage - spare : 0};
    if (here.bytes() < room.bytes()) room = here;
  }
  return room;
}

std::optional<Bytes> cgroup_usage(const std::string& root) {
  const auto group = memory_group(root);
  if (!group) return std::nullopt;
  for (const std::string& folder : folders(*group))
    if (const auto value = usage_of(folder, group->v2)) return value;
  return std::nullopt;
}

}  // namespace dermlens
