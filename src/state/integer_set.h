// IntegerSets: sets of words inside an arena, each with a head that its owner keeps there. Open addressing over slots of 4 or 8 bytes, so
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

/// `Slot`: uint32_t or uint64_t, which holds every word of the sets.
template <typename Slot> class IntegerSets {
 public:
  explicit IntegerSets(Arena& arena) : arena_(arena) {}

  static uint64_t Hash(Slot word) { return HashWord(word); }

  /// Begins to fetch the place of a word, also from disk.
  void Prefetch(const IntegerSetHead& set, uint64_t hash) const {
    if (set.slots == 0) return;
    const char* place = arena_.Get(set.slots + Home(set, hash) * sizeof(Slot));
    __builtin_prefetch(place);
    WillRead(place, sizeof(Slot));
  }
  /// Adds a word with its hash; false when it was there. `writable` gives the head where the owner keeps it, for writing, and is called
  /// only for words that are new: what is not changed is not written.
  template <typename Writable> bool Add(const IntegerSetHead& set, Slot word, uint64_t hash, Writable&& writable) {
    if (word == 0) {
      if (set.has_zero != 0) return false;
      writable().has_zero = 1;
      return true;
    }
    uint64_t place = 0;
    if (set.slots != 0) {
      place = Find(set, word, hash);
      if (At(set, place) == word) return false;
    }
    IntegerSetHead& changed = writable();
    if (changed.taken + 1 > Capacity(changed)) {
      Grow(changed);
      place = Find(changed, word, hash);
    }
    Put(changed, place, word);
    ++changed.taken;
    return true;
  }

 private:
  static uint64_t Home(const IntegerSetHead& set, uint64_t hash) { return hash >> (64 - set.slot_bits); }
  /// Three quarters of the slots at most are taken.
  static uint64_t Capacity(const IntegerSetHead& set) { return set.slots == 0 ? 0 : (1ULL << set.slot_bits) / 4 * 3; }
  Slot At(const IntegerSetHead& set, uint64_t place) const {
    Slot word;
    std::memcpy(&word, arena_.Get(set.slots + place * sizeof(Slot)), sizeof word);
    return word;
  }
  void Put(const IntegerSetHead& set, uint64_t place, Slot word) {
    std::memcpy(arena_.Mutable(set.slots + place * sizeof(Slot)), &word, sizeof word);
  }
  /// The slot of the word, or the free one where it belongs.
  uint64_t Find(const IntegerSetHead& set, Slot word, uint64_t hash) const {
    const uint64_t mask = (1ULL << set.slot_bits) - 1;
    for (uint64_t i = Home(set, hash);; i = (i + 1) & mask) {
      const Slot found = At(set, i);
      if (found == 0 || found == word) return i;
    }
  }
  void Grow(IntegerSetHead& set);

  Arena& arena_;
};

extern template class IntegerSets<uint32_t>;
extern template class IntegerSets<uint64_t>;

}  // namespace kappa::state
