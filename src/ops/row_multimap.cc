// RowMultimap: the lists of each key, doubly linked where rows may go.
#include "ops/row_multimap.h"

#include <algorithm>
#include <utility>

namespace kappa::ops {
namespace {

uint32_t EntryBytes(RowMultimap::Layout layout) {
  switch (layout) {
    case RowMultimap::Layout::kAppendOnly:
    case RowMultimap::Layout::kRowsOnly: return offsetof(RowEntry, next);
    case RowMultimap::Layout::kIndexed: return offsetof(RowEntry, matches);
    case RowMultimap::Layout::kIndexedWithMatches: return sizeof(RowEntry);
  }
  KAPPA_CHECK(false);
}

}  // namespace

constexpr size_t kCountAt = 2 * sizeof(uint64_t);  // root word 2

RowMultimap::RowMultimap(state::Arena& arena, Layout layout)
    : arena_(arena), layout_(layout), rows_(arena, 0, EntryBytes(layout)), keys_(arena, 1, sizeof(KeyEntry)) {}

int64_t RowMultimap::row_count() const {
  if (layout_ != Layout::kAppendOnly) return rows_.rows();
  int64_t count;
  std::memcpy(&count, arena_.root() + kCountAt, sizeof count);
  return count;
}

void RowMultimap::Append(state::Ref key, std::string_view row, int64_t count) {
  KAPPA_DCHECK(layout_ == Layout::kAppendOnly && count > 0);
  KAPPA_CHECK(row.size() <= UINT32_MAX);
  const bool inlined = row.size() <= kAppendedRowMax;
  const size_t stored = inlined ? row.size() : sizeof(state::Ref);
  const state::Ref at = arena_.Allocate(static_cast<uint32_t>(sizeof(AppendedRow) + stored));
  KeyEntry* list = MutableKey(key);
  const int64_t here = std::min<int64_t>(count, UINT32_MAX);
  const AppendedRow head = {std::exchange(list->head, at), static_cast<uint32_t>(row.size()), static_cast<uint32_t>(here)};
  list->weight += here;
  char* memory = arena_.Mutable(at);
  std::memcpy(memory, &head, sizeof head);
  if (inlined) {
    std::memcpy(memory + sizeof head, row.data(), row.size());
  } else {
    const state::Ref blob = state::StoreBlob(arena_, row);
    std::memcpy(arena_.Mutable(at) + sizeof head, &blob, sizeof blob);
  }
  const int64_t rows = row_count() + 1;
  std::memcpy(arena_.MutableRoot() + kCountAt, &rows, sizeof rows);
  if (count > here) Append(key, row, count - here);
}

std::string_view RowMultimap::AppendedBytes(const AppendedRow& row, std::string& scratch) const {
  const char* bytes = reinterpret_cast<const char*>(&row + 1);
  if (row.size <= kAppendedRowMax) return {bytes, row.size};
  state::Ref blob;
  std::memcpy(&blob, bytes, sizeof blob);
  return state::BlobView(arena_, blob, scratch);
}

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
