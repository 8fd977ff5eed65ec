#include "state/integer_set.h"

#include "state/slot_array.h"

namespace kappa::state {
namespace {

constexpr uint8_t kFirstSlotBits = 3;
constexpr uint8_t kQuickSlotBits = 16;  // up to so many slots a set grows by four, for its words are brought over again each time; then by two

}  // namespace

template <typename Slot> void IntegerSets<Slot>::Grow(IntegerSetHead& set) {
  const IntegerSetHead old = set;
  const auto bytes = [](const IntegerSetHead& head) { return sizeof(Slot) << head.slot_bits; };
  set.slot_bits = old.slots == 0 ? kFirstSlotBits : static_cast<uint8_t>(old.slot_bits + (old.slot_bits < kQuickSlotBits ? 2 : 1));
  set.slots = AllocateSlots(arena_, bytes(set));
  if (old.slots == 0) return;
  for (uint64_t i = 0; i < 1ULL << old.slot_bits; ++i) {
    const Slot word = At(old, i);
    if (word != 0) Put(set, Find(set, word, Hash(word)), word);
  }
  FreeSlots(arena_, old.slots, bytes(old));
}

template class IntegerSets<uint32_t>;
template class IntegerSets<uint64_t>;

}  // namespace kappa::state
