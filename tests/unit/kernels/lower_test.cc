// Which kernels a graph is lowered to, where another would be right, too, but slow.
#include "kernels/lower.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "unit/graph/build.h"

namespace dermlens::kernels {
namespace {

using namespace graph::testing;
using graph::Graph;
using graph::ValueId;

std::vector<std::string> kernels_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const Step& step : must(lower(graph)).steps)
    if (const auto* pd = std::get_if<dnnl::primitive_desc_base>(&step.kernel))
      names.emplace_back(pd->impl_info_str());
  return names;
}

TEST(Lowering, PoolingIsNotLeftToTheReferenceCode) {
  for (const graph::PoolKind kind : {graph::PoolKind::max, graph::PoolKind::average_include_pad,
                                     graph::PoolKind::average_exclude_pad})
    for (const std::int64_t channels : {24, 64}) {
      SCOPED_TRACE(channels);
      std::mt19937 random(3);
      Graph graph;
      const ValueId x = conv(graph, input(graph, "image", {1, 16, 28, 28}), channels, 1, random);
      graph::PoolGeometry pool{kind, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}};
      const ValueId y = must(graph.add(graph::Pool{pool}, {x}));
      graph.add_output(conv(graph, y, 32, 1, random));
      for (const std::string& kernel : kernels_of(graph))
        EXPECT_EQ(kernel.find("ref"), std::string::npos) << kernel;
    }
}

}  // namespace
}  // namespace dermlens::kernels
