// Blobs: storing and freeing chains of blocks.
#include "state/blob.h"

namespace kappa::state {

Ref StoreBlob(Arena& arena, std::string_view bytes) {
  KAPPA_CHECK(bytes.size() <= UINT32_MAX);
  Ref first = 0;
  Ref last = 0;
  do {
    auto size = static_cast<uint32_t>(std::min<size_t>(bytes.size(), kBlobBlockMax));
    Ref at = arena.Allocate(static_cast<uint32_t>(sizeof(BlobBlock)) + size);
    char* memory = arena.Mutable(at);
    BlobBlock block{0, size, static_cast<uint32_t>(bytes.size())};
    std::memcpy(memory, &block, sizeof block);
    if (size != 0) std::memcpy(memory + sizeof block, bytes.data(), size);
    if (first == 0) first = at;
    else reinterpret_cast<BlobBlock*>(arena.Mutable(last))->next = at;
    last = at;
    bytes.remove_prefix(size);
  } while (!bytes.empty());
  return first;
}

void FreeBlob(Arena& arena, Ref blob) {
  while (blob != 0) {
    BlobBlock block;
    std::memcpy(&block, arena.Get(blob), sizeof block);
    arena.Free(blob, static_cast<uint32_t>(sizeof block) + block.size);
    blob = block.next;
  }
}

}  // namespace kappa::state
