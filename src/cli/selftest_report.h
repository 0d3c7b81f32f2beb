// A selftest's report for people, for programs and for CI.
#pragma once

#include <ostream>
#include <string>

#include "probe/selftest.h"

namespace dermlens::cli {

// The table, the decision and the verdict.
void print_selftest(std::ostream& out, const probe::SelftestReport& report);

// One JSON document, with a line end.
std::string selftest_json(const probe::SelftestReport& report);

// JUnit's XML: one suite, a case a step.
std::string selftest_junit(const probe::SelftestReport& report);

}  // namespace dermlens::cli
