// B+ trees with counts. Nodes are not merged when rows go, only freed when they are empty.
#include "ops/over/ordered_rows.h"

#include <algorithm>
#include <cstring>

#include "ops/over/order_key.h"
#include "state/memory.h"

namespace kappa::ops {

using state::Ref;

//   at  bytes  field
//    0      4  entries
//    4      2  entries that there is room for
//    6      2  1: a leaf
//    8      -  entries: of a leaf {prefix, record}, else {prefix and record of the subtree's first row, child, rows below}
struct OrderedRows::Node {
  uint32_t count;
  uint16_t capacity;
  uint16_t leaf;
  LeafEntry* rows() { return reinterpret_cast<LeafEntry*>(this + 1); }
  const LeafEntry* rows() const { return reinterpret_cast<const LeafEntry*>(this + 1); }
  InnerEntry* children() { return reinterpret_cast<InnerEntry*>(this + 1); }
  const InnerEntry* children() const { return reinterpret_cast<const InnerEntry*>(this + 1); }
  uint32_t bytes() const;
};
struct OrderedRows::LeafEntry {
  uint64_t prefix;
  Ref record;
};
struct OrderedRows::InnerEntry {
  uint64_t prefix;
  Ref record;
  Ref child;
  int64_t rows;
};

uint32_t OrderedRows::Node::bytes() const {
  return static_cast<uint32_t>(sizeof(Node) + capacity * (leaf != 0 ? sizeof(LeafEntry) : sizeof(InnerEntry)));
}

namespace {

constexpr uint32_t kLeafMin = 2, kLeafMax = 60, kInnerMax = 31;  // full nodes just fit into 1 KiB

template <typename Entry> void InsertAt(Entry* entries, uint32_t count, uint32_t at, const Entry& entry) {
  std::memmove(entries + at + 1, entries + at, (count - at) * sizeof(Entry));
  entries[at] = entry;
}
template <typename Entry> void RemoveAt(Entry* entries, uint32_t count, uint32_t at) {
  std::memmove(entries + at, entries + at + 1, (count - at - 1) * sizeof(Entry));
}

}  // namespace

Ref OrderedRows::NewRecord(std::string_view order, std::string_view row) {
  std::string bytes(kHeadBytes, '\0');
  const auto size = static_cast<uint32_t>(order.size());
  std::memcpy(bytes.data() + 8, &size, sizeof size);
  bytes.append(order).append(row);
  return state::StoreBlob(arena_, bytes);
}

uint32_t OrderedRows::OrderSize(Ref record) const {
  uint32_t size;
  std::memcpy(&size, arena_.Get(record) + sizeof(state::BlobBlock) + 8, sizeof size);
  return size;
}
uint64_t OrderedRows::Owner(Ref record) const {
  uint64_t value;
  std::memcpy(&value, arena_.Get(record) + sizeof(state::BlobBlock), sizeof value);
  return value;
}
void OrderedRows::SetOwner(Ref record, uint64_t value) { std::memcpy(arena_.Mutable(record) + sizeof(state::BlobBlock), &value, sizeof value); }

Ref OrderedRows::NewNode(bool leaf, uint32_t capacity) {
  const auto bytes = static_cast<uint32_t>(sizeof(Node) + capacity * (leaf ? sizeof(LeafEntry) : sizeof(InnerEntry)));
  const Ref ref = arena_.Allocate(bytes);
  Node* node = Mutable(ref);
  node->capacity = static_cast<uint16_t>(capacity);
  node->leaf = leaf ? 1 : 0;
  return ref;
}

void OrderedRows::FreeNode(Ref ref) { arena_.Free(ref, Get(ref)->bytes()); }

OrderedRows::InnerEntry OrderedRows::Summary(Ref ref) const {
  const Node* node = Get(ref);
  if (node->leaf != 0) return {node->rows()[0].prefix, node->rows()[0].record, ref, node->count};
  int64_t rows = 0;
  for (uint32_t i = 0; i < node->count; ++i) rows += node->children()[i].rows;
  return {node->children()[0].prefix, node->children()[0].record, ref, rows};
}

/// True when the record's key is below `key`.
bool OrderedRows::Below(uint64_t prefix, Ref record, uint64_t key_prefix, std::string_view key) const {
  if (prefix != key_prefix) return prefix < key_prefix;
  std::string scratch;
  return Key(record, scratch) < key;
}

/// The first entry whose key is not below `key`.
uint32_t OrderedRows::LeafPosition(const Node* node, uint64_t prefix, std::string_view key) const {
  const LeafEntry* rows = node->rows();
  const LeafEntry* at =
      std::partition_point(rows, rows + node->count, [&](const LeafEntry& entry) { return Below(entry.prefix, entry.record, prefix, key); });
  return static_cast<uint32_t>(at - rows);
}

int64_t OrderedRows::LowerBound(const RowTree& tree, std::string_view key) const {
  if (tree.root == 0) return 0;
  const uint64_t prefix = OrderPrefix(key);
  int64_t position = 0;
  const Node* node = Get(tree.root);
  while (node->leaf == 0) {
    // The last child that begins below the key holds the bound, or it is that child's end.
    const InnerEntry* children = node->children();
    const InnerEntry* after = std::partition_point(children, children + node->count,
                                                   [&](const InnerEntry& entry) { return Below(entry.prefix, entry.record, prefix, key); });
    const auto child = static_cast<uint32_t>(std::max<ptrdiff_t>(after - children, 1) - 1);
    for (uint32_t i = 0; i < child; ++i) position += children[i].rows;
    node = Get(children[child].child);
  }
  return position + LeafPosition(node, prefix, key);
}

int64_t OrderedRows::Insert(RowTree& tree, Ref record) {
  std::string scratch;
  const std::string_view key = Key(record, scratch);
  const uint64_t prefix = OrderPrefix(key);
  if (tree.root == 0) tree.root = NewNode(/*leaf=*/true, kLeafMin);
  int64_t position = 0;
  const Split split = InsertInto(tree.root, record, prefix, key, &position);
  tree.root = split.node;
  if (split.right != 0) {
    const InnerEntry left = Summary(split.node), right = Summary(split.right);
    tree.root = NewNode(/*leaf=*/false, kInnerMax);
    Node* root = Mutable(tree.root);
    root->children()[0] = left;
    root->children()[1] = right;
    root->count = 2;
  }
  ++tree.rows;
  return position;
}

OrderedRows::Split OrderedRows::InsertInto(Ref ref, Ref record, uint64_t prefix, std::string_view key, int64_t* position) {
  Node* node = Mutable(ref);
  if (node->leaf != 0) {
    const uint32_t at = LeafPosition(node, prefix, key);
    *position += at;
    if (node->count < node->capacity) {
      InsertAt(node->rows(), node->count++, at, {prefix, record});
      return {ref, 0};
    }
    if (node->capacity < kLeafMax) {
      const Ref grown = NewNode(true, std::min(kLeafMax, node->capacity * 2U));
      Node* larger = Mutable(grown);
      node = Mutable(ref);
      std::memcpy(larger->rows(), node->rows(), node->count * sizeof(LeafEntry));
      larger->count = node->count;
      FreeNode(ref);
      InsertAt(larger->rows(), larger->count++, at, {prefix, record});
      return {grown, 0};
    }
    const Ref right_ref = NewNode(true, kLeafMax);
    Node* right = Mutable(right_ref);
    node = Mutable(ref);
    const uint32_t keep = at == node->count ? node->count : node->count / 2;  // rows that come in order fill their leaves
    right->count = node->count - keep;
    std::memcpy(right->rows(), node->rows() + keep, right->count * sizeof(LeafEntry));
    node->count = keep;
    if (at <= keep && right->count > 0) InsertAt(node->rows(), node->count++, at, {prefix, record});
    else InsertAt(right->rows(), right->count++, at - keep, {prefix, record});
    return {ref, right_ref};
  }
  InnerEntry* children = node->children();
  const InnerEntry* after =
      std::partition_point(children, children + node->count, [&](const InnerEntry& entry) { return Below(entry.prefix, entry.record, prefix, key); });
  const auto at = static_cast<uint32_t>(std::max<ptrdiff_t>(after - children, 1) - 1);
  for (uint32_t i = 0; i < at; ++i) *position += children[i].rows;
  const Split split = InsertInto(children[at].child, record, prefix, key, position);
  node = Mutable(ref);
  node->children()[at] = Summary(split.node);
  if (split.right == 0) return {ref, 0};
  const InnerEntry added = Summary(split.right);
  if (node->count < node->capacity) {
    InsertAt(node->children(), node->count++, at + 1, added);
    return {ref, 0};
  }
  const Ref right_ref = NewNode(false, kInnerMax);
  Node* right = Mutable(right_ref);
  node = Mutable(ref);
  const uint32_t keep = at + 1 == node->count ? node->count : node->count / 2;
  right->count = node->count - keep;
  std::memcpy(right->children(), node->children() + keep, right->count * sizeof(InnerEntry));
  node->count = keep;
  if (at + 1 <= keep && right->count > 0) InsertAt(node->children(), node->count++, at + 1, added);
  else InsertAt(right->children(), right->count++, at + 1 - keep, added);
  return {ref, right_ref};
}

Ref OrderedRows::EraseAt(RowTree& tree, int64_t position) {
  KAPPA_CHECK(position >= 0 && position < tree.rows);
  Ref erased = 0;
  tree.root = EraseFrom(tree.root, position, &erased);
  --tree.rows;
  while (tree.root != 0 && Get(tree.root)->leaf == 0 && Get(tree.root)->count == 1) {
    const Ref child = Get(tree.root)->children()[0].child;
    FreeNode(tree.root);
    tree.root = child;
  }
  return erased;
}

/// The node afterwards: 0 when it became empty and was freed.
Ref OrderedRows::EraseFrom(Ref ref, int64_t position, Ref* erased) {
  Node* node = Mutable(ref);
  if (node->leaf != 0) {
    *erased = node->rows()[position].record;
    RemoveAt(node->rows(), node->count--, static_cast<uint32_t>(position));
  } else {
    uint32_t at = 0;
    while (position >= node->children()[at].rows) position -= node->children()[at++].rows;
    const Ref child = EraseFrom(node->children()[at].child, position, erased);
    node = Mutable(ref);
    if (child == 0) RemoveAt(node->children(), node->count--, at);
    else node->children()[at] = Summary(child);
  }
  if (node->count > 0) return ref;
  FreeNode(ref);
  return 0;
}

Ref OrderedRows::At(const RowTree& tree, int64_t position) const {
  KAPPA_CHECK(position >= 0 && position < tree.rows);
  const Node* node = Get(tree.root);
  while (node->leaf == 0) {
    uint32_t at = 0;
    while (position >= node->children()[at].rows) position -= node->children()[at++].rows;
    node = Get(node->children()[at].child);
  }
  return node->rows()[position].record;
}

void OrderedRows::Read(const RowTree& tree, int64_t from, int64_t count, std::vector<Ref>& out) const {
  if (tree.root == 0 || count <= 0) return;
  const auto read = [&](const auto& self, Ref ref) -> void {
    const Node* node = Get(ref);
    if (node->leaf != 0) {
      for (auto i = static_cast<uint32_t>(from); i < node->count && count > 0; ++i, --count) out.push_back(node->rows()[i].record);
      from = 0;
      return;
    }
    for (uint32_t i = 0; i < node->count && count > 0; ++i) {
      if (from >= node->children()[i].rows) from -= node->children()[i].rows;
      else self(self, node->children()[i].child);
    }
  };
  read(read, tree.root);
}

void OrderedRows::FetchRecords(std::span<const Ref> records) const {
  if (!state::Spilling()) return;
  for (const Ref record : records) {
    if (record != 0) state::WillRead(arena_.Get(record), sizeof(state::BlobBlock));
  }
  for (const Ref record : records) {
    if (record == 0) continue;
    const char* block = arena_.Get(record);
    state::WillRead(block, sizeof(state::BlobBlock) + reinterpret_cast<const state::BlobBlock*>(block)->size);
  }
}

void OrderedRows::FetchPaths(std::span<const RowTree> trees, std::span<const std::string_view> keys) const {
  if (!state::Spilling()) return;
  std::vector<Ref> nodes, records;
  for (const RowTree& tree : trees) nodes.push_back(tree.root);
  for (bool deeper = true; deeper;) {
    deeper = false;
    for (const Ref node : nodes) {
      if (node != 0) state::WillRead(Get(node), sizeof(Node));
    }
    for (const Ref node : nodes) {
      if (node != 0) state::WillRead(Get(node), Get(node)->bytes());
    }
    // The way by prefixes alone is right, or ends nearby.
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i] == 0) continue;
      const Node* node = Get(nodes[i]);
      const uint64_t prefix = OrderPrefix(keys[i]);
      const auto below = [&](const auto& entry) { return entry.prefix < prefix; };
      if (node->leaf != 0) {
        const LeafEntry *rows = node->rows(), *end = rows + node->count, *at = std::partition_point(rows, end, below);
        for (const LeafEntry* near = std::max(rows + 1, at) - 1; near < std::min(end, at + 2); ++near) records.push_back(near->record);
        nodes[i] = 0;
      } else {
        const InnerEntry *children = node->children(), *after = std::partition_point(children, children + node->count, below);
        if (after < children + node->count && after->prefix == prefix) records.push_back(after->record);
        nodes[i] = children[std::max<ptrdiff_t>(after - children, 1) - 1].child;
        deeper = true;
      }
    }
  }
  FetchRecords(records);
}

void OrderedRows::FetchAhead(std::span<const Ref> records, size_t i) const {
  if (i % state::kReadsAtOnce == 0) FetchRecords(records.subspan(i, std::min(state::kReadsAtOnce, records.size() - i)));
}

std::vector<RowTree> TreesOf(const state::KeyedTable& partitions, std::span<const Ref> rows) {
  partitions.FetchAhead(rows, 0);
  std::vector<RowTree> trees;
  trees.reserve(rows.size());
  for (const Ref row : rows) trees.push_back(*reinterpret_cast<const RowTree*>(partitions.Payload(row)));
  return trees;
}

uint64_t OrderedRows::LastPrefix(const RowTree& tree) const {
  const Node* node = Get(tree.root);
  while (node->leaf == 0) node = Get(node->children()[node->count - 1].child);
  return node->rows()[node->count - 1].prefix;
}

void OrderedRows::FreeTree(RowTree& tree) {
  const auto free = [&](const auto& self, Ref ref) -> void {
    const Node* node = Get(ref);
    for (uint32_t i = 0; node->leaf == 0 && i < node->count; ++i) self(self, node->children()[i].child);
    FreeNode(ref);
  };
  if (tree.root != 0) free(free, tree.root);
  tree = {};
}

}  // namespace kappa::ops
