// The header of a pack file, its keys, and writing one atomically. Private to `pack`.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "pack/pack.h"

namespace dermlens::pack {

inline constexpr Bytes kHeaderBytes = 4096;

using Digest = std::array<std::uint64_t, 2>;  // XXH3, 128 bits

struct Header {
  std::array<char, 8> magic{'D', 'L', 'P', 'A', 'C', 'K', '0', '1'};
  Digest layout{};    // layouts, recipes, instruction set, engine version
  Digest model{};     // content of the model's files
  Digest identity{};  // of the model's files as the file system knew them then
  std::uint64_t large_bytes = 0;
  std::uint64_t small_bytes = 0;
  Digest payload{};
  Digest self{};  // of this header with `self` zero
};
static_assert(sizeof(Header) <= kHeaderBytes);

Digest digest(ByteView bytes);
Digest digest_of(const Header& header);
Digest layout_digest(const Source& source);
// Reads all of the files, giving their pages back on the way.
Digest content_digest(std::span<const std::shared_ptr<const MappedFile>> files);
Digest payload_digest(const MappedFile& file);
// Of the files without reading them.
Digest identity_digest(std::span<const std::shared_ptr<const MappedFile>> files);
// The pack's name in the cache folder: the model's own name, and what tells two of that name apart.
std::string file_name(const std::string& model_path, const Digest& layout);

// Writes a whole pack to a file beside `path` and moves it there; an empty `path` makes a nameless
// file in a temporary folder that is on a disk. Returns the file, open for reading.
Result<std::shared_ptr<const MappedFile>> write_pack(const Source& source, Header header,
                                                     const std::string& path, Ledger& ledger);

}  // namespace dermlens::pack
