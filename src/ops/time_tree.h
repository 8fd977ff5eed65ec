// TimeTree: an ordered map from times to nodes inside an arena. Many small trees share one arena: a root is a Ref that the
// owner keeps (0: empty), for example in the payload of a partition key.
#pragma once

#include "base/hash.h"
#include "state/arena.h"

namespace kappa::ops {

/// What a node begins with; the owner's fields follow (TimeTree is told the size of all).
struct TimeNode {
  int64_t time;
  state::Ref left;
  state::Ref right;
};

/// A treap: the priority of a node is a hash of its Ref, so the shape needs no memory and is balanced whatever the order of
/// arrival.
/// Cost         O(log n) for each call; a page is written only where a link changes.
/// Threads      one at a time.
class TimeTree {
 public:
  TimeTree(state::Arena& arena, uint32_t node_bytes) : arena_(arena), node_bytes_(node_bytes) {}

  /// The node of exactly this time; a new one has zeroes behind its TimeNode.
  state::Ref FindOrInsert(state::Ref& root, int64_t time) {
    const state::Ref found = Floor(root, time);
    return found != 0 && Get(found)->time == time ? found : Insert(root, time);
  }
  /// A new node; there must be none of this time.
  state::Ref Insert(state::Ref& root, int64_t time) {
    const state::Ref node = arena_.Allocate(node_bytes_);
    Mutable(node)->time = time;
    root = Insert(root, node, time);
    return node;
  }
  /// Takes the node out; it lives on until the owner frees it.
  void Detach(state::Ref& root, state::Ref node) { root = Remove(root, node, Get(node)->time); }
  void Erase(state::Ref& root, state::Ref node) {
    Detach(root, node);
    arena_.Free(node, node_bytes_);
  }
  /// The node of the latest time not after `time`; 0: none.
  state::Ref Floor(state::Ref root, int64_t time) const {
    state::Ref best = 0;
    while (root != 0) {
      const TimeNode* node = Get(root);
      if (node->time <= time) best = root;
      root = node->time <= time ? node->right : node->left;
    }
    return best;
  }
  /// The node of the earliest time not before `time`; 0: none.
  state::Ref Ceiling(state::Ref root, int64_t time) const {
    state::Ref best = 0;
    while (root != 0) {
      const TimeNode* node = Get(root);
      if (node->time >= time) best = root;
      root = node->time >= time ? node->left : node->right;
    }
    return best;
  }
  state::Ref Next(state::Ref root, state::Ref node) const { return Get(node)->time == INT64_MAX ? 0 : Ceiling(root, Get(node)->time + 1); }
  state::Ref Previous(state::Ref root, state::Ref node) const { return Get(node)->time == INT64_MIN ? 0 : Floor(root, Get(node)->time - 1); }
  state::Ref First(state::Ref root) const { return Ceiling(root, INT64_MIN); }
  state::Ref Last(state::Ref root) const { return Floor(root, INT64_MAX); }

  const TimeNode* Get(state::Ref node) const { return reinterpret_cast<const TimeNode*>(arena_.Get(node)); }
  TimeNode* Mutable(state::Ref node) { return reinterpret_cast<TimeNode*>(arena_.Mutable(node)); }

 private:
  static uint64_t Priority(state::Ref node) { return HashWord(node); }

  state::Ref Insert(state::Ref root, state::Ref node, int64_t time) {
    if (root == 0) return node;
    if (Priority(node) > Priority(root)) {
      TimeNode* top = Mutable(node);
      Split(root, time, top->left, top->right);
      return node;
    }
    const bool right = Get(root)->time < time;
    const state::Ref child = right ? Get(root)->right : Get(root)->left;
    const state::Ref changed = Insert(child, node, time);
    if (changed != child) (right ? Mutable(root)->right : Mutable(root)->left) = changed;
    return root;
  }
  /// Nodes before `time` and nodes after it.
  void Split(state::Ref root, int64_t time, state::Ref& before, state::Ref& after) {
    state::Ref* less = &before;
    state::Ref* more = &after;
    while (root != 0) {
      TimeNode* node = Mutable(root);
      if (node->time < time) {
        *less = root;
        less = &node->right;
        root = node->right;
      } else {
        *more = root;
        more = &node->left;
        root = node->left;
      }
    }
    *less = 0;
    *more = 0;
  }
  state::Ref Remove(state::Ref root, state::Ref node, int64_t time) {
    if (root == node) return Join(Get(node)->left, Get(node)->right);
    const bool right = Get(root)->time < time;
    const state::Ref child = right ? Get(root)->right : Get(root)->left;
    KAPPA_CHECK(child != 0);
    const state::Ref changed = Remove(child, node, time);
    if (changed != child) (right ? Mutable(root)->right : Mutable(root)->left) = changed;
    return root;
  }
  state::Ref Join(state::Ref before, state::Ref after) {
    if (before == 0 || after == 0) return before != 0 ? before : after;
    if (Priority(before) > Priority(after)) {
      const state::Ref joined = Join(Get(before)->right, after);
      if (joined != Get(before)->right) Mutable(before)->right = joined;
      return before;
    }
    const state::Ref joined = Join(before, Get(after)->left);
    if (joined != Get(after)->left) Mutable(after)->left = joined;
    return after;
  }

  state::Arena& arena_;
  uint32_t node_bytes_;
};

}  // namespace kappa::ops
