// Each pass alone, and all of them in their order, preserve every output of every graph.
#include "graph/passes.h"

#include <gtest/gtest.h>

#include "property/passes/random_graph.h"
#include "unit/graph/build.h"

namespace dermlens::graph::testing {
namespace {

constexpr unsigned kGraphs = 300;

Result<void> all(Graph& graph) {
  TRY_VOID(simplify(graph));
  return fuse(graph);
}

Result<void> all_twice(Graph& graph) {
  TRY_VOID(all(graph));
  return all(graph);
}

Result<void> simplify_all(Graph& graph) { return simplify(graph); }
Result<void> fuse_all(Graph& graph) { return fuse(graph); }

struct Named {
  const char* name;
  Result<void> (*pass)(Graph&);
};
void PrintTo(const Named& named, std::ostream* out) { *out << named.name; }

class EveryGraph : public ::testing::TestWithParam<Named> {};

// What changed, over all graphs: a pass that never does anything proves nothing.
struct Changes {
  std::size_t graphs = 0;
  void look(const Graph& before, const Graph& after) {
    bool same = before.nodes().size() == after.nodes().size();
    for (std::size_t i = 0; same && i < before.nodes().size(); ++i)
      same = before.nodes()[i].op == after.nodes()[i].op &&
             before.nodes()[i].inputs == after.nodes()[i].inputs;
    graphs += same ? 0 : 1;
  }
};

void check(const Named& named, Constants constants, double tolerance) {
  Changes changes;
  for (unsigned seed = 0; seed < kGraphs; ++seed) {
    SCOPED_TRACE(seed);
    Graph graph = random_graph(seed, constants);
    const Graph before = graph;
    expect_preserved(graph, named.pass, tolerance, seed);
    changes.look(before, graph);
    if (::testing::Test::HasFatalFailure() || ::testing::Test::HasNonfatalFailure()) return;
  }
  EXPECT_GE(changes.graphs, kGraphs / 10);
}

TEST_P(EveryGraph, KeepsItsOutputs) { check(GetParam(), Constants::exact, 1e-9); }

TEST_P(EveryGraph, KeepsItsOutputsWithinTheRoundingOfItsConstants) {
  check(GetParam(), Constants::rounded, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Passes, EveryGraph,
                         ::testing::Values(Named{"FoldConstants", fold_constants},
                                           Named{"FoldBatchNorm", fold_batch_norm},
                                           Named{"FoldPad", fold_pad},
                                           Named{"Recognise", recognise_activations},
                                           Named{"RemoveIdentities", remove_identities},
                                           Named{"FusePostOps", fuse_post_ops},
                                           Named{"RemoveDead", remove_dead},
                                           Named{"Simplify", simplify_all}, Named{"Fuse", fuse_all},
                                           Named{"All", all}, Named{"AllTwice", all_twice}),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace dermlens::graph::testing
