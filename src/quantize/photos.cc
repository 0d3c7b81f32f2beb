#include "quantize/photos.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "base/mapped_file.h"
#include "image/decode.h"

namespace dermlens::quantize {
namespace {

namespace fs = std::filesystem;

bool has_photo_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  constexpr std::array names{".jpg", ".jpeg", ".png", ".webp"};
  return std::ranges::any_of(names, [&](const char* name) { return extension == name; });
}

Result<Picture> decode_as(ByteView bytes, const diagnose::Preprocessing& how, Ledger& ledger) {
  TRY(const Header header, read_header(bytes));
  TRY(const auto width, checked_cast<std::uint32_t>(how.width));
  TRY(const auto height, checked_cast<std::uint32_t>(how.height));
  const Target target = Target::exact({width, height}, how.filter);
  TRY(auto pictures, decode(bytes, header, std::span(&target, 1), ledger));
  return std::move(pictures.front());
}

}  // namespace

Result<std::vector<std::string>> find_photos(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    return fail(Errc::not_found, "no folder of photos (", folder, ")");
  std::vector<std::string> photos;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code ignored;
    if (!at->is_regular_file(ignored) || !has_photo_name(at->path())) continue;
    if (photos.size() == kMaxPhotos)
      return fail(Errc::too_large, "too many photos in ", folder, " (limit ", kMaxPhotos, ")");
    photos.push_back(at->path().string());
  }
  if (error) return fail(Errc::io, folder, ": ", error.message());
  if (photos.empty()) return fail(Errc::not_found, "no photo in the folder (", folder, ")");
  std::ranges::sort(photos);
  return photos;
}

Split hold_out(const std::vector<std::string>& calibrate, const std::vector<std::string>& verify) {
  // One file may have many paths.
  const auto name_of = [](const std::string& path) {
    std::error_code error;
    const fs::path whole = fs::canonical(path, error);
    return error ? path : whole.string();
  };
  std::set<std::string> wanted, used;
  for (const std::string& path : verify) wanted.insert(name_of(path));
  Split split;
  std::size_t shared = 0;
  for (const std::string& path : calibrate) {
    const std::string name = name_of(path);
    if (wanted.contains(name) && shared++ % 2 == 1) continue;
    used.insert(name);
    split.calibrate.push_back(path);
  }
  for (const std::string& path : verify) split.seen.push_back(used.contains(name_of(path)));
  return split;
}

Result<Picture> read_photo(const std::string& path, const diagnose::Preprocessing& how,
                           Ledger& ledger) {
  TRY(const auto file, MappedFile::open(path));
  auto picture = decode_as(file->bytes(), how, ledger);
  if (!picture) return within(path, std::move(picture).error());
  if (file->damaged()) return fail(Errc::corrupt, path, ": the file changed meanwhile");
  return picture;
}

Result<void> check_photos(const std::string& folder, const std::vector<std::string>& photos,
                          const diagnose::Preprocessing& how, Ledger& ledger) {
  std::optional<Error> first;
  for (const std::string& photo : photos) {
    auto picture = read_photo(photo, how, ledger);
    if (picture) return {};
    if (!first) first = std::move(picture).error();
  }
  if (!first) return {};
  return fail(first->code, "no photo in ", folder, " can be read (", photos.size(),
              ", the first: ", first->message, ")");
}

}  // namespace dermlens::quantize
