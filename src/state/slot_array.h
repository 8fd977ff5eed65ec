// The slots of a hash table in an arena: a power of two of them, a power of two of bytes.
#pragma once

#include "state/arena.h"

namespace kappa::state {

inline constexpr uint64_t kSlotBlockBytesMax = 8 << 10;  // up to so many bytes are one allocation, more are whole pages

/// Zeroed.
inline Ref AllocateSlots(Arena& arena, uint64_t bytes) {
  if (bytes <= kSlotBlockBytesMax) return arena.Allocate(static_cast<uint32_t>(bytes));
  return arena.AllocatePages(static_cast<uint32_t>(bytes >> kPageBits));
}
inline void FreeSlots(Arena& arena, Ref slots, uint64_t bytes) {
  if (bytes <= kSlotBlockBytesMax) arena.Free(slots, static_cast<uint32_t>(bytes));
  else arena.FreePages(slots, static_cast<uint32_t>(bytes >> kPageBits));
}

}  // namespace kappa::state
