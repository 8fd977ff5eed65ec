// Arena: the memory that all operator state lives in. It is an array of 16 KiB pages with copy-on-write snapshots: taking
// a snapshot costs one pointer per page, and a page is copied only when it is changed while a snapshot still holds it.
// One mechanism serves readers (a consistent epoch), checkpoints (changed pages go to disk in the background) and the
// engine (which is never stopped). State is addressed by Ref, never by pointer, so pages can be stored and loaded as they
// are. docs/formats/checkpoint.md; docs/decisions/0003.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"

namespace kappa::state {

inline constexpr uint32_t kPageBits = 14;
inline constexpr uint32_t kPageBytes = 1u << kPageBits;

/// Where an allocation lives: page << 14 | offset. 0 is "none".
using Ref = uint64_t;

struct alignas(64) Page {
  std::array<char, kPageBytes> bytes;
};
using PagePtr = std::shared_ptr<Page>;

/// An immutable picture of an arena. Cheap to copy, safe to read from any thread.
class ArenaSnapshot {
 public:
  ArenaSnapshot() = default;
  const char* Get(Ref ref) const { return (*pages_)[ref >> kPageBits]->bytes.data() + (ref & (kPageBytes - 1)); }
  size_t page_count() const { return pages_ ? pages_->size() : 0; }
  const Page& page(size_t i) const { return *(*pages_)[i]; }
  /// Pins the memory: a keepalive for columns whose views point into the pages.
  std::shared_ptr<const void> keepalive() const { return pages_; }

 private:
  friend class Arena;
  std::shared_ptr<const std::vector<PagePtr>> pages_;
};

/// Input: allocations of 1 byte to any size (larger than a page: consecutive pages are not contiguous in memory, so such a
/// value is chained by the caller; see KeyedTable). One writer thread at a time.
class Arena {
 public:
  Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Largest single allocation.
  static constexpr uint32_t kAllocationMax = kPageBytes - 64;

  /// Rounds `size` up to its size class; reuses freed blocks of that class. The bytes are zeroed.
  Ref Allocate(uint32_t size);
  void Free(Ref ref, uint32_t size);
  const char* Get(Ref ref) const { return pages_[ref >> kPageBits]->bytes.data() + (ref & (kPageBytes - 1)); }
  /// For writing: marks the page as changed, and copies it first when a snapshot holds it.
  char* Mutable(Ref ref) {
    size_t page = ref >> kPageBits;
    if (stamps_[page] != generation_) [[unlikely]] MakeWritable(page);
    return pages_[page]->bytes.data() + (ref & (kPageBytes - 1));
  }

  /// A picture of now, for readers.
  ArenaSnapshot Snapshot();
  /// A picture of now, and which pages changed since the last call: what a checkpoint writes.
  struct Delta {
    ArenaSnapshot snapshot;
    std::vector<uint32_t> pages;  // in ascending order
  };
  Delta TakeDelta();
  /// Restores a page read from a checkpoint; all pages 0..count-1 must be given before use. Page 0 is the header page.
  void LoadPage(uint32_t page, std::string_view bytes);
  /// Forgets everything.
  void Clear();

  size_t page_count() const { return pages_.size(); }
  uint64_t memory_bytes() const { return pages_.size() * static_cast<uint64_t>(kPageBytes); }
  /// 64 bytes that the owner may use to find its own structures after a restore (kept in page 0).
  char* MutableRoot();
  const char* root() const;

 private:
  void MakeWritable(size_t page);

  std::vector<PagePtr> pages_;
  std::vector<uint64_t> stamps_;  // generation in which the page became private and was marked changed
  uint64_t generation_ = 1;       // grows with every snapshot
  std::vector<uint8_t> changed_;  // since the last TakeDelta
  std::shared_ptr<const std::vector<PagePtr>> shared_pages_;  // of the newest snapshot, reused while nothing changed
};

}  // namespace kappa::state
