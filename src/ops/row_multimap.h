// RowMultimap: a multiset of rows (as bytes, with counts), and for each key the list of its rows. View stores and the
// sides of joins are made of it. Where rows are only ever added (kAppendOnly), they are found by their key alone: no row is
// hashed or looked for, and one costs 16 bytes besides its own.
#pragma once

#include <span>
#include <string>
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
/// A row of an append-only multimap. Its bytes follow; more than kAppendedRowMax: 8 bytes, ref of a blob.
struct AppendedRow {
  state::Ref next;  // of the same key, added before
  uint32_t size;
  uint32_t count;
};
inline constexpr uint32_t kAppendedRowMax = 4096;
/// What a row of the key table carries.
struct KeyEntry {
  state::Ref head;
  int64_t weight;  // sum of the counts of its rows
};

/// Root words of the arena: 0 rows, 1 keys, 2 the number of appended rows. The owner may use the others.
class RowMultimap {
 public:
  enum class Layout : uint8_t { kRowsOnly, kIndexed, kIndexedWithMatches, kAppendOnly };
  RowMultimap(state::Arena& arena, Layout layout);
  Layout layout() const { return layout_; }
  Status Attach() {
    KAPPA_RETURN_IF_ERROR(rows_.Attach());
    return keys_.Attach();
  }

  state::KeyedTable& rows() { return rows_; }
  state::KeyedTable& keys() { return keys_; }
  const state::KeyedTable& rows() const { return rows_; }
  const state::KeyedTable& keys() const { return keys_; }

  RowEntry* MutableRow(state::Ref row) { return reinterpret_cast<RowEntry*>(rows_.MutablePayload(row)); }
  const RowEntry* Row(state::Ref row) const { return reinterpret_cast<const RowEntry*>(rows_.Payload(row)); }
  KeyEntry* MutableKey(state::Ref key) { return reinterpret_cast<KeyEntry*>(keys_.MutablePayload(key)); }
  const KeyEntry* Key(state::Ref key) const { return reinterpret_cast<const KeyEntry*>(keys_.Payload(key)); }

  /// Rows that are there, each counted once whatever its count; of kAppendOnly: as often as it was appended.
  int64_t row_count() const;

  /// Begins to bring the first row of a key into the cache.
  void FetchFirst(state::Ref key) const {
    if (const state::Ref head = Key(key)->head; head != 0) {
      __builtin_prefetch(arena_.Get(head));
      __builtin_prefetch(arena_.Get(head) + 64);
    }
  }
  /// kAppendOnly: puts a row of `count` >= 1 into the list of its key.
  void Append(state::Ref key, std::string_view row, int64_t count);
  /// The rows of a key, the newest first: visit(bytes, count, row). `row` is 0 for appended rows; the bytes hold until the next change.
  template <typename Visit> void ForEachOf(state::Ref key, Visit&& visit) const {
    std::string scratch;
    if (layout_ != Layout::kAppendOnly) {
      for (state::Ref row = Key(key)->head; row != 0; row = Row(row)->next) visit(rows_.Key(row, scratch), Row(row)->count, row);
      return;
    }
    for (state::Ref at = Key(key)->head; at != 0;) {
      const auto* row = reinterpret_cast<const AppendedRow*>(arena_.Get(at));
      if (row->next != 0) __builtin_prefetch(arena_.Get(row->next));
      visit(AppendedBytes(*row, scratch), static_cast<int64_t>(row->count), state::Ref{0});
      at = row->next;
    }
  }

  /// Puts a new row into the list of its key. Not of kAppendOnly, as all below.
  void Link(state::Ref row, state::Ref key);
  /// Frees a row, and its key when it was the last.
  void Erase(state::Ref row);
  /// Frees those of the rows whose count is 0. The list may hold a row twice.
  void EraseEmpty(std::vector<state::Ref> rows);

 private:
  std::string_view AppendedBytes(const AppendedRow& row, std::string& scratch) const;

  state::Arena& arena_;
  Layout layout_;
  state::KeyedTable rows_;
  state::KeyedTable keys_;
};

}  // namespace kappa::ops
