#include "kernels/rates.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "kernels/builder.h"
#include "kernels/precision.h"

namespace dermlens::kernels {
namespace {

using graph::DType;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kSide = 1024;
constexpr std::size_t kCopied = std::size_t{64} << 20;
constexpr std::chrono::milliseconds kEach{300};

// Seconds of the quickest of as many rounds as fit; the first warms up.
template <class Work>
double quickest(const Work& work) {
  work();
  double best = 1e9;
  const auto end = Clock::now() + kEach;
  do {
    const auto start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  } while (Clock::now() < end);
  return best;
}

// A square product in the layouts that oneDNN likes best.
double product_rate(Type input, Type output) {
  const dnnl::engine& engine = cpu_engine();
  const dnnl::memory::dims dims{kSide, kSide};
  const Desc a(dims, input, Tag::ab), b(dims, input, Tag::any), y(dims, output, Tag::ab);
  const dnnl::matmul::primitive_desc pd({a, b, y}, engine);
  dnnl::memory left(pd.src_desc(), engine), right(pd.weights_desc(), engine),
      result(pd.dst_desc(), engine);
  std::memset(left.get_data_handle(), 0, pd.src_desc().get_size());
  std::memset(right.get_data_handle(), 0, pd.weights_desc().get_size());
  const dnnl::matmul product(pd);
  dnnl::stream stream(engine);
  const double seconds = quickest([&] {
    product.execute(stream,
                    {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, result}});
    stream.wait();
  });
  return 2.0 * static_cast<double>(kSide * kSide * kSide) / seconds;
}

double copy_rate() {
  const dnnl::engine& engine = cpu_engine();
  const Desc desc({static_cast<std::int64_t>(kCopied / sizeof(float))}, Type::f32, Tag::a);
  dnnl::memory from(desc, engine), to(desc, engine);
  std::memset(from.get_data_handle(), 0, kCopied);
  const dnnl::reorder copy(from, to);
  dnnl::stream stream(engine);
  const double seconds = quickest([&] {
    copy.execute(stream, from, to);
    stream.wait();
  });
  return 2.0 * static_cast<double>(kCopied) / seconds;
}

// What the node multiplies for one element of its result; 0 where it is no product.
double taps_of(const graph::Graph& graph, const graph::Node& node) {
  const auto shape = [&](std::size_t i) -> const graph::Shape& {
    return graph.value(node.inputs[i]).type.shape;
  };
  double taps = 1;
  if (std::holds_alternative<graph::Conv>(node.op)) {
    for (std::size_t i = 1; i < shape(1).size(); ++i) taps *= static_cast<double>(shape(1)[i]);
    return taps;
  }
  const auto* product = std::get_if<graph::MatMul>(&node.op);
  if (!product) return 0;
  return static_cast<double>(shape(0)[shape(0).size() - (product->transpose_a ? 2 : 1)]);
}

DType computed_in(const graph::Graph& graph, const graph::Node& node) {
  if (is_bf16(graph, node)) return DType::bf16;
  const auto& weights = graph.value(node.inputs[1]).constant;
  return weights && weights->stored_as == DType::i8 && computes_integers() ? DType::i8 : DType::f32;
}

}  // namespace

Result<Rates> measure_rates() {
  try {
    Rates rates;
    rates.flops[DType::f32] = product_rate(Type::f32, Type::f32);
    if (computes_bf16()) rates.flops[DType::bf16] = product_rate(Type::bf16, Type::f32);
    if (computes_integers()) rates.flops[DType::i8] = product_rate(Type::s8, Type::s32);
    rates.bytes_per_second = copy_rate();
    return rates;
  } catch (const dnnl::error& error) {
    return fail(Errc::internal, "the floor could not be measured (", error.what(), ")");
  }
}

std::map<DType, double> flops_of(const graph::Graph& graph) {
  std::map<DType, double> flops;
  for (const graph::Node& node : graph.nodes()) {
    const double taps = taps_of(graph, node);
    if (taps == 0) continue;
    flops[computed_in(graph, node)] +=
        2 * taps * static_cast<double>(graph.value(node.output).type.elements());
  }
  return flops;
}

}  // namespace dermlens::kernels
