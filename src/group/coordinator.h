// Coordinator: Kafka's group protocol as a state machine. No threads, sockets or files: time, ids and storage are given to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "group/group.h"
#include "group/group_record.h"
#include "io/clock.h"
#include "log/log.h"
#include "log/retention_clock.h"
#include "log/state_log.h"

namespace kappa::group {

struct GroupOptions {
  int64_t gather_ms = 500;  // a group's first rebalance waits so long for further members, so that a fleet starts with one rebalance
  int32_t session_timeout_ms_min = 6'000;
  int32_t session_timeout_ms_max = 30 * 60 * 1000;
  int64_t offsets_retention_ms = 7ll * 24 * 3600 * 1000;  // after a group became empty, or the last commit when it never had members
  int64_t expiry_interval_ms = 10 * 60 * 1000;            // between two looks for offsets that have expired

  // Limits. What groups hold in memory is at most about groups_max * group_bytes_max plus offsets_max * (150 bytes + metadata).
  size_t groups_max = 10'000;
  size_t members_max = 1'000;                // of one group, pending ones included
  size_t group_bytes_max = 8 << 20;          // protocols and assignments of one group
  size_t offsets_max = 1'000'000;            // of all groups
  size_t offset_metadata_bytes_max = 4'096;  // of one offset
};

struct JoinRequest {
  std::string group;
  std::string member_id;  // empty: not a member yet
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  int32_t session_timeout_ms = 0;
  int32_t rebalance_timeout_ms = 0;
  std::string protocol_type;
  std::vector<Protocol> protocols;
  bool member_id_required = true;   // a new member is told its id and must join again with it (JoinGroup since version 4)
  bool can_skip_assignment = false;  // JoinGroup since version 9
};

/// Who speaks, in requests of members.
struct MemberClaim {
  std::string group;
  int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;

  /// Neither generation nor member: a tool, or a consumer that assigns partitions itself.
  bool outsider() const { return generation < 0 && member_id.empty() && !instance_id; }
};

struct SyncRequest {
  MemberClaim claim;
  std::optional<std::string> protocol_type;  // checked when given
  std::optional<std::string> protocol;
  std::map<std::string, std::string, std::less<>> assignments;  // by member id; from the leader only
};

struct LeavingMember {
  std::string member_id;
  std::optional<std::string> instance_id;
};

struct OffsetToCommit {
  std::string topic;
  int32_t partition = 0;
  int64_t offset = -1;
  int32_t leader_epoch = -1;
  std::string metadata;
};

/// What is to be fetched or deleted; partitions of a topic.
struct TopicPartitions {
  std::string topic;
  std::vector<int32_t> partitions;
};
using FetchedOffsets = std::map<std::string, TopicOffsets, std::less<>>;

/// Deterministic: the same calls at the same times with the same ids give the same answers and records.
///
/// Threads   one at a time. Replies run inside a call, or on the thread on which the store says that records are durable; they
///           must not call back.
/// Durable   an answer that tells of a commit, an assignment or a deletion comes when everything appended before it is on disk: what
///           one client was told, no crash takes back.
/// Time      the clock's steady time for timeouts; wall time only for the age of offsets. Call Tick at NextDeadline().
class Coordinator {
 public:
  using ErrorReply = std::function<void(GroupError)>;

  Coordinator(const GroupOptions& options, io::Clock& clock, std::function<std::string()> make_id, log::StateStore& store);

  // Recovery, before anything else: all records of the log in order, then FinishLoading.
  Status Load(std::string_view key, std::optional<std::string_view> value, log::Offset stored_at);
  void FinishLoading();

  // Membership.
  void Join(JoinRequest request, JoinReply reply);
  void Sync(SyncRequest request, SyncReply reply);
  GroupError Heartbeat(const MemberClaim& claim);
  /// One error for each member.
  void Leave(const std::string& group, const std::vector<LeavingMember>& members, std::function<void(std::vector<GroupError>)> reply);
  /// Answers all that wait in Join and Sync with kNotCoordinator: they try again.
  void AnswerWaiting();

  // Offsets.
  /// One error for each offset. A claim without generation and member commits for a group that has no members.
  void Commit(const MemberClaim& claim, std::vector<OffsetToCommit> offsets, std::function<void(std::vector<GroupError>)> reply);
  /// Partitions without a commit are left out, unless a transaction is about to commit one. No `topics`: all.
  void Fetch(const std::string& group, const std::optional<std::vector<TopicPartitions>>& topics, std::function<void(FetchedOffsets)> reply);
  /// An error for the whole, and one for each partition, in order.
  void DeleteOffsets(const std::string& group, const std::vector<TopicPartitions>& topics,
                     std::function<void(GroupError, std::vector<std::vector<GroupError>>)> reply);
  void DeleteGroup(const std::string& group, ErrorReply reply);

  // Transactions: who decides about them begins and ends them here (txn::Coordinator).
  /// From now on the group takes offsets of the producer's transaction, of this epoch.
  GroupError BeginTransaction(const std::string& group, int64_t producer_id, int16_t epoch);
  /// Keeps offsets aside until the transaction ends. One error for all. A claim without generation and member is not checked.
  void CommitInTransaction(const MemberClaim& claim, int64_t producer_id, int16_t epoch, std::vector<OffsetToCommit> offsets, ErrorReply reply);
  /// Commits or drops what the transaction kept aside, in one append; nothing when it has nothing. Tells when that is durable, or
  /// kCoordinatorNotAvailable.
  void EndTransaction(const std::string& group, int64_t producer_id, bool commit, ErrorReply reply);
  /// Forgets the offsets of a topic that is gone.
  void ForgetTopic(std::string_view topic);

  // Looking.
  const std::map<std::string, Group, std::less<>>& groups() const { return groups_; }
  const Group* FindGroup(std::string_view name) const;
  size_t offset_count() const { return offset_count_; }
  uint64_t rebalances() const { return rebalances_; }
  uint64_t commits() const { return commits_; }

  // Time.
  /// Steady microseconds; INT64_MAX when nothing waits.
  int64_t NextDeadline() const { return timers_.empty() ? INT64_MAX : timers_.begin()->first; }
  /// Does what is due.
  void Tick();

  // Cleaning of the log.
  /// Bytes of keys and values of all records that are still needed.
  size_t LiveBytes() const;
  /// Appends all needed records that are stored below `before` once more, so that the log may be cut there.
  Status Rewrite(log::Offset before);

 private:
  /// A member's session, a pending id (both name `member`), a group's deadline (no member), or the expiry of offsets (no group).
  struct Timer {
    std::string group;
    std::string member;
  };

  // coordinator.cc: state, storage, time
  Group* Find(std::string_view name);
  Group& Make(const std::string& name);
  void Remove(const std::string& name);
  Status Store(Group& group);
  void ArmMember(const Group& group, Member& member);
  void Touch(const Group& group, Member& member, int64_t timeout_ms);
  void SetDeadline(Group& group, int64_t delay_ms);
  void OnGroupTimer(Group& group);
  void OnMemberTimer(Group& group, const std::string& id, int64_t due_us);
  void ExpireOffsets();
  void ExpireOffsetsOf(Group& group, int64_t before_ms, std::vector<log::StateRecord>& records);
  int64_t WallMs() const { return clock_.WallMicros() / 1000; }

  // offsets.cc
  GroupError CheckCommit(Group* group, const MemberClaim& claim);
  GroupError RefuseOffset(const Group* group, const OffsetToCommit& offset, size_t& added) const;

  // membership.cc
  GroupError CheckClaim(Group* group, const MemberClaim& claim, bool check_generation) const;
  void JoinNew(Group& group, JoinRequest request, JoinReply reply);
  void JoinKnown(Group& group, Member& member, JoinRequest request, JoinReply reply);
  void JoinReplacing(Group& group, const std::string& old_id, JoinRequest request, JoinReply reply);
  void AddMember(Group& group, const std::string& id, JoinRequest request, JoinReply reply);
  void Wait(Group& group, Member& member, JoinRequest request, JoinReply reply);
  JoinResult Present(const Group& group, const Member& member) const;
  void PrepareRebalance(Group& group);
  void TryCompleteJoin(Group& group);
  void CompleteJoin(Group& group);
  void RemoveMember(Group& group, const std::string& id);
  void RemovePending(Group& group, const std::string& id);
  void FailSyncs(Group& group, GroupError error);
  bool TooLarge(const Group& group, const JoinRequest& request) const;

  const GroupOptions options_;
  io::Clock& clock_;
  const std::function<std::string()> make_id_;
  log::StateStore& store_;
  log::RetentionClock retention_clock_;

  std::map<std::string, Group, std::less<>> groups_;
  size_t offset_count_ = 0;
  uint64_t rebalances_ = 0;
  uint64_t commits_ = 0;  // offsets committed since the start
  /// By due time. Lazy: signs of life only move Member::expires_us; a timer that goes off early is put back.
  std::multimap<int64_t, Timer> timers_;
};

}  // namespace kappa::group
