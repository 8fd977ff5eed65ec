// Predicates as lists of conditions that all must hold. Internal to sql/optimize and sql/bind.
#pragma once

#include <vector>

#include "plan/build.h"

namespace kappa::sql {

/// Appends the parts of a conjunction, or the predicate itself.
void SplitConjuncts(const expr::ExprPtr& predicate, std::vector<expr::ExprPtr>& conjuncts);
/// Leaves out those that are the literal TRUE.
void DropTrue(std::vector<expr::ExprPtr>& conjuncts);
/// Null for no conjuncts.
expr::ExprPtr AllOf(std::vector<expr::ExprPtr> conjuncts);
/// The node itself when nothing but TRUE is asked.
plan::NodePtr Filtered(plan::NodePtr node, std::vector<expr::ExprPtr> conjuncts);

}  // namespace kappa::sql
