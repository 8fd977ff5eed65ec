// The expression node for a sub-query. How its plan is run is given by a runner, so that plan/ stays below flow/.
#pragma once

#include <functional>

#include "plan/node.h"

namespace kappa::plan {

/// Runs a plan to its end over bounded input and gives all rows. `parameters` replace the context's.
using SubqueryRunner = std::function<Result<data::Batch>(const NodePtr& plan, const std::vector<data::Value>& parameters)>;

/// The runner of the query that this thread is executing; set with a SubqueryScope around a query's execution.
class SubqueryScope {
 public:
  explicit SubqueryScope(SubqueryRunner runner);
  ~SubqueryScope();
  SubqueryScope(const SubqueryScope&) = delete;
  SubqueryScope& operator=(const SubqueryScope&) = delete;

 private:
  SubqueryRunner* previous_;
  SubqueryRunner runner_;
};

/// EXISTS (..), scalar (..), needle IN (..) and ARRAY(..). One run of the plan for each distinct outer row of a batch.
/// `needle` is null except for kIn. A scalar sub-query with more than one row fails with cardinality_violation.
expr::ExprPtr MakeSubquery(Subquery subquery, expr::ExprPtr needle, data::Type type);
/// The sub-query of a node that MakeSubquery made, null for other nodes. The node's children are the needle (if any) and
/// then the outer columns; `outer` of the result is empty.
const Subquery* SubqueryOf(const expr::Expression& expression);
/// The same node with another plan for the same columns.
expr::ExprPtr WithSubqueryPlan(const expr::Expression& expression, NodePtr plan);

}  // namespace kappa::plan
