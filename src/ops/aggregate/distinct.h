// DistinctSet: DISTINCT for all aggregates of the same arguments, whatever their FILTERs.
#pragma once

#include <vector>

#include "ops/aggregate/accumulator.h"
#include "state/keyed_table.h"

namespace kappa::ops {

/// True when the call sees each value once by a DistinctSet. False also for those that do it themselves (string_agg ..) and
/// those to which it makes no difference (min, bool_and ..).
bool NeedsDistinctSet(const expr::AggregateCall& call);

/// Input        rows of the arguments, with a bit for each member that takes the row.
/// State        one table (group, value) -> for each member how often it has the value; without deletes whether it has it: one
///              bit. Where groups are dropped with rows in them, the values of a group form a list; its head is in the payload.
/// Retractions  a member is given a value when its count becomes positive, and -1 of it when it no longer is.
/// Cost         one probe a row, for all members together.
class DistinctSet {
 public:
  static constexpr size_t kMembersMax = 64;

  DistinctSet(std::vector<Accumulator*> members, const AccumulatorSetup& setup);
  /// Bytes in the group's payload, before the members' own.
  uint32_t bytes() const { return linked_ ? sizeof(state::Ref) : 0; }
  void set_offset(uint32_t offset) { offset_ = offset; }

  /// `rows.rows` are the rows that a member takes; masks[row] says which do.
  Status Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& rows, const uint64_t* masks);
  void Drop(char* payload);
  state::Arena& arena() { return arena_; }
  Status OnRestored();

 private:
  struct Link {
    state::Ref next, previous;  // of the same group
  };
  state::Ref& Head(char* payload) const { return *reinterpret_cast<state::Ref*>(payload + offset_); }
  Link* LinkOf(char* entry) const { return reinterpret_cast<Link*>(entry + values_bytes_); }
  Link* LinkOf(state::Ref entry) { return LinkOf(table_.MutablePayload(entry)); }
  void Enter(state::Ref entry, state::Ref& head);
  void EraseEmpty(std::vector<std::pair<state::Ref, int32_t>>& empty, const AccumulatorRows& rows);

  std::vector<Accumulator*> members_;
  bool counted_;  // deletes may come
  bool linked_;
  uint32_t values_bytes_;
  uint32_t offset_ = 0;
  state::Arena arena_;
  state::KeyedTable table_;
  // Scratch of a batch, by member.
  std::vector<std::vector<int32_t>> rows_;
  std::vector<std::vector<int64_t>> weights_;
};

}  // namespace kappa::ops
