// Matrix products: MatMul of any ranks, and Gemm.
#include <numeric>

#include "onnx/node_import.h"

namespace dermlens::onnx {
namespace {

using graph::Shape;
using graph::Unary;
using graph::UnaryFn;
using graph::ValueId;

// The matrices behind a transposition of a constant's last two axes: exporters write linear layers
// so, and transposing weights at run time would cost more than the product.
ValueId behind_transpose(const graph::Graph& graph, ValueId id) {
  const graph::Value& value = graph.value(id);
  if (value.producer == graph::kNoNode) return graph::kNoValue;
  const graph::Node& node = graph.node(value.producer);
  const auto* transpose = std::get_if<graph::Transpose>(&node.op);
  if (!transpose || !graph.is_constant(node.inputs[0])) return graph::kNoValue;
  std::vector<std::size_t> swap(value.type.shape.size());
  std::iota(swap.begin(), swap.end(), std::size_t{0});
  if (swap.size() < 2) return graph::kNoValue;
  std::swap(swap[swap.size() - 1], swap[swap.size() - 2]);
  return transpose->permutation == swap ? node.inputs[0] : graph::kNoValue;
}

// numpy's rule: a vector on the left is a row, on the right a column, and that axis vanishes again.
Result<void> import_matmul(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 2));
  TRY(ValueId a, node.input(0));
  TRY(ValueId b, node.input(1));
  const bool row = node.shape(a).size() == 1, column = node.shape(b).size() == 1;
  if (!row && !column) {
    graph::MatMul product;
    const ValueId original = behind_transpose(node.scope().graph(), b);
    product.transpose_b = original != graph::kNoValue;
    return node.finish(product, {a, product.transpose_b ? original : b, graph::kNoValue});
  }
  if (row) {
    TRY(a, node.emit(graph::Reshape{{1, node.shape(a)[0]}}, {a}));
  }
  if (column) {
    TRY(b, node.emit(graph::Reshape{{node.shape(b)[0], 1}}, {b}));
  }
  TRY(const ValueId product, node.emit(graph::MatMul{}, {a, b, graph::kNoValue}));
  Shape shape = node.shape(product);
  if (column) shape.pop_back();
  if (row) shape.erase(shape.end() - (column ? 1 : 2));
  return node.finish(graph::Reshape{std::move(shape)}, {product});
}

// alpha * a' b' + beta * c
Result<void> import_gemm(NodeImport& node) {
  TRY_VOID(node.check_inputs(2, 3));
  TRY(ValueId a, node.input(0));
  TRY(const ValueId b, node.input(1));
  TRY(ValueId c, node.optional_input(2));
  if (node.shape(a).size() != 2 || node.shape(b).size() != 2)
    return fail(Errc::malformed, "operands are no matrices (", to_string(node.type(a)), ", ",
                to_string(node.type(b)), ")");
  TRY(const float alpha, node.number("alpha", 1.0f));
  TRY(const float beta, node.number("beta", 1.0f));
  graph::MatMul product;
  TRY(product.transpose_a, node.flag("transA", false));
  TRY(product.transpose_b, node.flag("transB", false));
  if (alpha != 1.0f) {
    TRY(a, node.emit(Unary{UnaryFn::linear, alpha, 0}, {a}));
  }
  if (beta == 0.0f) c = graph::kNoValue;
  if (c != graph::kNoValue && beta != 1.0f) {
    TRY(c, node.emit(Unary{UnaryFn::linear, beta, 0}, {c}));
  }
  return node.finish(std::move(product), {a, b, c});
}

constexpr Handler kHandlers[] = {
    {"Gemm", 7, import_gemm},
    {"MatMul", 1, import_matmul},
};

}  // namespace

std::span<const Handler> matmul_handlers() { return kHandlers; }

}  // namespace dermlens::onnx
