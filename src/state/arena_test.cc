// Goal: allocation never overlaps, snapshots never change, deltas name every changed page, pages restore to the same state.
// Method: random operations against a model; a concurrent reader checks an invariant that the writer keeps per epoch.
#include "state/arena.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "state/blob.h"

namespace kappa::state {
namespace {

TEST(Arena, AllocationsAreZeroedAlignedAndDisjoint) {
  Arena arena;
  std::mt19937_64 random(1);
  std::map<Ref, std::pair<uint32_t, uint8_t>> live;
  for (int step = 0; step < 20000; ++step) {
    if (live.size() > 200 || (!live.empty() && random() % 3 == 0)) {
      auto it = live.lower_bound(random() % (arena.page_count() * kPageBytes));
      if (it == live.end()) it = live.begin();
      const char* bytes = arena.Get(it->first);
      for (uint32_t i = 0; i < it->second.first; ++i) ASSERT_EQ(static_cast<uint8_t>(bytes[i]), it->second.second);
      arena.Free(it->first, it->second.first);
      live.erase(it);
      continue;
    }
    auto size = static_cast<uint32_t>(random() % 4 == 0 ? 1 + random() % Arena::kAllocationMax : 1 + random() % 200);
    Ref ref = arena.Allocate(size);
    ASSERT_EQ(ref % 8, 0u);
    ASSERT_LE((ref & (kPageBytes - 1)) + size, kPageBytes);
    char* bytes = arena.Mutable(ref);
    for (uint32_t i = 0; i < size; ++i) ASSERT_EQ(bytes[i], 0);
    auto fill = static_cast<uint8_t>(1 + random() % 255);
    std::memset(bytes, fill, size);
    ASSERT_TRUE(live.emplace(ref, std::make_pair(size, fill)).second);
  }
  EXPECT_LT(arena.page_count(), 600u);
}

TEST(Arena, SnapshotKeepsItsPagesAndDeltaNamesTheChanged) {
  Arena arena;
  Ref a = arena.AllocatePages(1);
  Ref b = arena.AllocatePages(1);
  *arena.Mutable(a) = 'a';
  *arena.Mutable(b) = 'b';
  Arena::Delta first = arena.TakeDelta();
  EXPECT_EQ(first.pages, (std::vector<uint32_t>{0, 1, 2}));
  *arena.Mutable(a) = 'x';
  EXPECT_EQ(*first.snapshot.Get(a), 'a');
  EXPECT_EQ(*arena.Get(a), 'x');
  ArenaSnapshot reader = arena.Snapshot();
  *arena.Mutable(a) = 'y';
  EXPECT_EQ(*reader.Get(a), 'x');
  Arena::Delta second = arena.TakeDelta();
  EXPECT_EQ(second.pages, (std::vector<uint32_t>{1}));
  EXPECT_EQ(*second.snapshot.Get(a), 'y');
  EXPECT_EQ(*first.snapshot.Get(a), 'a');
  EXPECT_TRUE(arena.TakeDelta().pages.empty());
}

TEST(Arena, UnchangedSnapshotIsSharedAndReleasedPagesAreWrittenInPlace) {
  Arena arena;
  Ref a = arena.AllocatePages(1);
  {
    ArenaSnapshot one = arena.Snapshot();
    EXPECT_EQ(arena.Snapshot().keepalive(), one.keepalive());
    const char* before = arena.Get(a);
    arena.Mutable(a);
    EXPECT_NE(arena.Get(a), before);
  }
  const char* before = arena.Get(a);
  arena.Snapshot();
  arena.Mutable(a);
  EXPECT_EQ(arena.Get(a), before) << "nobody holds the page";
}

TEST(Arena, OlderSnapshotStillHoldsWhenTheNewestIsGone) {
  Arena arena;
  Ref a = arena.AllocatePages(1);
  Ref b = arena.AllocatePages(1);
  *arena.Mutable(a) = 1;
  ArenaSnapshot old = arena.Snapshot();
  *arena.Mutable(b) = 1;
  { ArenaSnapshot newer = arena.Snapshot(); }
  *arena.Mutable(a) = 2;
  *arena.Mutable(b) = 2;
  EXPECT_EQ(*old.Get(a), 1);
  EXPECT_EQ(*old.Get(b), 0);
}

TEST(Arena, RestoresFromDeltas) {
  Arena arena;
  std::mt19937_64 random(2);
  std::map<uint32_t, std::string> disk;
  std::vector<std::pair<Ref, uint32_t>> live;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 200; ++i) {
      auto size = static_cast<uint32_t>(1 + random() % 3000);
      live.push_back({arena.Allocate(size), size});
      std::memset(arena.Mutable(live.back().first), static_cast<int>(random()), size);
      if (random() % 2) {
        size_t k = random() % live.size();
        arena.Free(live[k].first, live[k].second);
        live.erase(live.begin() + static_cast<ptrdiff_t>(k));
      }
    }
    auto delta = arena.TakeDelta();
    arena.Allocate(100);  // must not reach the delta
    for (uint32_t page : delta.pages) disk[page] = std::string(delta.snapshot.page(page).bytes.data(), kPageBytes);
    Arena restored;
    for (const auto& [page, bytes] : disk) restored.LoadPage(page, bytes);
    ASSERT_TRUE(restored.CheckLoaded().ok());
    ASSERT_TRUE(restored.TakeDelta().pages.empty());
    ASSERT_EQ(restored.page_count(), delta.snapshot.page_count());
    for (size_t p = 0; p < restored.page_count(); ++p)
      ASSERT_EQ(std::memcmp(restored.Get(p << kPageBits), delta.snapshot.page(p).bytes.data(), kPageBytes), 0);
    Ref next = restored.Allocate(64);
    *restored.Mutable(next) = 1;
    ASSERT_FALSE(restored.TakeDelta().pages.empty());
  }
}

TEST(Arena, DamagedHeaderIsAnError) {
  Arena arena;
  arena.LoadPage(0, std::string(kPageBytes, 'x'));
  EXPECT_EQ(arena.CheckLoaded().error().sqlstate(), sqlstate::kDataCorrupted);
}

TEST(Arena, ConcurrentReadersSeeWholeEpochs) {
  Arena arena;
  constexpr int kCells = 600;
  std::vector<Ref> cells;
  for (int i = 0; i < kCells; ++i) cells.push_back(arena.Allocate(200));
  std::mutex mutex;
  ArenaSnapshot published = arena.Snapshot();
  std::atomic<bool> done = false;
  std::atomic<int64_t> reads = 0;
  auto read = [&] {
    while (!done || reads == 0) {
      ArenaSnapshot snapshot;
      {
        std::lock_guard lock(mutex);
        snapshot = published;
      }
      int64_t sum = 0;
      for (Ref cell : cells) {
        int64_t v;
        std::memcpy(&v, snapshot.Get(cell), 8);
        sum += v;
      }
      ASSERT_EQ(sum, 0);
      ++reads;
    }
  };
  std::thread one(read), two(read);
  std::mt19937_64 random(3);
  for (int epoch = 0; epoch < 500; ++epoch) {
    for (int i = 0; i < 20; ++i) {
      for (int64_t add : {1, -1}) {
        char* at = arena.Mutable(cells[random() % kCells]);
        int64_t v;
        std::memcpy(&v, at, 8);
        v += add;
        std::memcpy(at, &v, 8);
      }
    }
    ArenaSnapshot next = arena.Snapshot();
    std::lock_guard lock(mutex);
    published = std::move(next);
  }
  done = true;
  one.join();
  two.join();
}

TEST(Blob, StoresAnySize) {
  Arena arena;
  std::mt19937_64 random(4);
  for (size_t size : {size_t{0}, size_t{1}, size_t{kBlobBlockMax}, size_t{kBlobBlockMax + 1}, size_t{5'000'000}}) {
    std::string bytes(size, 0);
    for (char& c : bytes) c = static_cast<char>(random());
    Ref blob = StoreBlob(arena, bytes);
    std::string scratch;
    EXPECT_EQ(BlobSize(arena, blob), size);
    EXPECT_TRUE(BlobView(arena, blob, scratch) == bytes);
    EXPECT_TRUE(BlobEquals(arena, blob, bytes));
    if (size > 0) {
      bytes.back() ^= 1;
      EXPECT_FALSE(BlobEquals(arena, blob, bytes));
    }
    size_t pages = arena.page_count();
    FreeBlob(arena, blob);
    FreeBlob(arena, StoreBlob(arena, bytes));
    EXPECT_LE(arena.page_count(), pages + 1);
  }
}

}  // namespace
}  // namespace kappa::state
