// Committed offsets: commit, fetch, delete.
#include <algorithm>

#include "group/consumer_protocol.h"
#include "group/coordinator.h"

namespace kappa::group {

void Coordinator::Commit(const MemberClaim& claim, std::vector<OffsetToCommit> offsets, std::function<void(std::vector<GroupError>)> reply) {
  std::vector<GroupError> errors(offsets.size(), GroupError::kNone);
  Group* group = Find(claim.group);
  const bool outsider = claim.generation < 0 && claim.member_id.empty() && !claim.instance_id;
  GroupError refused = GroupError::kNone;
  if (claim.group.empty()) {
    refused = GroupError::kInvalidGroupId;
  } else if (outsider) {
    // Tools, and consumers that assign partitions themselves, use the group as a place for offsets. Not while others work by it.
    if (group != nullptr && group->state != GroupState::kEmpty) refused = GroupError::kUnknownMemberId;
    if (group == nullptr && groups_.size() >= options_.groups_max) refused = GroupError::kPolicyViolation;
  } else if (group == nullptr) {
    refused = GroupError::kIllegalGeneration;
  } else {
    refused = CheckClaim(group, claim, /*check_generation=*/true);
    // The member knows its generation but not yet its partitions: what it commits now may be another's by then. While the group
    // only waits for members to join, the generation before is still at work.
    if (refused == GroupError::kNone && group->state == GroupState::kCompletingRebalance) refused = GroupError::kRebalanceInProgress;
    if (refused == GroupError::kNone) Touch(*group, *group->FindMember(claim.member_id), group->FindMember(claim.member_id)->session_timeout_ms);
  }
  const int64_t now_ms = WallMs();
  std::vector<GroupRecord> records;
  std::vector<CommittedOffset> accepted;
  size_t added = 0;
  for (size_t i = 0; i < offsets.size() && refused == GroupError::kNone; ++i) {
    OffsetToCommit& in = offsets[i];
    if (in.metadata.size() > options_.offset_metadata_bytes_max) errors[i] = GroupError::kOffsetMetadataTooLarge;
    if (errors[i] != GroupError::kNone) continue;
    const bool present = group != nullptr && group->FindOffset(in.topic, in.partition) != nullptr;
    if (!present && offset_count_ + ++added > options_.offsets_max) {
      errors[i] = GroupError::kPolicyViolation;
      continue;
    }
    CommittedOffset& offset = accepted.emplace_back(
        CommittedOffset{.offset = in.offset, .leader_epoch = in.leader_epoch, .metadata = std::move(in.metadata), .committed_ms = now_ms});
    records.push_back({RecordKey{RecordKind::kOffset, claim.group, in.topic, in.partition}.Encode(), EncodeOffset(offset)});
  }
  if (refused == GroupError::kNone && !records.empty()) {
    if (auto first = store_.Append(records); first.ok()) {
      Group& into = Make(claim.group);
      size_t next = 0;
      for (size_t i = 0; i < offsets.size(); ++i) {
        if (errors[i] != GroupError::kNone) continue;
        accepted[next].stored_at = *first + static_cast<log::Offset>(next);
        auto [at, fresh] = into.offsets[offsets[i].topic].insert_or_assign(offsets[i].partition, std::move(accepted[next]));
        offset_count_ += fresh ? 1 : 0;
        ++next;
      }
      commits_ += records.size();
    } else {
      refused = first.error().Is(sqlstate::kProgramLimitExceeded) ? GroupError::kInvalidCommitOffsetSize : GroupError::kCoordinatorNotAvailable;
    }
  }
  if (refused != GroupError::kNone) std::ranges::fill(errors, refused);
  store_.WhenDurable([reply = std::move(reply), errors = std::move(errors)] { reply(errors); });
}

void Coordinator::Fetch(const std::string& name, const std::optional<std::vector<TopicPartitions>>& topics,
                        std::function<void(FetchedOffsets)> reply) {
  FetchedOffsets found;
  const Group* group = Find(name);
  if (group != nullptr && !topics) found = group->offsets;
  if (group != nullptr && topics) {
    for (const TopicPartitions& asked : *topics) {
      for (int32_t partition : asked.partitions) {
        if (const CommittedOffset* offset = group->FindOffset(asked.topic, partition)) found[asked.topic].emplace(partition, *offset);
      }
    }
  }
  store_.WhenDurable([reply = std::move(reply), found = std::move(found)] { reply(found); });
}

void Coordinator::DeleteOffsets(const std::string& name, const std::vector<TopicPartitions>& topics,
                                std::function<void(GroupError, std::vector<std::vector<GroupError>>)> reply) {
  Group* group = Find(name);
  GroupError refused = GroupError::kNone;
  std::vector<std::vector<GroupError>> errors;
  std::set<std::string, std::less<>> subscribed;
  if (group == nullptr) {
    refused = name.empty() ? GroupError::kInvalidGroupId : GroupError::kGroupIdNotFound;
  } else if (group->state != GroupState::kEmpty) {
    // Only for consumers is it known which topics are in use.
    if (!group->is_consumer_group()) refused = GroupError::kNonEmptyGroup;
    for (const auto& [id, member] : group->members) {
      for (const Protocol& protocol : member.protocols) subscribed.merge(SubscribedTopics(protocol.metadata));
    }
  }
  std::vector<GroupRecord> records;
  std::vector<std::pair<const std::string*, int32_t>> gone;
  for (const TopicPartitions& asked : topics) {
    if (refused != GroupError::kNone) break;
    const bool in_use = subscribed.contains(asked.topic);
    errors.emplace_back(asked.partitions.size(), in_use ? GroupError::kGroupSubscribedToTopic : GroupError::kNone);
    for (int32_t partition : asked.partitions) {
      if (in_use || group->FindOffset(asked.topic, partition) == nullptr) continue;
      records.push_back({RecordKey{RecordKind::kOffset, name, asked.topic, partition}.Encode(), std::nullopt});
      gone.emplace_back(&asked.topic, partition);
    }
  }
  if (!records.empty() && !store_.Append(records).ok()) {
    refused = GroupError::kCoordinatorNotAvailable;
    gone.clear();
  }
  for (const auto& [topic, partition] : gone) offset_count_ -= group->EraseOffset(*topic, partition);
  store_.WhenDurable([reply = std::move(reply), refused, errors = std::move(errors)] { reply(refused, errors); });
}

void Coordinator::DeleteGroup(const std::string& name, ErrorReply reply) {
  Group* group = Find(name);
  GroupError error = GroupError::kNone;
  if (group == nullptr) {
    error = name.empty() ? GroupError::kInvalidGroupId : GroupError::kGroupIdNotFound;
  } else if (group->state != GroupState::kEmpty || !group->pending.empty()) {
    error = GroupError::kNonEmptyGroup;
  } else {
    const GroupRecord record{RecordKey{RecordKind::kGroup, name, {}, 0}.Encode(), std::nullopt};
    if (store_.Append({&record, 1}).ok()) {
      Remove(name);
    } else {
      error = GroupError::kCoordinatorNotAvailable;
    }
  }
  store_.WhenDurable([reply = std::move(reply), error] { reply(error); });
}

void Coordinator::ForgetTopic(std::string_view name) {
  std::vector<GroupRecord> records;
  for (const auto& [group_name, group] : groups_) {
    auto topic = group.offsets.find(name);
    if (topic == group.offsets.end()) continue;
    for (const auto& [partition, offset] : topic->second) {
      records.push_back({RecordKey{RecordKind::kOffset, group_name, topic->first, partition}.Encode(), std::nullopt});
    }
  }
  if (records.empty()) return;
  // Should this fail, a restart finds the offsets again, and that their topic is gone.
  [[maybe_unused]] auto appended = store_.Append(records);
  for (auto& [group_name, group] : groups_) {
    auto topic = group.offsets.find(name);
    if (topic == group.offsets.end()) continue;
    offset_count_ -= topic->second.size();
    group.offsets.erase(topic);
  }
}

}  // namespace kappa::group
