// OrderedRows: the rows of many partitions in an arena, each partition in its own order, found by position and by key: B+ trees
// with counts, whose root is a small leaf that grows while a partition has few rows.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/arena.h"
#include "state/blob.h"
#include "state/keyed_table.h"

namespace kappa::ops {

/// What a partition keeps of its tree.
struct RowTree {
  state::Ref root;
  int64_t rows;
};

/// A row is a record: a blob of 8 bytes for the owner, the length of the order key, the order key (order_key.h) and the row's
/// bytes (data/row_key.h). Records are ordered by order key, then by row bytes; copies of a row are records of their own.
///
/// Cost         log(rows) comparisons of eight bytes, a look at a record where those are equal; 16 bytes a row beside the record.
/// Threads      one at a time.
class OrderedRows {
 public:
  explicit OrderedRows(state::Arena& arena) : arena_(arena) {}

  // ---- Records.
  state::Ref NewRecord(std::string_view order, std::string_view row);
  void FreeRecord(state::Ref record) { state::FreeBlob(arena_, record); }
  /// Order key and row bytes; where they are, or (very long ones) in `scratch`.
  std::string_view Key(state::Ref record, std::string& scratch) const { return state::BlobView(arena_, record, scratch).substr(kHeadBytes); }
  uint32_t OrderSize(state::Ref record) const;
  uint64_t Owner(state::Ref record) const;
  void SetOwner(state::Ref record, uint64_t value);

  // ---- Trees. A zero RowTree is an empty one. A key is an order key followed by row bytes, or by nothing.
  /// Position of the first row whose key is not below `key`.
  int64_t LowerBound(const RowTree& tree, std::string_view key) const;
  /// Puts a record into its place and returns its position.
  int64_t Insert(RowTree& tree, state::Ref record);
  /// Takes the record out of the tree and returns it; it is not freed.
  state::Ref EraseAt(RowTree& tree, int64_t position);
  state::Ref At(const RowTree& tree, int64_t position) const;
  /// Appends the records at [from, from + count), as far as there are rows.
  void Read(const RowTree& tree, int64_t from, int64_t count, std::vector<state::Ref>& out) const;
  /// Where state may be out of memory, for steps of a few hundred: begins to fetch the records; and what LowerBound, Insert and At look at for
  /// keys[i] in trees[i], level by level, up to the records around it.
  void FetchRecords(std::span<const state::Ref> records) const;
  void FetchPaths(std::span<const RowTree> trees, std::span<const std::string_view> keys) const;
  /// For loops over records, in any order: begins to fetch those from i on, now and then.
  void FetchAhead(std::span<const state::Ref> records, size_t i) const;
  /// Order prefix of the last row of a tree that has rows.
  uint64_t LastPrefix(const RowTree& tree) const;
  /// Frees the nodes, not the records.
  void FreeTree(RowTree& tree);

 private:
  static constexpr size_t kHeadBytes = 12;
  struct Node;
  struct LeafEntry;
  struct InnerEntry;
  struct Split {
    state::Ref node, right;
  };

  const Node* Get(state::Ref node) const { return reinterpret_cast<const Node*>(arena_.Get(node)); }
  Node* Mutable(state::Ref node) { return reinterpret_cast<Node*>(arena_.Mutable(node)); }
  state::Ref NewNode(bool leaf, uint32_t capacity);
  void FreeNode(state::Ref node);
  InnerEntry Summary(state::Ref node) const;
  bool Below(uint64_t prefix, state::Ref record, uint64_t key_prefix, std::string_view key) const;
  uint32_t LeafPosition(const Node* node, uint64_t prefix, std::string_view key) const;
  Split InsertInto(state::Ref node, state::Ref record, uint64_t prefix, std::string_view key, int64_t* position);
  state::Ref EraseFrom(state::Ref node, int64_t position, state::Ref* erased);

  state::Arena& arena_;
};

/// The trees of partitions, with which the payloads of these rows begin; where state may be out of memory, fetched for all of them at a time.
std::vector<RowTree> TreesOf(const state::KeyedTable& partitions, std::span<const state::Ref> rows);

}  // namespace kappa::ops
