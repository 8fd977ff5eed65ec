#include "state/integer_set.h"

#include "state/slot_array.h"

namespace kappa::state {
namespace {
constexpr uint8_t kFirstSlotBits = 2;
}  // namespace

void IntegerSets::Add(IntegerSetHead& set, uint64_t word) {
  if (word == 0) {
    set.has_zero = 1;
    return;
  }
  // Three quarters at most.
  if (set.slots == 0 || set.taken + 1 > (1ULL << set.slot_bits) / 4 * 3) Grow(set);
  std::memcpy(arena_.Mutable(set.slots + Find(set, word) * 8), &word, sizeof word);
  ++set.taken;
}

void IntegerSets::Grow(IntegerSetHead& set) {
  const IntegerSetHead old = set;
  set.slot_bits = old.slots == 0 ? kFirstSlotBits : static_cast<uint8_t>(old.slot_bits + 1);
  set.slots = AllocateSlots(arena_, set.slot_bits);
  if (old.slots == 0) return;
  for (uint64_t i = 0; i < 1ULL << old.slot_bits; ++i) {
    const uint64_t word = Slot(old, i);
    if (word != 0) std::memcpy(arena_.Mutable(set.slots + Find(set, word) * 8), &word, sizeof word);
  }
  FreeSlots(arena_, old.slots, old.slot_bits);
}

}  // namespace kappa::state
