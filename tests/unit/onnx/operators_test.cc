// What docs/model-format.md promises of operators is what the reader has.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "onnx/node_import.h"

namespace dermlens::onnx {
namespace {

using Operators = std::map<std::string, std::int64_t>;  // the first opset, 9 where it is older

Operators documented() {
  std::ostringstream file;
  file << std::ifstream(DERMLENS_SOURCE_DIR "/docs/model-format.md").rdbuf();
  const std::string text = file.str();
  const std::size_t begin = text.find("\n## Operators\n"), end = text.find("\n## ", begin + 1);
  Operators operators;
  std::istringstream lines(text.substr(begin, end - begin));
  const std::regex entry("`([A-Za-z0-9]+)`( \\(from ([0-9]+)\\))?");
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| ")) continue;
    for (std::sregex_iterator at(line.begin(), line.end(), entry), last; at != last; ++at)
      operators.emplace((*at)[1], (*at)[3].matched ? std::stoll((*at)[3]) : 9);
  }
  return operators;
}

TEST(Operators, AreThoseThatTheDocumentNames) {
  Operators here;
  for (const auto family :
       {elementwise_handlers(), activation_handlers(), conv_handlers(), matmul_handlers(),
        normalization_handlers(), reduce_handlers(), shape_handlers(), slice_handlers(),
        constant_handlers(), quantization_handlers()})
    for (const Handler& handler : family)
      here.emplace(handler.op_type, std::max<std::int64_t>(handler.since, 9));
  EXPECT_EQ(documented(), here);
}

}  // namespace
}  // namespace dermlens::onnx
