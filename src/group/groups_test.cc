// Goal: committed offsets outlive the process, the log of them stays small, and threads may use groups at will.
// Method: a real log in a scratch folder, opened again and again.
#include "group/groups.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "group/group_testing.h"
#include "log/log_testing.h"

namespace kappa::group {
namespace {

class GroupsTest : public testing::Test {
 protected:
  void SetUp() override {
    Open();
    log::CreateOne(*log_, "t", {.partitions = 3});
  }
  void TearDown() override { Close(); }
  void Open() {
    log_ = log::OpenLog(folder_.path());
    groups_ = OpenGroups(*log_);
  }
  void Close() {
    groups_.reset();
    log_->Close();
    log_.reset();
  }
  /// Waits for the acknowledgement.
  GroupError Commit(const std::string& group, int32_t partition, int64_t offset, const std::string& metadata = {}) {
    std::promise<GroupError> done;
    groups_->Do([&](Coordinator& coordinator) {
      coordinator.Commit({group, -1, "", {}}, {{"t", partition, offset, -1, metadata}},
                         [&](std::vector<GroupError> errors) { done.set_value(errors.front()); });
    });
    return done.get_future().get();
  }
  int64_t Committed(const std::string& group, int32_t partition) {
    std::promise<int64_t> done;
    groups_->Do([&](Coordinator& coordinator) {
      coordinator.Fetch(group, std::vector<TopicPartitions>{{"t", {partition}}},
                        [&](const FetchedOffsets& found) { done.set_value(found.empty() ? -1 : found.at("t").at(partition).offset); });
    });
    return done.get_future().get();
  }

  log::ScratchFolder folder_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<Groups> groups_;
};

TEST_F(GroupsTest, CommitsAreThereAfterARestart) {
  EXPECT_EQ(log_->FindTopic(kGroupTopic), nullptr) << "made by the first commit";
  EXPECT_EQ(Commit("g", 1, 42, "note"), GroupError::kNone);
  EXPECT_TRUE(log_->FindTopic(kGroupTopic)->config().internal);
  Close();
  Open();
  EXPECT_EQ(Committed("g", 1), 42);
  EXPECT_EQ(Committed("g", 0), -1);
  EXPECT_EQ(Commit("g", 1, 43), GroupError::kNone);
  Close();
  Open();
  EXPECT_EQ(Committed("g", 1), 43);
}

TEST_F(GroupsTest, OffsetsOfATopicThatVanishedAreForgotten) {
  Commit("g", 0, 5);
  ASSERT_TRUE(log_->DeleteTopic("t").ok());  // and the process ends before the offsets are forgotten
  Close();
  Open();
  EXPECT_EQ(Committed("g", 0), -1);
  log::CreateOne(*log_, "t");
  Close();
  Open();
  EXPECT_EQ(Committed("g", 0), -1) << "a new topic of the same name begins anew";
}

TEST_F(GroupsTest, ManyCommitsLeaveASmallLogWithTheNewestOfEach) {
  const std::string metadata(4000, 'm');
  constexpr int64_t kRounds = 30'000;  // 120 MB
  std::promise<void> done;
  std::atomic<int64_t> open{kRounds};
  for (int64_t round = 0; round < kRounds; ++round) {
    groups_->Do([&](Coordinator& coordinator) {
      coordinator.Commit({"g" + std::to_string(round % 7), -1, "", {}}, {{"t", static_cast<int32_t>(round % 3), round, -1, metadata}},
                         [&](const std::vector<GroupError>& errors) {
                           EXPECT_EQ(errors.front(), GroupError::kNone);
                           if (open.fetch_sub(1) == 1) done.set_value();
                         });
    });
  }
  done.get_future().get();
  const log::Partition& partition = log_->FindTopic(kGroupTopic)->partition(0);
  for (int i = 0; i < 1000 && partition.size_bytes() > (50 << 20); ++i) {  // cleaning goes on in the background
    groups_->Do([](Coordinator&) {});
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_LE(partition.size_bytes(), 50u << 20);
  EXPECT_GT(partition.start_offset(), 0);
  auto check = [&] {
    for (int64_t last = kRounds - 21; last < kRounds; ++last)
      EXPECT_EQ(Committed("g" + std::to_string(last % 7), static_cast<int32_t>(last % 3)), last);
  };
  check();
  Close();
  Open();
  check();
}

TEST_F(GroupsTest, ThreadsCommitSideBySide) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t offset = 0; offset < 200; ++offset) {
        EXPECT_EQ(Commit("g" + std::to_string(t), 0, offset), GroupError::kNone);
        EXPECT_EQ(Committed("g" + std::to_string(t), 0), offset);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(GroupsTest, ARebalanceEndsByTheThreadsOwnClock) {
  groups_.reset();
  groups_ = OpenGroups(*log_, {.gather_ms = 20});
  std::promise<JoinResult> joined;
  groups_->Do([&](Coordinator& coordinator) {
    coordinator.Join({.group = "g",
                      .client_id = "c",
                      .session_timeout_ms = 10'000,
                      .rebalance_timeout_ms = 10'000,
                      .protocol_type = "consumer",
                      .protocols = {{"range", ""}},
                      .member_id_required = false},
                     [&](JoinResult result) { joined.set_value(std::move(result)); });
  });
  const JoinResult result = joined.get_future().get();
  EXPECT_EQ(result.error, GroupError::kNone);
  EXPECT_EQ(result.member_id.size(), 2u + 36) << "client id and a UUID";
}

}  // namespace
}  // namespace kappa::group
