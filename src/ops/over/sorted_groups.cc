#include "ops/over/sorted_groups.h"

#include <algorithm>

namespace kappa::ops {

SortedGroups::SortedGroups(const data::RowKeys& keys, const OrderKeys& orders, std::span<const int32_t> select) : orders_(orders) {
  std::vector<uint32_t> group_of(select.size());
  std::vector<size_t> starts;
  for (size_t j = 0; j < select.size(); ++j) {
    const int32_t row = select[j];
    const auto [it, fresh] = groups_.try_emplace(HashedKey{keys.key(row), keys.hash(row)}, static_cast<uint32_t>(starts.size()));
    if (fresh) starts.push_back(0);
    group_of[j] = it->second;
    ++starts[it->second];
  }
  size_t at = 0;
  for (size_t& start : starts) at += std::exchange(start, at);
  entries_.resize(select.size());
  ends_ = starts;
  // A counting sort keeps the order of arrival, which often is the one that is wanted.
  for (size_t j = 0; j < select.size(); ++j) entries_[ends_[group_of[j]]++] = {OrderPrefix(orders.key(select[j])), select[j]};
  const auto below = [&](const Entry& a, const Entry& b) { return IsBelow(a, b.prefix, orders_.key(b.row)); };
  for (size_t g = 0; g < size(); ++g) {
    const std::span<Entry> rows = group(g);
    if (std::is_sorted(rows.begin(), rows.end(), below)) continue;
    if (std::is_sorted(rows.rbegin(), rows.rend(), below)) std::reverse(rows.begin(), rows.end());
    else std::sort(rows.begin(), rows.end(), below);
  }
}

std::vector<std::pair<size_t, size_t>> SortedGroups::Ties() const {
  std::vector<std::pair<size_t, size_t>> ties;
  size_t from = 0;
  for (const size_t end : ends_) {
    while (from < end) {
      size_t to = from + 1;
      while (to < end && ArePeers(entries_[from], entries_[to])) ++to;
      if (to > from + 1) ties.emplace_back(from, to);
      from = to;
    }
  }
  return ties;
}

}  // namespace kappa::ops
