#include "grad/rules.h"

#include <variant>

namespace dermlens::grad {

using namespace graph;

bool Site::wants(std::size_t i) const {
  if (!wanted_[i]) return false;
  emit.set_subject(input(i));
  return true;
}

Result<ValueId> Site::full() const { return emit.expanded(dy, output_shape()); }

Result<ValueId> Site::summed_to_input(ValueId gradient, std::size_t i) const {
  return emit.summed_to(gradient, output_shape(), input_shape(i));
}

Gradients Site::only(ValueId gradient) const {
  Gradients gradients = none();
  gradients[0] = gradient;
  return gradients;
}

tl::unexpected<Error> Site::no_derivative(std::string_view what) const {
  const std::string& name = node_.name.empty() ? emit.graph().value(output()).name : node_.name;
  return fail(Errc::unsupported, "no derivative of ", name_of(node_.op), " '", name,
              "' with respect to ", what);
}

Result<Gradients> rule(const UnaryBackward&, const Site& site) {
  return site.no_derivative("its inputs: second derivatives are not computed");
}

Result<Gradients> rule(const PoolBackward&, const Site& site) {
  return site.no_derivative("its inputs: second derivatives are not computed");
}

Result<Gradients> differentiate(const Op& op, const Site& site) {
  if (!post_ops_of(op).empty())
    return fail(Errc::internal, "backward pass after fusion: ", name_of(op), " '",
                site.emit.graph().value(site.output()).name, "' has post-ops");
  return std::visit([&](const auto& kind) { return rule(kind, site); }, op);
}

}  // namespace dermlens::grad
