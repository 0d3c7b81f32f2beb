// Looks a file up by name; only what web/files.txt lists is ever handed out.
#include "server/assets.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

namespace dermlens::server {
namespace {

constexpr std::size_t kMaxFile = 4 << 20;

}  // namespace

std::string_view media_type(std::string_view path) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kTypes{{
      {".html", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".mjs", "text/javascript; charset=utf-8"},
      {".json", "application/json"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".jpg", "image/jpeg"},
      {".webp", "image/webp"},
      {".txt", "text/plain; charset=utf-8"},
      {".woff2", "font/woff2"},
      {".wasm", "application/wasm"},
  }};
  for (const auto& [ending, type] : kTypes)
    if (path.ends_with(ending)) return type;
  return "application/octet-stream";
}

Result<Asset> Assets::find(std::string_view path) const {
  const auto files = embedded_files();
  const auto found = std::lower_bound(
      files.begin(), files.end(), path,
      [](const EmbeddedFile& file, std::string_view wanted) { return file.path < wanted; });
  const bool listed = found != files.end() && found->path == path;
  if (folder_.empty()) {
    if (!listed) return fail(Errc::not_found, "no such file");
    return Asset{found->content, found->gzip, found->etag, media_type(path), nullptr};
  }
  // Files that are new since the build are served, too, but nothing outside of the folder.
  if (path.empty() || path.front() == '/' || path.find("..") != std::string_view::npos)
    return fail(Errc::not_found, "no such file");
  std::ifstream file(folder_ + "/" + std::string(path), std::ios::binary);
  if (!file) return fail(Errc::not_found, "no such file");
  auto bytes = std::make_shared<std::string>(kMaxFile, '\0');
  file.read(bytes->data(), static_cast<std::streamsize>(kMaxFile));
  bytes->resize(static_cast<std::size_t>(file.gcount()));
  const std::string_view content = *bytes;
  return Asset{content, {}, {}, media_type(path), std::move(bytes)};
}

}  // namespace dermlens::server
