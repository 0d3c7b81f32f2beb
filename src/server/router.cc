// Matches segment by segment; the table is short, so a linear walk is the simplest right thing.
#include "server/router.h"

#include <algorithm>

namespace dermlens::server {
namespace {

// A pattern's {} may stand before or after fixed text within its segment: "{}:predict".
bool match_segment(std::string_view pattern, std::string_view segment,
                   std::vector<std::string>& captures) {
  const std::size_t hole = pattern.find("{}");
  if (hole == std::string_view::npos) return pattern == segment;
  const std::string_view before = pattern.substr(0, hole);
  const std::string_view after = pattern.substr(hole + 2);
  if (segment.size() <= before.size() + after.size() || !segment.starts_with(before) ||
      !segment.ends_with(after))
    return false;
  captures.emplace_back(
      segment.substr(before.size(), segment.size() - before.size() - after.size()));
  return true;
}

bool match_path(std::string_view pattern, std::string_view path,
                std::vector<std::string>& captures) {
  captures.clear();
  // "/assets/{*}" takes the rest, slashes and all.
  const bool open_end = pattern.ends_with("{*}");
  if (open_end) pattern.remove_suffix(3);
  for (;;) {
    const std::size_t end = pattern.find('/');
    if (open_end && end == std::string_view::npos && pattern.empty()) {
      if (path.empty()) return false;
      captures.emplace_back(path);
      return true;
    }
    const std::size_t path_end = path.find('/');
    if ((end == std::string_view::npos) != (path_end == std::string_view::npos) && !open_end)
      return false;
    if (!match_segment(pattern.substr(0, end), path.substr(0, path_end), captures)) return false;
    if (end == std::string_view::npos) return path_end == std::string_view::npos;
    if (path_end == std::string_view::npos) return false;
    pattern.remove_prefix(end + 1);
    path.remove_prefix(path_end + 1);
  }
}

}  // namespace

Match find_route(std::span<const Route> routes, Method method, std::string_view path) {
  Match match;
  std::vector<std::string> captures;
  // The seed's routes end in a slash, which people forget.
  const std::string with_slash = std::string(path) + (path.ends_with('/') ? "" : "/");
  const Method wanted = method == Method::head ? Method::get : method;
  for (const Route& route : routes) {
    if (!match_path(route.pattern, path, captures) &&
        !match_path(route.pattern, with_slash, captures))
      continue;
    const std::string name(to_string(route.method));
    if (match.allow.find(name) == std::string::npos) {
      if (!match.allow.empty()) match.allow += ", ";
      match.allow += name;
      if (route.method == Method::get) match.allow += ", HEAD";
    }
    if (route.method == wanted && match.route == nullptr) {
      match.route = &route;
      match.captures = captures;
    }
  }
  return match;
}

}  // namespace dermlens::server
