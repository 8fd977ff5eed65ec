// Goal: readers of committed records see what was committed, whole and in order, and nothing else; open transactions hold them up.
// Method: rules one by one; then random transactions of many producers against a model, with reopened logs, with and without snapshots.
#include <map>
#include <random>

#include "io/failpoint.h"
#include "log/log_testing.h"
#include "log/transaction_state.h"

namespace kappa::log {
namespace {

std::string TransactionalBatch(const std::vector<std::string>& values, int64_t id, int16_t epoch, int32_t sequence) {
  return OneBatch(values, 1000, 0, {.id = id, .epoch = epoch, .base_sequence = sequence, .transactional = true});
}

using Values = std::vector<std::string>;

TEST(TransactionTest, CommittedRecordsAreSeenAfterTheMarkerAndAbortedOnesNever) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t");
  EXPECT_EQ(partition.Append(TransactionalBatch({"a"}, 7, 0, 0), nullptr).error, KafkaError::kInvalidTxnState);  // not begun
  EXPECT_EQ(partition.BeginTransaction(7, 0), KafkaError::kNone);
  EXPECT_EQ(AppendDurably(partition, TransactionalBatch({"a", "b"}, 7, 0, 0)).base_offset, 0);
  EXPECT_EQ(AppendDurably(partition, OneBatch({"plain"})).base_offset, 2);
  EXPECT_EQ(partition.last_stable_offset(), 0);
  EXPECT_EQ(CommittedValues(partition), Values());
  EXPECT_EQ(ReadValues(partition), (Values{"a", "b", "plain"}));
  EXPECT_EQ(EndDurably(partition, 7, 0, true).base_offset, 3);
  EXPECT_EQ(partition.last_stable_offset(), 4);
  EXPECT_EQ(CommittedValues(partition), (Values{"a", "b", "plain"}));

  EXPECT_EQ(partition.Append(TransactionalBatch({"c"}, 7, 0, 2), nullptr).error, KafkaError::kInvalidTxnState);  // ended
  EXPECT_EQ(partition.BeginTransaction(7, 0), KafkaError::kNone);
  EXPECT_EQ(AppendDurably(partition, TransactionalBatch({"c"}, 7, 0, 2)).base_offset, 4);
  EXPECT_EQ(AppendDurably(partition, TransactionalBatch({"c"}, 7, 0, 2)).base_offset, 4);  // sent again
  EXPECT_EQ(EndDurably(partition, 7, 0, false).base_offset, 5);
  EXPECT_EQ(CommittedValues(partition), (Values{"a", "b", "plain"}));
  const ReadResult read = partition.Read(0, 1 << 20, Isolation::kReadCommitted);
  EXPECT_EQ(read.aborted, (std::vector<AbortedTransaction>{{7, 4, 5}}));
  EXPECT_EQ(read.last_stable_offset, 6);
  EXPECT_TRUE(partition.Read(0, 1 << 20).aborted.empty());
  EXPECT_EQ(*partition.FindTimestamp(1001), std::nullopt) << "markers are no records";
}

TEST(TransactionTest, OlderEpochsAndOtherBatchesAreRefused) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t");
  EXPECT_EQ(partition.BeginTransaction(7, 3), KafkaError::kNone);
  EXPECT_EQ(partition.BeginTransaction(7, 2), KafkaError::kInvalidProducerEpoch);
  EXPECT_EQ(partition.Append(TransactionalBatch({"a"}, 7, 2, 0), nullptr).error, KafkaError::kInvalidProducerEpoch);
  EXPECT_EQ(partition.Append(TransactionalBatch({"a"}, 7, 4, 0), nullptr).error, KafkaError::kInvalidTxnState);
  EXPECT_EQ(AppendDurably(partition, TransactionalBatch({"a"}, 7, 3, 0)).base_offset, 0);
  EXPECT_EQ(partition.Append(OneBatch({"b"}, 1000, 0, {.id = 7, .epoch = 3, .base_sequence = 1}), nullptr).error, KafkaError::kInvalidTxnState);
  EXPECT_EQ(partition.BeginTransaction(7, 4), KafkaError::kInvalidTxnState) << "the one before is still open";
  EXPECT_EQ(partition.EndTransaction(7, 2, true, nullptr).error, KafkaError::kInvalidProducerEpoch);
  // Ended with a higher epoch, by who fenced it off: what is still on its way comes too late, even once the partition is added again.
  EXPECT_EQ(EndDurably(partition, 7, 4, false).error, KafkaError::kNone);
  EXPECT_EQ(partition.BeginTransaction(7, 4), KafkaError::kNone);
  EXPECT_EQ(partition.Append(TransactionalBatch({"b"}, 7, 3, 1), nullptr).error, KafkaError::kInvalidProducerEpoch);
  EXPECT_EQ(AppendDurably(partition, TransactionalBatch({"c"}, 7, 4, 0)).base_offset, 2);
  EXPECT_EQ(partition.Append(TransactionalBatch({"d"}, -1, -1, -1), nullptr).error, KafkaError::kInvalidRecord);
  const std::string marker = BatchBuilder::Marker(0, 7, 4, true);
  EXPECT_EQ(partition.Append(marker, nullptr).error, KafkaError::kInvalidRecord) << "clients cannot decide";
  const std::vector<ProducerInfo> producers = partition.producers();
  ASSERT_EQ(producers.size(), 1u);
  EXPECT_EQ(producers[0].epoch, 4);
  EXPECT_EQ(producers[0].transaction_first_offset, 2);
}

TEST(TransactionTest, ATransactionWithoutBatchesNeedsNoMarker) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t");
  EXPECT_EQ(partition.BeginTransaction(7, 0), KafkaError::kNone);
  EXPECT_EQ(EndDurably(partition, 7, 0, true).next_offset, -1);
  EXPECT_EQ(EndDurably(partition, 7, 0, true).next_offset, -1) << "again, as after a crash";
  EXPECT_EQ(partition.end_offset(), 0);
  EXPECT_EQ(partition.Append(TransactionalBatch({"a"}, 7, 0, 0), nullptr).error, KafkaError::kInvalidTxnState);
}

TEST(TransactionTest, RetentionWaitsForOpenTransactionsAndForgetsAbortedOnes) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t", {.segment_bytes = 16 << 10, .retention_bytes = 1});
  const std::string filler(1000, 'x');
  auto fill = [&] {
    for (int i = 0; i < 40; ++i) AppendDurably(partition, OneBatch({filler}));
  };
  EXPECT_EQ(partition.BeginTransaction(1, 0), KafkaError::kNone);
  AppendDurably(partition, TransactionalBatch({"a"}, 1, 0, 0));
  fill();
  log->ApplyRetention([](const Partition& p) { return p.end_offset(); });
  EXPECT_EQ(partition.start_offset(), 0);
  EndDurably(partition, 1, 0, false);
  EXPECT_EQ(partition.Read(0, 100, Isolation::kReadCommitted).aborted.size(), 1u);
  fill();
  log->ApplyRetention([](const Partition& p) { return p.end_offset(); });
  EXPECT_GT(partition.start_offset(), 41);
  EXPECT_EQ(CommittedValues(partition, partition.start_offset()).size(), static_cast<size_t>(partition.end_offset() - partition.start_offset()));
}

/// What a partition should hold.
struct Model {
  struct Entry {
    std::string value;
    int64_t producer = -1;
    int transaction = -1;
  };
  struct Producer {
    int16_t epoch = 0;
    int32_t sequence = 0;
    int transaction = -1;  // the open one
    Offset first_offset = -1;
  };
  std::vector<std::optional<Entry>> log;  // by offset; markers are nullopt
  std::map<int64_t, Producer> producers;
  std::map<int, bool> committed;          // by transaction

  Offset LastStable() const {
    auto stable = static_cast<Offset>(log.size());
    for (const auto& [id, producer] : producers) {
      if (producer.first_offset >= 0) stable = std::min(stable, producer.first_offset);
    }
    return stable;
  }
  Values Committed(Offset from) const {
    Values values;
    for (Offset at = from; at < LastStable(); ++at) {
      const auto& entry = log[static_cast<size_t>(at)];
      if (entry && (entry->transaction < 0 || committed.at(entry->transaction))) values.push_back(entry->value);
    }
    return values;
  }
};

TEST(TransactionTest, RandomTransactionsAgreeWithAModelThroughReopens) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    ScratchFolder folder;
    auto log = OpenLog(folder.path());
    Partition* partition = &CreateOne(*log, "t", {.segment_bytes = 16 << 10});
    Model model;
    int transactions = 0;
    for (int step = 0; step < 1500; ++step) {
      const int64_t id = random() % 6;
      Model::Producer& producer = model.producers[id];
      const std::string value = "value " + std::to_string(step) + std::string(random() % 60, '.');
      const auto action = random() % 100;
      if (action < 15) {
        ASSERT_EQ(partition->Append(OneBatch({value}), nullptr).base_offset, static_cast<Offset>(model.log.size()));
        model.log.push_back(Model::Entry{value});
      } else if (action < 70) {
        if (producer.transaction < 0) {
          ASSERT_EQ(partition->BeginTransaction(id, producer.epoch), KafkaError::kNone);
          producer.transaction = transactions++;
        }
        const AppendResult appended = partition->Append(TransactionalBatch({value}, id, producer.epoch, producer.sequence++), nullptr);
        ASSERT_EQ(appended.base_offset, static_cast<Offset>(model.log.size())) << appended.message;
        if (producer.first_offset < 0) producer.first_offset = appended.base_offset;
        model.log.push_back(Model::Entry{value, id, producer.transaction});
      } else if (action < 95 && producer.transaction >= 0) {
        const bool commit = random() % 2 == 0, bump = random() % 2 == 0;
        if (bump) ++producer.epoch;
        ASSERT_EQ(partition->EndTransaction(id, producer.epoch, commit, nullptr).base_offset, static_cast<Offset>(model.log.size()));
        model.log.push_back(std::nullopt);
        model.committed[producer.transaction] = commit;
        producer.transaction = -1;
        producer.first_offset = -1;
        if (bump) producer.sequence = 0;
      } else if (action >= 98) {
        if (random() % 2 == 0) {
          AppendDurably(*partition, OneBatch({"end"}));
          model.log.push_back(Model::Entry{"end"});
        }
        log.reset();
        const auto loss = random() % 3;
        if (loss == 0) {
          for (const char* name : {"producers", "producers.recent"}) std::remove((folder.path() + "/topics/t/0/" + name).c_str());
        }
        log = OpenLog(folder.path());
        partition = &log->FindTopic("t")->partition(0);
        for (const auto& [open_id, open] : model.producers) {
          if (open.transaction < 0) continue;
          ASSERT_EQ(partition->BeginTransaction(open_id, open.epoch), KafkaError::kNone);
        }
        ASSERT_EQ(partition->last_stable_offset(), model.LastStable());
        const Offset from = random() % (model.log.size() + 1);
        ASSERT_EQ(CommittedValues(*partition, from, 1 + random() % 3000), model.Committed(from));
      }
    }
    AppendDurably(*partition, OneBatch({"end"}));
    model.log.push_back(Model::Entry{"end"});
    EXPECT_EQ(partition->last_stable_offset(), model.LastStable());
    EXPECT_EQ(CommittedValues(*partition), model.Committed(0));
    EXPECT_TRUE(partition->Verify().ok());
  }
}

TEST(TransactionStatesTest, AMarkerCountsOnceItIsDurable) {
  TransactionStates states;
  BatchHeader header{};
  header.producer_id = 1;
  header.attributes = BatchHeader::kTransactional;
  header.base_offset = 5;
  ASSERT_EQ(states.Begin(1, 0), KafkaError::kNone);
  EXPECT_EQ(states.LastStable(5), 5);
  states.Record(header);
  EXPECT_EQ(states.LastStable(8), 5);
  header.base_offset = 8;
  states.End(header, false);
  EXPECT_EQ(states.LastStable(8), 5) << "a crash may still take the marker away";
  states.Settle(8);
  EXPECT_EQ(states.LastStable(8), 5);
  states.Settle(9);
  EXPECT_EQ(states.LastStable(9), 9);
}

TEST(TransactionStatesTest, OverlappingAbortedTransactionsAreFoundByTheRangeThatIsRead) {
  TransactionStates states;
  auto batch = [](int64_t id, Offset offset) {
    BatchHeader header{};
    header.producer_id = id;
    header.attributes = BatchHeader::kTransactional;
    header.base_offset = offset;
    return header;
  };
  states.Record(batch(1, 0));   // a long one
  states.Record(batch(2, 10));
  states.End(batch(2, 20), false);
  states.Record(batch(3, 30));
  states.End(batch(3, 40), false);
  states.End(batch(1, 50), false);
  states.Record(batch(4, 60));
  states.End(batch(4, 70), false);
  using Found = std::vector<AbortedTransaction>;
  EXPECT_EQ(states.AbortedIn(0, 10), (Found{{1, 0, 50}}));
  EXPECT_EQ(states.AbortedIn(15, 25), (Found{{2, 10, 20}, {1, 0, 50}}));
  EXPECT_EQ(states.AbortedIn(21, 31), (Found{{3, 30, 40}, {1, 0, 50}}));
  EXPECT_EQ(states.AbortedIn(51, 60), Found());
  EXPECT_EQ(states.AbortedIn(51, 61), (Found{{4, 60, 70}}));
  ByteWriter out;
  states.Encode(out);
  TransactionStates restored;
  ByteReader in(out.str());
  restored.Decode(in);
  EXPECT_TRUE(in.AtEnd());
  EXPECT_EQ(restored.AbortedIn(0, 100), states.AbortedIn(0, 100));
  restored.Forget(21);
  EXPECT_EQ(restored.AbortedIn(0, 100).size(), 3u);
}

}  // namespace
}  // namespace kappa::log
