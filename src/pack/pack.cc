// Find, check, or build.
#include "pack/pack.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/log.h"
#include "pack/pack_file.h"

namespace dermlens::pack {
namespace {

Pack make_pack(std::shared_ptr<const MappedFile> file, const plan::Plan& plan, bool built,
               std::string path) {
  return {std::move(file), kHeaderBytes, kHeaderBytes + plan.weights, built, std::move(path)};
}

// The pack at `path` if everything about it is right; a reason otherwise.
Result<Pack> check(const std::string& path, const Header& wanted, const plan::Plan& plan,
                   std::span<const std::shared_ptr<const MappedFile>> model) {
  TRY(auto file, MappedFile::open(path));
  if (file->bytes().size() != kHeaderBytes + plan.weights + plan.small)
    return fail(Errc::corrupt, "pack has the wrong size (", file->bytes().size(), ", ",
                kHeaderBytes + plan.weights + plan.small, ", '", path, "')");
  Header header;
  std::memcpy(&header, file->bytes().data(), sizeof header);
  if (header.magic != wanted.magic || header.self != digest_of(header))
    return fail(Errc::corrupt, "pack has a broken header ('", path, "')");
  if (header.layout != wanted.layout)
    return fail(Errc::corrupt, "pack is of another layout or engine ('", path, "')");
  // The model unchanged by all that the file system knows, or else by its content.
  if (header.identity != wanted.identity && header.model != content_digest(model))
    return fail(Errc::corrupt, "pack is of another model ('", path, "')");
  if (header.payload != payload_digest(*file) || file->damaged())
    return fail(Errc::corrupt, "pack has a wrong checksum ('", path, "')");
  return make_pack(std::move(file), plan, false, path);
}

}  // namespace

Result<Pack> open_or_build(const Source& source,
                           std::span<const std::shared_ptr<const MappedFile>> model,
                           const std::string& cache_dir, Ledger& ledger) {
  const plan::Plan& plan = source.layout.plan;
  const std::string model_path = model.empty() ? "model" : model.front()->path();
  Header header;
  header.layout = layout_digest(source);
  header.identity = identity_digest(model);
  header.large_bytes = plan.weights;
  header.small_bytes = plan.small;
  std::string path;
  if (!cache_dir.empty()) {
    path = (std::filesystem::path(cache_dir) / file_name(model_path, header.layout)).string();
    auto found = check(path, header, plan, model);
    if (found) return found;
    if (found.error().code != Errc::not_found)
      log(LogLevel::warning, found.error().message + ": building it anew");
    std::error_code ignored;
    std::filesystem::create_directories(cache_dir, ignored);
  }
  header.model = content_digest(model);
  auto file = write_pack(source, header, path, ledger);
  if (!file && !path.empty() && file.error().code == Errc::io) {
    // A cache that cannot be written only costs time.
    log(LogLevel::warning, file.error().message + ": using a temporary file");
    path.clear();
    file = write_pack(source, header, path, ledger);
  }
  if (!file) return tl::make_unexpected(std::move(file).error());
  if (std::ranges::any_of(model, [](const auto& part) { return part->damaged(); }))
    return fail(Errc::corrupt, "the model changed while it was read ('", model_path, "')");
  return make_pack(std::move(*file), plan, true, path);
}

void copy_large(const Pack& pack, std::span<std::byte> out) {
  constexpr std::size_t kChunk = std::size_t{1} << 20;
  for (std::size_t done = 0; done < out.size(); done += kChunk) {
    const std::size_t length = std::min(kChunk, out.size() - done);
    std::memcpy(out.data() + done, pack.file->bytes().data() + pack.large_begin + done, length);
    pack.file->drop(pack.large_begin + done, length);
  }
}

}  // namespace dermlens::pack
