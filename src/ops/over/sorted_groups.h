// SortedGroups: rows of a batch by key, and in order within a key; for operators that see all their rows before they give any.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "data/row_key.h"
#include "ops/over/order_key.h"

namespace kappa::ops {

/// Cost         a probe for each row; a sort of each key's rows, none where they come in order or in the opposite order.
/// Threads      one at a time.
class SortedGroups {
 public:
  struct Entry {
    uint64_t prefix;  // of the row's order key: OrderPrefix
    int32_t row;
  };
  /// Of the rows `select`; `keys` and `orders` must outlive this.
  SortedGroups(const data::RowKeys& keys, const OrderKeys& orders, std::span<const int32_t> select);

  size_t size() const { return ends_.size(); }
  std::span<Entry> group(size_t g) {
    const size_t from = g == 0 ? 0 : ends_[g - 1];
    return std::span(entries_).subspan(from, ends_[g] - from);
  }
  std::optional<size_t> Find(std::string_view key, uint64_t hash) const {
    const auto found = groups_.find(HashedKey{key, hash});
    return found == groups_.end() ? std::nullopt : std::optional<size_t>(found->second);
  }
  /// Whether the entry lies before an order key and its prefix.
  bool IsBelow(const Entry& entry, uint64_t prefix, std::string_view order) const {
    return entry.prefix != prefix ? entry.prefix < prefix : orders_.key(entry.row) < order;
  }
  /// Whether two entries of a group have one place in the order.
  bool ArePeers(const Entry& a, const Entry& b) const { return a.prefix == b.prefix && orders_.key(a.row) == orders_.key(b.row); }
  /// Runs of several peers: [from, to) in entries().
  std::vector<std::pair<size_t, size_t>> Ties() const;
  /// All groups, one behind the other.
  std::span<Entry> entries() { return entries_; }

 private:
  struct HashedKey {
    std::string_view key;
    uint64_t hash;
    bool operator==(const HashedKey& other) const { return hash == other.hash && key == other.key; }
  };
  struct KeyHash {
    size_t operator()(const HashedKey& key) const { return static_cast<size_t>(HashWord(key.hash)); }
  };

  const OrderKeys& orders_;
  absl::flat_hash_map<HashedKey, uint32_t, KeyHash> groups_;
  std::vector<size_t> ends_;  // of each group's entries
  std::vector<Entry> entries_;
};

}  // namespace kappa::ops
