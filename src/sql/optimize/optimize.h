// The optimizer: rewrites a bound plan into a cheaper one that gives the same rows. Deterministic: equal plans in, equal
// plans out, because a version's identity is the hash of its plan.
#pragma once

#include "plan/build.h"
#include "sql/statement.h"

namespace kappa::sql {

/// All rewrites, in order: constants folded, predicates pushed towards the scans (comma joins become equi-joins on the
/// way), many-way joins ordered, DISTINCT inside of aggregates taken out, unused columns pruned, aggregates fused with their sessions, projections that change nothing removed, expressions that
/// are computed more than once shared.
plan::NodePtr Optimize(const plan::NodePtr& plan, const InputRows& rows = {});

/// Sub-queries in expressions become joins: all of them in views, which cannot run them otherwise (0A000 for those that have no such
/// form); in queries the correlated ones where that is possible, because the others are run as they are, once.
Result<plan::NodePtr> UnnestSubqueries(const plan::NodePtr& plan, bool view);
/// left JOIN LATERAL query ON on: inside `query`, Parameter(first_parameter + i) stands for outer[i], an expression over left.
/// The output is left's columns and the query's; `on` (may be null) is over them.
Result<plan::NodePtr> JoinLateral(const plan::NodePtr& left, const plan::NodePtr& query, int first_parameter, std::vector<expr::ExprPtr> outer,
                                  plan::JoinType type, const expr::ExprPtr& on, bool view);
/// The plans of the sub-queries that stay in expressions, optimized.
plan::NodePtr OptimizeSubqueries(const plan::NodePtr& plan);

plan::NodePtr FoldPlan(const plan::NodePtr& plan);
plan::NodePtr PushPredicates(const plan::NodePtr& plan);
/// An Over node that only ranks, below conditions on the rank: a TopN, and its conditions are taken out of `conjuncts`. Else the node.
plan::NodePtr RankFilter(const plan::NodePtr& over, std::vector<expr::ExprPtr>& conjuncts);
/// Trees of three or more inner joins, smallest inputs first; as they are where the rows of an input are not known.
plan::NodePtr OrderJoins(const plan::NodePtr& plan, const InputRows& rows);
plan::NodePtr PruneColumns(const plan::NodePtr& plan);
plan::NodePtr SimplifyProjections(const plan::NodePtr& plan);
/// Aggregates all of whose calls are DISTINCT in the same arguments become plain ones over the distinct rows of keys and arguments.
plan::NodePtr DistinctFirst(const plan::NodePtr& plan);
/// A projection computes once what it, or it and the filter below it, would compute again.
plan::NodePtr ShareExpressions(const plan::NodePtr& plan);
plan::NodePtr FuseSessions(const plan::NodePtr& plan);

}  // namespace kappa::sql
