// Goal: groups behave as Kafka's do: joins, rebalances, timeouts, fencing, static members, commits; and nothing that was told is lost.
// Method: a clock moved by hand, ids in order, a store in memory that may crash; members are driven one message at a time.
#include "group/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "group/consumer_protocol.h"
#include "group/group_testing.h"

namespace kappa::group {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr int32_t kSessionMs = 10'000, kRebalanceMs = 60'000;

/// A consumer's subscription as clients write it.
std::string Subscription(const std::vector<std::string>& topics) {
  ByteWriter out;
  out.Big<int16_t>(1);
  out.Big(static_cast<int32_t>(topics.size()));
  for (const std::string& topic : topics) {
    out.Big(static_cast<int16_t>(topic.size()));
    out.Bytes(topic);
  }
  out.Big<int32_t>(-1);
  return out.Take();
}

class CoordinatorTest : public testing::Test {
 protected:
  void SetUp() override { Start(); }
  void Start() {
    coordinator_ = std::make_unique<Coordinator>(options_, clock_, [this] { return std::to_string(++ids_); }, store_);
    store_.LoadInto(*coordinator_);
  }
  void Advance(int64_t ms) {
    clock_.Advance(ms * 1000);
    coordinator_->Tick();
  }

  /// The answer to one request, once it has come.
  template <class T> struct Answer {
    std::optional<T> value = {};
    int times = 0;
  };
  template <class T> static std::function<void(T)> Into(const std::shared_ptr<Answer<T>>& answer) {
    return [answer](T value) {
      answer->value = std::move(value);
      ++answer->times;
    };
  }
  JoinRequest Ask(const std::string& id = {}, std::optional<std::string> instance = {}) {
    return {.group = "g",
            .member_id = id,
            .instance_id = std::move(instance),
            .client_id = "c",
            .client_host = "/h",
            .session_timeout_ms = kSessionMs,
            .rebalance_timeout_ms = kRebalanceMs,
            .protocol_type = "consumer",
            .protocols = {{"range", Subscription({"t"})}},
            .member_id_required = false};
  }
  std::shared_ptr<Answer<JoinResult>> Join(JoinRequest request) {
    auto answer = std::make_shared<Answer<JoinResult>>();
    coordinator_->Join(std::move(request), Into(answer));
    return answer;
  }
  std::shared_ptr<Answer<SyncResult>> Sync(const std::string& id, int32_t generation,
                                           std::map<std::string, std::string, std::less<>> assignments = {},
                                           std::optional<std::string> instance = {}) {
    auto answer = std::make_shared<Answer<SyncResult>>();
    coordinator_->Sync(
        {.claim = {"g", generation, id, std::move(instance)}, .protocol_type = {}, .protocol = {}, .assignments = std::move(assignments)},
        Into(answer));
    return answer;
  }
  GroupError Beat(const std::string& id, int32_t generation, std::optional<std::string> instance = {}) {
    return coordinator_->Heartbeat({"g", generation, id, std::move(instance)});
  }
  std::vector<GroupError> Leave(std::vector<LeavingMember> members) {
    auto answer = std::make_shared<Answer<std::vector<GroupError>>>();
    coordinator_->Leave("g", members, Into(answer));
    return answer->value.value_or(std::vector<GroupError>{});
  }
  std::shared_ptr<Answer<std::vector<GroupError>>> CommitLater(MemberClaim claim, int64_t offset, std::string metadata = {},
                                                               std::string topic = "t") {
    auto answer = std::make_shared<Answer<std::vector<GroupError>>>();
    coordinator_->Commit(claim, {{std::move(topic), 0, offset, -1, std::move(metadata)}}, Into(answer));
    return answer;
  }
  GroupError Commit(MemberClaim claim, int64_t offset, std::string metadata = {}, std::string topic = "t") {
    return CommitLater(std::move(claim), offset, std::move(metadata), std::move(topic))->value.value().front();
  }
  /// -1: none.
  int64_t Committed(const std::string& group = "g", const std::string& topic = "t") {
    int64_t offset = -1;
    coordinator_->Fetch(group, std::nullopt, [&](const FetchedOffsets& found) {
      if (auto at = found.find(topic); at != found.end()) offset = at->second.at(0).offset;
    });
    return offset;
  }
  GroupState State() { return coordinator_->FindGroup("g")->state; }

  /// A stable group of `count` members, the first of which leads; ids are given.
  std::vector<std::string> Stable(int count) {
    std::vector<std::shared_ptr<Answer<JoinResult>>> joins;
    for (int i = 0; i < count; ++i) joins.push_back(Join(Ask()));
    Advance(options_.gather_ms);
    Advance(options_.gather_ms);
    std::vector<std::string> ids;
    std::map<std::string, std::string, std::less<>> assignments;
    for (auto& join : joins) {
      EXPECT_EQ(join->value.value().error, GroupError::kNone);
      ids.push_back(join->value->member_id);
      assignments[ids.back()] = "for " + ids.back();
    }
    const std::string leader = joins[0]->value->leader;
    std::vector<std::shared_ptr<Answer<SyncResult>>> syncs;
    for (auto& id : ids) syncs.push_back(Sync(id, joins[0]->value->generation, id == leader ? assignments : decltype(assignments){}));
    for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(syncs[i]->value.value().assignment, "for " + ids[i]);
    EXPECT_EQ(State(), GroupState::kStable);
    return ids;
  }

  GroupOptions options_{.gather_ms = 500};
  io::ManualClock clock_{1'700'000'000'000'000};
  int ids_ = 0;
  MemoryStore store_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorTest, TheFirstRebalanceGathersMembersAndTheLeaderAssigns) {
  auto first = Join(Ask());
  Advance(400);
  auto second = Join(Ask());
  Advance(100);
  EXPECT_FALSE(first->value.has_value()) << "a member came meanwhile, so it waits a little longer";
  Advance(500);
  ASSERT_TRUE(first->value.has_value() && second->value.has_value());
  EXPECT_EQ(first->value->generation, 1);
  EXPECT_EQ(first->value->leader, first->value->member_id);
  EXPECT_EQ(first->value->members.size(), 2u);
  EXPECT_TRUE(second->value->members.empty()) << "only the leader needs them";
  EXPECT_EQ(second->value->protocol, "range");

  auto follower = Sync(second->value->member_id, 1);
  EXPECT_FALSE(follower->value.has_value());
  auto leader = Sync(first->value->member_id, 1, {{first->value->member_id, "a"}, {second->value->member_id, "b"}});
  EXPECT_EQ(leader->value.value().assignment, "a");
  EXPECT_EQ(follower->value.value().assignment, "b");
  EXPECT_EQ(State(), GroupState::kStable);
}

TEST_F(CoordinatorTest, ANewMemberIsFirstToldItsIdAndTheRebalanceWaitsForIt) {
  const auto ids = Stable(1);
  JoinRequest request = Ask();
  request.member_id_required = true;
  auto told = Join(request);
  ASSERT_EQ(told->value.value().error, GroupError::kMemberIdRequired);
  EXPECT_EQ(Beat(ids[0], 1), GroupError::kNone) << "an id alone does not disturb the group";

  request.member_id = told->value->member_id;
  auto join = Join(request);
  EXPECT_EQ(Beat(ids[0], 1), GroupError::kRebalanceInProgress);
  auto other = Join(Ask());
  auto again = Join(Ask(ids[0]));
  EXPECT_EQ(join->value.value().generation, 2);
  EXPECT_EQ(other->value.value().generation, 2);
  EXPECT_EQ(again->value.value().generation, 2);

  EXPECT_EQ(Join(Ask("never given"))->value.value().error, GroupError::kUnknownMemberId);
}

TEST_F(CoordinatorTest, APendingIdHoldsTheRebalanceUpUntilItLapses) {
  const auto ids = Stable(1);
  JoinRequest request = Ask();
  request.member_id_required = true;
  Join(request);
  auto again = Join(Ask(ids[0]));
  EXPECT_FALSE(again->value.has_value());
  Advance(kSessionMs);
  EXPECT_EQ(again->value.value().generation, 2);
  EXPECT_EQ(again->value->members.size(), 1u);
}

TEST_F(CoordinatorTest, AMemberThatFallsSilentIsRemoved) {
  const auto ids = Stable(2);
  Advance(kSessionMs - 1);
  EXPECT_EQ(Beat(ids[0], 1), GroupError::kNone);
  Advance(1);
  EXPECT_EQ(State(), GroupState::kPreparingRebalance) << "the other one's session is over";
  EXPECT_EQ(Beat(ids[1], 1), GroupError::kUnknownMemberId);
  EXPECT_EQ(Beat(ids[0], 1), GroupError::kRebalanceInProgress);
  EXPECT_EQ(Join(Ask(ids[0]))->value.value().generation, 2);
}

TEST_F(CoordinatorTest, WhoDoesNotRejoinInTimeIsLeftOut) {
  const auto ids = Stable(2);
  auto third = Join(Ask());
  auto first = Join(Ask(ids[0]));
  for (int i = 0; i < 12; ++i) {  // it beats, but does not come
    EXPECT_FALSE(first->value.has_value());
    EXPECT_EQ(Beat(ids[1], 1), GroupError::kRebalanceInProgress);
    Advance(kRebalanceMs / 12);
  }
  EXPECT_EQ(first->value.value().members.size() + third->value.value().members.size(), 2u);
  EXPECT_EQ(Beat(ids[1], 1), GroupError::kUnknownMemberId);
}

TEST_F(CoordinatorTest, ALeaderThatNeverAssignsIsRemovedAndTheOthersGoOn) {
  auto first = Join(Ask()), second = Join(Ask());
  Advance(500);
  Advance(500);
  const std::string leader = first->value.value().leader;
  const std::string follower = leader == first->value->member_id ? second->value->member_id : first->value->member_id;
  auto waits = Sync(follower, 1);
  for (int64_t ms = 0; ms < kRebalanceMs; ms += 5000) {
    EXPECT_FALSE(waits->value.has_value());
    EXPECT_EQ(Beat(leader, 1), GroupError::kNone);
    Advance(5000);
  }
  EXPECT_EQ(waits->value.value().error, GroupError::kRebalanceInProgress);
  EXPECT_EQ(Beat(leader, 1), GroupError::kUnknownMemberId);
  auto again = Join(Ask(follower));
  EXPECT_EQ(again->value.value().leader, follower);
  EXPECT_EQ(again->value->generation, 2);
}

TEST_F(CoordinatorTest, OldGenerationsAndStrangersAreFenced) {
  const auto ids = Stable(1);
  const std::string& id = ids[0];
  EXPECT_EQ(Beat(id, 0), GroupError::kIllegalGeneration);
  EXPECT_EQ(Beat(id, 2), GroupError::kIllegalGeneration);
  EXPECT_EQ(Beat("x", 1), GroupError::kUnknownMemberId);
  EXPECT_EQ(Sync(id, 0)->value.value().error, GroupError::kIllegalGeneration);
  EXPECT_EQ(Commit({"g", 0, id, {}}, 5), GroupError::kIllegalGeneration);
  EXPECT_EQ(Commit({"g", 1, "x", {}}, 5), GroupError::kUnknownMemberId);
  EXPECT_EQ(Commit({"g", -1, "", {}}, 5), GroupError::kUnknownMemberId) << "outsiders may not commit while members work";
  EXPECT_EQ(Commit({"none", 3, id, {}}, 5), GroupError::kIllegalGeneration);
  EXPECT_EQ(Committed(), -1);
  EXPECT_EQ(Commit({"g", 1, id, {}}, 5), GroupError::kNone);
  EXPECT_EQ(Committed(), 5);
}

TEST_F(CoordinatorTest, CommitsInTheMiddleOfARebalance) {
  const auto ids = Stable(1);
  auto other = Join(Ask());
  EXPECT_EQ(Commit({"g", 1, ids[0], {}}, 7), GroupError::kNone) << "the generation before is still at work";
  auto again = Join(Ask(ids[0]));
  ASSERT_EQ(again->value.value().generation, 2);
  EXPECT_EQ(Commit({"g", 1, ids[0], {}}, 8), GroupError::kIllegalGeneration);
  EXPECT_EQ(Commit({"g", 2, ids[0], {}}, 8), GroupError::kRebalanceInProgress) << "its partitions may be another's by now";
  EXPECT_EQ(Committed(), 7);
}

TEST_F(CoordinatorTest, AJoinOfTheSameMemberTwiceAnswersTheFirst) {
  const auto ids = Stable(2);
  auto lost = Join(Ask(ids[0]));  // the leader joins: a rebalance
  auto again = Join(Ask(ids[0]));
  EXPECT_EQ(lost->value.value().error, GroupError::kUnknownMemberId);
  EXPECT_FALSE(again->value.has_value());
  auto other = Join(Ask(ids[1]));
  EXPECT_EQ(again->value.value().generation, 2);
  auto repeated = Join(Ask(ids[1]));
  EXPECT_EQ(repeated->value.value().generation, 2) << "the answer was lost: it is given again, without a rebalance";
  EXPECT_EQ(lost->times, 1);
}

TEST_F(CoordinatorTest, AFollowerThatKnowsTheSameDoesNotDisturbTheGroupButANewSubscriptionDoes) {
  const auto ids = Stable(2);
  EXPECT_EQ(Join(Ask(ids[1]))->value.value().generation, 1);
  JoinRequest changed = Ask(ids[1]);
  changed.protocols[0].metadata = Subscription({"t", "u"});
  EXPECT_FALSE(Join(changed)->value.has_value());
  EXPECT_EQ(State(), GroupState::kPreparingRebalance);
}

TEST_F(CoordinatorTest, TheProtocolIsOneThatAllKnowAndMostPrefer) {
  auto with = [&](std::vector<Protocol> protocols) {
    JoinRequest request = Ask();
    request.protocols = std::move(protocols);
    return Join(request);
  };
  auto a = with({{"sticky", "s"}, {"range", "r"}});
  auto b = with({{"range", "r"}, {"roundrobin", ""}, {"sticky", "s"}});
  auto c = with({{"range", "r"}, {"sticky", "s"}});
  EXPECT_EQ(with({{"roundrobin", ""}})->value.value().error, GroupError::kInconsistentGroupProtocol);
  JoinRequest connect = Ask();
  connect.protocol_type = "connect";
  EXPECT_EQ(Join(connect)->value.value().error, GroupError::kInconsistentGroupProtocol);
  Advance(500);
  Advance(500);
  EXPECT_EQ(a->value.value().protocol, "range");
  EXPECT_EQ(a->value->leader, a->value->member_id);
  EXPECT_EQ(a->value->members[0].metadata, "r");
}

TEST_F(CoordinatorTest, LeavingEndsTheSessionAtOnce) {
  const auto ids = Stable(2);
  EXPECT_THAT(Leave({{ids[0], {}}, {"x", {}}}), ElementsAre(GroupError::kNone, GroupError::kUnknownMemberId));
  EXPECT_EQ(Join(Ask(ids[1]))->value.value().members.size(), 1u) << "the leader is gone: another leads";
  EXPECT_THAT(Leave({{ids[1], {}}}), ElementsAre(GroupError::kNone));
  EXPECT_EQ(State(), GroupState::kEmpty);
  EXPECT_EQ(coordinator_->FindGroup("g")->generation, 3) << "an empty group has a generation of its own: late members are fenced";
  EXPECT_THAT(Leave({{ids[1], {}}}), ElementsAre(GroupError::kUnknownMemberId));
}

TEST_F(CoordinatorTest, AStaticMemberThatRestartsKeepsItsAssignmentAndFencesItsFormerSelf) {
  auto join = Join(Ask("", "one"));
  Advance(500);
  Advance(500);
  const std::string old_id = join->value.value().member_id;
  Sync(old_id, 1, {{old_id, "mine"}}, "one");
  ASSERT_EQ(State(), GroupState::kStable);

  auto again = Join(Ask("", "one"));
  const std::string id = again->value.value().member_id;
  EXPECT_EQ(again->value->generation, 1) << "no rebalance";
  EXPECT_NE(id, old_id);
  EXPECT_EQ(again->value->leader, old_id) << "as a follower it asks for its assignment and gives none";
  EXPECT_EQ(Sync(id, 1, {}, "one")->value.value().assignment, "mine");
  EXPECT_EQ(Beat(old_id, 1, "one"), GroupError::kFencedInstanceId);
  EXPECT_EQ(Commit({"g", 1, old_id, "one"}, 5), GroupError::kFencedInstanceId);
  EXPECT_EQ(Join(Ask(old_id, "one"))->value.value().error, GroupError::kFencedInstanceId);
  EXPECT_EQ(Beat(id, 1, "one"), GroupError::kNone);

  JoinRequest newer = Ask("", "one");
  newer.can_skip_assignment = true;
  auto third = Join(newer);
  EXPECT_EQ(third->value.value().leader, third->value->member_id);
  EXPECT_TRUE(third->value->skip_assignment);

  Start();  // after a crash it is still known by its last id
  EXPECT_EQ(Beat(third->value->member_id, 1, "one"), GroupError::kNone);
  EXPECT_EQ(Beat(id, 1, "one"), GroupError::kFencedInstanceId);

  EXPECT_THAT(Leave({{"", "one"}}), ElementsAre(GroupError::kNone)) << "an administrator knows the instance only";
  EXPECT_EQ(State(), GroupState::kEmpty);
}

TEST_F(CoordinatorTest, AStaticMemberThatIsAwayKeepsItsPlaceInARebalanceUntilItsSessionEnds) {
  auto fixed = Join(Ask("", "one"));
  Advance(500);
  Advance(500);
  const std::string id = fixed->value.value().member_id;
  Sync(id, 1, {{id, "mine"}}, "one");
  auto other = Join(Ask());  // a rebalance, in which the static member says nothing
  Advance(kSessionMs - 1);
  EXPECT_FALSE(other->value.has_value());
  EXPECT_EQ(coordinator_->FindGroup("g")->members.count(id), 1u);
  Advance(1);
  ASSERT_TRUE(other->value.has_value()) << "its session is over, and nobody else is missing";
  EXPECT_EQ(other->value->leader, other->value->member_id);
  EXPECT_EQ(coordinator_->FindGroup("g")->members.size(), 1u);
}

TEST_F(CoordinatorTest, ARebalanceThatNobodyJoinedWaitsOnForStaticMembers) {
  JoinRequest request = Ask("", "one");
  request.session_timeout_ms = 10 * kRebalanceMs;
  auto fixed = Join(request);
  auto other = Join(Ask());
  Advance(500);
  Advance(500);
  const std::string id = fixed->value.value().member_id, leader = fixed->value->leader;
  Sync(id, 1, {}, "one");
  Sync(other->value->member_id, 1);
  Leave({{other->value->member_id, {}}});
  Advance(kRebalanceMs);
  EXPECT_EQ(State(), GroupState::kPreparingRebalance) << "the time is over, but there is nobody to make a generation of";
  EXPECT_EQ(coordinator_->FindGroup("g")->generation, 1);
  JoinRequest back = request;
  back.member_id = id;
  EXPECT_EQ(Join(back)->value.value().generation, 2);
}

TEST_F(CoordinatorTest, ARejoinedRebalanceFailsThoseWhoWaitForTheirAssignment) {
  auto first = Join(Ask()), second = Join(Ask());
  Advance(500);
  Advance(500);
  const std::string leader = first->value.value().leader;
  const std::string follower = leader == first->value->member_id ? second->value->member_id : first->value->member_id;
  auto waits = Sync(follower, 1);
  auto third = Join(Ask());
  EXPECT_EQ(waits->value.value().error, GroupError::kRebalanceInProgress);
  EXPECT_EQ(Sync(leader, 1, {{leader, "stale"}})->value.value().error, GroupError::kRebalanceInProgress);
}

TEST_F(CoordinatorTest, LimitsAreKept) {
  options_ = {.gather_ms = 0, .groups_max = 2, .members_max = 2, .group_bytes_max = 1000, .offsets_max = 3, .offset_metadata_bytes_max = 10};
  Start();
  JoinRequest request = Ask();
  request.session_timeout_ms = 100;
  EXPECT_EQ(Join(request)->value.value().error, GroupError::kInvalidSessionTimeout);
  request.session_timeout_ms = INT32_MAX;
  EXPECT_EQ(Join(request)->value.value().error, GroupError::kInvalidSessionTimeout);
  request = Ask();
  request.group = "";
  EXPECT_EQ(Join(request)->value.value().error, GroupError::kInvalidGroupId);
  request = Ask();
  request.protocols[0].metadata = std::string(2000, 'x');
  EXPECT_EQ(Join(request)->value.value().error, GroupError::kPolicyViolation);
  EXPECT_TRUE(coordinator_->groups().empty()) << "a refused join leaves no group behind";

  auto one = Join(Ask());
  Join(Ask());
  EXPECT_EQ(Join(Ask())->value.value().error, GroupError::kGroupMaxSizeReached);
  EXPECT_EQ(Commit({"h", -1, "", {}}, 1, "more than ten bytes"), GroupError::kOffsetMetadataTooLarge);
  EXPECT_EQ(Commit({"h", -1, "", {}}, 1, "ten bytes!"), GroupError::kNone);
  EXPECT_EQ(Commit({"i", -1, "", {}}, 1), GroupError::kPolicyViolation) << "a third group";
  EXPECT_EQ(Commit({"h", -1, "", {}}, 1, "", "u"), GroupError::kNone);
  EXPECT_EQ(Commit({"h", -1, "", {}}, 1, "", "v"), GroupError::kNone);
  EXPECT_EQ(Commit({"h", -1, "", {}}, 1, "", "w"), GroupError::kPolicyViolation);
  EXPECT_EQ(Commit({"h", -1, "", {}}, 2, "", "v"), GroupError::kNone) << "one that is there may be changed";
  EXPECT_EQ(coordinator_->offset_count(), 3u);
}

TEST_F(CoordinatorTest, NothingIsToldBeforeItIsDurableAndACrashTakesBackOnlyWhatWasNotTold) {
  EXPECT_EQ(Commit({"g", -1, "", {}}, 5), GroupError::kNone);
  store_.hold = true;
  auto commit = CommitLater({"g", -1, "", {}}, 9);
  EXPECT_FALSE(commit->value.has_value());
  bool fetched = false;
  coordinator_->Fetch("g", std::nullopt, [&](const FetchedOffsets&) { fetched = true; });
  EXPECT_FALSE(fetched) << "else a reader could see an offset that a crash takes back";
  Start();  // the crash
  EXPECT_EQ(Committed(), 5);
  commit = CommitLater({"g", -1, "", {}}, 9);
  store_.Sync();
  EXPECT_EQ(commit->value.value().front(), GroupError::kNone);
  Start();
  EXPECT_EQ(Committed(), 9);
}

TEST_F(CoordinatorTest, AnAssignmentIsToldOnceItIsDurable) {
  auto join = Join(Ask());
  Advance(500);
  Advance(500);
  store_.hold = true;
  const std::string id = join->value.value().member_id;
  auto sync = Sync(id, 1, {{id, "mine"}});
  EXPECT_FALSE(sync->value.has_value());
  store_.Sync();
  EXPECT_EQ(sync->value.value().assignment, "mine");
  Start();
  EXPECT_EQ(Beat(id, 1), GroupError::kNone) << "members go on after a crash without a rebalance";
  EXPECT_EQ(Sync(id, 1)->value.value().assignment, "mine");
  EXPECT_EQ(coordinator_->FindGroup("g")->members.at(id).client_host, "/h");
  Advance(kSessionMs);
  EXPECT_EQ(State(), GroupState::kEmpty) << "and lose their session if they do not";
}

TEST_F(CoordinatorTest, AFullDiskRefusesCommitsAndAssignmentsAndLeavesWhatWas) {
  const auto ids = Stable(1);
  EXPECT_EQ(Commit({"g", 1, ids[0], {}}, 5), GroupError::kNone);
  store_.full = true;
  EXPECT_EQ(Commit({"g", 1, ids[0], {}}, 6), GroupError::kCoordinatorNotAvailable);
  EXPECT_EQ(Committed(), 5);
  EXPECT_EQ(Join(Ask(ids[0]))->value.value().generation, 2);
  EXPECT_EQ(Sync(ids[0], 2, {{ids[0], "x"}})->value.value().error, GroupError::kCoordinatorNotAvailable);
  EXPECT_EQ(State(), GroupState::kPreparingRebalance);
  store_.full = false;
  EXPECT_EQ(Join(Ask(ids[0]))->value.value().generation, 3);
  EXPECT_EQ(Sync(ids[0], 3, {{ids[0], "x"}})->value.value().assignment, "x");
}

TEST_F(CoordinatorTest, OffsetsExpireAfterTheGroupIsEmptyAndTheGroupWithThem) {
  const auto ids = Stable(1);
  Commit({"g", 1, ids[0], {}}, 5);
  Commit({"simple", -1, "", {}}, 6);
  const int64_t day_ms = 24 * 3600 * 1000;
  for (int hour = 0; hour < 8 * 24 * 60; ++hour) {  // the member lives for eight days
    clock_.Advance(60'000'000);
    Beat(ids[0], 1);
    if (hour % 60 == 0) coordinator_->Tick();
  }
  Advance(0);
  EXPECT_EQ(Committed(), 5);
  EXPECT_EQ(Committed("simple"), -1) << "a week after its last commit";
  Leave({{ids[0], {}}});
  Advance(6 * day_ms);
  EXPECT_EQ(Committed(), 5);
  Advance(1 * day_ms + 11 * 60'000);
  EXPECT_EQ(coordinator_->FindGroup("g"), nullptr);
  Start();
  EXPECT_TRUE(coordinator_->groups().empty()) << "for good";
}

TEST_F(CoordinatorTest, AWallClockThatLeapsExpiresNothing) {
  Commit({"g", -1, "", {}}, 5);
  clock_.JumpWall(365ll * 24 * 3600 * 1'000'000);
  Advance(options_.expiry_interval_ms);
  EXPECT_EQ(Committed(), 5);
}

TEST_F(CoordinatorTest, AWallClockThatWasSetBeforeTheStartExpiresNothing) {
  Commit({"g", -1, "", {}}, 5);
  clock_.JumpWall(365ll * 24 * 3600 * 1'000'000);
  Start();
  Advance(options_.expiry_interval_ms);
  EXPECT_EQ(Committed(), 5);
}

TEST_F(CoordinatorTest, OffsetsAndGroupsAreDeleted) {
  const auto ids = Stable(1);
  Commit({"g", 1, ids[0], {}}, 5);
  Commit({"g", 1, ids[0], {}}, 6, "", "unsubscribed");
  GroupError error{};
  std::vector<std::vector<GroupError>> errors;
  auto remove = [&](const std::string& group, std::vector<TopicPartitions> topics) {
    coordinator_->DeleteOffsets(group, topics, [&](GroupError e, std::vector<std::vector<GroupError>> each) {
      error = e;
      errors = std::move(each);
    });
  };
  remove("g", {{"t", {0}}, {"unsubscribed", {0, 7}}});
  EXPECT_EQ(error, GroupError::kNone);
  EXPECT_THAT(errors, ElementsAre(ElementsAre(GroupError::kGroupSubscribedToTopic), ElementsAre(GroupError::kNone, GroupError::kNone)));
  EXPECT_EQ(Committed(), 5);
  EXPECT_EQ(Committed("g", "unsubscribed"), -1);
  remove("none", {{"t", {0}}});
  EXPECT_EQ(error, GroupError::kGroupIdNotFound);

  auto drop = [&](const std::string& group) {
    coordinator_->DeleteGroup(group, [&](GroupError e) { error = e; });
    return error;
  };
  EXPECT_EQ(drop("g"), GroupError::kNonEmptyGroup);
  EXPECT_EQ(drop("none"), GroupError::kGroupIdNotFound);
  Leave({{ids[0], {}}});
  EXPECT_EQ(drop("g"), GroupError::kNone);
  EXPECT_EQ(coordinator_->offset_count(), 0u);
  Start();
  EXPECT_TRUE(coordinator_->groups().empty());
}

TEST_F(CoordinatorTest, ATopicThatIsGoneTakesItsOffsetsWithIt) {
  Commit({"g", -1, "", {}}, 5);
  Commit({"g", -1, "", {}}, 6, "", "other");
  coordinator_->ForgetTopic("t");
  EXPECT_EQ(Committed(), -1);
  Start();
  EXPECT_EQ(Committed(), -1);
  EXPECT_EQ(Committed("g", "other"), 6);
}

TEST_F(CoordinatorTest, RewritingKeepsEverythingAndNeverBringsAnOldOffsetBack) {
  const auto ids = Stable(2);
  for (int64_t offset = 0; offset < 100; ++offset) Commit({"g", 1, ids[0], {}}, offset, "m" + std::to_string(offset));
  Commit({"h", -1, "", {}}, 7);
  coordinator_->DeleteGroup("h", [](GroupError) {});
  const auto cut = static_cast<log::Offset>(store_.records.size());
  ASSERT_TRUE(coordinator_->Rewrite(cut).ok());
  EXPECT_EQ(store_.records.size(), static_cast<size_t>(cut) + 2) << "one group and one offset are still needed";
  EXPECT_TRUE(coordinator_->Rewrite(cut).ok());
  EXPECT_EQ(store_.records.size(), static_cast<size_t>(cut) + 2) << "and were written once";
  Commit({"g", 1, ids[0], {}}, 200);

  Coordinator after(options_, clock_, [] { return "x"; }, store_);
  for (size_t i = static_cast<size_t>(cut); i < store_.records.size(); ++i) {  // what was before is cut off
    ASSERT_TRUE(after.Load(store_.records[i].key, store_.records[i].value, static_cast<log::Offset>(i)).ok());
  }
  after.FinishLoading();
  EXPECT_EQ(after.groups().size(), 1u);
  EXPECT_EQ(after.FindGroup("g")->FindOffset("t", 0)->offset, 200);
  EXPECT_EQ(after.FindGroup("g")->members.at(ids[1]).assignment, "for " + ids[1]);
}

TEST_F(CoordinatorTest, AGroupThatIsRewrittenInTheMiddleOfARebalanceComesBackEmpty) {
  const auto ids = Stable(2);
  Join(Ask(ids[0]));
  Join(Ask(ids[1]));
  ASSERT_EQ(State(), GroupState::kCompletingRebalance);
  ASSERT_TRUE(coordinator_->Rewrite(static_cast<log::Offset>(store_.records.size())).ok());
  Start();
  EXPECT_EQ(State(), GroupState::kEmpty);
  EXPECT_EQ(coordinator_->FindGroup("g")->generation, 2) << "but its generation is not given twice";
  EXPECT_EQ(Sync(ids[0], 2)->value.value().error, GroupError::kUnknownMemberId) << "nobody gets an assignment of the generation before";
}

TEST_F(CoordinatorTest, AnswerWaitingLetsNobodyWait) {
  auto join = Join(Ask());
  coordinator_->AnswerWaiting();
  EXPECT_EQ(join->value.value().error, GroupError::kNotCoordinator);
  Advance(500);
  Advance(500);
  EXPECT_EQ(join->times, 1);
}

TEST(GroupRecordTest, RecordsThereAndBackAndEveryPrefixIsRefused) {
  const RecordKey key{RecordKind::kOffset, "group", "topic", 3};
  EXPECT_EQ(*RecordKey::Decode(key.Encode()), key);
  const RecordKey group_key{RecordKind::kGroup, "group", "", 0};
  EXPECT_EQ(*RecordKey::Decode(group_key.Encode()), group_key);
  const CommittedOffset offset{.offset = 1ll << 40, .leader_epoch = 2, .metadata = "m", .committed_ms = 3};
  Group group{.protocol_type = "consumer", .protocol = "range", .generation = 4, .leader = "a", .empty_since_ms = 5};
  group.members["a"] = {.id = "a", .instance_id = "i", .client_id = "c", .client_host = "h", .protocols = {{"range", "x"}}, .assignment = "y"};
  const std::string key_bytes = key.Encode(), offset_bytes = EncodeOffset(offset), group_bytes = EncodeGroup(group);
  EXPECT_EQ(DecodeOffset(offset_bytes)->metadata, "m");
  Group decoded;
  ASSERT_TRUE(DecodeGroup(group_bytes, decoded).ok());
  EXPECT_EQ(EncodeGroup(decoded), group_bytes);
  EXPECT_EQ(decoded.static_members.at("i"), "a");
  EXPECT_EQ(decoded.state, GroupState::kStable);
  for (size_t length = 0; length < key_bytes.size(); ++length) EXPECT_FALSE(RecordKey::Decode(key_bytes.substr(0, length)).ok());
  for (size_t length = 0; length < offset_bytes.size(); ++length) EXPECT_FALSE(DecodeOffset(offset_bytes.substr(0, length)).ok());
  for (size_t length = 0; length < group_bytes.size(); ++length) {
    Group cut;
    EXPECT_FALSE(DecodeGroup(group_bytes.substr(0, length), cut).ok());
  }
  EXPECT_TRUE(RecordKey::Decode("\x09\x01g").status().error().Is(sqlstate::kFeatureNotSupported));
  EXPECT_TRUE(DecodeOffset("\x09").status().error().Is(sqlstate::kFeatureNotSupported));
}

TEST(ConsumerProtocolTest, WhatClientsWriteIsReadAndNonsenseIsNot) {
  EXPECT_THAT(SubscribedTopics(Subscription({"a", "b"})), UnorderedElementsAre("a", "b"));
  ByteWriter assignment;
  assignment.Big<int16_t>(0);
  assignment.Big<int32_t>(1);
  assignment.Big<int16_t>(1);
  assignment.Bytes("t");
  assignment.Big<int32_t>(2);
  assignment.Big<int32_t>(0);
  assignment.Big<int32_t>(4);
  assignment.Big<int32_t>(-1);
  EXPECT_THAT(AssignedPartitions(assignment.str()), ElementsAre(Pair("t", ElementsAre(0, 4))));
  EXPECT_TRUE(SubscribedTopics("").empty());
  EXPECT_TRUE(SubscribedTopics(std::string("\0\0\x7f\xff\xff\xff\0\5ab", 10)).empty());
  EXPECT_TRUE(AssignedPartitions(std::string("\0\0\x7f\xff\xff\xff\0\1t\x7f\xff\xff\xff\0", 14)).empty());
}

}  // namespace
}  // namespace kappa::group
