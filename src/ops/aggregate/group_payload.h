// What a GROUP BY keeps of a group: a head, then the states of its calls.
#pragma once

#include "ops/aggregate/accumulator_calls.h"
#include "plan/node.h"

namespace kappa::ops {

struct GroupHead {
  int64_t rows;      // sum of weights
  uint32_t touched;  // 1 in an epoch that changed the group
  uint32_t known;    // 1 once it was emitted (or, where windows close, entered into the index)
};
static_assert(sizeof(GroupHead) == 16);
inline GroupHead* HeadOf(char* payload) { return reinterpret_cast<GroupHead*>(payload); }

/// The calls of the node, with their states behind a GroupHead; blobs go to `arena`.
Status MakeGroupCalls(const plan::Aggregate& node, const OperatorOptions& options, state::Arena& arena, AccumulatorCalls& calls);

}  // namespace kappa::ops
