// Arena: the memory that all operator state lives in. It is an array of 16 KiB pages with copy-on-write snapshots: taking
// a snapshot costs one pointer per 256 pages, and a page is copied only when it is changed while a snapshot still holds it.
// One mechanism serves readers (a consistent epoch), checkpoints (changed pages go to disk in the background) and the
// engine (which is never stopped). State is addressed by Ref, never by pointer, so pages can be stored and loaded as they
// are. docs/formats/checkpoint.md; docs/decisions/0003.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/error.h"

namespace kappa::state {

inline constexpr uint32_t kPageBits = 14;
inline constexpr uint32_t kPageBytes = 1u << kPageBits;
/// 512 GiB an arena: slots of keyed tables hold a Ref in 36 bits.
inline constexpr uint32_t kPagesMax = 1u << 25;

/// Where an allocation lives: page << 14 | offset. 0 is "none". Refs are multiples of 8, and linear: the pages of one
/// AllocatePages call are addressed as one range, though they are not contiguous in memory.
using Ref = uint64_t;

struct alignas(64) Page {
  std::array<char, kPageBytes> bytes;
};
using PagePtr = std::shared_ptr<Page>;

namespace internal {
inline constexpr uint32_t kChunkBits = 8;
inline constexpr uint32_t kChunkPages = 1u << kChunkBits;
struct PageChunk {
  std::array<PagePtr, kChunkPages> pages;
};
using ChunkPtr = std::shared_ptr<const PageChunk>;
/// What a snapshot holds. `released` outlives it and tells the writer, in order, that nobody reads these pages any more.
struct PageTable {
  std::vector<ChunkPtr> chunks;
  size_t page_count = 0;
  std::shared_ptr<std::atomic<bool>> released = std::make_shared<std::atomic<bool>>(false);
  PageTable() = default;
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;
  ~PageTable() { released->store(true, std::memory_order_release); }
};
}  // namespace internal

/// An immutable picture of an arena. Cheap to copy, safe to read from any thread.
class ArenaSnapshot {
 public:
  ArenaSnapshot() = default;
  const char* Get(Ref ref) const { return page(ref >> kPageBits).bytes.data() + (ref & (kPageBytes - 1)); }
  size_t page_count() const { return table_ ? table_->page_count : 0; }
  const Page& page(size_t i) const { return *table_->chunks[i >> internal::kChunkBits]->pages[i & (internal::kChunkPages - 1)]; }
  /// Pins the memory: a keepalive for columns whose views point into the pages.
  std::shared_ptr<const void> keepalive() const { return table_; }
  /// The owner's 64 bytes (Arena::MutableRoot) as of the snapshot.
  const char* root() const;

 private:
  friend class Arena;
  std::shared_ptr<const internal::PageTable> table_;
};

/// Input: allocations of 1 byte to kAllocationMax; longer byte strings are chained by blob.h. One writer thread at a time.
class Arena {
 public:
  Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Largest single allocation.
  static constexpr uint32_t kAllocationMax = kPageBytes - 64;
  static constexpr uint32_t kRootBytes = 64;

  /// Rounds `size` up to its size class; reuses freed blocks of that class. The bytes are zeroed.
  Ref Allocate(uint32_t size);
  void Free(Ref ref, uint32_t size);
  /// `count` whole zeroed pages with consecutive numbers: bytes are addressed by ref + i, but a pointer must not be
  /// carried over a page's end.
  Ref AllocatePages(uint32_t count);
  void FreePages(Ref first, uint32_t count);

  const char* Get(Ref ref) const { return pages_[ref >> kPageBits].bytes + (ref & (kPageBytes - 1)); }
  /// For writing: marks the page as changed, and copies it first when a snapshot holds it. The pointer may be written
  /// through until the next Snapshot or TakeDelta.
  char* Mutable(Ref ref) {
    const Entry& entry = pages_[ref >> kPageBits];
    if (entry.stamp != generation_) [[unlikely]]
      MakeWritable(ref >> kPageBits);
    return entry.bytes + (ref & (kPageBytes - 1));
  }

  /// A picture of now, for readers. Costs nothing when nothing changed since the last one and somebody still has it.
  ArenaSnapshot Snapshot();
  /// A picture of now, and which pages changed since the last call: what a checkpoint writes.
  struct Delta {
    ArenaSnapshot snapshot;
    std::vector<uint32_t> pages;  // in ascending order
  };
  Delta TakeDelta();
  /// Restores a page read from a checkpoint; all pages 0..count-1 must be given before use. Page 0 is the header page.
  /// `bytes` is kPageBytes long.
  void LoadPage(uint32_t page, std::string_view bytes);
  /// After the last LoadPage: fails with data_corrupted when the header is not one of this format version.
  Status CheckLoaded() const;
  /// Forgets everything.
  void Clear();

  size_t page_count() const { return pages_.size(); }
  uint64_t memory_bytes() const { return pages_.size() * static_cast<uint64_t>(kPageBytes); }
  /// 64 bytes that the owner may use to find its own structures after a restore (kept in page 0).
  char* MutableRoot();
  const char* root() const;

 private:
  struct Entry {
    char* bytes;
    uint64_t stamp;  // generation in which the page became private and was marked changed
  };
  struct LiveSnapshot {
    uint64_t generation;  // it holds the pages whose stamp is not above this
    std::shared_ptr<std::atomic<bool>> released;
  };
  void MakeWritable(size_t page);
  size_t AddPage();
  void MarkChanged(size_t page);
  bool Held(uint64_t stamp);
  void SetPage(size_t page, PagePtr memory);
  void Recycle(Ref from, uint32_t size);

  std::vector<Entry> pages_;
  std::vector<PagePtr> owners_;            // of pages_[i].bytes
  uint64_t generation_ = 1;                // grows with every snapshot
  std::vector<bool> changed_;              // since the last TakeDelta
  std::vector<uint32_t> changed_pages_;    // the same as a list, unordered
  std::vector<internal::ChunkPtr> chunks_; // for the next snapshot; null where a page was added or replaced
  std::vector<LiveSnapshot> live_;         // by generation; the last one is not known to be released
  std::weak_ptr<const internal::PageTable> newest_;
  bool dirty_ = false;                     // a page was made writable in this generation
};

}  // namespace kappa::state
