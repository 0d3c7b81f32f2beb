// A model of many small nodes: what lowering and compiling them takes is asked for first.
#include <gtest/gtest.h>

#include <functional>

#include "exec/program.h"
#include "memory/process.h"
#include "unit/graph/build.h"

namespace dermlens::exec {
namespace {

using namespace graph::testing;
using graph::Graph;
using graph::ValueId;

using Link = std::function<ValueId(Graph&, ValueId, int)>;

Graph chain(int nodes, const Link& link) {
  Graph graph;
  ValueId x = input(graph, "x", {1, 4, 2, 2});
  for (int i = 0; i < nodes; ++i) x = link(graph, x, i);
  graph.add_output(x);
  return graph;
}

ValueId convolution(Graph& graph, ValueId x, int) {
  return must(graph.add(
      graph::Conv{geometry(2), {}},
      {x, constant(graph, {4, 4, 1, 1}, std::vector<float>(16, 0.25F)), graph::kNoValue}));
}

ValueId pooling(Graph& graph, ValueId x, int) {
  return must(
      graph.add(graph::Pool{{graph::PoolKind::max, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}}, {x}));
}

ValueId product(Graph& graph, ValueId x, int) { return binary(graph, graph::BinaryFn::div, 0, x); }

ValueId loop_of_ours(Graph& graph, ValueId x, int i) {
  return unary(graph, i % 2 == 0 ? graph::UnaryFn::softplus : graph::UnaryFn::erf, x);
}

ValueId padding_and_slice(Graph& graph, ValueId x, int i) {
  if (i % 2 == 0)
    return must(
        graph.add(graph::Pad{graph::PadMode::constant, {0, 0, 0, 0}, {0, 0, 0, 1}, 0.0F}, {x}));
  return must(graph.add(graph::Slice{{0, 0, 0, 0}, {1, 1, 1, 1}, {1, 4, 2, 2}}, {x}));
}

TEST(ManySteps, AreRefusedBeforeTheyAreMade) {
  for (const int nodes : {2000, 6000}) {
    Graph graph = chain(nodes, convolution);
    Ledger ledger(Bytes{64} << 20);
    reset_peak_rss();
    const Bytes before = read_process_memory().peak_rss;
    const auto program = Program::load(std::move(graph), {}, ledger);
    ASSERT_FALSE(program);
    EXPECT_EQ(program.error().code, Errc::over_limit) << program.error().message;
    EXPECT_GT(program.error().needed, ledger.limit());
    EXPECT_EQ(ledger.reserved(), 0U);
    EXPECT_LE(read_process_memory().peak_rss, before + ledger.limit());
  }
}

TEST(ManySteps, TakeNoMoreThanWasReserved) {
  // Pages of files that are touched for the first time, and the allocator's own.
  constexpr Bytes kSlack = Bytes{8} << 20;
  for (const Link& link : {Link(convolution), Link(pooling), Link(product), Link(loop_of_ours),
                           Link(padding_and_slice)}) {
    Graph graph = chain(1000, link);
    Ledger ledger(Bytes{1} << 30);
    reset_peak_rss();
    const Bytes before = read_process_memory().rss;
    const auto program = Program::load(std::move(graph), {}, ledger);
    ASSERT_TRUE(program) << program.error().message;
    EXPECT_LE(read_process_memory().peak_rss, before + ledger.peak() + kSlack);
  }
}

}  // namespace
}  // namespace dermlens::exec
