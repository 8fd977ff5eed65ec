// AccumulatorCalls: the aggregate calls of one operator, as accumulators laid out one behind the other in a payload.
#pragma once

#include <vector>

#include "ops/aggregate/accumulator.h"

namespace kappa::ops {

/// Threads: one at a time.
class AccumulatorCalls {
 public:
  /// The states follow `head_bytes` of the owner's in every payload.
  Status Make(const std::vector<expr::AggregateCall>& calls, const AccumulatorSetup& setup, uint32_t head_bytes);
  /// Bytes of a payload, the head's included.
  uint32_t payload_bytes() const { return payload_bytes_; }
  /// Takes the rows `select` (ascending) of a batch; payloads and groups are by batch row.
  Status Update(const data::ChangeBatch& batch, std::span<const int32_t> select, char* const* payloads, const state::Ref* groups,
                expr::EvalContext& context);
  /// Adds the states of `from` to those of `into`. All calls must merge.
  void Merge(char* into, char* from);
  Result<std::vector<data::ColumnPtr>> Finish(std::span<char* const> payloads, expr::EvalContext& context);
  void Drop(char* payload);

 private:
  struct Call {
    expr::AggregateCall call;
    AccumulatorPtr accumulator;
  };
  std::vector<Call> calls_;
  uint32_t payload_bytes_ = 0;
};

}  // namespace kappa::ops
