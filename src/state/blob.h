// Blobs: byte strings of any size up to 4 GiB in an arena, as a chain of blocks.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "state/arena.h"

namespace kappa::state {

//   at  bytes  field
//    0      8  ref of the next block, 0 at the end
//    8      4  bytes in this block
//   12      4  bytes from here to the end of the blob, this block's included
//   16      n  bytes
struct BlobBlock {
  Ref next;
  uint32_t size;
  uint32_t remaining;
};
static_assert(sizeof(BlobBlock) == 16);
inline constexpr uint32_t kBlobBlockMax = Arena::kAllocationMax - sizeof(BlobBlock);

/// Stores a copy; never 0, also for no bytes.
Ref StoreBlob(Arena& arena, std::string_view bytes);
void FreeBlob(Arena& arena, Ref blob);

// `Memory` is Arena or ArenaSnapshot.
template <typename Memory> uint32_t BlobSize(const Memory& memory, Ref blob) {
  return reinterpret_cast<const BlobBlock*>(memory.Get(blob))->remaining;
}
/// Appends the bytes to `out`.
template <typename Memory> void AppendBlob(const Memory& memory, Ref blob, std::string& out) {
  for (Ref at = blob; at != 0;) {
    const auto* block = reinterpret_cast<const BlobBlock*>(memory.Get(at));
    out.append(reinterpret_cast<const char*>(block + 1), block->size);
    at = block->next;
  }
}
/// The bytes where they are when the blob has one block, else a copy in `scratch`.
template <typename Memory> std::string_view BlobView(const Memory& memory, Ref blob, std::string& scratch) {
  const auto* block = reinterpret_cast<const BlobBlock*>(memory.Get(blob));
  if (block->next == 0) return {reinterpret_cast<const char*>(block + 1), block->size};
  scratch.clear();
  scratch.reserve(block->remaining);
  AppendBlob(memory, blob, scratch);
  return scratch;
}
template <typename Memory> bool BlobEquals(const Memory& memory, Ref blob, std::string_view bytes) {
  if (BlobSize(memory, blob) != bytes.size()) return false;
  for (Ref at = blob; at != 0;) {
    const auto* block = reinterpret_cast<const BlobBlock*>(memory.Get(at));
    if (std::memcmp(block + 1, bytes.data(), block->size) != 0) return false;
    bytes.remove_prefix(block->size);
    at = block->next;
  }
  return true;
}

}  // namespace kappa::state
