// Idempotent producers: Kafka's rules one by one, and after a reopen.
#include "log/producer_state.h"

#include <climits>

#include "io/failpoint.h"
#include "log/log_testing.h"

namespace kappa::log {
namespace {

BatchHeader Header(int64_t id, int16_t epoch, int32_t sequence, int32_t count, Offset base = 0) {
  BatchHeader header{};
  header.producer_id = id;
  header.producer_epoch = epoch;
  header.base_sequence = sequence;
  header.last_offset_delta = count - 1;
  header.record_count = count;
  header.base_offset = base;
  return header;
}

TEST(ProducerStatesTest, WindowOfFive) {
  ProducerStates states;
  EXPECT_EQ(states.Check(Header(1, 0, 100, 10)).error, KafkaError::kNone);  // unknown producer: any sequence
  for (int i = 0; i < 7; ++i) states.Record(Header(1, 0, 100 + 10 * i, 10, 1000 + 10 * i), 0, 0);
  for (int i = 2; i < 7; ++i) {
    auto verdict = states.Check(Header(1, 0, 100 + 10 * i, 10));
    EXPECT_TRUE(verdict.duplicate);
    EXPECT_EQ(verdict.base_offset, 1000 + 10 * i);
    EXPECT_EQ(verdict.next_offset, 1010 + 10 * i);
  }
  EXPECT_EQ(states.Check(Header(1, 0, 110, 10)).error, KafkaError::kDuplicateSequence);
  EXPECT_FALSE(states.Check(Header(1, 0, 170, 10)).duplicate);
  EXPECT_EQ(states.Check(Header(1, 0, 170, 10)).error, KafkaError::kNone);
  EXPECT_EQ(states.Check(Header(1, 0, 171, 10)).error, KafkaError::kOutOfOrderSequence);
  EXPECT_EQ(states.Check(Header(1, 0, 165, 10)).error, KafkaError::kOutOfOrderSequence);  // overlaps
  EXPECT_EQ(states.Check(Header(2, 0, 5, 1)).error, KafkaError::kNone);
}

TEST(ProducerStatesTest, Epochs) {
  ProducerStates states;
  states.Record(Header(1, 3, 0, 10), 0, 0);
  EXPECT_EQ(states.Check(Header(1, 2, 10, 1)).error, KafkaError::kInvalidProducerEpoch);
  EXPECT_EQ(states.Check(Header(1, 4, 10, 1)).error, KafkaError::kOutOfOrderSequence);
  EXPECT_EQ(states.Check(Header(1, 4, 0, 10)).error, KafkaError::kNone);
  EXPECT_FALSE(states.Check(Header(1, 4, 0, 10)).duplicate);
  states.Record(Header(1, 4, 0, 10), 0, 0);
  EXPECT_EQ(states.Check(Header(1, 3, 10, 1)).error, KafkaError::kInvalidProducerEpoch);
}

TEST(ProducerStatesTest, SequencesWrap) {
  ProducerStates states;
  states.Record(Header(1, 0, INT32_MAX - 4, 10, 50), 0, 0);  // .. INT32_MAX, 0 .. 4
  EXPECT_EQ(states.Check(Header(1, 0, 5, 1)).error, KafkaError::kNone);
  EXPECT_EQ(states.Check(Header(1, 0, 6, 1)).error, KafkaError::kOutOfOrderSequence);
  EXPECT_TRUE(states.Check(Header(1, 0, INT32_MAX - 4, 10)).duplicate);
  EXPECT_EQ(states.Check(Header(1, 0, INT32_MAX - 14, 10)).error, KafkaError::kDuplicateSequence);
  ProducerStates exact;
  exact.Record(Header(1, 0, INT32_MAX, 1), 0, 0);
  EXPECT_EQ(exact.Check(Header(1, 0, 0, 1)).error, KafkaError::kNone);
}

TEST(ProducerStatesTest, SnapshotsRoundTripAndNoticeDamage) {
  ProducerStates states;
  for (int id = 0; id < 20; ++id) {
    for (int i = 0; i <= id % 7; ++i) states.Record(Header(id, 1, i, 1, 100 * id + i), 0, id);
  }
  TransactionStates transactions;
  std::string bytes = states.Encode(4711, transactions);
  ProducerStates restored;
  EXPECT_EQ(restored.Restore(bytes, 5, transactions), 4711);
  EXPECT_EQ(restored.size(), 20u);
  EXPECT_EQ(restored.Check(Header(13, 1, 6, 1)).base_offset, 1306);
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string bad = bytes;
    bad[at] ^= 4;
    EXPECT_FALSE(ProducerStates().Restore(bad, 0, transactions).has_value()) << at;
    EXPECT_FALSE(ProducerStates().Restore(bytes.substr(0, at), 0, transactions).has_value()) << at;
  }
  states.Expire(10);
  EXPECT_EQ(states.size(), 10u);
  restored.Expire(5);  // ages began anew
  EXPECT_EQ(restored.size(), 20u);
  restored.Expire(6);
  EXPECT_EQ(restored.size(), 0u);
}

TEST(ProducerStatesTest, NumberOfProducersIsBounded) {
  ProducerStates states;
  const auto max = static_cast<int64_t>(ProducerStates::kProducersMax);
  for (int64_t id = 0; id < max + 10; ++id) states.Record(Header(id, 0, 0, 1, id), 0, id / 1000);
  EXPECT_LE(states.size(), ProducerStates::kProducersMax);
  EXPECT_FALSE(states.Check(Header(0, 0, 0, 1)).duplicate);
  for (int64_t id = max / 2; id < max + 10; ++id) EXPECT_TRUE(states.Check(Header(id, 0, 0, 1)).duplicate);
}

// A duplicate is answered with the first answer and stored once, before and after a clean reopen, and when the snapshots are gone.
TEST(ProducerStatesTest, DuplicatesAreRecognisedAfterReopen) {
  ScratchFolder folder;
  TopicConfig config{.segment_bytes = 16 << 10};
  auto batch = [](int i) { return OneBatch({std::to_string(i), std::string(1000, 'x')}, 0, 0, {.id = 5, .epoch = 0, .base_sequence = 2 * i}); };
  {
    auto log = OpenLog(folder.path());
    Partition& partition = CreateOne(*log, "t", config);
    for (int i = 0; i < 40; ++i) {
      EXPECT_EQ(AppendDurably(partition, batch(i)).base_offset, 2 * i);
      AppendResult again = AppendDurably(partition, batch(i));
      EXPECT_EQ(again.error, KafkaError::kNone);
      EXPECT_EQ(again.base_offset, 2 * i);
      EXPECT_EQ(again.next_offset, 2 * i + 2);
    }
    EXPECT_EQ(AppendDurably(partition, batch(45)).error, KafkaError::kOutOfOrderSequence);
    EXPECT_EQ(partition.end_offset(), 80);
  }
  for (bool with_snapshot : {true, false}) {
    if (!with_snapshot) { ASSERT_TRUE(io::DurableUnlink(folder.path() + "/topics/t/0/producers").ok()); }
    auto log = OpenLog(folder.path());
    Partition& partition = log->FindTopic("t")->partition(0);
    for (int i = 35; i < 40; ++i) EXPECT_EQ(AppendDurably(partition, batch(i)).base_offset, 2 * i);
    EXPECT_EQ(AppendDurably(partition, batch(3)).error, KafkaError::kDuplicateSequence);
    EXPECT_EQ(AppendDurably(partition, batch(45)).error, KafkaError::kOutOfOrderSequence);
    EXPECT_EQ(partition.end_offset(), 80);
  }
}

// The disk refuses the first batch of a producer, and well again takes what was sent behind it: the second batch must wait for the first,
// which would else be taken for an old duplicate and be lost.
TEST(ProducerStatesTest, NothingOvertakesARefusedFirstBatch) {
  for (const char* refusal : {"append_write:1:enospc", "append_write:1:error"}) {
    ScratchFolder folder;
    auto log = OpenLog(folder.path());
    Partition& partition = CreateOne(*log, "t");
    const BatchProducer first{.id = 7, .epoch = 0, .base_sequence = 0}, second{.id = 7, .epoch = 0, .base_sequence = 1};
    ASSERT_TRUE(io::SetFailpoints(refusal).ok());
    EXPECT_EQ(AppendDurably(partition, OneBatch({"first"}, 1000, 0, first)).error, KafkaError::kKafkaStorageError);
    EXPECT_EQ(AppendDurably(partition, OneBatch({"second"}, 1000, 0, second)).error, KafkaError::kOutOfOrderSequence);
    EXPECT_EQ(AppendDurably(partition, OneBatch({"first"}, 1000, 0, first)).base_offset, 0);
    EXPECT_EQ(AppendDurably(partition, OneBatch({"second"}, 1000, 0, second)).base_offset, 1);
    EXPECT_EQ(ReadValues(partition), (std::vector<std::string>{"first", "second"}));
    ASSERT_TRUE(io::SetFailpoints("").ok());
  }
}

// After a restart the newest batches may come from a snapshot and from the log, with deleted ones in between: those were stored, too.
TEST(ProducerStatesTest, DeletedBatchesWereStored) {
  ProducerStates states;
  states.Record(Header(1, 0, 0, 4), 0, 0);
  states.Record(Header(1, 0, 4, 2, 4), 0, 0);
  states.Record(Header(1, 0, 20, 3, 20), 0, 0);
  EXPECT_EQ(states.Check(Header(1, 0, 6, 4)).error, KafkaError::kDuplicateSequence);
  EXPECT_EQ(states.Check(Header(1, 0, 17, 3)).error, KafkaError::kDuplicateSequence);
  EXPECT_EQ(states.Check(Header(1, 0, 5, 4)).error, KafkaError::kOutOfOrderSequence);   // overlaps
  EXPECT_EQ(states.Check(Header(1, 0, 18, 3)).error, KafkaError::kOutOfOrderSequence);  // overlaps
  EXPECT_EQ(states.Check(Header(1, 0, 24, 3)).error, KafkaError::kOutOfOrderSequence);  // a gap
  EXPECT_EQ(states.Check(Header(1, 0, 23, 3)).error, KafkaError::kNone);
}

// What the disk refused was a late duplicate of a batch whose records are long deleted: its producer goes on behind it, and must not wait for ever.
TEST(ProducerStatesTest, ARefusedDuplicateHoldsNobodyUp) {
  ProducerStates states;
  states.NoteRefused(Header(1, 0, 9, 1), 0);
  for (int again = 0; again < 3; ++again) {  // refused again and again: nothing overtakes it
    EXPECT_EQ(states.Check(Header(1, 0, 10, 1)).error, KafkaError::kOutOfOrderSequence);
    EXPECT_EQ(states.Check(Header(1, 0, 11, 1)).error, KafkaError::kOutOfOrderSequence);
    EXPECT_EQ(states.Check(Header(1, 0, 9, 1)).error, KafkaError::kNone);
    states.NoteRefused(Header(1, 0, 9, 1), 0);
  }
  EXPECT_EQ(states.Check(Header(1, 0, 10, 1)).error, KafkaError::kOutOfOrderSequence);
  EXPECT_EQ(states.Check(Header(1, 0, 11, 1)).error, KafkaError::kOutOfOrderSequence);
  EXPECT_EQ(states.Check(Header(1, 0, 10, 1)).error, KafkaError::kNone);
  states.Record(Header(1, 0, 10, 1), 0, 0);
  EXPECT_EQ(states.Check(Header(1, 0, 11, 1)).error, KafkaError::kNone);
}

// The wall clock leaps, also while the process is down, and back in part: retention is applied each time, and a duplicate stays one.
TEST(ProducerStatesTest, LeapsOfTheWallClockMakeNobodyForgotten) {
  constexpr int64_t kDayMicros = 24ll * 3600 * 1'000'000;
  ScratchFolder folder;
  io::ManualClock clock(20'000 * kDayMicros);
  auto log = OpenLog(folder.path(), clock);
  const BatchProducer producer{.id = 7, .epoch = 0, .base_sequence = 5};
  CreateOne(*log, "t");
  auto append = [&](const BatchProducer& by) { return AppendDurably(log->FindTopic("t")->partition(0), OneBatch({"x"}, 1000, 0, by)).base_offset; };
  EXPECT_EQ(append(producer), 0);
  for (int64_t days : {300, -200, 500, -900}) {
    clock.JumpWall(days * kDayMicros);
    EXPECT_GT(append({.id = days + 1000, .epoch = 0, .base_sequence = 0}), 0);  // another, by the new time
    log->ApplyRetention([](const Partition&) { return Offset{0}; });
    EXPECT_EQ(append(producer), 0) << days;
    clock.JumpWall(-days / 2 * kDayMicros);
    log.reset();
    log = OpenLog(folder.path(), clock);
    log->ApplyRetention([](const Partition&) { return Offset{0}; });
    EXPECT_EQ(append(producer), 0) << days;
  }
  clock.Advance(8 * kDayMicros);
  log->ApplyRetention([](const Partition&) { return Offset{0}; });
  EXPECT_GT(append(producer), 0);
}

TEST(ProducerStatesTest, SeveralBatchesWithAProducerAreRefused) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t");
  std::string batch = OneBatch({"x"}, 0, 0, {.id = 5, .epoch = 0, .base_sequence = 0});
  EXPECT_EQ(partition.Append(batch + batch, nullptr).error, KafkaError::kInvalidRecord);
}

}  // namespace
}  // namespace kappa::log
