// The log as its users see it: append, read, reopen, topics, locks, producer ids.
#include "log/log.h"

#include <atomic>
#include <cstring>
#include <set>
#include <thread>

#include "base/crc32c.h"
#include "io/failpoint.h"
#include "log/log_testing.h"
#include "log/partition_log.h"

namespace kappa::log {
namespace {

using ::testing::Test;

// What was acknowledged is read back, before and after a reopen, with consecutive offsets.
TEST(LogTest, AppendedRecordsAreReadBackAndSurviveReopen) {
  ScratchFolder folder;
  std::vector<std::string> expected;
  {
    auto log = OpenLog(folder.path());
    Partition& partition = CreateOne(*log, "orders");
    for (int i = 0; i < 10; ++i) {
      std::string value = "value " + std::to_string(i);
      AppendResult result = AppendDurably(partition, OneBatch({value, value + "b"}));
      ASSERT_EQ(result.error, KafkaError::kNone) << result.message;
      EXPECT_EQ(result.base_offset, 2 * i);
      EXPECT_EQ(result.next_offset, 2 * i + 2);
      expected.push_back(value);
      expected.push_back(value + "b");
    }
    EXPECT_EQ(partition.durable_end(), 20);
    EXPECT_EQ(partition.end_offset(), 20);
    EXPECT_EQ(ReadValues(partition), expected);
  }
  auto log = OpenLog(folder.path());
  Partition& partition = log->FindTopic("orders")->partition(0);
  EXPECT_EQ(partition.durable_end(), 20);
  EXPECT_GT(partition.last_append_ms(), 0);
  EXPECT_EQ(ReadValues(partition), expected);
  EXPECT_EQ(ReadValues(partition, 7).size(), 13u);
  EXPECT_TRUE(partition.Verify().ok());
  EXPECT_EQ(AppendDurably(partition, OneBatch({"next"})).base_offset, 20);
}

// The bytes that come back are those that went in, except base offset and leader epoch.
TEST(LogTest, BatchesAreKeptVerbatim) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t");
  for (int codec = 0; codec <= 4; ++codec) {
    std::string batch = OneBatch({"a", std::string(10'000, 'b')}, 5, codec);
    std::memset(batch.data() + 12, 0xff, 4);  // leader epoch -1, as producers send it
    AppendResult result = AppendDurably(partition, batch);
    ASSERT_EQ(result.error, KafkaError::kNone) << result.message;
    ReadResult read = partition.Read(result.base_offset, 1 << 20);
    ASSERT_EQ(read.bytes.size(), batch.size());
    EXPECT_EQ(read.bytes.substr(16), batch.substr(16));
    EXPECT_EQ(ParseBatchHeader(read.bytes)->base_offset, 2 * codec);
  }
}

TEST(LogTest, ReadHonoursBoundsAndOffsets) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t");
  std::string batch = OneBatch({"0", "1", "2"});
  for (int i = 0; i < 4; ++i) AppendDurably(partition, batch);
  EXPECT_EQ(partition.Read(0, 1).bytes.size(), batch.size());  // at least one
  EXPECT_EQ(partition.Read(0, 2 * batch.size() + 5).bytes.size(), 2 * batch.size());
  ReadResult middle = partition.Read(4, 1 << 20);
  EXPECT_EQ(ParseBatchHeader(middle.bytes)->base_offset, 3);  // the batch that holds offset 4
  EXPECT_EQ(middle.high_watermark, 12);
  ReadResult at_end = partition.Read(12, 1 << 20);
  EXPECT_EQ(at_end.error, KafkaError::kNone);
  EXPECT_TRUE(at_end.bytes.empty());
  EXPECT_EQ(partition.Read(13, 100).error, KafkaError::kOffsetOutOfRange);
  EXPECT_EQ(partition.Read(-1, 100).error, KafkaError::kOffsetOutOfRange);
}

TEST(LogTest, BadBatchesAreRefusedAndLeaveNothing) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t", {.max_message_bytes = 1000});
  const std::string good = OneBatch({"value"});
  auto error_of = [&](std::string bytes) { return partition.Append(bytes, nullptr).error; };
  auto with_crc = [](std::string bytes) {
    uint32_t crc = __builtin_bswap32(Crc32c(std::string_view(bytes).substr(21)));
    std::memcpy(bytes.data() + 17, &crc, 4);
    return bytes;
  };
  EXPECT_EQ(error_of(""), KafkaError::kInvalidRecord);
  EXPECT_EQ(error_of(good.substr(0, 30)), KafkaError::kCorruptMessage);
  EXPECT_EQ(error_of(good.substr(0, good.size() - 1)), KafkaError::kCorruptMessage);
  EXPECT_EQ(error_of(good + "x"), KafkaError::kCorruptMessage);
  std::string bad = good;
  bad.back() ^= 1;
  EXPECT_EQ(error_of(bad), KafkaError::kCorruptMessage);
  bad = good;
  bad[16] = 1;
  EXPECT_EQ(error_of(bad), KafkaError::kUnsupportedForMessageFormat);
  bad = good;
  bad[22] |= 0x10;
  EXPECT_EQ(error_of(with_crc(bad)), KafkaError::kInvalidRecord);  // transactional, of nobody
  bad = good;
  bad[22] |= 0x20;
  EXPECT_EQ(error_of(with_crc(bad)), KafkaError::kInvalidRecord);  // control
  bad = good;
  bad[22] |= 7;
  EXPECT_EQ(error_of(with_crc(bad)), KafkaError::kInvalidRecord);  // codec 7
  bad = good;
  bad[26] = 4;  // last offset delta 4 with one record
  EXPECT_EQ(error_of(with_crc(bad)), KafkaError::kInvalidRecord);
  bad = good;
  bad[61] = 2;  // the record's length
  EXPECT_EQ(error_of(with_crc(bad)), KafkaError::kInvalidRecord);
  EXPECT_EQ(error_of(OneBatch({std::string(2000, 'x')})), KafkaError::kMessageTooLarge);
  EXPECT_EQ(partition.end_offset(), 0);
  EXPECT_EQ(AppendDurably(partition, good).base_offset, 0);
  EXPECT_EQ(AppendDurably(partition, good + good).next_offset, 3);  // several batches at once
}

TEST(LogTest, TopicsAreCreatedListedAndDeleted) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  ASSERT_TRUE(log->CreateTopic("b", {.partitions = 3, .retention_ms = 5, .unsafe = true, .internal = true}).ok());
  ASSERT_TRUE(log->CreateTopic("a", {}).ok());
  EXPECT_TRUE(log->CreateTopic("a", {}).error().Is(sqlstate::kDuplicateTable));
  EXPECT_EQ(log->CreateTopic("a", {}).error().message(), "topic \"a\" already exists");
  for (const char* name : {"", ".", "..", "a/b", "a b", "\xc3\xa4"}) EXPECT_FALSE(log->CreateTopic(name, {}).ok()) << name;
  EXPECT_FALSE(log->CreateTopic(std::string(250, 'x'), {}).ok());
  EXPECT_TRUE(log->CreateTopic(std::string(249, 'x'), {}).ok());
  EXPECT_FALSE(log->CreateTopic("c", {.partitions = 0}).ok());
  EXPECT_FALSE(log->CreateTopic("c", {.segment_bytes = 1}).ok());
  EXPECT_TRUE(log->DeleteTopic("nothing").error().Is(sqlstate::kUndefinedTable));

  auto kept = log->FindTopic("a");
  AppendDurably(kept->partition(0), OneBatch({"x"}));
  ASSERT_TRUE(log->DeleteTopic("a").ok());
  EXPECT_EQ(log->FindTopic("a"), nullptr);
  EXPECT_EQ(kept->partition(0).Append(OneBatch({"x"}), nullptr).error, KafkaError::kUnknownTopicOrPartition);
  EXPECT_EQ(kept->partition(0).Read(0, 100).error, KafkaError::kUnknownTopicOrPartition);
  ASSERT_TRUE(log->CreateTopic("a", {}).ok());  // a new one, empty
  EXPECT_EQ(log->FindTopic("a")->partition(0).end_offset(), 0);
  log.reset();
  log = OpenLog(folder.path());
  EXPECT_EQ(log->ListTopics().size(), 3u);
  auto b = log->FindTopic("b");
  EXPECT_EQ(b->partition_count(), 3);
  EXPECT_EQ(b->config().retention_ms, 5);
  EXPECT_TRUE(b->config().unsafe);
  EXPECT_TRUE(b->config().internal);
}

// Partitions are added and settings changed at once or not at all; what a crash left of an attempt is in nobody's way.
TEST(LogTest, TopicsGrowAndChangeAtomically) {
  ScratchFolder folder;
  {
    auto log = OpenLog(folder.path());
    AppendDurably(CreateOne(*log, "t"), OneBatch({"a"}));
    ASSERT_TRUE(PartitionLog::CreateFolder(folder.path() + "/topics/t/1", "other", 7).ok());  // a crash before the configuration was written
  }
  auto log = OpenLog(folder.path());
  const std::shared_ptr<Topic> held = log->FindTopic("t");
  EXPECT_EQ(held->partition_count(), 1);
  TopicConfig config = held->config();
  config.partitions = 3;
  config.max_message_bytes = 300;
  auto altered = log->AlterTopic("t", config);
  ASSERT_TRUE(altered.ok()) << altered.status().ToString();
  EXPECT_EQ((*altered)->partition_count(), 3);
  EXPECT_EQ(held->partition_count(), 1);
  EXPECT_EQ(&held->partition(0), &(*altered)->partition(0));
  EXPECT_EQ(AppendDurably((*altered)->partition(2), OneBatch({"b"})).base_offset, 0);
  EXPECT_EQ(AppendDurably(held->partition(0), OneBatch({std::string(400, 'x')})).error, KafkaError::kMessageTooLarge);
  EXPECT_EQ(AppendDurably((*altered)->partition(1), OneBatch({std::string(400, 'x')})).error, KafkaError::kMessageTooLarge);

  config.partitions = 2;
  EXPECT_TRUE(log->AlterTopic("t", config).status().error().Is(sqlstate::kInvalidParameterValue));
  config.partitions = 3;
  config.unsafe = true;
  EXPECT_TRUE(log->AlterTopic("t", config).status().error().Is(sqlstate::kInvalidParameterValue));
  EXPECT_TRUE(log->AlterTopic("none", TopicConfig()).status().error().Is(sqlstate::kUndefinedTable));
  log.reset();
  log = OpenLog(folder.path());
  EXPECT_EQ(log->FindTopic("t")->partition_count(), 3);
  EXPECT_EQ(log->FindTopic("t")->config().max_message_bytes, 300);
  EXPECT_EQ(ReadValues(log->FindTopic("t")->partition(2)), std::vector<std::string>{"b"});
}

TEST(LogTest, FolderIsLocked) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  auto second = Log::Open(folder.path(), {}, io::RealClock());
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(second.error().Is(sqlstate::kObjectInUse));
  EXPECT_NE(second.error().message().find(folder.path()), std::string::npos);
  EXPECT_NE(second.error().message().find(std::to_string(getpid())), std::string::npos);
  log->Close();
  EXPECT_TRUE(Log::Open(folder.path(), {}, io::RealClock()).ok());
}

TEST(LogTest, FolderOfANewerFormatIsRefused) {
  ScratchFolder folder;
  OpenLog(folder.path())->Close();
  ASSERT_TRUE(io::WriteFileAtomically(folder.path() + "/format", "kappa log 2\n").ok());
  auto log = Log::Open(folder.path(), {}, io::RealClock());
  ASSERT_FALSE(log.ok());
  EXPECT_TRUE(log.error().Is(sqlstate::kFeatureNotSupported));
  ASSERT_TRUE(io::DurableUnlink(folder.path() + "/format").ok());
  EXPECT_TRUE(Log::Open(folder.path(), {}, io::RealClock()).error().Is(sqlstate::kDataCorrupted));
  for (const char* damaged : {"kappa log \xb1\n", "kappa log \n", "kappa log 2", "kappa log 2x\n", ""}) {
    ASSERT_TRUE(io::WriteFileAtomically(folder.path() + "/format", damaged).ok());
    EXPECT_TRUE(Log::Open(folder.path(), {}, io::RealClock()).error().Is(sqlstate::kDataCorrupted)) << damaged;
  }
}

TEST(LogTest, ATopicThatCouldNotBeOpenedCanBeMadeAgain) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  int refused = 0;
  for (int read = 1; read <= 5; ++read) {
    ASSERT_TRUE(io::SetFailpoints("read:" + std::to_string(read) + ":error").ok());
    const auto made = log->CreateTopic("t" + std::to_string(read), {});
    ASSERT_TRUE(io::SetFailpoints("").ok());
    if (made.ok()) continue;
    ++refused;
    EXPECT_EQ(log->FindTopic("t" + std::to_string(read)), nullptr);
    EXPECT_EQ(AppendDurably(CreateOne(*log, "t" + std::to_string(read)), OneBatch({"a"})).error, KafkaError::kNone);
  }
  EXPECT_GT(refused, 0);
}

TEST(LogTest, ProducerIdsAreNeverGivenTwiceThoughTheFileOfThemIsLost) {
  ScratchFolder folder;
  io::ManualClock clock(1'767'225'600'000'000);
  std::set<int64_t> given;
  auto give = [&](Log& log, int count) {
    for (int i = 0; i < count; ++i) EXPECT_TRUE(given.insert(*log.NextProducerId()).second);
  };
  {
    auto log = OpenLog(folder.path(), clock);
    give(*log, 10);
    EXPECT_EQ(*given.rbegin(), 9);
    const int64_t far = int64_t{1} << 61;  // the log has seen it
    given.insert(far);
    EXPECT_EQ(AppendDurably(CreateOne(*log, "t"), OneBatch({"a"}, 1000, 0, {.id = far, .epoch = 0, .base_sequence = 0})).error, KafkaError::kNone);
  }
  for (int i = 0; i < 3; ++i) {  // what was given in between is in no log
    ASSERT_TRUE(io::DurableUnlink(folder.path() + "/producer_ids").ok());
    clock.Advance(1000);
    auto log = OpenLog(folder.path(), clock);
    if (i == 1) { ASSERT_TRUE(log->DeleteTopic("t").ok()); }
    give(*log, i == 0 ? 0 : 1500);
  }
  auto log = OpenLog(folder.path(), clock);
  give(*log, 5);
}

TEST(LogTest, ProducerIdsAreNeverGivenTwice) {
  ScratchFolder folder;
  std::set<int64_t> given;
  for (int run = 0; run < 3; ++run) {
    auto log = OpenLog(folder.path());
    for (int i = 0; i < 1500; ++i) EXPECT_TRUE(given.insert(*log->NextProducerId()).second);
  }
}

// Listeners and callbacks come once per record range, and only when Read shows the records.
TEST(LogTest, ListenersSeeDurableRecords) {
  ScratchFolder folder(ScratchFolder::kDisk);
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t");
  std::atomic<Offset> seen{0};
  std::atomic<int> calls{0};
  int id = log->AddDurableListener([&](Partition& p) {
    EXPECT_EQ(p.topic(), "t");
    seen = p.durable_end();
    ++calls;
  });
  for (int i = 0; i < 5; ++i) AppendDurably(partition, OneBatch({"x"}));
  log->RemoveDurableListener(id);  // waits for a call in progress
  int calls_before = calls;
  AppendDurably(partition, OneBatch({"x"}));
  EXPECT_EQ(calls, calls_before);
  EXPECT_GE(calls, 1);
  EXPECT_LE(calls, 5);
  EXPECT_GE(seen, 4);
}

// A roll makes records durable by itself; listeners hear of them all the same.
TEST(LogTest, ListenersHearOfRecordsThatARollMadeDurable) {
  ScratchFolder folder;
  io::ManualClock clock(1'000'000'000'000'000);
  auto log = OpenLog(folder.path(), clock);
  Partition& partition = CreateOne(*log, "t", {.retention_ms = 1000});
  std::atomic<Offset> seen{0};
  log->AddDurableListener([&](Partition& p) { seen = p.durable_end(); });
  for (Offset i = 1; i <= 200; ++i) {
    partition.Append(OneBatch({"x"}), nullptr);
    clock.Advance(2'000'000);
    log->ApplyRetention([](const Partition&) { return INT64_MAX; });
    while (seen < i) std::this_thread::yield();
  }
}

TEST(LogTest, UnsafeTopicsWorkTheSame) {
  ScratchFolder folder;
  {
    auto log = OpenLog(folder.path());
    Partition& partition = CreateOne(*log, "t", {.unsafe = true});
    for (int i = 0; i < 20; ++i) EXPECT_EQ(AppendDurably(partition, OneBatch({std::to_string(i)})).error, KafkaError::kNone);
    EXPECT_EQ(ReadValues(partition).size(), 20u);
  }
  EXPECT_EQ(ReadValues(OpenLog(folder.path())->FindTopic("t")->partition(0)).size(), 20u);
}

// Two appenders and two readers at once, over many segments: every record appears once, in each appender's order.
TEST(LogTest, ConcurrentAppendsAndReads) {
  ScratchFolder folder(ScratchFolder::kDisk);
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t", {.segment_bytes = 16 << 10});
  constexpr int kPerThread = 400;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPerThread; ++i) {
        AppendResult result = partition.Append(OneBatch({std::to_string(t) + ":" + std::to_string(i) + std::string(100, '.')}), nullptr);
        EXPECT_EQ(result.error, KafkaError::kNone);
      }
    });
  }
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      Offset from = 0;
      while (from < 2 * kPerThread) {
        ReadResult result = partition.Read(from, 3000);
        ASSERT_EQ(result.error, KafkaError::kNone);
        std::string_view rest = result.bytes;
        while (!rest.empty()) {
          auto header = ParseBatchHeader(rest);
          ASSERT_TRUE(header.ok());
          ASSERT_EQ(header->base_offset, from);
          from = header->last_offset() + 1;
          rest.remove_prefix(header->total_bytes());
        }
        ASSERT_LE(from, result.high_watermark);
        if (result.bytes.empty()) std::this_thread::yield();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  int next[2] = {0, 0};
  for (const std::string& value : ReadValues(partition)) {
    int t = value[0] - '0';
    EXPECT_EQ(value.substr(2, value.find('.') - 2), std::to_string(next[t]++));
  }
  EXPECT_EQ(next[0], kPerThread);
  EXPECT_EQ(next[1], kPerThread);
  EXPECT_GT(partition.segments().size(), 3u);
  EXPECT_TRUE(partition.Verify().ok());
}

// Readers, appenders, deletion of old segments and of the topic at once: reads give records of the right offset or say what happened.
TEST(LogTest, DeletionWhileReading) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t", {.segment_bytes = 16 << 10});
  auto topic = log->FindTopic("t");  // keeps the partition alive
  const std::string batch = OneBatch({std::string(500, 'x')});
  std::atomic<bool> deleted{false};
  std::thread appender([&] {
    while (!deleted) {
      KafkaError error = partition.Append(batch, nullptr).error;
      ASSERT_TRUE(error == KafkaError::kNone || error == KafkaError::kUnknownTopicOrPartition);
    }
  });
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      Offset from = 0;
      while (true) {
        ReadResult result = partition.Read(from, 4000);
        if (result.error == KafkaError::kUnknownTopicOrPartition) return;
        if (result.error == KafkaError::kOffsetOutOfRange) {
          from = result.log_start_offset;
          continue;
        }
        ASSERT_EQ(result.error, KafkaError::kNone);
        if (result.bytes.empty()) continue;
        ASSERT_EQ(ParseBatchHeader(result.bytes)->base_offset, from);
        from += static_cast<Offset>(result.bytes.size() / batch.size());
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    while (partition.segments().size() < 3) std::this_thread::yield();
    ASSERT_TRUE(partition.DeleteBefore(partition.durable_end() - 10).ok());
  }
  ASSERT_TRUE(log->DeleteTopic("t").ok());
  deleted = true;
  appender.join();
  for (auto& reader : readers) reader.join();
}

// Values from Kafka's own UtilsTest.testMurmur2 and librdkafka's unit test of murmur2.
TEST(PartitionForKeyTest, EqualsKafka) {
  struct {
    const char* key;
    uint32_t hash;
  } cases[] = {{"21", static_cast<uint32_t>(-973932308)},
               {"foobar", static_cast<uint32_t>(-790332482)},
               {"a-little-bit-long-string", static_cast<uint32_t>(-985981536)},
               {"a-little-bit-longer-string", static_cast<uint32_t>(-1486304829)},
               {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", static_cast<uint32_t>(-58897971)},
               {"abc", 479470107},
               {"kafka", 0xd067cf64},
               {"giberish123456789", 0x8f552b0c},
               {"1234", 0x9fc97b14},
               {"234", 0xe7c009ca},
               {"34", 0x873930da},
               {"4", 0x5a4b5ca1}};
  for (auto& c : cases) EXPECT_EQ(PartitionForKey(c.key, 0x7fffffff), static_cast<int32_t>((c.hash & 0x7fffffff) % 0x7fffffff)) << c.key;
}

}  // namespace
}  // namespace kappa::log
