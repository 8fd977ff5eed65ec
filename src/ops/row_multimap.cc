// RowMultimap: the doubly linked list of each key.
#include "ops/row_multimap.h"

#include <algorithm>

namespace kappa::ops {
namespace {

uint32_t EntryBytes(RowMultimap::Layout layout) {
  switch (layout) {
    case RowMultimap::Layout::kRowsOnly: return offsetof(RowEntry, next);
    case RowMultimap::Layout::kIndexed: return offsetof(RowEntry, matches);
    case RowMultimap::Layout::kIndexedWithMatches: return sizeof(RowEntry);
  }
  KAPPA_CHECK(false);
}

}  // namespace

RowMultimap::RowMultimap(state::Arena& arena, Layout layout) : rows_(arena, 0, EntryBytes(layout)), keys_(arena, 1, sizeof(KeyEntry)) {}

void RowMultimap::Link(state::Ref row, state::Ref key) {
  RowEntry* entry = MutableRow(row);
  KeyEntry* list = MutableKey(key);
  KAPPA_DCHECK(entry->owner == 0);
  entry->owner = key;
  entry->next = list->head;
  entry->previous = 0;
  if (list->head != 0) MutableRow(list->head)->previous = row;
  list->head = row;
}

void RowMultimap::Erase(state::Ref row) {
  if (state::Ref key = Row(row)->owner; key != 0) {
    RowEntry entry = *Row(row);
    if (entry.next != 0) MutableRow(entry.next)->previous = entry.previous;
    if (entry.previous != 0) MutableRow(entry.previous)->next = entry.next;
    else if (entry.next != 0) MutableKey(key)->head = entry.next;
    else keys_.Erase(key);
  }
  rows_.Erase(row);
}

void RowMultimap::EraseEmpty(std::vector<state::Ref> rows) {
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  for (state::Ref row : rows) {
    if (Row(row)->count == 0) Erase(row);
  }
}

}  // namespace kappa::ops
