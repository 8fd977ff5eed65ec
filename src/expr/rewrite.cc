// Rewrites of expressions: constant folding, replacing and collecting columns.
#include "expr/node.h"

namespace kappa::expr {
namespace {

/// Rebuilds the tree bottom-up; `leaf` gives the replacement of a column or null to keep it.
template <typename Leaf> ExprPtr ReplaceColumns(const ExprPtr& expression, const Leaf& leaf) {
  if (expression->kind() == Expression::Kind::kColumn) return leaf(static_cast<const ColumnRef&>(*expression));
  if (expression->children().empty()) return expression;
  std::vector<ExprPtr> children;
  bool changed = false;
  for (const ExprPtr& child : expression->children()) {
    children.push_back(ReplaceColumns(child, leaf));
    changed = changed || children.back() != child;
  }
  return changed ? expression->WithChildren(std::move(children)) : expression;
}

}  // namespace

ExprPtr FoldConstants(const ExprPtr& expression) {
  if (expression->children().empty() && expression->kind() != Expression::Kind::kCall && expression->kind() != Expression::Kind::kOther)
    return expression;
  ExprPtr folded = expression;
  if (!expression->children().empty()) {
    std::vector<ExprPtr> children;
    bool changed = false;
    for (const ExprPtr& child : expression->children()) {
      children.push_back(FoldConstants(child));
      changed = changed || children.back() != child;
    }
    if (changed) folded = expression->WithChildren(std::move(children));
  }
  if (const auto* node = dynamic_cast<const Node*>(folded.get())) {
    if (ExprPtr simplified = node->Simplified()) return FoldConstants(simplified);
  }
  if (!folded->is_row_constant() || !folded->is_immutable() || DependsOnSession(*folded)) return folded;
  EvalContext context;
  auto value = EvaluateConstant(*folded, context);
  return value.ok() ? MakeLiteral(*std::move(value)) : folded;
}

ExprPtr RemapColumns(const ExprPtr& expression, std::span<const int> mapping) {
  return ReplaceColumns(expression, [&](const ColumnRef& column) -> ExprPtr {
    KAPPA_CHECK(static_cast<size_t>(column.index()) < mapping.size());
    const int index = mapping[static_cast<size_t>(column.index())];
    KAPPA_CHECK(index >= 0);
    return MakeColumn(index, column.type(), column.name());
  });
}

ExprPtr SubstituteColumns(const ExprPtr& expression, std::span<const ExprPtr> replacements) {
  return ReplaceColumns(expression, [&](const ColumnRef& column) -> ExprPtr {
    KAPPA_CHECK(static_cast<size_t>(column.index()) < replacements.size());
    return replacements[static_cast<size_t>(column.index())];
  });
}

void CollectColumns(const Expression& expression, std::vector<bool>& used) {
  if (expression.kind() == Expression::Kind::kColumn) {
    const auto index = static_cast<size_t>(static_cast<const ColumnRef&>(expression).index());
    if (index >= used.size()) used.resize(index + 1);
    used[index] = true;
  }
  for (const ExprPtr& child : expression.children()) CollectColumns(*child, used);
}

}  // namespace kappa::expr
