// RowMultimap: a multiset of rows (as bytes, with counts), and for each key the list of its rows. View stores and the
// sides of joins are made of it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "data/row_key.h"
#include "state/keyed_table.h"

namespace kappa::ops {

/// What a row of the row table carries. Counts may be negative within an epoch.
struct RowEntry {
  int64_t count;
  state::Ref owner;  // its key's row in the key table; 0: not linked
  state::Ref next;   // of the same key; absent without an index
  state::Ref previous;
  int64_t matches;   // joins with a residual: weight of the rows that match; absent elsewhere
};
/// What a row of the key table carries.
struct KeyEntry {
  state::Ref head;
  int64_t weight;  // sum of the counts of its rows
};

/// Root words of the arena: 0 rows, 1 keys. The owner may use the others.
class RowMultimap {
 public:
  enum class Layout : uint8_t { kRowsOnly, kIndexed, kIndexedWithMatches };
  RowMultimap(state::Arena& arena, Layout layout);
  Status Attach() {
    KAPPA_RETURN_IF_ERROR(rows_.Attach());
    return keys_.Attach();
  }

  state::KeyedTable& rows() { return rows_; }
  state::KeyedTable& keys() { return keys_; }
  const state::KeyedTable& rows() const { return rows_; }

  RowEntry* MutableRow(state::Ref row) { return reinterpret_cast<RowEntry*>(rows_.MutablePayload(row)); }
  const RowEntry* Row(state::Ref row) const { return reinterpret_cast<const RowEntry*>(rows_.Payload(row)); }
  KeyEntry* MutableKey(state::Ref key) { return reinterpret_cast<KeyEntry*>(keys_.MutablePayload(key)); }
  const KeyEntry* Key(state::Ref key) const { return reinterpret_cast<const KeyEntry*>(keys_.Payload(key)); }

  /// Puts a new row into the list of its key.
  void Link(state::Ref row, state::Ref key);
  /// Frees a row, and its key when it was the last.
  void Erase(state::Ref row);
  /// Frees those of the rows whose count is 0. The list may hold a row twice.
  void EraseEmpty(std::vector<state::Ref> rows);

 private:
  state::KeyedTable rows_;
  state::KeyedTable keys_;
};

}  // namespace kappa::ops
