// What the preloaded library watches: loads a model and explains a photo twice, as `dermlens
// explain` does, in a ledger that books 2 MB instead of the bare process, and exports what is
// reserved.
//   limits_subject MODEL PHOTO PLACEMENT CACHE_DIR
#include <atomic>
#include <cstdio>

#include "base/mapped_file.h"
#include "diagnose/model.h"
#include "memory/process.h"

namespace {

std::atomic<const dermlens::Ledger*> ledger_in_use = nullptr;

using namespace dermlens;

// The model's graph, whose nodes and values are not booked apart from the bare process.
constexpr Bytes kDescription = Bytes{2} << 20;

Result<void> explain_twice(const char* model, const char* photo, const char* placement,
                           const char* cache_dir) {
  Ledger ledger(Bytes{4} << 30);
  TRY(Reservation base, ledger.reserve(Category::base, kDescription));
  ledger_in_use = &ledger;
  diagnose::LoadOptions options;
  TRY(options.placement, plan::parse_placement(placement));
  options.cache_dir = cache_dir;
  {
    TRY(const auto loaded, diagnose::Model::load(model, options, ledger));
    TRY(const auto file, MappedFile::open(photo));
    for (int i = 0; i < 2; ++i) {
      diagnose::Request request;
      request.photo = i == 1;
      TRY(const diagnose::Answer answer, loaded->answer(file->bytes(), request));
    }
  }
  if (ledger.reserved() != kDescription) return fail(Errc::internal, "something is still reserved");
  ledger_in_use = nullptr;
  return {};
}

}  // namespace

extern "C" __attribute__((visibility("default"))) std::uint64_t dermlens_reserved_bytes() {
  const dermlens::Ledger* ledger = ledger_in_use;
  // Before and after the ledger's life everything is allowed.
  return ledger == nullptr ? ~std::uint64_t{0} : ledger->reserved();
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  pin_allocator();
  const auto done = explain_twice(argv[1], argv[2], argv[3], argv[4]);
  if (!done) std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return done ? 0 : 1;
}
