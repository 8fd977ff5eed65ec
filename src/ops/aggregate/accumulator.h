// Accumulators: the running state of one aggregate call, for all groups. The state of a group is a fixed number of bytes in
// the group's payload; what does not fit there lies in arena blobs or in the accumulator's own table.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "expr/aggregate_call.h"
#include "ops/operator.h"
#include "state/arena.h"

namespace kappa::ops {

/// Rows for the accumulators. Arrays are indexed by batch row.
struct AccumulatorRows {
  std::span<const int32_t> rows;    // which to take: FILTER passed, argument not NULL; ascending
  const int64_t* weights = nullptr;  // null: all +1
  char* const* payloads = nullptr;   // of the row's group
  const state::Ref* groups = nullptr;
  int64_t weight(int64_t row) const { return weights == nullptr ? 1 : weights[row]; }
};

/// Groups whose results are wanted.
struct AccumulatorGroups {
  std::span<char* const> payloads;
};

/// All states begin as zero bytes, and everything is linear in the weights: within an epoch counts may be negative.
/// Threads: one at a time.
class Accumulator {
 public:
  virtual ~Accumulator() = default;
  /// Bytes in the payload, a multiple of 8.
  virtual uint32_t bytes() const = 0;
  void set_offset(uint32_t offset) { offset_ = offset; }
  /// `arguments` are the call's and then its ORDER BY expressions, evaluated over the batch; the first one is not NULL in the given
  /// rows (unless takes_nulls).
  virtual Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& rows) = 0;
  /// The results of the groups, a column of the call's type. Rows that fail: see EvalContext::fail_on_error.
  virtual Result<data::ColumnPtr> Finish(const AccumulatorGroups& groups, expr::EvalContext& context) = 0;
  /// Adds the state of group `from` to that of `into`. Only where `merges`; the states hold the same arena's blobs.
  virtual Status Merge(char* /*into*/, char* /*from*/) {
    KAPPA_CHECK(merges());
    return {};
  }
  virtual bool merges() const { return false; }
  /// True when the group's state is its payload alone, so that a copy of these bytes is the same state.
  virtual bool is_plain(char* /*payload*/) const { return false; }
  /// Gives back what the group holds outside of its payload.
  virtual void Drop(char* /*payload*/) {}
  /// True when rows whose first argument is NULL are to be given too.
  virtual bool takes_nulls() const { return false; }
  virtual void VisitState(const std::function<void(state::Arena&)>&) {}
  virtual Status OnRestored() { return {}; }

 protected:
  template <typename State> State& At(char* payload) const { return *reinterpret_cast<State*>(payload + offset_); }
  uint32_t offset_ = 0;
};
using AccumulatorPtr = std::unique_ptr<Accumulator>;

/// What accumulators depend on beside the call.
struct AccumulatorSetup {
  state::Arena* blobs = nullptr;  // the arena of the groups
  bool append_only = false;       // no deletes ever come
  bool drops_groups = false;      // groups are dropped while they hold rows (windows that close)
  bool arrival_order = false;     // bounded input whose rows come in an order that is to be kept
  uint32_t max_payload_bytes = 8192;
};

/// For the call without DISTINCT: that is the caller's part, see distinct.h.
Result<AccumulatorPtr> MakeAccumulator(const expr::AggregateCall& call, const AccumulatorSetup& setup);

// By kind; `type` is that of the argument.
AccumulatorPtr MakeCount();
AccumulatorPtr MakeBoolAggregate(bool any);
AccumulatorPtr MakeIntegerSum(data::Type result, bool average);
AccumulatorPtr MakeNumericSum(data::Type type, bool average, const AccumulatorSetup& setup);
AccumulatorPtr MakeFloatSum(data::Type type, data::Type result, bool average, const AccumulatorSetup& setup);
Result<AccumulatorPtr> MakeIntervalSum(bool average);
AccumulatorPtr MakeExtremum(data::Type type, bool max, const AccumulatorSetup& setup);
AccumulatorPtr MakeBitAggregate(expr::AggregateKind kind, data::Type type);
AccumulatorPtr MakeNumericMoments(expr::AggregateKind kind, data::Type type, const AccumulatorSetup& setup);
AccumulatorPtr MakeFloatMoments(expr::AggregateKind kind, const AccumulatorSetup& setup);
Result<AccumulatorPtr> MakeCollected(const expr::AggregateCall& call, const AccumulatorSetup& setup);

/// A failed result: fails, or counts the error and gives NULL.
Status HandleRowError(const Error& error, expr::EvalContext& context);

}  // namespace kappa::ops
