// The pack file: a model's weights in the primitives' layouts, a cache that costs only time to
// lose. It is keyed by the model's content, the layouts, the instruction set and the engine's
// version; it is checksummed, written beside its place and moved there, so that two processes that
// build the same pack never see each other's half; it is never trusted before it has been checked.
//
// File: a header of 4096 bytes (pack_file.h), the large weights, the small block.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "pack/weights.h"

namespace dermlens::pack {

// A checked pack, mapped. Immutable; any thread.
struct Pack {
  std::shared_ptr<const MappedFile> file;
  Bytes large_begin = 0;  // where the large weights start in the file
  Bytes small_begin = 0;
  bool built = false;  // by this call; false: it was found
  std::string path;    // empty: a file without a name, gone with the process
};

// Finds the pack of `model` in `cache_dir`, or builds it there; where the folder cannot be written,
// in a nameless temporary file. `model` are the mapped files that the constants lie in: their
// content is part of the key. Fails with io where no file can be made at all, with no_memory where
// the largest layer does not fit beside what is reserved, with corrupt where the model changes
// while it is read.
Result<Pack> open_or_build(const Source& source,
                           std::span<const std::shared_ptr<const MappedFile>> model,
                           const std::string& cache_dir, Ledger& ledger);

// Copies the checked pack's large weights to `out`, which has just their size, without mapping
// them all at once.
void copy_large(const Pack& pack, std::span<std::byte> out);

}  // namespace dermlens::pack
