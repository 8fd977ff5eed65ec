// Goal: beyond the bound pages live in the spill file with their bytes, memory stays bounded, and a full disk is an error.
// Method: one process-wide pool under small bounds; what is resident is read from the system, not from the pool.
#include "state/page_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "base/hash.h"
#include "state/keyed_table.h"
#include "state/memory.h"

namespace kappa::state {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kLimit = 8 * kMiB;

/// Memory of this process that is not the program and its libraries.
uint64_t SpillResident() {
  std::ifstream maps("/proc/self/smaps");
  uint64_t total = 0;
  bool ours = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ')) ours = line.find(" (deleted)") != std::string::npos;
    if (ours && line.starts_with("Rss:")) total += std::stoull(line.substr(4)) * 1024;
  }
  return total;
}

/// A folder on a disk: a file in memory would spill to where it came from.
std::string DiskFolder() {
  for (const char* folder : {"/var/tmp", "."}) {
    struct statfs disk{};
    if (statfs(folder, &disk) == 0 && disk.f_type != 0x01021994 && access(folder, W_OK) == 0) return folder;  // TMPFS_MAGIC
  }
  return "/tmp";
}

class PagePool : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(SetMemoryLimit(kLimit, DiskFolder()).ok()); }
  void TearDown() override { ASSERT_TRUE(SetMemoryLimit(0, DiskFolder()).ok()); }
};

void Fill(Page& page, uint64_t seed) {
  auto* words = reinterpret_cast<uint64_t*>(page.bytes.data());
  for (size_t i = 0; i < kPageBytes / 8; ++i) words[i] = HashWord(seed + i);
}
bool Holds(const Page& page, uint64_t seed) {
  const auto* words = reinterpret_cast<const uint64_t*>(page.bytes.data());
  for (size_t i = 0; i < kPageBytes / 8; ++i) {
    if (words[i] != HashWord(seed + i)) return false;
  }
  return true;
}
bool IsZero(const Page& page) { return std::string_view(page.bytes.data(), kPageBytes).find_first_not_of('\0') == std::string_view::npos; }

// Ten times the bound is written and read back at random while two threads work; nothing is lost, and memory is bounded.
TEST_F(PagePool, TenTimesTheBoundIsKept) {
  constexpr size_t kPages = 10 * kLimit / kPageBytes / 2;
  uint64_t resident_max = 0;
  auto work = [&](uint64_t thread) {
    std::vector<PagePtr> pages(kPages);
    std::vector<uint64_t> seeds(kPages);
    std::mt19937_64 random(thread);
    for (size_t i = 0; i < kPages; ++i) {
      pages[i] = NewPage(/*zeroed=*/i % 2 == 0);
      if (i % 2 == 0) { ASSERT_TRUE(IsZero(*pages[i])); }
      Fill(*pages[i], seeds[i] = random());
    }
    for (size_t step = 0; step < kPages; ++step) {
      const size_t i = random() % kPages;
      WillRead(pages[i].get(), kPageBytes);
      ASSERT_TRUE(Holds(*pages[i], seeds[i])) << i;
      if (step % 3 == 0) Fill(*pages[i], seeds[i] = random());
      if (step % 7 == 0) {
        pages[i] = NewPage(/*zeroed=*/true);
        ASSERT_TRUE(IsZero(*pages[i]));
        Fill(*pages[i], seeds[i] = random());
      }
      if (thread == 0 && step % 500 == 0) resident_max = std::max(resident_max, SpillResident());
    }
    for (size_t i = 0; i < kPages; ++i) {
      WillRead(pages[std::min(i + 16, kPages - 1)].get(), kPageBytes);
      ASSERT_TRUE(Holds(*pages[i], seeds[i])) << i;
    }
  };
  std::thread one(work, 0), two(work, 1);
  one.join();
  two.join();
  // Under so small a bound 8 MiB of the file are kept; an eighth and a slab more before work waits for the disk, and what two
  // threads fetch meanwhile.
  EXPECT_LE(resident_max, kLimit + 16 * kMiB);
  EXPECT_GT(GetMemoryUse().spill_bytes, 0u);
}

TEST_F(PagePool, EmptySlabsLeaveTheDisk) {
  std::vector<PagePtr> pages;
  for (size_t i = 0; i < 8 * kLimit / kPageBytes; ++i) pages.push_back(NewPage(false));
  EXPECT_GE(GetMemoryUse().spill_bytes, 5 * kLimit);
  EXPECT_GE(GetMemoryUse().page_bytes, 8 * kLimit);
  pages.clear();
  EXPECT_LE(GetMemoryUse().spill_bytes, 8 * 2 * kMiB);
  EXPECT_LE(GetMemoryUse().resident_bytes, 16 * 2 * kMiB);
  EXPECT_EQ(GetMemoryUse().page_bytes, 0u);
}

// Snapshots, deltas and tables do not know where their pages are.
TEST_F(PagePool, TablesAndSnapshotsWorkBeyondTheBound) {
  Arena arena;
  KeyedTable table(arena, 0, 8);
  constexpr int kKeys = 9'000;
  const std::string filler(1900, 'x');
  auto key = [&](int i) { return std::to_string(i) + filler; };
  auto value = [&](Ref row) -> int64_t& { return *reinterpret_cast<int64_t*>(table.MutablePayload(row)); };
  for (int i = 0; i < kKeys; ++i) value(table.FindOrInsert(key(i), Hash64(key(i)))) = i;
  ASSERT_GT(arena.memory_bytes(), 2 * kLimit);
  Arena::Delta delta = arena.TakeDelta();
  EXPECT_EQ(delta.pages.size(), arena.page_count());
  for (int i = 0; i < kKeys; i += 3) value(table.Find(key(i), Hash64(key(i)))) = -i;
  TableReader<ArenaSnapshot> before(delta.snapshot, 0);
  int64_t sum = 0;
  before.ForEach([&](Ref row) {
    int64_t v;
    std::memcpy(&v, before.Payload(row), 8);
    sum += v;
  });
  EXPECT_EQ(sum, int64_t{kKeys} * (kKeys - 1) / 2);
  for (int i = 0; i < kKeys; ++i) ASSERT_EQ(value(table.Find(key(i), Hash64(key(i)))), i % 3 == 0 ? -i : i);
}

// The file may not grow: a bound of file sizes stands for a full disk. In a process of its own, for the pool keeps its file.
[[noreturn]] void FillAndExit() {
  auto expect = [](bool fact, const std::string& what) {
    if (fact) return;
    std::fprintf(stderr, "%s\n", what.c_str());
    std::_Exit(2);
  };
  signal(SIGXFSZ, SIG_IGN);
  expect(SetMemoryLimit(kLimit, DiskFolder()).ok(), "the file can be made");
  const rlimit none{RLIM_INFINITY, RLIM_INFINITY}, small{1, RLIM_INFINITY};
  expect(setrlimit(RLIMIT_FSIZE, &small) == 0, "setrlimit");
  std::vector<PagePtr> pages;
  for (size_t i = 0; i < kLimit * 2 / kPageBytes; ++i) Fill(*pages.emplace_back(NewPage(false)), i);
  const Status full = CheckMemory();
  expect(!full.ok() && full.error().Is(sqlstate::kDiskFull), "53100 expected: " + full.ToString());
  for (size_t i = 0; i < pages.size(); ++i) expect(Holds(*pages[i], i), "what had begun went on");
  expect(setrlimit(RLIMIT_FSIZE, &none) == 0, "setrlimit");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the disk is asked again only so often
  expect(CheckMemory().ok(), "there is room again");
  std::fprintf(stderr, "%s\n", full.ToString().c_str());
  std::_Exit(0);
}

TEST(PagePoolDeath, FullDiskIsAnErrorUntilThereIsRoom) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(FillAndExit(), testing::ExitedWithCode(0),
              "state reached its bound of 8 MB and cannot spill: could not grow the spill file in \"" + DiskFolder() + "\": File too large");
}

TEST(PagePoolDeath, TheProcessStopsWhereNothingElseBoundsIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        (void)SetMemoryLimit(kLimit, "/proc/no-such-folder");
        std::vector<PagePtr> pages;
        for (size_t i = 0; i < 400 * kMiB / kPageBytes; ++i) pages.push_back(NewPage(false));
      },
      testing::ExitedWithCode(1), "state reached its bound of 8 MB and cannot spill: could not make a spill file in \"/proc/no-such-folder\"");
}

TEST(PagePoolLimits, TheDefaultIsAPartOfTheMemory) {
  EXPECT_GT(DefaultMemoryLimit(), 64 * kMiB);
  EXPECT_LT(DefaultMemoryLimit(), static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * 4096);
}

}  // namespace
}  // namespace kappa::state
