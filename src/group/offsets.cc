// Committed offsets: commit, fetch, delete.
#include <algorithm>

#include "group/consumer_protocol.h"
#include "group/coordinator.h"
#include "io/failpoint.h"

namespace kappa::group {

/// Whether who claims so may commit to the group, which may be null.
GroupError Coordinator::CheckCommit(Group* group, const MemberClaim& claim) {
  if (group == nullptr) return GroupError::kIllegalGeneration;
  if (const GroupError error = CheckClaim(group, claim, /*check_generation=*/true); error != GroupError::kNone) return error;
  // The member knows its generation but not yet its partitions: what it commits now may be another's by then. While the group
  // only waits for members to join, the generation before is still at work.
  if (group->state == GroupState::kCompletingRebalance) return GroupError::kRebalanceInProgress;
  Member& member = *group->FindMember(claim.member_id);
  Touch(*group, member, member.session_timeout_ms);
  return GroupError::kNone;
}

/// Limits. `added` counts the offsets that the group has not had.
GroupError Coordinator::RefuseOffset(const Group* group, const OffsetToCommit& offset, size_t& added) const {
  if (offset.metadata.size() > options_.offset_metadata_bytes_max) return GroupError::kOffsetMetadataTooLarge;
  const bool present = group != nullptr && group->FindOffset(offset.topic, offset.partition) != nullptr;
  return !present && offset_count_ + ++added > options_.offsets_max ? GroupError::kPolicyViolation : GroupError::kNone;
}

void Coordinator::Commit(const MemberClaim& claim, std::vector<OffsetToCommit> offsets, std::function<void(std::vector<GroupError>)> reply) {
  std::vector<GroupError> errors(offsets.size(), GroupError::kNone);
  Group* group = Find(claim.group);
  GroupError refused = GroupError::kNone;
  if (claim.group.empty()) {
    refused = GroupError::kInvalidGroupId;
  } else if (claim.outsider()) {
    // Tools, and consumers that assign partitions themselves, use the group as a place for offsets. Not while others work by it.
    if (group != nullptr && group->state != GroupState::kEmpty) refused = GroupError::kUnknownMemberId;
    if (group == nullptr && groups_.size() >= options_.groups_max) refused = GroupError::kPolicyViolation;
  } else {
    refused = CheckCommit(group, claim);
  }
  const int64_t now_ms = WallMs();
  std::vector<log::StateRecord> records;
  std::vector<CommittedOffset> accepted;
  size_t added = 0;
  for (size_t i = 0; i < offsets.size() && refused == GroupError::kNone; ++i) {
    OffsetToCommit& in = offsets[i];
    errors[i] = RefuseOffset(group, in, added);
    if (errors[i] != GroupError::kNone) continue;
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
  if (group != nullptr && !topics) {
    found = group->offsets;
    for (const auto& [producer, transaction] : group->transactions) {
      for (const auto& [topic, partitions] : transaction.offsets) {
        for (const auto& [partition, offset] : partitions) found[topic][partition].changing = true;
      }
    }
  }
  if (group != nullptr && topics) {
    for (const TopicPartitions& asked : *topics) {
      for (int32_t partition : asked.partitions) {
        if (const CommittedOffset* offset = group->FindOffset(asked.topic, partition)) found[asked.topic].emplace(partition, *offset);
        if (group->IsChanging(asked.topic, partition)) found[asked.topic][partition].changing = true;
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
  std::vector<log::StateRecord> records;
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
  } else if (group->state != GroupState::kEmpty || !group->pending.empty() || !group->transactions.empty()) {
    error = GroupError::kNonEmptyGroup;
  } else {
    const log::StateRecord record{RecordKey{RecordKind::kGroup, name, {}, 0}.Encode(), std::nullopt};
    if (store_.Append({&record, 1}).ok()) {
      Remove(name);
    } else {
      error = GroupError::kCoordinatorNotAvailable;
    }
  }
  store_.WhenDurable([reply = std::move(reply), error] { reply(error); });
}

GroupError Coordinator::BeginTransaction(const std::string& name, int64_t producer_id, int16_t epoch) {
  if (Find(name) == nullptr && groups_.size() >= options_.groups_max) return GroupError::kPolicyViolation;
  Make(name).transactions[producer_id].epoch = epoch;
  return GroupError::kNone;
}

void Coordinator::CommitInTransaction(const MemberClaim& claim, int64_t producer_id, int16_t epoch, std::vector<OffsetToCommit> offsets,
                                      ErrorReply reply) {
  Group* group = Find(claim.group);
  const auto found = group == nullptr ? decltype(group->transactions)::iterator() : group->transactions.find(producer_id);
  GroupError refused = GroupError::kNone;
  if (group == nullptr || found == group->transactions.end()) {
    refused = GroupError::kInvalidTxnState;
  } else if (found->second.epoch != epoch && !io::Without("offsets_fenced")) {
    refused = epoch < found->second.epoch ? GroupError::kInvalidProducerEpoch : GroupError::kInvalidTxnState;
  } else if (!claim.outsider()) {
    refused = CheckCommit(group, claim);
  }
  size_t added = 0;
  for (const OffsetToCommit& offset : offsets) {
    if (refused == GroupError::kNone) refused = RefuseOffset(group, offset, added);
  }
  if (refused == GroupError::kNone && !offsets.empty()) {
    const int64_t now_ms = WallMs();
    PendingOffsets with = found->second;
    for (OffsetToCommit& in : offsets) {
      with.offsets[in.topic].insert_or_assign(
          in.partition,
          CommittedOffset{.offset = in.offset, .leader_epoch = in.leader_epoch, .metadata = std::move(in.metadata), .committed_ms = now_ms});
    }
    const log::StateRecord record{RecordKey{.kind = RecordKind::kPending, .group = claim.group, .producer_id = producer_id}.Encode(),
                                  EncodePending(with)};
    if (auto stored = store_.Append({&record, 1}); stored.ok()) {
      with.stored_at = *stored;
      found->second = std::move(with);
    } else {
      refused = stored.error().Is(sqlstate::kProgramLimitExceeded) ? GroupError::kInvalidCommitOffsetSize : GroupError::kCoordinatorNotAvailable;
    }
  }
  store_.WhenDurable([reply = std::move(reply), refused] { reply(refused); });
}

void Coordinator::EndTransaction(const std::string& name, int64_t producer_id, bool commit, ErrorReply reply) {
  Group* group = Find(name);
  const auto found = group == nullptr ? decltype(group->transactions)::iterator() : group->transactions.find(producer_id);
  if (group != nullptr && found != group->transactions.end()) {
    PendingOffsets& pending = found->second;
    std::vector<log::StateRecord> records;
    if (commit || io::Without("offsets_dropped")) {
      for (const auto& [topic, partitions] : pending.offsets) {
        for (const auto& [partition, offset] : partitions) {
          records.push_back({RecordKey{RecordKind::kOffset, name, topic, partition}.Encode(), EncodeOffset(offset)});
        }
      }
    }
    if (pending.stored_at >= 0) {
      records.push_back({RecordKey{.kind = RecordKind::kPending, .group = name, .producer_id = producer_id}.Encode(), std::nullopt});
      auto first = store_.Append(records);
      if (!first.ok()) return reply(GroupError::kCoordinatorNotAvailable);
      commits_ += records.size() - 1;
      if (!commit && !io::Without("offsets_dropped")) pending.offsets.clear();
      for (auto& [topic, partitions] : pending.offsets) {
        for (auto& [partition, offset] : partitions) {
          offset.stored_at = (*first)++;
          offset_count_ += group->offsets[topic].insert_or_assign(partition, std::move(offset)).second ? 1 : 0;
        }
      }
    }
    group->transactions.erase(found);
  }
  store_.WhenDurable([reply = std::move(reply)] { reply(GroupError::kNone); });
}

void Coordinator::ForgetTopic(std::string_view name) {
  std::vector<log::StateRecord> records;
  for (const auto& [group_name, group] : groups_) {
    auto topic = group.offsets.find(name);
    if (topic == group.offsets.end()) continue;
    for (const auto& [partition, offset] : topic->second) {
      records.push_back({RecordKey{RecordKind::kOffset, group_name, topic->first, partition}.Encode(), std::nullopt});
    }
  }
  for (auto& [group_name, group] : groups_) {
    for (auto& [producer, pending] : group.transactions) {
      if (pending.offsets.erase(std::string(name)) == 0) continue;
      records.push_back({RecordKey{.kind = RecordKind::kPending, .group = group_name, .producer_id = producer}.Encode(), EncodePending(pending)});
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
