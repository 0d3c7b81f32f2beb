#include "cli/threads.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace dermlens::cli {
namespace {

// Whether --threads N or --threads=N says more than one; the real parsing comes later.
bool asks_for_threads(char** argv) {
  constexpr std::string_view kOption = "--threads";
  for (char** argument = argv; *argument; ++argument) {
    const std::string_view text = *argument;
    if (!text.starts_with(kOption)) continue;
    const char* number = text == kOption               ? argument[1]
                         : text[kOption.size()] == '=' ? *argument + kOption.size() + 1
                                                       : nullptr;
    if (number && std::atoi(number) > 1) return true;
  }
  return false;
}

}  // namespace

void settle_thread_waiting(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || !asks_for_threads(argv)) return;
  if (setenv("OMP_WAIT_POLICY", "passive", 1) != 0) return;
  // On failure we go on as we are: slower, not wrong.
  execv("/proc/self/exe", argv);
}

}  // namespace dermlens::cli
