// Work done in a process of its own, so that its memory can be read from the kernel without what
// came before it.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace dermlens {

// Forks, runs `work` in the child and returns the text it gave; an Error of the child comes back as
// it was. Fails with internal where the child ends by a signal. The child does not outlive the
// thread that asks, to be called while it is this process's only one; what the child prints goes
// where the parent's output goes.
Result<std::string> in_fresh_process(const std::function<Result<std::string>()>& work);

}  // namespace dermlens
