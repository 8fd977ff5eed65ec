// The page pool: which pages of which slab are free. Huge pages matter: a table of 100 MB touched at random spans 25,000
// pages of 4 KiB, more than any TLB holds, but 50 of 2 MiB.
#include "state/page_pool.h"

#include <sys/mman.h>

#include <cstring>
#include <mutex>
#include <new>

namespace kappa::state {
namespace {

constexpr size_t kSlabBytes = 2u << 20;
constexpr size_t kSlabPages = kSlabBytes / kPageBytes;  // the first one holds the slab's own record
constexpr size_t kEmptySlabsMax = 8;

struct Slab {
  Slab* next = nullptr;  // of those with free pages
  Slab* previous = nullptr;
  uint32_t used = 0;
  uint32_t never_used_from = 1;  // pages from here are as the system gave them: zero
  uint32_t free_count = 0;
  uint8_t free[kSlabPages];
  bool full() const { return free_count == 0 && never_used_from == kSlabPages; }
  Page* page(size_t i) { return reinterpret_cast<Page*>(reinterpret_cast<char*>(this) + i * kPageBytes); }
};
static_assert(sizeof(Slab) <= kPageBytes);

class PagePool {
 public:
  Page* Take(bool zeroed) {
    Page* page;
    bool dirty;
    {
      std::lock_guard lock(mutex_);
      if (first_ == nullptr) AddSlab();
      Slab* slab = first_;
      if (slab->used++ == 0) --empty_;
      dirty = slab->free_count > 0;
      page = slab->page(dirty ? slab->free[--slab->free_count] : slab->never_used_from++);
      if (slab->full()) Unlink(slab);
    }
    if (dirty && zeroed) std::memset(page, 0, kPageBytes);
    return page;
  }

  void Return(Page* page) {
    auto address = reinterpret_cast<uintptr_t>(page);
    auto* slab = reinterpret_cast<Slab*>(address & ~(kSlabBytes - 1));
    std::lock_guard lock(mutex_);
    if (slab->full()) Link(slab);
    slab->free[slab->free_count++] = static_cast<uint8_t>((address & (kSlabBytes - 1)) / kPageBytes);
    if (--slab->used > 0 || ++empty_ <= kEmptySlabsMax) return;
    --empty_;
    Unlink(slab);
    munmap(slab, kSlabBytes);
  }

 private:
  void AddSlab() {
    // Twice the size, so that an aligned slab lies within; the rest goes back.
    void* raw = mmap(nullptr, 2 * kSlabBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    KAPPA_CHECK(raw != MAP_FAILED);  // out of memory
    auto begin = reinterpret_cast<uintptr_t>(raw);
    uintptr_t aligned = (begin + kSlabBytes - 1) & ~(kSlabBytes - 1);
    if (aligned > begin) munmap(raw, aligned - begin);
    munmap(reinterpret_cast<void*>(aligned + kSlabBytes), begin + kSlabBytes - aligned);
    madvise(reinterpret_cast<void*>(aligned), kSlabBytes, MADV_HUGEPAGE);
    Link(new (reinterpret_cast<void*>(aligned)) Slab());
    ++empty_;
  }
  void Link(Slab* slab) {
    slab->previous = nullptr;
    slab->next = first_;
    if (first_ != nullptr) first_->previous = slab;
    first_ = slab;
  }
  void Unlink(Slab* slab) {
    (slab->previous != nullptr ? slab->previous->next : first_) = slab->next;
    if (slab->next != nullptr) slab->next->previous = slab->previous;
    slab->next = slab->previous = nullptr;
  }

  std::mutex mutex_;
  Slab* first_ = nullptr;  // slabs with free pages
  size_t empty_ = 0;       // slabs without used pages
};

// Never destroyed: snapshots may outlive every other static.
[[maybe_unused]] PagePool& Pool() {
  static auto* pool = new PagePool();
  return *pool;
}

}  // namespace

PagePtr NewPage(bool zeroed) {
#if defined(__SANITIZE_ADDRESS__)
  return zeroed ? std::make_shared<Page>() : std::make_shared_for_overwrite<Page>();  // one by one, so that overruns are seen
#else
  return PagePtr(Pool().Take(zeroed), [](Page* page) { Pool().Return(page); });
#endif
}

}  // namespace kappa::state
