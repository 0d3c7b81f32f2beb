#include "cli/input_image.h"

namespace dermlens::cli {

Result<diagnose::Answer> answer_file(diagnose::Model& model, const std::string& path,
                                     const diagnose::Request& request) {
  TRY(const auto file, MappedFile::open(path));
  auto answer = model.answer(file->bytes(), request);
  if (!answer) return within(path, std::move(answer).error());
  if (file->damaged())
    return fail(Errc::corrupt, path, ": the file changed while it was being read");
  return answer;
}

}  // namespace dermlens::cli
