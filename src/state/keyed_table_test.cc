// Goal: KeyedTable is a map, on the arena, on a snapshot and after a restore. Method: random operations against std::map,
// with a weak hash too, so that runs of collisions form; keys from empty to several megabytes.
#include "state/keyed_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/hash.h"

namespace kappa::state {
namespace {

struct Keys {
  std::vector<std::string> keys;
  uint64_t mask = ~0ULL;
  std::string_view key(int64_t i) const { return keys[static_cast<size_t>(i)]; }
  uint64_t hash(int64_t i) const { return Hash64(key(i)) & mask; }
};

int64_t Load(const char* at) {
  int64_t v;
  std::memcpy(&v, at, 8);
  return v;
}
void Store(char* at, int64_t v) { std::memcpy(at, &v, 8); }

template <typename Memory> void ExpectEquals(const TableReader<Memory>& table, const std::map<std::string, int64_t>& model, uint64_t mask) {
  ASSERT_EQ(table.rows(), static_cast<int64_t>(model.size()));
  std::map<std::string, int64_t> seen;
  std::string scratch;
  table.ForEach([&](Ref row) { seen.emplace(table.Key(row, scratch), Load(table.Payload(row))); });
  ASSERT_EQ(seen, model);
  for (const auto& [key, value] : model) {
    Ref row = table.Find(key, Hash64(key) & mask);
    ASSERT_NE(row, 0u);
    ASSERT_EQ(Load(table.Payload(row)), value);
  }
  ASSERT_EQ(table.Find("no such key", Hash64("no such key") & mask), 0u);
}

void RunModel(uint64_t seed, uint64_t mask, size_t key_space, int steps) {
  Arena arena;
  KeyedTable table(arena, 0, 8);
  std::map<std::string, int64_t> model, old_model;
  ArenaSnapshot snapshot = arena.Snapshot();
  std::mt19937_64 random(seed);
  for (int step = 0; step < steps; ++step) {
    Keys batch{{}, mask};
    for (size_t i = 0; i < random() % 300; ++i) {
      std::string key = std::to_string(random() % key_space);
      if (random() % 50 == 0) key += std::string(2040 + random() % 20, 'k');
      batch.keys.push_back(key);
    }
    std::vector<int32_t> select;
    for (size_t i = 0; i < batch.keys.size(); ++i)
      if (random() % 4 != 0) select.push_back(static_cast<int32_t>(i));
    std::vector<Ref> rows(select.size());
    if (random() % 2) {
      table.FindOrInsertBatch(batch, select, rows.data());
      for (size_t j = 0; j < select.size(); ++j) {
        auto value = static_cast<int64_t>(random() % 1000);
        Store(table.MutablePayload(rows[j]), value);
        model[batch.keys[static_cast<size_t>(select[j])]] = value;
      }
    } else {
      table.FindBatch(batch, select, rows.data());
      for (size_t j = 0; j < select.size(); ++j) ASSERT_EQ(rows[j] != 0, model.contains(batch.keys[static_cast<size_t>(select[j])]));
      for (size_t j = 0; j < select.size(); ++j) {
        const std::string& key = batch.keys[static_cast<size_t>(select[j])];
        if (Ref row = table.Find(key, batch.hash(select[j])); row != 0 && random() % 2) {
          table.Erase(row);
          model.erase(key);
        }
      }
    }
    if (step % 50 == 49) {
      ExpectEquals(table, model, mask);
      ExpectEquals(TableReader<ArenaSnapshot>(snapshot, 0), old_model, mask);
      snapshot = arena.Snapshot();
      old_model = model;
      Arena copy;
      for (size_t p = 0; p < snapshot.page_count(); ++p) copy.LoadPage(static_cast<uint32_t>(p), {snapshot.page(p).bytes.data(), kPageBytes});
      KeyedTable restored(copy, 0, 8);
      ExpectEquals(restored, model, mask);
    }
  }
}

TEST(KeyedTable, IsAMap) { RunModel(1, ~0ULL, 2000, 400); }
TEST(KeyedTable, IsAMapWhenFewTagsExist) { RunModel(2, 0x7ULL << 60, 300, 200); }
TEST(KeyedTable, IsAMapWhenRunsWrapAround) { RunModel(3, 0xf000000000000001ULL, 400, 200); }

TEST(KeyedTable, LongKeys) {
  Arena arena;
  KeyedTable table(arena, 3, 16);
  std::string long_key(3'000'000, 'x');
  Ref a = table.FindOrInsert(long_key, 7);
  long_key.back() = 'y';
  Ref b = table.FindOrInsert(long_key, 7);  // same hash
  EXPECT_NE(a, b);
  EXPECT_EQ(table.FindOrInsert(long_key, 7), b);
  std::string scratch;
  EXPECT_TRUE(table.Key(b, scratch) == long_key);
  table.Erase(a);
  EXPECT_EQ(table.Find(long_key, 7), b);
  EXPECT_EQ(table.rows(), 1);
}

TEST(KeyedTable, ManyRowsAndTwoTablesInOneArena) {
  Arena arena;
  KeyedTable one(arena, 0, 8), two(arena, 1, 24);
  constexpr int64_t kRows = 100000;
  for (int64_t i = 0; i < kRows; ++i) {
    std::string key(reinterpret_cast<const char*>(&i), 8);
    Store(one.MutablePayload(one.FindOrInsert(key, HashWord(static_cast<uint64_t>(i)))), i);
    if (i % 2) two.FindOrInsert(key, HashWord(static_cast<uint64_t>(i)));
  }
  EXPECT_EQ(one.rows(), kRows);
  EXPECT_EQ(two.rows(), kRows / 2);
  for (int64_t i = 0; i < kRows; ++i) {
    std::string key(reinterpret_cast<const char*>(&i), 8);
    ASSERT_EQ(Load(one.Payload(one.Find(key, HashWord(static_cast<uint64_t>(i))))), i);
  }
}

}  // namespace
}  // namespace kappa::state
