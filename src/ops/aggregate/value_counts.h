// ValueCounts: how often each value occurs in each group. Min and max over input with deletes, and aggregates that need all their
// values, keep them so.
#pragma once

#include <functional>
#include <vector>

#include "data/row_key.h"
#include "ops/aggregate/accumulator.h"
#include "state/keyed_table.h"

namespace kappa::ops {

/// Input        values with weights, per group (named by the ref of its row). A value is a row of one column or more, as it looks.
/// State        a table (group, value) -> count. The values of a group form a list whose head the group keeps.
class ValueCounts {
 public:
  struct Entry {
    int64_t count;
    state::Ref next;  // of the same group
    state::Ref previous;
  };
  ValueCounts();

  /// Adds the weights of the rows' values, and calls `changed(i, entry, change)` for each row i (an index into rows.rows)
  /// that made its value appear (change +1: count from not positive to positive) or vanish (-1). Entries of count 0 are
  /// freed at the end. `head` gives the place of the list's head for a batch row.
  void Update(std::span<const data::ColumnPtr> values, const AccumulatorRows& rows, const std::function<state::Ref*(int32_t row)>& head,
              const std::function<void(size_t i, state::Ref entry, int change)>& changed);
  /// Where state may be out of memory: fetches the lists of a few groups, whose entries lie anywhere, side by side.
  void FetchLists(std::span<const state::Ref> heads) const;
  /// Frees a group's list.
  void Drop(state::Ref head);

  const Entry* Get(state::Ref entry) const { return reinterpret_cast<const Entry*>(table_.Payload(entry)); }
  /// The value's row key (data/row_key.h).
  std::string_view Value(state::Ref entry, std::string& scratch) const { return table_.Key(entry, scratch).substr(sizeof(state::Ref)); }
  state::Arena& arena() { return arena_; }
  Status OnRestored();

 private:
  Entry* Mutable(state::Ref entry) { return reinterpret_cast<Entry*>(table_.MutablePayload(entry)); }

  state::Arena arena_;
  state::KeyedTable table_;
};

}  // namespace kappa::ops
