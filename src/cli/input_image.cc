#include "cli/input_image.h"

namespace dermlens::cli {

Result<diagnose::Answer> answer_file(Engine& engine, const std::string& path,
                                     const diagnose::Request& request) {
  TRY(const auto file, MappedFile::open(path));
  TRY(const Reservation pages,
      engine.budget.ledger->reserve(Category::bodies, file->bytes().size()));
  auto said = answer(engine, file->bytes(), request);
  if (!said) return within(path, std::move(said).error());
  if (file->damaged())
    return fail(Errc::corrupt, path, ": the file changed while it was being read");
  return said;
}

}  // namespace dermlens::cli
