// ValueCounts: one table for all groups; its keys are the group's ref and the value.
#include "ops/aggregate/value_counts.h"

#include <algorithm>
#include <numeric>

#include "ops/aggregate/value_keys.h"

namespace kappa::ops {

ValueCounts::ValueCounts() : table_(arena_, 0, sizeof(Entry)) {}

void ValueCounts::Update(std::span<const data::ColumnPtr> values, const AccumulatorRows& rows, const std::function<state::Ref*(int32_t)>& head,
                         const std::function<void(size_t, state::Ref, int)>& changed) {
  const GroupValueKeys keys(values, rows.rows, rows.groups);
  std::vector<int32_t> select(rows.rows.size());
  std::iota(select.begin(), select.end(), 0);
  std::vector<state::Ref> entries(select.size());
  int64_t before = table_.rows();
  table_.FindOrInsertBatch(keys, select, entries.data());
  bool fresh = table_.rows() != before;
  std::vector<std::pair<state::Ref, int32_t>> empty;
  std::vector<state::Ref> firsts;  // of the lists that grow
  if (state::Spilling() && fresh)
    for (const int32_t row : rows.rows) firsts.push_back(*head(row));
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!firsts.empty()) table_.FetchAhead(firsts, i);
    Entry* entry = Mutable(entries[i]);
    int32_t row = rows.rows[i];
    if (fresh && entry->count == 0 && entry->next == 0 && entry->previous == 0) {
      if (state::Ref* first = head(row); *first != entries[i]) {  // the only one of a list has no neighbours either
        if (*first != 0) Mutable(*first)->previous = entries[i];
        entry->next = *first;
        *first = entries[i];
      }
    }
    int64_t old = entry->count;
    entry->count += rows.weight(row);
    if ((old > 0) != (entry->count > 0)) changed(i, entries[i], entry->count > 0 ? 1 : -1);
    if (entry->count == 0) empty.emplace_back(entries[i], row);
  }
  std::sort(empty.begin(), empty.end());
  empty.erase(std::unique(empty.begin(), empty.end(), [](const auto& a, const auto& b) { return a.first == b.first; }), empty.end());
  for (auto [ref, row] : empty) {
    if (Get(ref)->count != 0) continue;
    const Entry entry = *Get(ref);
    if (entry.next != 0) Mutable(entry.next)->previous = entry.previous;
    if (entry.previous != 0) Mutable(entry.previous)->next = entry.next;
    else *head(row) = entry.next;
    table_.Erase(ref);
  }
}

void ValueCounts::FetchLists(std::span<const state::Ref> heads) const {
  if (!state::Spilling()) return;
  for (std::vector<state::Ref> entries(heads.begin(), heads.end()); !entries.empty();) {
    for (size_t i = 0; i < entries.size(); ++i) table_.FetchAhead(entries, i);
    for (state::Ref& entry : entries) entry = entry == 0 ? 0 : Get(entry)->next;
    std::erase(entries, state::Ref{0});
  }
}

void ValueCounts::Drop(state::Ref head) {
  while (head != 0) {
    state::Ref next = Get(head)->next;
    table_.Erase(head);
    head = next;
  }
}

Status ValueCounts::OnRestored() {
  KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
  return table_.Attach();
}

}  // namespace kappa::ops
