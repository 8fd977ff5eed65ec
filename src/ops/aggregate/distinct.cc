// DISTINCT: gives an accumulator each value of a group once, when it appears, and takes it back when it vanishes.
#include "ops/aggregate/distinct.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "ops/aggregate/value_keys.h"

namespace kappa::ops {

bool NeedsDistinctSet(const expr::AggregateCall& call) {
  using enum expr::AggregateKind;
  if (!call.distinct || expr::TakesOrder(call.kind)) return false;
  switch (call.kind) {
    case kMin:
    case kMax:
    case kAnyValue:
    case kBoolAnd:
    case kBoolOr:
    case kBitAnd:
    case kBitOr: return false;
    default: return true;
  }
}

DistinctSet::DistinctSet(std::vector<Accumulator*> members, const AccumulatorSetup& setup)
    : members_(std::move(members)),
      counted_(!setup.append_only),
      linked_(setup.drops_groups),
      values_bytes_(counted_ ? static_cast<uint32_t>(members_.size() * sizeof(int64_t)) : sizeof(uint64_t)),
      table_(arena_, 0, values_bytes_ + (linked_ ? sizeof(Link) : 0)),
      rows_(members_.size()),
      weights_(members_.size()) {
  KAPPA_CHECK(members_.size() <= kMembersMax);
}

void DistinctSet::Enter(state::Ref entry, state::Ref& head) {
  if (head == entry) return;  // the only one of a list has no neighbours either
  if (head != 0) LinkOf(head)->previous = entry;
  LinkOf(entry)->next = head;
  head = entry;
}

Status DistinctSet::Update(std::span<const data::ColumnPtr> arguments, const AccumulatorRows& in, const uint64_t* masks) {
  if (in.rows.empty()) return {};
  // Equal values may look different (numeric 1.0 and 1.00). What the group sums must not depend on which came first, so it sums
  // the canonical one; where the type fixes the scale there is only one.
  std::vector<data::ColumnPtr> values(arguments.begin(), arguments.end());
  for (data::ColumnPtr& column : values)
    if (column->type().id != data::TypeId::kNumeric || column->type().modifier < 0) column = data::CanonicalColumn(column);
  const GroupValueKeys keys(values, in.rows, in.groups);
  std::vector<int32_t> select(in.rows.size());
  std::iota(select.begin(), select.end(), 0);
  std::vector<state::Ref> entries(select.size());
  const int64_t before = table_.rows();
  table_.FindOrInsertBatch(keys, select, entries.data());
  const bool fresh = table_.rows() != before;
  for (auto& rows : rows_) rows.clear();

  if (linked_ && fresh) {
    for (size_t i = 0; i < entries.size(); ++i) {
      char* entry = table_.MutablePayload(entries[i]);
      const bool used = std::any_of(entry, entry + values_bytes_ + sizeof(Link), [](char byte) { return byte != 0; });
      if (!used) Enter(entries[i], Head(in.payloads[in.rows[i]]));
    }
  }
  if (!counted_) {
    for (size_t i = 0; i < entries.size(); ++i) {
      const int32_t row = in.rows[i];
      const uint64_t mask = masks[row];
      const auto* seen = reinterpret_cast<const uint64_t*>(table_.Payload(entries[i]));
      uint64_t missing = mask & ~*seen;
      if (missing == 0) continue;  // most rows: their page stays clean
      *reinterpret_cast<uint64_t*>(table_.MutablePayload(entries[i])) |= missing;
      for (; missing != 0; missing &= missing - 1) rows_[static_cast<size_t>(std::countr_zero(missing))].push_back(row);
    }
  } else {
    const size_t batch_rows = static_cast<size_t>(in.rows.back()) + 1;
    for (auto& weights : weights_) weights.resize(std::max(weights.size(), batch_rows));
    std::vector<std::pair<state::Ref, int32_t>> empty;
    for (size_t i = 0; i < entries.size(); ++i) {
      const int32_t row = in.rows[i];
      const int64_t weight = in.weight(row);
      auto* counts = reinterpret_cast<int64_t*>(table_.MutablePayload(entries[i]));
      for (uint64_t mask = masks[row]; mask != 0; mask &= mask - 1) {
        const auto member = static_cast<size_t>(std::countr_zero(mask));
        const int64_t old = counts[member];
        counts[member] += weight;
        if ((old > 0) == (counts[member] > 0)) continue;
        rows_[member].push_back(row);
        weights_[member][static_cast<size_t>(row)] = old > 0 ? -1 : 1;
      }
      if (std::all_of(counts, counts + members_.size(), [](int64_t count) { return count == 0; })) empty.emplace_back(entries[i], row);
    }
    EraseEmpty(empty, in);
  }

  for (size_t member = 0; member < members_.size(); ++member) {
    if (rows_[member].empty()) continue;
    AccumulatorRows distinct = in;
    distinct.rows = rows_[member];
    distinct.weights = counted_ ? weights_[member].data() : nullptr;
    KAPPA_RETURN_IF_ERROR(members_[member]->Update(values, distinct));
  }
  return {};
}

void DistinctSet::EraseEmpty(std::vector<std::pair<state::Ref, int32_t>>& empty, const AccumulatorRows& in) {
  std::sort(empty.begin(), empty.end());
  empty.erase(std::unique(empty.begin(), empty.end(), [](const auto& a, const auto& b) { return a.first == b.first; }), empty.end());
  for (auto [ref, row] : empty) {
    const auto* counts = reinterpret_cast<const int64_t*>(table_.Payload(ref));
    if (!std::all_of(counts, counts + members_.size(), [](int64_t count) { return count == 0; })) continue;
    if (linked_) {
      const Link link = *LinkOf(ref);
      if (link.next != 0) LinkOf(link.next)->previous = link.previous;
      if (link.previous != 0) LinkOf(link.previous)->next = link.next;
      else Head(in.payloads[row]) = link.next;
    }
    table_.Erase(ref);
  }
}

void DistinctSet::Drop(char* payload) {
  if (!linked_) return;
  for (state::Ref entry = Head(payload); entry != 0;) {
    const state::Ref next = LinkOf(entry)->next;
    table_.Erase(entry);
    entry = next;
  }
  Head(payload) = 0;
}

Status DistinctSet::OnRestored() {
  KAPPA_RETURN_IF_ERROR(arena_.CheckLoaded());
  return table_.Attach();
}

}  // namespace kappa::ops
