// The optimizer: rewrites a bound plan into a cheaper one that gives the same rows. Deterministic: equal plans in, equal
// plans out, because a version's identity is the hash of its plan.
#pragma once

#include "plan/build.h"

namespace kappa::sql {

/// All rewrites, in order: constants folded, predicates pushed towards the scans (comma joins become equi-joins on the
/// way), unused columns pruned, aggregates fused with their sessions, projections that change nothing removed.
plan::NodePtr Optimize(const plan::NodePtr& plan);

plan::NodePtr FoldPlan(const plan::NodePtr& plan);
plan::NodePtr PushPredicates(const plan::NodePtr& plan);
plan::NodePtr PruneColumns(const plan::NodePtr& plan);
plan::NodePtr SimplifyProjections(const plan::NodePtr& plan);
plan::NodePtr FuseSessions(const plan::NodePtr& plan);

}  // namespace kappa::sql
