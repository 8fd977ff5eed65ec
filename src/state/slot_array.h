// The slots of a hash table in an arena: 8 bytes each, a power of two of them.
#pragma once

#include "state/arena.h"

namespace kappa::state {

inline constexpr uint32_t kBlockSlotBits = 10;  // up to 8 KiB of slots are one allocation, more are whole pages

/// Zeroed.
inline Ref AllocateSlots(Arena& arena, uint32_t slot_bits) {
  if (slot_bits <= kBlockSlotBits) return arena.Allocate(8u << slot_bits);
  return arena.AllocatePages(static_cast<uint32_t>((8ULL << slot_bits) >> kPageBits));
}
inline void FreeSlots(Arena& arena, Ref slots, uint32_t slot_bits) {
  if (slot_bits <= kBlockSlotBits) arena.Free(slots, 8u << slot_bits);
  else arena.FreePages(slots, static_cast<uint32_t>((8ULL << slot_bits) >> kPageBits));
}

}  // namespace kappa::state
