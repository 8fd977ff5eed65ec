// IntegerSets: sets of 64-bit words inside an arena, each with a head that its owner keeps there. Open addressing over slots of 8 bytes, so
// that a set of a few thousand words stays in a core's cache. docs/formats/checkpoint.md has the layout.
#pragma once

#include <cstring>

#include "base/hash.h"
#include "state/arena.h"
#include "state/memory.h"

namespace kappa::state {

/// All zero: an empty set.
//   at  bytes  field
//    0      8  ref of the slots: words, 0 is free
//    8      4  taken slots
//   12      1  log2 of the number of slots
//   13      1  1: the word 0 is in the set
//   14      1  1: NULL is in the set
//   15      1  zero
struct IntegerSetHead {
  Ref slots;
  uint32_t taken;
  uint8_t slot_bits;
  uint8_t has_zero;
  uint8_t has_null;
  uint8_t reserved;
};
static_assert(sizeof(IntegerSetHead) == 16);

class IntegerSets {
 public:
  explicit IntegerSets(Arena& arena) : arena_(arena) {}

  /// Begins to fetch the place of a word, also from disk.
  void Prefetch(const IntegerSetHead& set, uint64_t word) const {
    if (set.slots == 0) return;
    const char* place = arena_.Get(set.slots + Home(set, word) * 8);
    __builtin_prefetch(place);
    WillRead(place, 8);
  }
  bool Contains(const IntegerSetHead& set, uint64_t word) const {
    if (word == 0) return set.has_zero != 0;
    return set.slots != 0 && Slot(set, Find(set, word)) != 0;
  }
  /// `set` is where the owner keeps it, for writing; the word is not in it.
  void Add(IntegerSetHead& set, uint64_t word);

 private:
  static uint64_t Home(const IntegerSetHead& set, uint64_t word) { return HashWord(word) >> (64 - set.slot_bits); }
  uint64_t Slot(const IntegerSetHead& set, uint64_t i) const {
    uint64_t word;
    std::memcpy(&word, arena_.Get(set.slots + i * 8), sizeof word);
    return word;
  }
  /// The slot of the word, or the free one where it belongs.
  uint64_t Find(const IntegerSetHead& set, uint64_t word) const {
    const uint64_t mask = (1ULL << set.slot_bits) - 1;
    for (uint64_t i = Home(set, word);; i = (i + 1) & mask) {
      const uint64_t found = Slot(set, i);
      if (found == 0 || found == word) return i;
    }
  }
  void Grow(IntegerSetHead& set);

  Arena& arena_;
};

}  // namespace kappa::state
