// Predicates as lists of conditions.
#include "sql/optimize/conjuncts.h"

namespace kappa::sql {

using expr::Expression;
using expr::ExprPtr;

void SplitConjuncts(const ExprPtr& predicate, std::vector<ExprPtr>& conjuncts) {
  if (predicate->kind() != Expression::Kind::kAnd) {
    conjuncts.push_back(predicate);
    return;
  }
  for (const ExprPtr& child : predicate->children()) SplitConjuncts(child, conjuncts);
}

void DropTrue(std::vector<ExprPtr>& conjuncts) {
  std::erase_if(conjuncts, [](const ExprPtr& e) {
    return e->kind() == Expression::Kind::kLiteral && static_cast<const expr::Literal&>(*e).value() == data::Value::Bool(true);
  });
}

ExprPtr AllOf(std::vector<ExprPtr> conjuncts) {
  if (conjuncts.empty()) return nullptr;
  if (conjuncts.size() == 1) return conjuncts[0];
  Result<ExprPtr> all = expr::MakeAnd(std::move(conjuncts), 0);
  KAPPA_CHECK(all.ok());  // the parts are boolean
  return *all;
}

plan::NodePtr Filtered(plan::NodePtr node, std::vector<ExprPtr> conjuncts) {
  DropTrue(conjuncts);
  ExprPtr predicate = AllOf(std::move(conjuncts));
  return predicate ? plan::MakeFilter(std::move(node), std::move(predicate)) : node;
}

}  // namespace kappa::sql
