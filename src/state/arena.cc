// Arena: page allocation, size classes with free lists, and the generations that make snapshots copy on write.
#include "state/arena.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "state/memory.h"
#include "state/page_pool.h"

namespace kappa::state {
namespace {

constexpr uint32_t kMagic = 0x4152504bu;  // "KPRA"
constexpr uint32_t kFormatVersion = 1;

// Size classes: multiples of 8 up to 128, then eight steps a doubling (waste at most 12.5%).
constexpr uint32_t kSmallMax = 128;
constexpr uint32_t kSmallClasses = kSmallMax / 8;
constexpr uint32_t kClasses = kSmallClasses + 7 * 8;  // up to 16 KiB

constexpr uint32_t ClassOf(uint32_t size) {
  if (size <= kSmallMax) return size == 0 ? 0 : (size - 1) / 8;
  uint32_t doubling = 31 - static_cast<uint32_t>(std::countl_zero(size - 1)) - 7;  // 129..256 is 0
  uint32_t step = 16u << doubling;
  return kSmallClasses + doubling * 8 + (size - 1 - (kSmallMax << doubling)) / step;
}

constexpr uint32_t ClassBytes(uint32_t c) {
  if (c < kSmallClasses) return (c + 1) * 8;
  uint32_t doubling = (c - kSmallClasses) / 8;
  uint32_t bytes = (kSmallMax << doubling) + ((c - kSmallClasses) % 8 + 1) * (16u << doubling);
  return std::min(bytes, Arena::kAllocationMax);
}
static_assert(ClassBytes(ClassOf(1)) == 8 && ClassBytes(ClassOf(128)) == 128 && ClassBytes(ClassOf(129)) == 144);
static_assert(ClassBytes(ClassOf(8192)) == 8192 && ClassBytes(ClassOf(8193)) == 9216);
static_assert(ClassOf(Arena::kAllocationMax) == kClasses - 1);

//   at  bytes  field
//    0      4  magic
//    4      4  format version
//    8      8  next free byte of the page that small allocations are cut from
//   16      8  its end; equal to the former when there is none
//   24      8  first free page, 0 none; a free page begins with the ref of the next
//   32     32  zero
//   64     64  root: the owner's
//  128    576  first free block of each size class, 0 none; a free block begins with the ref of the next
struct Header {
  uint32_t magic;
  uint32_t format_version;
  Ref bump;
  Ref bump_end;
  Ref free_pages;
  char reserved[32];
  char root[Arena::kRootBytes];
  Ref free_blocks[kClasses];
};
static_assert(sizeof(Header) == 128 + 8 * kClasses && kClasses == 72);
static_assert(offsetof(Header, root) == 64 && offsetof(Header, free_blocks) == 128);

Ref LoadRef(const char* at) {
  Ref ref;
  std::memcpy(&ref, at, sizeof ref);
  return ref;
}
void StoreRef(char* at, Ref ref) { std::memcpy(at, &ref, sizeof ref); }

}  // namespace

const char* ArenaSnapshot::root() const { return Get(offsetof(Header, root)); }

Arena::Arena() { Clear(); }

void Arena::Clear() {
  pages_.clear();
  owners_.clear();
  chunks_.clear();
  changed_.clear();
  changed_pages_.clear();
  ++generation_;
  AddPage();
  auto* header = reinterpret_cast<Header*>(Mutable(0));
  header->magic = kMagic;
  header->format_version = kFormatVersion;
}

void Arena::SetPage(size_t page, PagePtr memory) {
  pages_[page].bytes = memory->bytes.data();
  owners_[page] = std::move(memory);
  chunks_[page >> internal::kChunkBits] = nullptr;
}

size_t Arena::AddPage() {
  size_t page = pages_.size();
  KAPPA_CHECK(page < kPagesMax);
  pages_.push_back({nullptr, generation_});
  owners_.emplace_back();
  changed_.push_back(false);
  if ((page >> internal::kChunkBits) >= chunks_.size()) chunks_.emplace_back();
  SetPage(page, NewPage(/*zeroed=*/true));
  MarkChanged(page);
  return page;
}

void Arena::MarkChanged(size_t page) {
  dirty_ = true;
  if (changed_[page]) return;
  changed_[page] = true;
  changed_pages_.push_back(static_cast<uint32_t>(page));
}

// A snapshot taken at the end of generation g holds every page that was private in g or before. So a page of stamp s is
// free to be written when the newest snapshot that still lives is older than s.
bool Arena::Held(uint64_t stamp) {
  while (!live_.empty() && live_.back().released->load(std::memory_order_acquire)) live_.pop_back();
  return !live_.empty() && live_.back().generation >= stamp;
}

void Arena::MakeWritable(size_t page) {
  if (Held(pages_[page].stamp)) {
    WillRead(pages_[page].bytes, kPageBytes);
    PagePtr copy = NewPage(/*zeroed=*/false);
    std::memcpy(copy->bytes.data(), pages_[page].bytes, kPageBytes);
    SetPage(page, std::move(copy));
  }
  pages_[page].stamp = generation_;
  MarkChanged(page);
}

ArenaSnapshot Arena::Snapshot() {
  ArenaSnapshot snapshot;
  if (!dirty_) snapshot.table_ = newest_.lock();
  if (snapshot.table_) return snapshot;
  auto table = std::make_shared<internal::PageTable>();
  for (size_t c = 0; c < chunks_.size(); ++c) {
    if (chunks_[c]) continue;
    auto chunk = std::make_shared<internal::PageChunk>();
    size_t first = c << internal::kChunkBits;
    std::copy_n(owners_.begin() + static_cast<ptrdiff_t>(first), std::min<size_t>(internal::kChunkPages, owners_.size() - first),
                chunk->pages.begin());
    chunks_[c] = std::move(chunk);
  }
  table->chunks = chunks_;
  table->page_count = pages_.size();
  std::erase_if(live_, [](const LiveSnapshot& live) { return live.released->load(std::memory_order_acquire); });
  live_.push_back({generation_, table->released});
  ++generation_;
  dirty_ = false;
  newest_ = table;
  snapshot.table_ = std::move(table);
  return snapshot;
}

Arena::Delta Arena::TakeDelta() {
  Delta delta{Snapshot(), std::move(changed_pages_)};
  changed_pages_.clear();
  for (uint32_t page : delta.pages) changed_[page] = false;
  std::sort(delta.pages.begin(), delta.pages.end());
  return delta;
}

void Arena::LoadPage(uint32_t page, std::string_view bytes) {
  KAPPA_CHECK(bytes.size() == kPageBytes && page < kPagesMax);
  while (pages_.size() <= page) AddPage();
  MakeWritable(page);
  std::memcpy(pages_[page].bytes, bytes.data(), kPageBytes);
  pages_[page].stamp = 0;  // so that the next write marks it as changed
  dirty_ = true;
  if (changed_[page]) {
    changed_[page] = false;
    if (!changed_pages_.empty() && changed_pages_.back() == page) changed_pages_.pop_back();
    else std::erase(changed_pages_, page);
  }
}

Status Arena::CheckLoaded() const {
  const auto* header = reinterpret_cast<const Header*>(Get(0));
  if (header->magic != kMagic) return Error(sqlstate::kDataCorrupted, "state arena has no header");
  if (header->format_version != kFormatVersion) {
    return Error(sqlstate::kDataCorrupted,
                 "state arena has format version " + std::to_string(header->format_version) + ", expected " + std::to_string(kFormatVersion));
  }
  return {};
}

Ref Arena::Allocate(uint32_t size) {
  KAPPA_CHECK(size <= kAllocationMax);
  uint32_t size_class = ClassOf(size);
  uint32_t bytes = ClassBytes(size_class);
  auto* header = reinterpret_cast<Header*>(Mutable(0));
  if (Ref ref = header->free_blocks[size_class]; ref != 0) {
    char* block = Mutable(ref);
    header->free_blocks[size_class] = LoadRef(block);
    std::memset(block, 0, bytes);
    return ref;
  }
  if (header->bump_end - header->bump < bytes) {
    Recycle(header->bump, static_cast<uint32_t>(header->bump_end - header->bump));
    Ref page = AllocatePages(1);
    header = reinterpret_cast<Header*>(Mutable(0));
    header->bump = page;
    header->bump_end = page + kPageBytes;
  }
  Ref ref = header->bump;
  header->bump += bytes;
  Mutable(ref);
  return ref;
}

// Cuts the rest of a page into free blocks.
void Arena::Recycle(Ref from, uint32_t size) {
  while (size >= 8) {
    uint32_t size_class = ClassOf(std::min(size, kAllocationMax));
    if (ClassBytes(size_class) > size) --size_class;
    uint32_t bytes = ClassBytes(size_class);
    Free(from, bytes);
    from += bytes;
    size -= bytes;
  }
}

void Arena::Free(Ref ref, uint32_t size) {
  KAPPA_DCHECK(ref >= kPageBytes && size <= kAllocationMax);
  auto* header = reinterpret_cast<Header*>(Mutable(0));
  Ref& head = header->free_blocks[ClassOf(size)];
  StoreRef(Mutable(ref), head);
  head = ref;
}

Ref Arena::AllocatePages(uint32_t count) {
  KAPPA_CHECK(count > 0 && count < kPagesMax);
  auto* header = reinterpret_cast<Header*>(Mutable(0));
  if (count == 1 && header->free_pages != 0) {
    Ref page = header->free_pages;
    char* bytes = Mutable(page);
    header->free_pages = LoadRef(bytes);
    std::memset(bytes, 0, kPageBytes);
    return page;
  }
  size_t first = AddPage();
  for (uint32_t i = 1; i < count; ++i) AddPage();
  return static_cast<Ref>(first) << kPageBits;
}

void Arena::FreePages(Ref first, uint32_t count) {
  auto* header = reinterpret_cast<Header*>(Mutable(0));
  for (uint32_t i = count; i-- > 0;) {  // so that the first is taken again first
    Ref page = first + static_cast<Ref>(i) * kPageBytes;
    StoreRef(Mutable(page), header->free_pages);
    header->free_pages = page;
  }
}

char* Arena::MutableRoot() { return Mutable(offsetof(Header, root)); }
const char* Arena::root() const { return Get(offsetof(Header, root)); }

}  // namespace kappa::state
