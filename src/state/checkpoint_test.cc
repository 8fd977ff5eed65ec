// Goal: a checkpoint is read back as it was written, whole or not at all, and damage is reported, never loaded.
// Method: random arenas over many checkpoints with reopening; a write that is cut before its manifest; bytes flipped.
#include "state/checkpoint.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/hash.h"
#include "state/keyed_table.h"

namespace kappa::state {
namespace {

class Checkpoint : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::path(testing::TempDir()) / ("checkpoint_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
    Open();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Open() {
    store_.reset();
    auto store = CheckpointStore::Open(folder_);
    ASSERT_TRUE(store.ok()) << store.error().ToString();
    store_ = std::move(store).value();
  }
  void ExpectLoads(std::string_view name, Arena& expected) {
    Arena loaded;
    auto found = store_->LoadArena(name, loaded);
    ASSERT_TRUE(found.ok()) << found.error().ToString();
    ASSERT_TRUE(*found);
    ASSERT_EQ(loaded.page_count(), expected.page_count());
    for (size_t p = 0; p < loaded.page_count(); ++p) ASSERT_EQ(std::memcmp(loaded.Get(p << kPageBits), expected.Get(p << kPageBits), kPageBytes), 0);
  }
  std::filesystem::path folder_;
  std::unique_ptr<CheckpointStore> store_;
};

// A limit on the size of files stands for a disk without room. RocksDB by itself never writes again after that.
TEST_F(Checkpoint, GoesOnWhenThereIsRoomAgain) {
  signal(SIGXFSZ, SIG_IGN);
  Arena arena;
  KeyedTable table(arena, 0, 8);
  for (int k = 0; k < 5000; ++k) table.FindOrInsert(std::to_string(k), Hash64(std::to_string(k)));
  auto write = [&] {
    std::vector<CheckpointStore::Part> parts;
    parts.push_back({"a", FullDelta(arena)});
    return store_->Write("meta", parts);
  };
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status refused = write();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(refused.ok());
  const Status written = write();
  ASSERT_TRUE(written.ok()) << written.ToString();
  Open();
  ExpectLoads("a", arena);
}

TEST_F(Checkpoint, KeepsArenasOverManyWritesAndReopening) {
  EXPECT_FALSE(store_->LoadMeta()->has_value());
  std::vector<std::unique_ptr<Arena>> arenas;
  for (int i = 0; i < 3; ++i) arenas.push_back(std::make_unique<Arena>());
  std::mt19937_64 random(1);
  for (int round = 0; round < 12; ++round) {
    std::vector<CheckpointStore::Part> parts;
    for (size_t i = 0; i < arenas.size(); ++i) {
      if (round > 0 && random() % 3 == 0) continue;
      if (random() % 6 == 0) arenas[i]->Clear();
      KeyedTable table(*arenas[i], 0, 8);
      for (int k = 0; k < 1000; ++k) {
        std::string key = std::to_string(random() % 20000);
        table.MutablePayload(table.FindOrInsert(key, Hash64(key)))[0] = static_cast<char>(random());
      }
      parts.push_back({"view/" + std::to_string(i), arenas[i]->TakeDelta()});
    }
    ASSERT_TRUE(store_->Write("epoch " + std::to_string(round), parts).ok());
    if (round % 3 == 2) Open();
    EXPECT_EQ(**store_->LoadMeta(), "epoch " + std::to_string(round));
    for (const auto& part : parts) {
      Arena loaded;
      ASSERT_TRUE(*store_->LoadArena(part.name, loaded));
      ASSERT_EQ(loaded.page_count(), part.delta.snapshot.page_count());
      for (size_t p = 0; p < loaded.page_count(); ++p)
        ASSERT_EQ(std::memcmp(loaded.Get(p << kPageBits), part.delta.snapshot.page(p).bytes.data(), kPageBytes), 0);
    }
  }
  EXPECT_EQ(store_->Names("view/").size(), 3u);
  ASSERT_TRUE(store_->Drop("view/1").ok());
  Open();
  EXPECT_EQ(store_->Names(""), (std::vector<std::string>{"view/0", "view/2"}));
  Arena none;
  EXPECT_FALSE(*store_->LoadArena("view/1", none));
  ExpectLoads("view/2", *arenas[2]);
}

TEST_F(Checkpoint, PagesOfAWriteThatDidNotEndAreNotSeen) {
  Arena arena;
  Ref a = arena.AllocatePages(1);
  *arena.Mutable(a) = 'a';
  std::vector<CheckpointStore::Part> parts;
  parts.push_back({"x", arena.TakeDelta()});
  ASSERT_TRUE(store_->Write("one", parts).ok());
  store_.reset();
  {  // what a crash between the pages and the manifest leaves: generation 2 of page 1, and a page 9 that never was
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, folder_, &db).ok());
    std::string key("P\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\2", 17);
    ASSERT_TRUE(db->Put({}, key, "rubbish").ok());
    key[8] = 9;
    ASSERT_TRUE(db->Put({}, key, "rubbish").ok());
    delete db;
  }
  Open();
  ExpectLoads("x", arena);
  *arena.Mutable(a) = 'b';
  parts.clear();
  parts.push_back({"x", arena.TakeDelta()});
  ASSERT_TRUE(store_->Write("two", parts).ok());
  Open();
  ExpectLoads("x", arena);
}

TEST_F(Checkpoint, DamageIsAnError) {
  Arena arena;
  std::vector<CheckpointStore::Part> parts;
  parts.push_back({"x", arena.TakeDelta()});
  ASSERT_TRUE(store_->Write("one", parts).ok());
  store_.reset();
  auto edit = [&](const std::string& key, auto&& change) {
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, folder_, &db).ok());
    std::string value;
    ASSERT_TRUE(db->Get({}, key, &value).ok());
    change(value);
    ASSERT_TRUE(db->Put({}, key, value).ok());
    delete db;
  };
  std::string page_key("P\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\1", 17);
  edit(page_key, [](std::string& v) { v[100] ^= 1; });
  Open();
  Arena loaded;
  EXPECT_EQ(store_->LoadArena("x", loaded).error().sqlstate(), sqlstate::kDataCorrupted);
  store_.reset();
  edit("M", [](std::string& v) { v.back() ^= 1; });
  EXPECT_EQ(CheckpointStore::Open(folder_).error().sqlstate(), sqlstate::kDataCorrupted);
}

}  // namespace
}  // namespace kappa::state
