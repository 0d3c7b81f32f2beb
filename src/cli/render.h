// Answers for people: an aligned table of classes with percentages and bars.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/model.h"

namespace dermlens::cli {

// The columns a terminal gives `text`, counting each code point as one.
std::size_t columns_of(std::string_view text);

// Rows of cells, each column as wide as its widest cell; `right` names the columns aligned right.
void print_table(std::ostream& out, const std::vector<std::vector<std::string>>& rows,
                 std::string_view indent, const std::vector<std::size_t>& right = {});

// "81.2 %"
std::string percent(double fraction);

// One line a class. Bars are drawn in block characters where the locale is UTF-8, else in '#'.
void print_predictions(std::ostream& out, const diagnose::Answer& answer,
                       const diagnose::Card& card);

// The answer's warnings on stderr, each once a process.
void print_warnings(const std::vector<std::string>& warnings);

}  // namespace dermlens::cli
