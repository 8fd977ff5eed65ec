// Goal: a view store is the multiset of what it was given, its digest is that of the rows, readers see one epoch.
// Method: random change streams against a multiset; a reader scans snapshots while the writer goes on; restore from pages.
#include "ops/view_store.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "data/numeric.h"
#include "ops/testing.h"

namespace kappa::ops {
namespace {

using data::TypeId;
using data::Value;

data::Schema TestSchema() { return {{{"id", TypeId::kInt8}, {"name", TypeId::kText}, {"n", TypeId::kNumeric}, {"f", TypeId::kFloat8}}}; }

TestRow RandomRow(std::mt19937_64& random) {
  auto null = [&] { return random() % 6 == 0; };
  return {
      Value::Int8(static_cast<int64_t>(random() % 40)),
      null() ? Value::Null(TypeId::kText) : Value::Text(std::string(random() % 10 == 0 ? 3000 : random() % 20, 'a') + std::to_string(random() % 3)),
      null() ? Value::Null(TypeId::kNumeric)
             : Value::Bytes(TypeId::kNumeric, data::Numeric(static_cast<int64_t>(random() % 3), static_cast<int>(random() % 3)).ToBytes()),
      Value::Fixed<double>(TypeId::kFloat8, static_cast<double>(random() % 3))};
}

const std::vector<int> kAll = {0, 1, 2, 3};

Multiset Scan(const ViewSnapshot& snapshot, std::span<const int> columns, int64_t batch_rows) {
  Multiset set;
  snapshot.Scan(columns, batch_rows, [&](data::Batch batch) {
    EXPECT_LE(batch.rows, batch_rows);
    AddTo(set, data::ChangeBatch(std::move(batch)));
    return true;
  });
  return set;
}

Digest DigestOf(const Multiset& set) {
  Digest digest;
  for (const auto& [row, count] : set)
    for (int64_t i = 0; i < count; ++i) digest.Add(HashBytes128(row), 1);
  return digest;
}

void RunModel(uint64_t seed, std::vector<int> index) {
  auto store = std::make_unique<ViewStore>(TestSchema(), index);
  TestStream stream(TestSchema(), false, RandomRow);
  std::mt19937_64 random(seed);
  std::vector<std::pair<ViewSnapshot, Multiset>> kept;
  std::map<std::string, std::vector<std::string>> disk;
  for (int epoch = 0; epoch < 60; ++epoch) {
    auto batches = stream.Epoch(random, 1 + random() % 40);
    ASSERT_TRUE(store->Apply(data::Concatenate(batches)).ok());
    ViewSnapshot snapshot = store->Snapshot();
    Multiset expected = ToMultiset(TestSchema(), stream.rows());
    ASSERT_EQ(Scan(snapshot, kAll, 7), expected);
    ASSERT_EQ(snapshot.digest(), DigestOf(expected));
    ASSERT_EQ(snapshot.row_count(), static_cast<int64_t>(stream.rows().size()));
    if (!index.empty()) {
      for (int64_t id = 0; id < 42; ++id) {
        std::vector<TestRow> matching;
        for (const TestRow& row : stream.rows())
          if (row[0].As<int64_t>() == id) matching.push_back(row);
        data::ColumnPtr key = data::ConstantColumn(Value::Int8(id), 1);
        data::RowKeys keys(std::span(&key, 1), 1);
        Multiset found;
        AddTo(found, data::ChangeBatch(snapshot.Lookup(keys.key(0), kAll)));
        ASSERT_EQ(found, ToMultiset(TestSchema(), matching));
      }
    }
    if (epoch % 10 == 0) kept.emplace_back(snapshot, expected);
    if (epoch % 15 == 14) {
      store->VisitState([&](std::string_view name, state::Arena& arena) {
        auto delta = arena.TakeDelta();
        auto& pages = disk[std::string(name)];
        pages.resize(delta.snapshot.page_count());
        for (uint32_t page : delta.pages) pages[page] = std::string(delta.snapshot.page(page).bytes.data(), state::kPageBytes);
      });
      store = std::make_unique<ViewStore>(TestSchema(), index);
      store->VisitState([&](std::string_view name, state::Arena& arena) {
        for (size_t page = 0; page < disk[std::string(name)].size(); ++page)
          arena.LoadPage(static_cast<uint32_t>(page), disk[std::string(name)][page]);
      });
      ASSERT_TRUE(store->OnRestored().ok());
    }
  }
  for (const auto& [snapshot, expected] : kept) ASSERT_EQ(Scan(snapshot, kAll, 1000), expected);
}

TEST(ViewStore, IsAMultiset) { RunModel(1, {}); }
TEST(ViewStore, IsAMultisetWithAnIndex) { RunModel(2, {0}); }

TEST(ViewStore, ScansChosenColumnsAndStopsWhenTold) {
  ViewStore store(TestSchema(), {});
  std::mt19937_64 random(3);
  TestRow row = RandomRow(random);
  ASSERT_TRUE(store.Apply(MakeBatch(TestSchema(), {row}, {5})).ok());
  const int columns[] = {3, 0, 3};
  int calls = 0;
  store.Snapshot().Scan(columns, 2, [&](data::Batch batch) {
    EXPECT_EQ(batch.columns.size(), 3u);
    EXPECT_EQ(data::ValueAt(*batch.columns[1], 0), row[0]);
    EXPECT_EQ(data::ValueAt(*batch.columns[2], 1), row[3]);
    return ++calls < 2;
  });
  EXPECT_EQ(calls, 2);
  int64_t rows = 0;
  store.Snapshot().Scan({}, 100, [&](data::Batch batch) {
    rows += batch.rows;
    return true;
  });
  EXPECT_EQ(rows, 5);
}

TEST(ViewStore, DisplayedDigitsCount) {
  ViewStore one(TestSchema(), {}), two(TestSchema(), {});
  std::mt19937_64 random(4);
  TestRow row = RandomRow(random);
  row[2] = Value::Bytes(TypeId::kNumeric, data::Numeric(10, 1).ToBytes());
  ASSERT_TRUE(one.Apply(MakeBatch(TestSchema(), {row})).ok());
  row[2] = Value::Bytes(TypeId::kNumeric, data::Numeric(100, 2).ToBytes());
  ASSERT_TRUE(two.Apply(MakeBatch(TestSchema(), {row})).ok());
  EXPECT_NE(one.digest(), two.digest());
}

TEST(ViewStore, DeleteOfAMissingRowIsAnErrorButNotBeforeItsInsertInTheBatch) {
  ViewStore store(TestSchema(), {0});
  std::mt19937_64 random(5);
  TestRow row = RandomRow(random);
  ASSERT_TRUE(store.Apply(MakeBatch(TestSchema(), {row, row}, {-1, 1})).ok());
  EXPECT_EQ(store.row_count(), 0);
  EXPECT_EQ(store.digest(), Digest());
  EXPECT_EQ(store.Apply(MakeBatch(TestSchema(), {row}, {-1})).error().sqlstate(), sqlstate::kInternalError);
  store.Clear();
  ASSERT_TRUE(store.Apply(MakeBatch(TestSchema(), {row})).ok());
  EXPECT_EQ(store.row_count(), 1);
}

TEST(ViewStore, ColumnsOutliveTheStore) {
  auto store = std::make_unique<ViewStore>(TestSchema(), std::vector<int>{});
  std::mt19937_64 random(6);
  TestRow row = RandomRow(random);
  row[1] = Value::Text("a string that is longer than twelve bytes");
  ASSERT_TRUE(store->Apply(MakeBatch(TestSchema(), {row})).ok());
  data::Batch kept;
  store->Snapshot().Scan(kAll, 10, [&](data::Batch batch) {
    kept = std::move(batch);
    return true;
  });
  row[1] = Value::Text("another string that is longer than twelve bytes");
  ASSERT_TRUE(store->Apply(MakeBatch(TestSchema(), {row})).ok());
  store.reset();
  EXPECT_EQ(kept.columns[1]->bytes(0), "a string that is longer than twelve bytes");
}

TEST(ViewStore, ReadersSeeWholeEpochsWhileTheWriterGoesOn) {
  ViewStore store(TestSchema(), {0});
  std::mt19937_64 random(7);
  std::mutex mutex;
  ViewSnapshot published = store.Snapshot();
  std::atomic<bool> done = false;
  auto read = [&] {
    for (int i = 0; i < 5 || !done; ++i) {
      ViewSnapshot snapshot;
      {
        std::lock_guard lock(mutex);
        snapshot = published;
      }
      ASSERT_EQ(DigestOf(Scan(snapshot, kAll, 50)), snapshot.digest());
    }
  };
  std::thread one(read), two(read);
  TestStream stream(TestSchema(), false, RandomRow);
  for (int epoch = 0; epoch < 150; ++epoch) {
    ASSERT_TRUE(store.Apply(data::Concatenate(stream.Epoch(random, 10))).ok());
    ViewSnapshot next = store.Snapshot();
    std::lock_guard lock(mutex);
    published = std::move(next);
  }
  done = true;
  one.join();
  two.join();
}

}  // namespace
}  // namespace kappa::ops
