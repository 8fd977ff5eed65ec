// The page pool: which pages of which slab are free. Huge pages matter: a table of 100 MB touched at random spans 25,000
// pages of 4 KiB, more than any TLB holds, but 50 of 2 MiB.
#include "state/page_pool.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "state/memory.h"
#include "state/spill_file.h"

namespace kappa::state {
namespace internal {
std::atomic<bool> spilling{false};
}

namespace {

constexpr size_t kSlabPages = kSlabBytes / kPageBytes;
constexpr size_t kEmptySlabsMax = 8;
// The part of the bound that is ordinary memory: never written to disk, and in huge pages. The rest is for the pages of the
// spill file that are in use, so it must not be small when there is ten times more of them.
constexpr uint64_t kOrdinaryShare = 3, kShares = 4;
constexpr uint64_t kSpillResidentMin = 8 * kSlabBytes;
constexpr auto kClockTick = std::chrono::milliseconds(10);
constexpr uint32_t kTakesBetweenLooks = 64;  // pages taken between two looks at what the spill file has in memory
constexpr uint32_t kReadsBetweenLooks = 1024;
constexpr auto kRetry = std::chrono::milliseconds(200);

struct Slab {
  char* memory = nullptr;
  bool spilled = false;
  Slab* next = nullptr;  // of those with as many free pages, more or less
  Slab* previous = nullptr;
  size_t list = 0;
  uint32_t used = 0;
  uint32_t never_used_from = 0;  // pages from here are as the system gave them: zero
  uint32_t free_count = 0;
  uint8_t free[kSlabPages];
  bool full() const { return used == kSlabPages; }
  Page* page(size_t i) { return reinterpret_cast<Page*>(memory + i * kPageBytes); }
};

/// Slabs by how full they are. New pages come from the fullest, so that the emptiest fall empty and leave.
class SlabLists {
 public:
  static constexpr size_t kLists = 8;
  Slab* first() const {
    for (Slab* slab : lists_) {
      if (slab != nullptr) return slab;
    }
    return nullptr;
  }
  void Link(Slab* slab) {
    slab->list = ListOf(*slab);
    Slab*& head = lists_[slab->list];
    slab->previous = nullptr;
    slab->next = head;
    if (head != nullptr) head->previous = slab;
    head = slab;
  }
  void Unlink(Slab* slab) {
    (slab->previous != nullptr ? slab->previous->next : lists_[slab->list]) = slab->next;
    if (slab->next != nullptr) slab->next->previous = slab->previous;
    slab->next = slab->previous = nullptr;
  }
  /// After `used` changed.
  void Moved(Slab* slab) {
    if (slab->list == ListOf(*slab)) return;
    Unlink(slab);
    Link(slab);
  }

 private:
  static size_t ListOf(const Slab& slab) { return (kSlabPages - 1 - slab.used) * kLists / kSlabPages; }
  Slab* lists_[kLists] = {};
};

class PagePool {
 public:
  struct Taken {
    Page* page;
    Slab* slab;
  };
  Taken Take(bool zeroed) {
    bool dirty;
    Taken taken;
    {
      std::lock_guard lock(mutex_);
      Slab* slab = ordinary_.lists.first();
      if (slab == nullptr) slab = MakeRoom();
      Kind& kind = KindOf(*slab);
      const bool was_empty = slab->used++ == 0;
      if (was_empty) --kind.empty;
      ++pages_;
      dirty = slab->free_count > 0;
      taken = {slab->page(dirty ? slab->free[--slab->free_count] : slab->never_used_from++), slab};
      if (slab->full()) kind.lists.Unlink(slab);
      else kind.lists.Moved(slab);
    }
    if (taken.slab->spilled) {
      if (dirty) spill_->Forget(reinterpret_cast<char*>(taken.page), kPageBytes);
      if (takes_.fetch_add(1, std::memory_order_relaxed) % kTakesBetweenLooks == 0) Relieve();
    }
    if (dirty && zeroed) std::memset(taken.page, 0, kPageBytes);
    return taken;
  }

  void Return(const Taken& taken) {
    Slab* slab = taken.slab;
    {
      std::lock_guard lock(mutex_);
      Kind& kind = KindOf(*slab);
      const bool was_full = slab->full();
      slab->free[slab->free_count++] = static_cast<uint8_t>((reinterpret_cast<char*>(taken.page) - slab->memory) / kPageBytes);
      --slab->used;
      --pages_;
      if (was_full) kind.lists.Link(slab);
      else kind.lists.Moved(slab);
      if (slab->used > 0 || ++kind.empty <= kEmptySlabsMax) return;
      --kind.empty;
      kind.lists.Unlink(slab);
      if (!slab->spilled) ordinary_bytes_ -= kSlabBytes;
    }
    if (slab->spilled) spill_->RemoveSlab(slab->memory);
    else munmap(slab->memory, kSlabBytes);
    delete slab;
  }

  Status SetLimit(uint64_t bytes, const std::string& folder) {
    std::lock_guard lock(mutex_);
    limit_ = bytes;
    exhausted_.reset();
    if (spill_ != nullptr) return {};
    auto spill = SpillFile::Open(folder);
    if (!spill.ok()) {
      no_spill_file_ = spill.error();
      return spill.error();
    }
    no_spill_file_.reset();
    spill_ = std::move(spill).value();
    return {};
  }

  MemoryUse Use() {
    std::lock_guard lock(mutex_);
    MemoryUse use;
    use.limit_bytes = limit_;
    use.page_bytes = pages_ * kPageBytes;
    use.resident_bytes = ordinary_bytes_ + (Spilling() ? spill_->resident_bytes() : 0);
    use.spill_bytes = spill_ == nullptr ? 0 : spill_->file_bytes();
    return use;
  }

  Status Check() {
    std::lock_guard lock(mutex_);
    if (exhausted_ && ordinary_bytes_ <= OrdinaryMax()) exhausted_.reset();  // state shrank
    if (!exhausted_) return {};
    if (const auto now = std::chrono::steady_clock::now(); now - last_try_ >= kRetry) {
      Slab* slab = AddSpillSlab();
      if (slab != nullptr) return {};
    }
    return *exhausted_;
  }

  /// A page of ordinary memory that is not in a slab: false when the bound speaks against it.
  bool CountHeapPage() {
    std::lock_guard lock(mutex_);
    if (ordinary_bytes_ + kPageBytes > OrdinaryMax()) return false;
    ordinary_bytes_ += kPageBytes;
    ++pages_;
    return true;
  }
  void UncountHeapPage() {
    std::lock_guard lock(mutex_);
    ordinary_bytes_ -= kPageBytes;
    --pages_;
  }

  /// Sends pages of the spill file out of memory, on the caller's time, where the clock's thread falls behind.
  void Relieve() {
    const uint64_t budget = SpillBudget();
    if (spill_->resident_bytes() > budget + budget / 8 + kSlabBytes) spill_->Shrink(budget, /*wait=*/true);
  }

  void BeginRead(const char* address, size_t bytes) {
    if (!spill_->Holds(address)) return;
    thread_local uint32_t reads = 0;
    if (++reads % kReadsBetweenLooks == 0) Relieve();
    spill_->BeginRead(address, bytes);
  }

 private:
  struct Kind {
    SlabLists lists;
    size_t empty = 0;  // slabs without used pages
  };
  Kind& KindOf(const Slab& slab) { return slab.spilled ? spilled_ : ordinary_; }
  uint64_t SpillBudget() const {
    const uint64_t ordinary = ordinary_bytes_.load(std::memory_order_relaxed), limit = limit_.load(std::memory_order_relaxed);
    return std::max(limit > ordinary ? limit - ordinary : 0, kSpillResidentMin);
  }

  uint64_t OrdinaryMax() const {
    const uint64_t limit = limit_.load(std::memory_order_relaxed);
    return limit == 0 ? UINT64_MAX : limit / kShares * kOrdinaryShare;
  }

  // mutex_ is held by all below.

  /// A slab with a free page: there is none of ordinary memory.
  Slab* MakeRoom() {
    if (ordinary_bytes_ + kSlabBytes <= OrdinaryMax()) return AddOrdinarySlab();
    if (Slab* slab = spilled_.lists.first(); slab != nullptr) return slab;
    if (Slab* slab = AddSpillSlab(); slab != nullptr) return slab;
    // Whoever asked holds half a change in his hands. He gets memory, and is stopped where he can be: see CheckMemory.
    if (ordinary_bytes_ > limit_ + limit_ / 2 + 64 * kSlabBytes) {
      fmt::print(stderr, "kappa: stopping: {}\n", exhausted_->ToString());
      std::_Exit(1);
    }
    return AddOrdinarySlab();
  }

  Slab* AddOrdinarySlab() {
    // Twice the size, so that an aligned slab lies within; the rest goes back.
    void* raw = mmap(nullptr, 2 * kSlabBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    KAPPA_CHECK(raw != MAP_FAILED);  // out of memory
    auto begin = reinterpret_cast<uintptr_t>(raw);
    uintptr_t aligned = (begin + kSlabBytes - 1) & ~(kSlabBytes - 1);
    if (aligned > begin) munmap(raw, aligned - begin);
    munmap(reinterpret_cast<void*>(aligned + kSlabBytes), begin + kSlabBytes - aligned);
    madvise(reinterpret_cast<void*>(aligned), kSlabBytes, MADV_HUGEPAGE);
    auto* slab = new Slab();
    slab->memory = reinterpret_cast<char*>(aligned);
    ordinary_.lists.Link(slab);
    ++ordinary_.empty;
    ordinary_bytes_ += kSlabBytes;
    return slab;
  }

  /// Null when it cannot be had; then exhausted_ says why.
  Slab* AddSpillSlab() {
    const auto now = std::chrono::steady_clock::now();
    if (exhausted_ && now - last_try_ < kRetry) return nullptr;
    last_try_ = now;
    Status failed;
    if (spill_ == nullptr) {
      failed = no_spill_file_ ? *no_spill_file_ : Error(sqlstate::kDiskFull, "there is no spill file");
    } else if (auto memory = spill_->AddSlab(); memory.ok()) {
      exhausted_.reset();
      auto* slab = new Slab();
      slab->memory = *memory;
      slab->spilled = true;
      spilled_.lists.Link(slab);
      ++spilled_.empty;
      if (!clock_running_) {
        clock_running_ = true;
        internal::spilling = true;
        std::thread([this] { RunClock(); }).detach();
      }
      return slab;
    } else {
      failed = memory.error();
    }
    exhausted_ = Error(sqlstate::kDiskFull,
                       fmt::format("state reached its bound of {} MB and cannot spill: {}", limit_.load() >> 20, failed.error().message()))
                     .Hint("Free disk space, or raise --state-memory.");
    return nullptr;
  }

  void RunClock() {
    while (true) {
      std::this_thread::sleep_for(kClockTick);
      spill_->Shrink(SpillBudget(), /*wait=*/false);
    }
  }

  std::mutex mutex_;
  Kind ordinary_, spilled_;
  size_t pages_ = 0;  // in use
  std::atomic<uint64_t> ordinary_bytes_{0};
  std::atomic<uint64_t> limit_{0};
  std::unique_ptr<SpillFile> spill_;      // once made, it stays
  std::optional<Error> no_spill_file_;    // why it could not be made
  std::optional<Error> exhausted_;        // pages above the bound are in ordinary memory since the spill file could not grow
  std::chrono::steady_clock::time_point last_try_{};
  bool clock_running_ = false;
  std::atomic<uint32_t> takes_{0};
};

// Never destroyed: snapshots may outlive every other static.
PagePool& Pool() {
  static auto* pool = new PagePool();
  return *pool;
}

}  // namespace

PagePtr NewPage(bool zeroed) {
#if defined(__SANITIZE_ADDRESS__)
  // One by one, so that overruns are seen; those that spill cannot be.
  if (Pool().CountHeapPage()) {
    return PagePtr(zeroed ? new Page() : new Page, [](Page* page) {
      delete page;
      Pool().UncountHeapPage();
    });
  }
#endif
  const PagePool::Taken taken = Pool().Take(zeroed);
  return PagePtr(taken.page, [taken](Page*) { Pool().Return(taken); });
}

Status SetMemoryLimit(uint64_t bytes, const std::string& folder) { return Pool().SetLimit(bytes, folder); }
MemoryUse GetMemoryUse() { return Pool().Use(); }
Status CheckMemory() { return Pool().Check(); }
void internal::BeginRead(const void* address, size_t bytes) { Pool().BeginRead(static_cast<const char*>(address), bytes); }

}  // namespace kappa::state
