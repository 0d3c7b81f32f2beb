// Conv, its gradient, and MatMul.
#include "grad/rules.h"

namespace dermlens::grad {

using namespace graph;

Result<Gradients> rule(const Conv& op, const Site& site) {
  Gradients gradients = site.none();
  if (site.wants(1)) return site.no_derivative("its filter");
  if (site.wants(0)) {
    TRY(const ValueId dy, site.full());
    TRY(gradients[0],
        site.emit.add(ConvBackwardData{.geometry = op.geometry, .input_shape = site.input_shape(0)},
                      {dy, site.input(1)}));
  }
  if (site.input_count() > 2 && site.wants(2)) {
    Shape per_channel(site.output_shape().size() - 1, 1);
    per_channel[0] = site.input_shape(2)[0];
    TRY(const ValueId sums, site.emit.summed_to(site.dy, site.output_shape(), per_channel));
    // Small along the channels too where dy is: M equal numbers are 1.
    TRY(gradients[2], site.emit.reshaped(sums, {site.emit.shape(sums)[0]}));
  }
  return gradients;
}

Result<Gradients> rule(const ConvBackwardData& op, const Site& site) {
  if (site.wants(1)) return site.no_derivative("its filter");
  if (!site.wants(0)) return site.none();
  TRY(const ValueId dy, site.full());
  TRY(const ValueId dx,
      site.emit.add(Conv{.geometry = op.geometry, .post_ops = {}}, {dy, site.input(1), kNoValue}));
  return site.only(dx);
}

namespace {

// With A and B as they are multiplied, Y = A B: dA = dY B', dB = A' dY. Where an input was stored
// transposed, its gradient is the transposed product: (dY B')' = B dY'.
Result<ValueId> gradient_of_a(const MatMul& op, const Site& site, ValueId dy) {
  const ValueId b = site.input(1);
  if (op.transpose_a)
    return site.emit.add(MatMul{.transpose_a = op.transpose_b, .transpose_b = true, .post_ops = {}},
                         {b, dy, kNoValue});
  return site.emit.add(MatMul{.transpose_a = false, .transpose_b = !op.transpose_b, .post_ops = {}},
                       {dy, b, kNoValue});
}

Result<ValueId> gradient_of_b(const MatMul& op, const Site& site, ValueId dy) {
  const ValueId a = site.input(0);
  if (op.transpose_b)
    return site.emit.add(MatMul{.transpose_a = true, .transpose_b = op.transpose_a, .post_ops = {}},
                         {dy, a, kNoValue});
  return site.emit.add(MatMul{.transpose_a = !op.transpose_a, .transpose_b = false, .post_ops = {}},
                       {a, dy, kNoValue});
}

// Sums over the batch dimensions along which input i was repeated.
Result<ValueId> summed_over_batch(const Site& site, ValueId gradient, std::size_t i) {
  Shape batch = site.output_shape();
  const Shape matrix = site.emit.shape(gradient);
  batch[batch.size() - 2] = matrix[matrix.size() - 2];
  batch[batch.size() - 1] = matrix[matrix.size() - 1];
  return site.emit.summed_to(gradient, batch, site.input_shape(i));
}

}  // namespace

Result<Gradients> rule(const MatMul& op, const Site& site) {
  Gradients gradients = site.none();
  if (site.wants(0)) {
    TRY(const ValueId dy, site.full());
    TRY(const ValueId da, gradient_of_a(op, site, dy));
    TRY(gradients[0], summed_over_batch(site, da, 0));
  }
  if (site.wants(1)) {
    TRY(const ValueId dy, site.full());
    TRY(const ValueId db, gradient_of_b(op, site, dy));
    TRY(gradients[1], summed_over_batch(site, db, 1));
  }
  if (site.input_count() > 2 && site.wants(2)) {
    TRY(gradients[2], site.summed_to_input(site.dy, 2));
  }
  return gradients;
}

}  // namespace dermlens::grad
