// AccumulatorCalls: the aggregate calls of one operator, as accumulators laid out one behind the other in a payload.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "ops/aggregate/accumulator.h"
#include "ops/aggregate/distinct.h"

namespace kappa::ops {

/// What a group's payload begins with: the owner's bytes.
struct PayloadHead {
  uint32_t bytes = 0;
  bool counts = false;  // the first of them are an int64_t, the sum of the weights of the group's rows: count(*) reads it
};

/// Equal FILTERs and arguments are evaluated once; DISTINCT over the same arguments shares a set.
/// Threads: one at a time.
class AccumulatorCalls {
 public:
  Status Make(const std::vector<expr::AggregateCall>& calls, const AccumulatorSetup& setup, PayloadHead head);
  /// Bytes of a payload, the head's included.
  uint32_t payload_bytes() const { return payload_bytes_; }
  /// Takes the rows `select` (ascending) of a batch; payloads and groups are by batch row.
  Status Update(const data::ChangeBatch& batch, std::span<const int32_t> select, char* const* payloads, const state::Ref* groups,
                expr::EvalContext& context);
  /// Whether states can be merged.
  bool merges() const;
  /// Whether a copy of the payload's bytes is the same state.
  bool IsPlain(char* payload) const;
  /// Adds the states of `from` to those of `into`. All calls must merge.
  Status Merge(char* into, char* from);
  Result<std::vector<data::ColumnPtr>> Finish(std::span<char* const> payloads, expr::EvalContext& context);
  void Drop(char* payload);
  /// State outside of the payloads and their arena.
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit);
  Status OnRestored();

 private:
  struct Call {
    expr::AggregateCall call;
    AccumulatorPtr accumulator;
    int filter = -1;             // index into filters_
    std::vector<int> arguments;  // indexes into arguments_: the call's, then its ORDER BY
    bool in_set = false;         // fed by a DistinctSet
  };
  /// DISTINCT over the same arguments.
  struct Set {
    std::vector<size_t> calls;
    std::unique_ptr<DistinctSet> values;
  };
  /// An expression that calls share. Rows that a FILTER rejects must not be evaluated, as they may fail: `whole` when a call takes
  /// all rows anyway, or no row can fail.
  struct Argument {
    expr::ExprPtr expression;
    bool cannot_fail = false;
    bool whole = false;
    data::ColumnPtr column;  // of the batch, when it was evaluated as a whole
  };

  void ShareExpressions(Call& call);
  void ShareSet(size_t call);
  Status UpdateSet(Set& set, const data::Batch& input, AccumulatorRows rows, std::span<const int32_t> select,
                   const std::vector<std::vector<int32_t>>& filtered, expr::EvalContext& context);
  Result<std::vector<data::ColumnPtr>> ArgumentsOf(const Call& call, const data::Batch& input, std::span<const int32_t> select,
                                                   expr::EvalContext& context);

  std::vector<Call> calls_;
  std::vector<Set> sets_;
  std::vector<expr::ExprPtr> filters_;
  std::vector<Argument> arguments_;
  uint32_t payload_bytes_ = 0;
};

}  // namespace kappa::ops
