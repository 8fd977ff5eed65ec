// Goal: offsets of a transaction count together once it is committed, or never; those of another transaction, or of an older epoch, are refused.
// Method: a store in memory that may crash at any point.
#include <gtest/gtest.h>

#include "group/coordinator.h"
#include "group/group_testing.h"

namespace kappa::group {
namespace {

class TransactionOffsetsTest : public testing::Test {
 protected:
  void SetUp() override { Start(); }
  void Start() {
    coordinator_ = std::make_unique<Coordinator>(GroupOptions(), clock_, [] { return std::string("id"); }, store_);
    store_.LoadInto(*coordinator_);
  }
  GroupError Commit(int64_t producer, int16_t epoch, int32_t partition, int64_t offset, MemberClaim claim = {"g", -1, "", {}}) {
    auto got = static_cast<GroupError>(-99);
    coordinator_->CommitInTransaction(claim, producer, epoch, {{"t", partition, offset, -1, "note"}}, [&](GroupError error) { got = error; });
    return got;
  }
  GroupError End(int64_t producer, bool commit) {
    auto got = static_cast<GroupError>(-99);
    coordinator_->EndTransaction("g", producer, commit, [&](GroupError error) { got = error; });
    return got;
  }
  /// -1: none; -2: about to change.
  int64_t Offset(int32_t partition) {
    CommittedOffset found;
    coordinator_->Fetch("g", std::vector<TopicPartitions>{{"t", {partition}}}, [&](const FetchedOffsets& offsets) {
      if (!offsets.empty()) found = offsets.at("t").at(partition);
    });
    return found.changing ? -2 : found.offset;
  }

  io::ManualClock clock_{1'700'000'000'000'000};
  MemoryStore store_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(TransactionOffsetsTest, CountTogetherOnceCommitted) {
  EXPECT_EQ(Commit(7, 0, 0, 10), GroupError::kInvalidTxnState) << "the group does not take part";
  EXPECT_EQ(coordinator_->BeginTransaction("g", 7, 0), GroupError::kNone);
  EXPECT_EQ(Commit(7, 0, 0, 10), GroupError::kNone);
  EXPECT_EQ(Commit(7, 0, 1, 20), GroupError::kNone);
  EXPECT_EQ(Offset(0), -2);
  EXPECT_EQ(Offset(2), -1);
  EXPECT_EQ(coordinator_->offset_count(), 0u);
  EXPECT_EQ(End(7, true), GroupError::kNone);
  EXPECT_EQ(Offset(0), 10);
  EXPECT_EQ(Offset(1), 20);
  EXPECT_EQ(coordinator_->offset_count(), 2u);
  EXPECT_EQ(Commit(7, 0, 0, 11), GroupError::kInvalidTxnState) << "it has ended";
  EXPECT_EQ(End(7, false), GroupError::kNone) << "again, to no effect";
  Start();
  EXPECT_EQ(Offset(0), 10);
}

TEST_F(TransactionOffsetsTest, AreDroppedWhenAborted) {
  coordinator_->BeginTransaction("g", 7, 0);
  Commit(7, 0, 0, 10);
  EXPECT_EQ(End(7, true), GroupError::kNone);
  coordinator_->BeginTransaction("g", 7, 0);
  Commit(7, 0, 0, 99);
  EXPECT_EQ(End(7, false), GroupError::kNone);
  EXPECT_EQ(Offset(0), 10);
  Start();
  EXPECT_EQ(Offset(0), 10);
}

TEST_F(TransactionOffsetsTest, WaitThroughACrashForTheirEnd) {
  coordinator_->BeginTransaction("g", 7, 0);
  coordinator_->BeginTransaction("g", 8, 3);
  Commit(7, 0, 0, 10);
  Commit(8, 3, 1, 20);
  EXPECT_TRUE(coordinator_->Rewrite(static_cast<log::Offset>(store_.records.size())).ok());
  store_.durable = store_.records.size();
  Start();
  EXPECT_EQ(Offset(0), -2);
  EXPECT_EQ(coordinator_->FindGroup("g")->transactions.at(8).epoch, 3);
  EXPECT_EQ(End(7, true), GroupError::kNone);
  EXPECT_EQ(End(8, false), GroupError::kNone);
  EXPECT_EQ(Offset(0), 10);
  EXPECT_EQ(Offset(1), -1);
}

TEST_F(TransactionOffsetsTest, TheEndIsWholeOrNotAtAll) {
  coordinator_->BeginTransaction("g", 7, 0);
  Commit(7, 0, 0, 10);
  Commit(7, 0, 1, 20);
  store_.hold = true;
  EXPECT_EQ(End(7, true), static_cast<GroupError>(-99)) << "nobody is told before it is on disk";
  Start();  // the crash took it
  EXPECT_EQ(Offset(0), -2);
  EXPECT_EQ(Offset(1), -2);
  store_.hold = false;
  store_.full = true;
  EXPECT_EQ(End(7, true), GroupError::kCoordinatorNotAvailable);
  EXPECT_EQ(Offset(0), -2);
  store_.full = false;
  EXPECT_EQ(End(7, true), GroupError::kNone);
  EXPECT_EQ(Offset(1), 20);
}

TEST_F(TransactionOffsetsTest, OlderEpochsAndStrangersAreRefused) {
  coordinator_->BeginTransaction("g", 7, 3);
  EXPECT_EQ(Commit(7, 2, 0, 10), GroupError::kInvalidProducerEpoch);
  EXPECT_EQ(Commit(7, 4, 0, 10), GroupError::kInvalidTxnState);
  EXPECT_EQ(Commit(8, 3, 0, 10), GroupError::kInvalidTxnState);
  EXPECT_EQ(Commit(7, 3, 0, 10, {"g", 1, "stranger", {}}), GroupError::kUnknownMemberId);
  EXPECT_EQ(Offset(0), -1);
  auto deleted = GroupError::kNone;
  coordinator_->DeleteGroup("g", [&](GroupError error) { deleted = error; });
  EXPECT_EQ(deleted, GroupError::kNonEmptyGroup) << "not while a transaction may write to it";
}

TEST_F(TransactionOffsetsTest, OfADeletedTopicAreForgotten) {
  coordinator_->BeginTransaction("g", 7, 0);
  Commit(7, 0, 0, 10);
  coordinator_->ForgetTopic("t");
  EXPECT_EQ(Offset(0), -1);
  Start();
  EXPECT_EQ(Offset(0), -1);
  EXPECT_EQ(End(7, true), GroupError::kNone);
  EXPECT_EQ(coordinator_->offset_count(), 0u);
}

TEST(PendingRecordTest, ThereAndBackAndEveryPrefixIsRefused) {
  const RecordKey key{.kind = RecordKind::kPending, .group = "g", .producer_id = 1ll << 40};
  EXPECT_EQ(*RecordKey::Decode(key.Encode()), key);
  PendingOffsets pending{.epoch = 3};
  pending.offsets["t"][5] = {.offset = 7, .metadata = "m"};
  pending.offsets["u"][0] = {.offset = 8};
  const std::string bytes = EncodePending(pending);
  ASSERT_TRUE(DecodePending(bytes).ok());
  EXPECT_EQ(EncodePending(*DecodePending(bytes)), bytes);
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(DecodePending(std::string_view(bytes).substr(0, size)).ok()) << size;
}

}  // namespace
}  // namespace kappa::group
