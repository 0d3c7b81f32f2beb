// The page's files: in the binary, compressed at build time; or, for development, in a folder.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace dermlens::server {

struct EmbeddedFile {
  std::string_view path;  // relative to web/
  std::string_view content;
  std::string_view gzip;  // empty where compression does not pay
  std::string_view etag;  // with its quotes
};

// Generated at build time from web/files.txt, sorted by path.
std::span<const EmbeddedFile> embedded_files();

struct Asset {
  std::string_view content, gzip, etag;
  std::string_view type;                     // its media type
  std::shared_ptr<const std::string> owner;  // of bytes that came from a folder
};

// Any thread; find() reads a disk only where a folder was given.
class Assets {
 public:
  // `folder` may be empty: then everything comes from the binary.
  explicit Assets(std::string folder) : folder_(std::move(folder)) {}

  // Fails with not_found for a path that is not in web/files.txt, or climbs.
  Result<Asset> find(std::string_view path) const;
  bool from_folder() const { return !folder_.empty(); }

 private:
  std::string folder_;
};

// "text/css; charset=utf-8" for "a.css".
std::string_view media_type(std::string_view path);

}  // namespace dermlens::server
