// A consumer group as the coordinator knows it: members, their protocols, the assignment, the committed offsets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "log/log.h"

namespace kappa::group {

/// The codes of Kafka's protocol that groups answer with.
enum class GroupError : int16_t {
  kNone = 0,
  kOffsetMetadataTooLarge = 12,
  kCoordinatorNotAvailable = 15,
  kNotCoordinator = 16,
  kIllegalGeneration = 22,
  kInconsistentGroupProtocol = 23,
  kInvalidGroupId = 24,
  kUnknownMemberId = 25,
  kInvalidSessionTimeout = 26,
  kRebalanceInProgress = 27,
  kInvalidCommitOffsetSize = 28,
  kPolicyViolation = 44,
  kInvalidProducerEpoch = 47,
  kInvalidTxnState = 48,
  kNonEmptyGroup = 68,
  kGroupIdNotFound = 69,
  kMemberIdRequired = 79,
  kGroupMaxSizeReached = 81,
  kFencedInstanceId = 82,
  kGroupSubscribedToTopic = 86,
};

enum class GroupState : uint8_t {
  kEmpty,                // no members; may have offsets
  kPreparingRebalance,   // waits for members to join
  kCompletingRebalance,  // a generation was made; waits for the leader's assignment
  kStable,
};
/// Kafka's name: "Empty", "PreparingRebalance", "CompletingRebalance", "Stable".
std::string_view Name(GroupState state);

/// A way to share out the partitions that a member knows, with what it says to the leader about itself. kappa does not look inside.
struct Protocol {
  std::string name;
  std::string metadata;
  bool operator==(const Protocol&) const = default;
};

struct JoinResult {
  GroupError error = GroupError::kNone;
  int32_t generation = -1;
  std::string protocol_type;
  std::string protocol;
  std::string leader;
  std::string member_id;
  bool skip_assignment = false;  // the leader need not compute an assignment: the present one stays
  struct Joined {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::string metadata;
  };
  std::vector<Joined> members;  // for the leader only
};
using JoinReply = std::function<void(JoinResult)>;

struct SyncResult {
  GroupError error = GroupError::kNone;
  std::string protocol_type;
  std::string protocol;
  std::string assignment;
};
using SyncReply = std::function<void(SyncResult)>;

struct Member {
  std::string id;
  std::optional<std::string> instance_id;  // set: a static member, which keeps its place while it restarts
  std::string client_id;
  std::string client_host;
  int32_t session_timeout_ms = 0;
  int32_t rebalance_timeout_ms = 0;
  std::vector<Protocol> protocols;  // in order of preference
  std::string assignment;

  // Not stored.
  JoinReply join;            // set while it waits for the others to join
  SyncReply sync;            // set while it waits for the assignment
  bool is_new = false;       // has never been in a generation
  int64_t expires_us = 0;    // steady time; moved by every sign of life
  int64_t armed_us = 0;      // when its timer goes off, which is not later than expires_us

  std::string_view MetadataFor(std::string_view protocol) const;
  bool Knows(std::string_view protocol) const;
};

struct CommittedOffset {
  int64_t offset = -1;
  int32_t leader_epoch = -1;
  std::string metadata;
  int64_t committed_ms = 0;     // wall time
  log::Offset stored_at = -1;   // of its record in the group log
  bool changing = false;        // in answers: an open transaction has committed another one; not stored
};
using TopicOffsets = std::map<int32_t, CommittedOffset>;  // by partition

/// What a producer's open transaction has committed: nothing of it counts before the transaction does.
struct PendingOffsets {
  int16_t epoch = -1;
  std::map<std::string, TopicOffsets, std::less<>> offsets;
  log::Offset stored_at = -1;  // of its record; -1: none
};

struct Group {
  std::string name;
  GroupState state = GroupState::kEmpty;
  std::string protocol_type;  // "consumer", "connect"; empty for a group that only stores offsets
  std::string protocol;       // chosen for this generation
  int32_t generation = 0;
  std::string leader;
  std::map<std::string, Member, std::less<>> members;
  int64_t empty_since_ms = 0;   // wall time
  log::Offset stored_at = -1;   // of its record in the group log; -1: none
  std::map<std::string, TopicOffsets, std::less<>> offsets;
  std::map<int64_t, PendingOffsets> transactions;  // by producer id: those that the group takes part in

  // Not stored.
  std::map<std::string, std::string, std::less<>> static_members;  // instance id to member id
  std::map<std::string, int64_t, std::less<>> pending;             // ids given out, not yet joined, and when they lapse (steady)
  std::set<std::string, std::less<>> unsynced;                     // members of this generation that have not asked for their assignment
  bool gathering = false;         // the first rebalance waits a little for further members
  bool grew = false;              // a member came while gathering
  int64_t gather_left_ms = 0;     // how much longer gathering may go on
  int64_t deadline_us = 0;        // steady; of joining or of syncing; 0: none
  int64_t armed_us = 0;           // when the group's timer goes off; 0: not armed

  bool is_consumer_group() const { return protocol_type == "consumer"; }
  Member* FindMember(std::string_view id) {
    auto found = members.find(id);
    return found == members.end() ? nullptr : &found->second;
  }
  /// Null when none was committed.
  const CommittedOffset* FindOffset(std::string_view topic, int32_t partition) const;
  /// True while an open transaction has an offset for the partition.
  bool IsChanging(std::string_view topic, int32_t partition) const;
  /// Neither members, on their way or there, nor offsets.
  bool unused() const { return state == GroupState::kEmpty && offsets.empty() && pending.empty() && transactions.empty(); }
  /// The number of offsets that went: 0 or 1.
  size_t EraseOffset(std::string_view topic, int32_t partition);
  int64_t offset_count() const;
  /// The longest that a rebalance may take.
  int32_t rebalance_timeout_ms() const;
  /// True when a member of this type with these protocols could join: one of them is known to all who are there.
  bool Accepts(std::string_view type, const std::vector<Protocol>& protocols) const;
  /// The protocol that all members know and most prefer; the leader decides between equals.
  std::string ChooseProtocol() const;
};

}  // namespace kappa::group
