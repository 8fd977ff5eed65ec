// Goal: of each key the last record stays, nothing else that counts goes, offsets stay, and what is read is right before, during and after.
// Method: rules one by one; then random keys, transactions, deletions and reopened logs against a model.
#include <map>
#include <random>
#include <set>
#include <thread>

#include "io/failpoint.h"
#include "log/compaction_filter.h"
#include "log/latest_offsets.h"
#include "log/log_testing.h"

namespace kappa::log {
namespace {

constexpr int64_t kStart = 1'767'225'600'000'000;
constexpr int64_t kHour = 3600ll * 1'000'000;

TopicConfig Compacted(TopicConfig config = {}) {
  config.segment_bytes = 16 << 10;
  config.compact = true;
  config.delete_old = false;
  config.min_cleanable_dirty_ratio = 0;
  return config;
}

struct Entry {
  std::string key;
  std::optional<std::string> value;
};

std::string Batch(const std::vector<Entry>& entries, int codec = 0, BatchProducer producer = {}) {
  BatchBuilder builder;
  for (const Entry& entry : entries) builder.Add(1000, entry.key, entry.value);
  return builder.Finish(codec, producer);
}

struct Found {
  Offset offset;
  std::string key;
  std::optional<std::string> value;
  bool operator==(const Found&) const = default;
};

/// Every record that readers see, from the start, and that each read gets on.
std::vector<Found> ReadRecords(const Partition& partition, Isolation isolation = Isolation::kReadUncommitted, size_t max_bytes = 1 << 20) {
  std::vector<Found> found;
  std::vector<Record> records;
  std::string storage;
  for (Offset from = partition.start_offset(); from < partition.last_stable_offset();) {
    const ReadResult result = partition.Read(from, max_bytes, isolation);
    EXPECT_EQ(result.error, KafkaError::kNone) << "at offset " << from;
    if (result.error != KafkaError::kNone || result.bytes.empty()) return found;
    const Offset before = from;
    for (std::string_view rest = result.bytes; !rest.empty();) {
      const BatchHeader header = *ParseBatchHeader(rest);
      records.clear();
      EXPECT_TRUE(ParseRecords(header, *RecordsSection(rest, 64 << 20, storage), records).ok());
      for (const Record& record : records) {
        const bool seen = isolation == Isolation::kReadUncommitted ? !header.is_control() : !result.PassesOver(header);
        if (record.offset < from || !seen) continue;
        found.push_back(
            {record.offset, std::string(record.key.value_or("")), record.value ? std::optional<std::string>(*record.value) : std::nullopt});
      }
      from = header.last_offset() + 1;
      rest.remove_prefix(header.total_bytes());
    }
    EXPECT_GT(from, before);
  }
  return found;
}

void CompactAll(Log& log) {
  log.AllowCompaction([](const Partition& partition) { return partition.end_offset(); });
  while (log.CompactOne()) {}
}

std::string Pad(const std::string& value) { return value + std::string(1000, '.'); }

/// Enough batches of other keys to complete the active segment.
void CompleteSegment(Partition& partition, const std::string& key = "pad") {
  const size_t segments = partition.segments().size();
  while (partition.segments().size() == segments) ASSERT_EQ(AppendDurably(partition, Batch({{key, Pad("x")}})).error, KafkaError::kNone);
}

class CompactionTest : public ::testing::Test {
 protected:
  void Open(TopicConfig config = Compacted()) {
    log_ = OpenLog(folder_.path(), clock_, {.compaction_buffer_bytes = buffer_bytes_, .compaction_bytes_per_second = 0});
    auto found = log_->FindTopic("t");
    partition_ = found ? &found->partition(0) : &CreateOne(*log_, "t", config);
  }
  void Reopen() {
    log_.reset();
    Open();
  }
  void Append(const std::vector<Entry>& entries, int codec = 0, BatchProducer producer = {}) {
    ASSERT_EQ(AppendDurably(*partition_, Batch(entries, codec, producer)).error, KafkaError::kNone);
  }
  void End(int64_t id, bool commit) { ASSERT_EQ(EndDurably(*partition_, id, 0, commit).error, KafkaError::kNone); }
  void ForgetSnapshots() {
    for (const char* name : {"/producers", "/producers.recent"}) ASSERT_TRUE(io::DurableUnlink(folder_.path() + "/topics/t/0" + name).ok());
  }
  std::vector<Found> OfKey(const std::string& key, Isolation isolation = Isolation::kReadUncommitted) {
    std::vector<Found> found = ReadRecords(*partition_, isolation);
    std::erase_if(found, [&](const Found& record) { return record.key != key; });
    return found;
  }

  void RunRandomHistory(unsigned seed);

  ScratchFolder folder_;
  io::ManualClock clock_{kStart};
  std::unique_ptr<Log> log_;
  Partition* partition_ = nullptr;
  size_t buffer_bytes_ = 1 << 20;
};

void CompactionTest::RunRandomHistory(unsigned seed) {
  std::mt19937 random(seed);
  std::set<int64_t> open;  // transactions
  std::map<int64_t, int32_t> sequences;
  TopicConfig config = Compacted();
  config.delete_retention_ms = seed % 3 == 0 ? 0 : 200'000;
  buffer_bytes_ = 1;  // the least: many passes
  Open(config);
  for (int step = 0; step < 1500; ++step) {
    clock_.Advance(1'000'000);
    const auto dice = random() % 100;
    if (dice < 80) {
      std::vector<Entry> entries(1 + random() % 5);
      for (Entry& entry : entries) {
        entry.key = "k" + std::to_string(random() % 40);
        if (random() % 5 != 0) entry.value = std::to_string(step) + std::string(random() % 300, '.');
      }
      BatchProducer producer;
      if (const auto id = static_cast<int64_t>(random() % 6); id > 0) {
        producer = {.id = id, .epoch = 0, .base_sequence = sequences[id], .transactional = id > 2};
        sequences[id] += static_cast<int32_t>(entries.size());
        if (id > 2 && open.insert(id).second) { ASSERT_EQ(partition_->BeginTransaction(id, 0), KafkaError::kNone); }
      }
      Append(entries, static_cast<int>(random() % 5), producer);
    } else if (dice < 90) {
      const int64_t id = 3 + static_cast<int64_t>(random() % 3);
      if (open.erase(id) > 0) End(id, random() % 2 == 0);
    } else if (dice < 96) {
      auto last_values = [&] {
        std::map<std::string, std::optional<std::string>> last;
        for (const Found& record : ReadRecords(*partition_, Isolation::kReadCommitted)) last[record.key] = record.value;
        return last;
      };
      auto before = last_values();
      CompactAll(*log_);
      const auto after = last_values();
      std::erase_if(before, [&](const auto& entry) { return !entry.second && !after.contains(entry.first); });
      ASSERT_EQ(after, before) << "step " << step;
      ASSERT_TRUE(partition_->Verify().ok());
    } else if (dice < 98) {
      const auto before = ReadRecords(*partition_, Isolation::kReadCommitted);
      const Offset stable = partition_->last_stable_offset(), start = partition_->start_offset();
      log_.reset();
      if (random() % 2 == 0) ForgetSnapshots();
      Open();
      ASSERT_EQ(partition_->last_stable_offset(), stable) << "step " << step;
      ASSERT_EQ(partition_->start_offset(), start) << "step " << step;
      const auto after = ReadRecords(*partition_, Isolation::kReadCommitted);
      const auto differs = std::ranges::mismatch(before, after);
      ASSERT_TRUE(before == after) << "step " << step << ", from offset " << (differs.in1 == before.end() ? -1 : differs.in1->offset) << " before, "
                                   << (differs.in2 == after.end() ? -1 : differs.in2->offset) << " after";
      for (const ProducerInfo& producer : partition_->producers()) {
        ASSERT_TRUE(producer.last_sequence < 0 || producer.last_sequence == sequences[producer.id] - 1)
            << "step " << step << " producer " << producer.id;
      }
      for (const int64_t id : open) ASSERT_EQ(partition_->BeginTransaction(id, 0), KafkaError::kNone);  // who decides begins them anew
    } else if (random() % 5 == 0) {
      ASSERT_TRUE(partition_->DeleteBefore(static_cast<Offset>(random() % static_cast<uint64_t>(partition_->last_stable_offset() + 1))).ok());
    }
  }
}

TEST_F(CompactionTest, TheLastRecordOfEachKeyStaysAtItsOffset) {
  Open();
  for (int round = 0; round < 30; ++round) {
    for (int codec = 0; codec <= 4; ++codec) {
      Append({{"a", Pad("a" + std::to_string(round))}, {"b", Pad("b" + std::to_string(round))}, {"only" + std::to_string(round), Pad("o")}}, codec);
    }
  }
  CompleteSegment(*partition_);
  const std::vector<Found> before = ReadRecords(*partition_);
  const Offset end = partition_->end_offset(), sealed = partition_->segments().back().base;
  const uint64_t bytes = partition_->size_bytes();
  CompactAll(*log_);
  std::map<std::string, Offset> last;
  for (const Found& record : before) {
    if (record.offset < sealed) last[record.key] = record.offset;
  }
  std::vector<Found> expected;
  for (const Found& record : before) {
    if (record.offset >= sealed || last[record.key] == record.offset) expected.push_back(record);
  }
  EXPECT_EQ(ReadRecords(*partition_), expected);
  EXPECT_EQ(ReadRecords(*partition_, Isolation::kReadCommitted, 1), expected) << "batch by batch";
  EXPECT_LT(expected.size(), before.size() / 3);
  EXPECT_LT(partition_->size_bytes(), bytes / 2);
  EXPECT_EQ(partition_->end_offset(), end);
  EXPECT_EQ(partition_->start_offset(), 0);
  EXPECT_TRUE(partition_->Verify().ok());
  EXPECT_EQ(log_->compaction().records_removed, before.size() - expected.size());
  EXPECT_FALSE(log_->CompactOne()) << "nothing is left to do";
  for (int i = 0; i < 2; ++i) {
    Reopen();
    EXPECT_EQ(ReadRecords(*partition_), expected);
    EXPECT_TRUE(partition_->Verify().ok());
    EXPECT_EQ(AppendDurably(*partition_, Batch({{"a", "new"}})).base_offset, end + i);
    expected.push_back({end + i, "a", "new"});
  }
}

TEST_F(CompactionTest, SegmentsThatBecameSmallAreMerged) {
  TopicConfig config = Compacted();
  config.segment_bytes = 64 << 10;
  Open(config);
  for (int i = 0; i < 600; ++i) Append({{"k" + std::to_string(i % 7), Pad("v")}});
  CompleteSegment(*partition_);
  EXPECT_GT(partition_->segments().size(), 10u);
  CompactAll(*log_);
  EXPECT_EQ(partition_->segments().size(), 2u);
  EXPECT_EQ(io::ListFolder(folder_.path() + "/topics/t/0")->size(), 4u) << "two segments, an index, producers";
}

TEST_F(CompactionTest, DeletionsAreKeptForTheirTime) {
  TopicConfig config = Compacted();
  config.delete_retention_ms = 3600 * 1000;
  Open(config);
  Append({{"gone", "1"}, {"stays", "1"}});
  Append({{"gone", std::nullopt}, {"stays", "2"}});
  CompleteSegment(*partition_);
  CompactAll(*log_);
  EXPECT_EQ(OfKey("gone"), (std::vector<Found>{{2, "gone", std::nullopt}}));
  EXPECT_EQ(OfKey("stays"), (std::vector<Found>{{3, "stays", "2"}}));
  clock_.Advance(kHour / 2);
  CompleteSegment(*partition_);
  CompactAll(*log_);
  EXPECT_EQ(OfKey("gone").size(), 1u) << "half of its time";
  clock_.Advance(kHour);
  Reopen();
  CompleteSegment(*partition_);
  CompactAll(*log_);
  EXPECT_EQ(OfKey("gone"), std::vector<Found>());
  EXPECT_EQ(OfKey("stays"), (std::vector<Found>{{3, "stays", "2"}}));
  EXPECT_EQ(*partition_->FindTimestamp(1000), (std::pair<Offset, int64_t>(3, 1000))) << "timestamps are those of the producer";
}

TEST_F(CompactionTest, AClockThatLeaptDeletesNothing) {
  TopicConfig config = Compacted();
  config.delete_retention_ms = 0;
  Open(config);
  Append({{"gone", "1"}});
  Append({{"gone", std::nullopt}});
  CompleteSegment(*partition_);
  CompactAll(*log_);
  clock_.JumpWall(100 * kHour);
  CompleteSegment(*partition_);
  CompactAll(*log_);
  EXPECT_EQ(OfKey("gone").size(), 1u);
}

TEST_F(CompactionTest, SettingsSayWhenItIsTime) {
  TopicConfig config = Compacted();
  config.min_cleanable_dirty_ratio = 0.6;
  config.min_compaction_lag_ms = 3600 * 1000;
  config.max_compaction_lag_ms = 10 * 3600 * 1000;
  Open(config);
  auto fill = [&] {
    for (int i = 0; i < 5; ++i) CompleteSegment(*partition_, "k" + std::to_string(i));
  };
  fill();
  CompactAll(*log_);
  EXPECT_EQ(log_->compaction().passes, 0u) << "too young";
  clock_.Advance(kHour);
  CompactAll(*log_);
  EXPECT_EQ(log_->compaction().passes, 1u);
  for (int i = 0; i < 100; ++i) Append({{"many" + std::to_string(i), Pad("m")}});
  clock_.Advance(kHour);
  CompactAll(*log_);
  EXPECT_EQ(log_->compaction().passes, 2u);
  CompleteSegment(*partition_);
  clock_.Advance(kHour);
  CompactAll(*log_);
  EXPECT_EQ(log_->compaction().passes, 2u) << "too little to gain";
  for (int i = 0; i < 10; ++i) {  // in steps, for one leap would make the clock doubtful
    clock_.Advance(kHour);
    CompactAll(*log_);
  }
  EXPECT_EQ(log_->compaction().passes, 3u) << "but it has waited for long enough";
}

TEST_F(CompactionTest, WhatIsNotAllowedIsNotTouched) {
  Open();
  for (int i = 0; i < 100; ++i) Append({{"k", Pad(std::to_string(i))}});
  const std::vector<Found> before = ReadRecords(*partition_);
  EXPECT_FALSE(log_->CompactOne()) << "nothing was allowed yet";
  log_->AllowCompaction([](const Partition&) { return Offset{50}; });
  while (log_->CompactOne()) {}
  const std::vector<Found> after = ReadRecords(*partition_);
  ASSERT_FALSE(after.empty());
  EXPECT_LT(after.size(), before.size());
  EXPECT_LT(after.front().offset, 50);
  for (Offset offset = 50; offset < 100; ++offset) {
    EXPECT_TRUE(std::ranges::any_of(after, [&](const Found& record) { return record.offset == offset; })) << offset;
  }
}

TEST_F(CompactionTest, OnlyPoliciesThatSaySoDeleteOldRecords) {
  TopicConfig config = Compacted();
  config.retention_ms = 1000;
  config.retention_bytes = 1;
  Open(config);
  for (int i = 0; i < 100; ++i) Append({{"k" + std::to_string(i), Pad("v")}});
  clock_.Advance(kHour / 2);
  log_->ApplyRetention([](const Partition& partition) { return partition.end_offset(); });
  EXPECT_EQ(partition_->start_offset(), 0);
  config.delete_old = true;
  ASSERT_TRUE(log_->AlterTopic("t", config).ok());
  log_->ApplyRetention([](const Partition& partition) { return partition.end_offset(); });
  EXPECT_GT(partition_->start_offset(), 50);
}

TEST_F(CompactionTest, RecordsWithoutKeyAreRefusedAndOldOnesKept) {
  TopicConfig config = Compacted();
  config.compact = false;
  config.delete_old = true;
  Open(config);
  BatchBuilder builder;
  builder.Add(1, std::nullopt, "keyless");
  const std::string keyless = builder.Finish(4);
  EXPECT_EQ(AppendDurably(*partition_, keyless).error, KafkaError::kNone);
  ASSERT_TRUE(log_->AlterTopic("t", Compacted()).ok());
  for (int codec = 0; codec <= 4; ++codec) {
    builder.Add(1, "key", "v");
    builder.Add(1, std::nullopt, "keyless");
    EXPECT_EQ(partition_->Append(builder.Finish(codec), nullptr).error, KafkaError::kInvalidRecord) << codec;
  }
  CompleteSegment(*partition_);
  CompactAll(*log_);
  EXPECT_EQ(OfKey("").size(), 1u);
}

TEST_F(CompactionTest, AProducersNewestBatchIsRememberedWithoutASnapshot) {
  Open();
  const BatchProducer first{.id = 7, .epoch = 2, .base_sequence = 0}, second{.id = 7, .epoch = 2, .base_sequence = 2};
  Append({{"a", "1"}, {"b", "1"}}, 0, first);
  Append({{"a", "2"}, {"b", "2"}}, 3, second);
  CompleteSegment(*partition_, "a");
  Append({{"b", "3"}});
  CompleteSegment(*partition_, "a");
  CompactAll(*log_);
  EXPECT_EQ(OfKey("b").size(), 1u);
  for (bool snapshot : {true, false}) {
    log_.reset();
    if (!snapshot) ForgetSnapshots();
    Open();
    EXPECT_EQ(AppendDurably(*partition_, Batch({{"a", "2"}, {"b", "2"}}, 3, second)).base_offset, 2) << "sent again";
    EXPECT_EQ(partition_->Append(Batch({{"a", "4"}}, 0, {.id = 7, .epoch = 2, .base_sequence = 9}), nullptr).error, KafkaError::kOutOfOrderSequence);
    EXPECT_EQ(partition_->Append(Batch({{"a", "4"}}, 0, {.id = 7, .epoch = 1, .base_sequence = 4}), nullptr).error,
              KafkaError::kInvalidProducerEpoch);
  }
}

TEST_F(CompactionTest, TransactionsAreCompactedOnceDecided) {
  TopicConfig config = Compacted();
  config.delete_retention_ms = 1000;
  Open(config);
  auto transaction = [&](int64_t id, int32_t sequence, const std::vector<Entry>& entries, std::optional<bool> commit) {
    ASSERT_EQ(partition_->BeginTransaction(id, 0), KafkaError::kNone);
    Append(entries, 0, {.id = id, .epoch = 0, .base_sequence = sequence, .transactional = true});
    if (commit) End(id, *commit);
  };
  Append({{"a", "plain"}, {"b", "plain"}});
  transaction(1, 0, {{"a", "committed"}}, true);   // 2, marker 3
  transaction(2, 0, {{"b", "aborted"}}, false);    // 4, marker 5
  CompleteSegment(*partition_);
  const Offset open = partition_->end_offset();
  transaction(3, 0, {{"a", "open"}, {"b", "open"}}, std::nullopt);
  CompleteSegment(*partition_);
  CompactAll(*log_);
  EXPECT_EQ(partition_->last_stable_offset(), open);
  auto check = [&] {
    EXPECT_EQ(OfKey("a", Isolation::kReadCommitted), (std::vector<Found>{{2, "a", "committed"}}));
    EXPECT_EQ(OfKey("b", Isolation::kReadCommitted), (std::vector<Found>{{1, "b", "plain"}}));
    for (const Found& record : OfKey("b")) EXPECT_NE(record.value, "aborted") << "gone for all";
    EXPECT_EQ(partition_->last_stable_offset(), open);
  };
  check();
  End(3, false);
  CompleteSegment(*partition_);
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(kHour / 10);
    CompactAll(*log_);
    CompleteSegment(*partition_);
  }
  const ReadResult read = partition_->Read(0, 1 << 20, Isolation::kReadCommitted);
  EXPECT_TRUE(read.aborted.empty()) << "forgotten with its marker";
  for (bool snapshot : {true, false}) {
    log_.reset();
    if (!snapshot) ForgetSnapshots();
    Open();
    EXPECT_EQ(partition_->last_stable_offset(), partition_->end_offset()) << "no transaction is taken for open";
    EXPECT_EQ(OfKey("a", Isolation::kReadCommitted), (std::vector<Found>{{2, "a", "committed"}}));
    EXPECT_EQ(OfKey("b", Isolation::kReadCommitted), (std::vector<Found>{{1, "b", "plain"}}));
    EXPECT_TRUE(partition_->Read(0, 1 << 20, Isolation::kReadCommitted).aborted.empty());
  }
}

TEST_F(CompactionTest, ASmallBufferTakesMorePasses) {
  buffer_bytes_ = 1;  // 768 keys, the least
  Open();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 2000; i += 50) {
      std::vector<Entry> entries;
      for (int k = i; k < i + 50; ++k) entries.push_back({"key" + std::to_string(k), std::to_string(round)});
      Append(entries);
    }
  }
  CompleteSegment(*partition_);
  CompactAll(*log_);
  EXPECT_GT(log_->compaction().passes, 5u);
  std::map<std::string, std::vector<Found>> by_key;
  for (const Found& record : ReadRecords(*partition_)) by_key[record.key].push_back(record);
  for (int k = 0; k < 2000; ++k) {
    const auto& records = by_key["key" + std::to_string(k)];
    ASSERT_EQ(records.back().value, "2") << k;
    const bool sealed = records.back().offset < partition_->segments().back().base;
    ASSERT_TRUE(!sealed || records.size() == 1) << k;
  }
}

TEST_F(CompactionTest, DamageAndAFullDiskEndThePassAndNothingElse) {
  Open();
  for (int i = 0; i < 100; ++i) Append({{"k" + std::to_string(i % 3), Pad(std::to_string(i))}});
  const std::vector<Found> before = ReadRecords(*partition_);
  log_->AllowCompaction([](const Partition& partition) { return partition.end_offset(); });
  for (const char* fault : {"write:1:enospc", "create:1:error", "rename:1:error", "read:3:error"}) {
    ASSERT_TRUE(io::SetFailpoints(fault).ok());
    while (log_->CompactOne()) {}
    ASSERT_TRUE(io::SetFailpoints("").ok());
  }
  EXPECT_GT(log_->compaction().failures + log_->compaction().passes, 0u);
  CompactAll(*log_);
  std::vector<Found> expected = before;
  const Offset sealed = partition_->segments().back().base;
  std::map<std::string, Offset> last;
  for (const Found& record : before) {
    if (record.offset < sealed) last[record.key] = record.offset;
  }
  std::erase_if(expected, [&](const Found& record) { return record.offset < sealed && last[record.key] != record.offset; });
  EXPECT_EQ(ReadRecords(*partition_), expected);
  const std::vector<std::string> names = *io::ListFolder(folder_.path() + "/topics/t/0");
  for (const std::string& name : names) EXPECT_FALSE(name.ends_with(".tmp")) << name;
}

// Readers and appenders go on while passes run one after the other.
TEST_F(CompactionTest, ReadersSeeEachKeysLastValueWhileItRuns) {
  Open();
  std::atomic<bool> stop{false};
  std::thread compactor([&] {
    while (!stop) CompactAll(*log_);
  });
  std::thread reader([&] {
    while (!stop) {
      std::map<std::string, int> newest;
      for (const Found& record : ReadRecords(*partition_, Isolation::kReadCommitted)) {
        int& value = newest[record.key];
        EXPECT_LE(value, std::stoi(*record.value)) << record.key;
        value = std::stoi(*record.value);
      }
    }
  });
  for (int i = 1; i <= 1500; ++i) Append({{"k" + std::to_string(i % 10), std::to_string(i) + std::string(500, ' ')}});
  stop = true;
  compactor.join();
  reader.join();
  EXPECT_TRUE(partition_->Verify().ok());
}

// Random appends, transactions, deletions, compactions and restarts: what readers of committed records see changes by compaction alone, and of that
// each key's last value stays; a deletion may go with its key.
TEST_F(CompactionTest, RandomHistoriesKeepTheLastCommittedValues) {
  for (unsigned seed = 1; seed <= 15; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RunRandomHistory(seed);
    if (HasFatalFailure()) return;
    log_.reset();
    ASSERT_TRUE(io::RemoveTree(folder_.path() + "/topics").ok());
  }
}

TEST(LatestOffsetsTest, KnowsTheNewestOfManyKeysInItsBound) {
  LatestOffsets latest(1 << 20);
  EXPECT_TRUE(latest.HasRoomFor(1'000'000)) << "an empty one takes any number";
  size_t noted = 0;
  for (; latest.HasRoomFor(1); ++noted) latest.Note("key" + std::to_string(noted), static_cast<Offset>(noted));
  EXPECT_EQ(noted, (32u << 10) / 4 * 3);
  for (size_t i = 0; i < noted; i += 3) latest.Note("key" + std::to_string(i), static_cast<Offset>(2 * noted));
  for (size_t i = 0; i < noted; ++i) EXPECT_EQ(latest.Of("key" + std::to_string(i)), static_cast<Offset>(i % 3 == 0 ? 2 * noted : i));
  EXPECT_EQ(latest.Of("other"), -1);
  EXPECT_EQ(latest.size(), noted);
}

}  // namespace
}  // namespace kappa::log
