// Segments: rolling, searching by time, retention, index files.
#include "log/segment.h"

#include <random>

#include "log/log_testing.h"

namespace kappa::log {
namespace {

constexpr int64_t kHourMicros = 3600ll * 1'000'000;
const TopicConfig kSmall{.segment_bytes = 16 << 10};

std::vector<std::string> Files(const ScratchFolder& folder, std::string_view extension) {
  std::vector<std::string> found;
  const std::vector<std::string> names = *io::ListFolder(folder.path() + "/topics/t/0");
  for (const std::string& name : names) {
    if (name.ends_with(extension)) found.push_back(folder.path() + "/topics/t/0/" + name);
  }
  return found;
}

TEST(SegmentTest, RollsKeepEverything) {
  ScratchFolder folder;
  std::vector<std::string> expected;
  for (int run = 0; run < 3; ++run) {
    auto log = OpenLog(folder.path());
    Partition& partition = run == 0 ? CreateOne(*log, "t", kSmall) : log->FindTopic("t")->partition(0);
    EXPECT_EQ(ReadValues(partition), expected);
    for (int i = 0; i < 50; ++i) {
      expected.push_back(std::to_string(run) + "/" + std::to_string(i) + std::string(900, '.'));
      ASSERT_EQ(AppendDurably(partition, OneBatch({expected.back()})).error, KafkaError::kNone);
    }
    EXPECT_EQ(ReadValues(partition), expected);
    EXPECT_EQ(ReadValues(partition, 0, 1), expected);
    EXPECT_TRUE(partition.Verify().ok());
    auto segments = partition.segments();
    EXPECT_GT(segments.size(), 8u * static_cast<size_t>(run + 1));
    for (size_t i = 1; i < segments.size(); ++i) EXPECT_EQ(segments[i].base, segments[i - 1].end);
  }
}

// A batch larger than a whole segment still goes in.
TEST(SegmentTest, OneBatchMayExceedTheSegmentSize) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t", kSmall);
  std::vector<std::string> values = {"a", std::string(100'000, 'b'), "c", std::string(3'000'000, 'd'), "e"};
  for (const auto& value : values) ASSERT_EQ(AppendDurably(partition, OneBatch({value})).error, KafkaError::kNone);
  EXPECT_EQ(ReadValues(partition, 0, 10), values);
}

// Random offsets are found whether through the index, by a walk, or where the last read ended; with index files or without.
TEST(SegmentTest, RandomReadsFindTheirBatch) {
  ScratchFolder folder;
  constexpr int kBatches = 3000;
  {
    auto log = OpenLog(folder.path());
    Partition& partition = CreateOne(*log, "t", {.segment_bytes = 700'000});
    for (int i = 0; i < kBatches; ++i) {
      ASSERT_EQ(
          partition.Append(OneBatch({std::to_string(3 * i), std::to_string(3 * i + 1), std::to_string(3 * i + 2) + std::string(700, 'x')}), nullptr)
              .error,
          KafkaError::kNone);
    }
  }
  for (int run = 0; run < 3; ++run) {
    if (run == 1) {
      for (const auto& path : Files(folder, ".idx")) ASSERT_TRUE(io::DurableUnlink(path).ok());
    }
    if (run == 2) {
      for (const auto& path : Files(folder, ".seg")) ASSERT_TRUE(io::WriteFileAtomically(path.substr(0, path.size() - 4) + ".idx", "garbage").ok());
    }
    auto log = OpenLog(folder.path());
    Partition& partition = log->FindTopic("t")->partition(0);
    ASSERT_EQ(partition.durable_end(), 3 * kBatches);
    ASSERT_TRUE(partition.Verify().ok());
    std::mt19937 random(static_cast<unsigned>(run));
    for (int i = 0; i < 300; ++i) {
      Offset from = static_cast<Offset>(random() % (3 * kBatches));
      ReadResult result = partition.Read(from, 2000);
      ASSERT_EQ(result.error, KafkaError::kNone);
      EXPECT_EQ(ParseBatchHeader(result.bytes)->base_offset, from / 3 * 3);
    }
  }
}

TEST(SegmentTest, FindsTimestamps) {
  ScratchFolder folder;
  {
    auto log = OpenLog(folder.path());
    Partition& partition = CreateOne(*log, "t", {.segment_bytes = 200'000});
    EXPECT_EQ(*partition.FindTimestamp(0), std::nullopt);
    for (int i = 0; i < 1000; ++i) {
      BatchBuilder builder;  // each batch: times t, t - 500, t + 3
      std::string value(300, 'x');
      builder.Add(10'000 + 10 * i, std::nullopt, value);
      builder.Add(10'000 + 10 * i - 500, std::nullopt, value);
      builder.Add(10'000 + 10 * i + 3, std::nullopt, value);
      ASSERT_EQ(partition.Append(builder.Finish(i % 5), nullptr).error, KafkaError::kNone);
    }
    AppendDurably(partition, OneBatch({"last"}, 50));
  }
  for (bool active : {false, true}) {
    auto log = OpenLog(folder.path());
    Partition& partition = log->FindTopic("t")->partition(0);
    if (active) { ASSERT_EQ(AppendDurably(partition, OneBatch({"more"}, 60)).error, KafkaError::kNone); }
    auto at = [&](int64_t timestamp) {
      auto found = partition.FindTimestamp(timestamp);
      EXPECT_TRUE(found.ok());
      return *found;
    };
    EXPECT_EQ(at(0), std::pair(Offset{0}, int64_t{10'000}));
    EXPECT_EQ(at(10'001), std::pair(Offset{2}, int64_t{10'003}));
    for (int i = 1; i < 1000; i += 83) {
      EXPECT_EQ(at(10'000 + 10 * i), std::pair(Offset{3 * i}, int64_t{10'000 + 10 * i}));
      EXPECT_EQ(at(10'000 + 10 * i - 6), std::pair(Offset{3 * i}, int64_t{10'000 + 10 * i}));
      EXPECT_EQ(at(10'000 + 10 * i + 2), std::pair(Offset{3 * i + 2}, int64_t{10'000 + 10 * i + 3}));
    }
    EXPECT_EQ(at(10'000 + 10 * 999 + 4), std::nullopt);
  }
}

class RetentionTest : public ::testing::Test {
 protected:
  void Start(TopicConfig config) {
    config.segment_bytes = 16 << 10;
    log_ = OpenLog(folder_.path(), clock_);
    partition_ = &CreateOne(*log_, "t", config);
  }
  /// About one segment of records.
  void Fill(int batches = 20) {
    const std::string batch = OneBatch({std::string(900, 'x')}, 1);
    for (int i = 0; i + 1 < batches; ++i) ASSERT_EQ(partition_->Append(batch, nullptr).error, KafkaError::kNone);
    ASSERT_EQ(AppendDurably(*partition_, batch).error, KafkaError::kNone);
  }
  void Apply(Offset keep_from = INT64_MAX) {
    log_->ApplyRetention([=](const Partition&) { return keep_from; });
  }
  void Reopen() {
    log_.reset();
    log_ = OpenLog(folder_.path(), clock_);
    partition_ = &log_->FindTopic("t")->partition(0);
  }

  ScratchFolder folder_;
  io::ManualClock clock_{1'000'000 * kHourMicros};
  std::unique_ptr<Log> log_;
  Partition* partition_ = nullptr;
};

TEST_F(RetentionTest, BySizeKeepsAtLeastThatMuch) {
  Start({.retention_bytes = 50'000});
  Fill(200);
  Apply();
  EXPECT_GE(partition_->size_bytes(), 50'000u);
  EXPECT_LT(partition_->size_bytes(), 100'000u);
  Offset start = partition_->start_offset();
  EXPECT_GT(start, 0);
  EXPECT_EQ(partition_->Read(start - 1, 100).error, KafkaError::kOffsetOutOfRange);
  EXPECT_EQ(ReadValues(*partition_, start).size(), static_cast<size_t>(200 - start));
  EXPECT_EQ(Files(folder_, ".seg").size(), partition_->segments().size());
  Reopen();
  EXPECT_EQ(partition_->start_offset(), start);
  EXPECT_EQ(ReadValues(*partition_, start).size(), static_cast<size_t>(200 - start));
}

TEST_F(RetentionTest, ByAgeOfTheNewestAppend) {
  Start({.retention_ms = 2 * 3600 * 1000});
  Fill(100);
  Apply();
  EXPECT_EQ(partition_->start_offset(), 0);  // records carry timestamps of 1970, but were appended just now
  for (int i = 0; i < 4; ++i) {
    clock_.Advance(kHourMicros);
    Fill(1);
    Apply();
  }
  EXPECT_GE(partition_->start_offset(), 80);
  EXPECT_LE(partition_->start_offset(), 100);
  clock_.Advance(3 * kHourMicros);  // the active segment is too old as a whole
  Apply();
  EXPECT_EQ(partition_->start_offset(), 104);
  EXPECT_EQ(partition_->durable_end(), 104);
  Reopen();
  EXPECT_EQ(partition_->start_offset(), 104);
  EXPECT_EQ(AppendDurably(*partition_, OneBatch({"x"})).base_offset, 104);
}

// A record a second never fills a segment: it is completed by age.
TEST_F(RetentionTest, ASlowTopicLosesItsOldRecordsToo) {
  Start({.retention_ms = 8 * 3600 * 1000});
  for (int hour = 0; hour < 24; ++hour) {
    Fill(1);
    clock_.Advance(kHourMicros);
    Apply();
  }
  EXPECT_GE(partition_->start_offset(), 24 - 8 - 3);
  EXPECT_LE(partition_->start_offset(), 24 - 8);
}

TEST_F(RetentionTest, KeepsWhatViewsNeed) {
  Start({.retention_ms = 1000});
  Fill(100);
  clock_.Advance(3 * kHourMicros);
  Apply(50);
  EXPECT_GT(partition_->start_offset(), 20);
  EXPECT_LE(partition_->start_offset(), 50);
}

TEST_F(RetentionTest, ALeapOfTheWallClockDeletesNothing) {
  Start({.retention_ms = 3600 * 1000});
  Fill(100);
  clock_.JumpWall(10 * 365 * 24 * kHourMicros);
  Apply();
  Apply();
  EXPECT_EQ(partition_->start_offset(), 0);
  clock_.JumpWall(-5 * 365 * 24 * kHourMicros);  // put right in part: as wrong as before
  Apply();
  clock_.JumpWall(-5 * 365 * 24 * kHourMicros);
  Apply();
  EXPECT_EQ(partition_->start_offset(), 0);
  clock_.JumpWall(2 * kHourMicros);
  Apply();
  EXPECT_EQ(partition_->start_offset(), 0);
  clock_.Advance(kHourMicros);  // it stayed so: the pause ends
  Apply();
  EXPECT_EQ(partition_->start_offset(), 100);
}

TEST_F(RetentionTest, AClockThatIsWrongAtTheStartDeletesNothing) {
  Start({.retention_ms = 3600 * 1000});
  Fill(100);
  clock_.JumpWall(10 * 365 * 24 * kHourMicros);  // while nobody looked
  for (int start = 0; start < 2; ++start) {
    Reopen();
    Apply();
    EXPECT_EQ(partition_->start_offset(), 0) << start;
    Fill(1);  // what is appended meanwhile does not make the time more credible
  }
  clock_.JumpWall(-10 * 365 * 24 * kHourMicros);
  Reopen();
  Apply();
  EXPECT_EQ(partition_->start_offset(), 0) << "put right before an hour has gone";
  clock_.JumpWall(10 * 365 * 24 * kHourMicros);
  Reopen();
  Apply();
  clock_.Advance(2 * kHourMicros);  // it stays so
  Apply();
  EXPECT_GE(partition_->start_offset(), 100);
}

TEST_F(RetentionTest, DeleteBeforeIsExactAndGivesWholeSegmentsBack) {
  Start({});
  Fill(100);
  const uint64_t bytes = partition_->size_bytes();
  ASSERT_TRUE(partition_->DeleteBefore(41).ok());
  EXPECT_EQ(partition_->start_offset(), 41);
  EXPECT_LT(partition_->size_bytes(), bytes);
  EXPECT_EQ(partition_->Read(40, 1 << 20).error, KafkaError::kOffsetOutOfRange);
  EXPECT_EQ(ReadValues(*partition_, 41).size(), 59u);
  EXPECT_EQ((*partition_->FindTimestamp(INT64_MIN))->first, 41) << "what is deleted is not found by its time either";
  ASSERT_TRUE(partition_->DeleteBefore(7).ok());
  EXPECT_EQ(partition_->start_offset(), 41) << "nothing comes back";
  Reopen();
  EXPECT_EQ(partition_->start_offset(), 41) << "also not by a restart";
  ASSERT_TRUE(partition_->DeleteBefore(INT64_MAX).ok());
  EXPECT_EQ(partition_->start_offset(), 100);
  EXPECT_EQ(partition_->segments().size(), 1u);
  Reopen();
  EXPECT_EQ(partition_->start_offset(), 100);
  Fill(3);
  EXPECT_EQ(ReadValues(*partition_, 100).size(), 3u);
  EXPECT_TRUE(partition_->Verify().ok());
}

}  // namespace
}  // namespace kappa::log
