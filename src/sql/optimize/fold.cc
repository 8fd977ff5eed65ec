// Constant folding, the order of rewrites.
#include "sql/optimize/optimize.h"

namespace kappa::sql {

using expr::ExprPtr;
using plan::NodePtr;

NodePtr FoldPlan(const NodePtr& plan) {
  return plan::MapExpressions(plan, [](const ExprPtr& expression) { return expr::FoldConstants(expression); });
}

NodePtr Optimize(const NodePtr& plan, const InputRows& rows) {
  NodePtr result = FoldPlan(OptimizeSubqueries(plan));
  result = OrderJoins(PushPredicates(result), rows);
  result = PruneColumns(DistinctFirst(result));
  return ShareExpressions(SimplifyProjections(FuseSessions(SimplifyProjections(result))));
}

}  // namespace kappa::sql
