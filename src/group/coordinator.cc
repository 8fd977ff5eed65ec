// The coordinator's state, its storage and its timers. Members come and go in membership.cc, offsets in offsets.cc.
#include "group/coordinator.h"

#include <algorithm>

#include "group/consumer_protocol.h"

namespace kappa::group {
namespace {

constexpr size_t kRecordsPerAppend = 1000;  // of records that nobody waits for

}  // namespace

Coordinator::Coordinator(const GroupOptions& options, io::Clock& clock, std::function<std::string()> make_id, log::StateStore& store)
    : options_(options), clock_(clock), make_id_(std::move(make_id)), store_(store), retention_clock_(clock) {
  timers_.emplace(clock_.SteadyMicros() + options_.expiry_interval_ms * 1000, Timer{});
}

const Group* Coordinator::FindGroup(std::string_view name) const {
  auto found = groups_.find(name);
  return found == groups_.end() ? nullptr : &found->second;
}

Group* Coordinator::Find(std::string_view name) { return const_cast<Group*>(std::as_const(*this).FindGroup(name)); }

Group& Coordinator::Make(const std::string& name) {
  Group& group = groups_[name];
  if (group.name.empty()) {
    group.name = name;
    group.empty_since_ms = WallMs();
  }
  return group;
}

void Coordinator::Remove(const std::string& name) {
  auto found = groups_.find(name);
  offset_count_ -= static_cast<size_t>(found->second.offset_count());
  groups_.erase(found);
}

Status Coordinator::Load(std::string_view key_bytes, std::optional<std::string_view> value, log::Offset stored_at) {
  KAPPA_ASSIGN_OR_RETURN(RecordKey key, RecordKey::Decode(key_bytes));
  if (key.kind == RecordKind::kOffset) {
    if (value) {
      KAPPA_ASSIGN_OR_RETURN(CommittedOffset offset, DecodeOffset(*value));
      offset.stored_at = stored_at;
      auto [at, added] = Make(key.group).offsets[key.topic].insert_or_assign(key.partition, std::move(offset));
      offset_count_ += added ? 1 : 0;
    } else if (Group* group = Find(key.group)) {
      offset_count_ -= group->EraseOffset(key.topic, key.partition);
    }
    return {};
  }
  if (key.kind == RecordKind::kPending) {
    if (value) {
      KAPPA_ASSIGN_OR_RETURN(PendingOffsets pending, DecodePending(*value));
      pending.stored_at = stored_at;
      Make(key.group).transactions.insert_or_assign(key.producer_id, std::move(pending));
    } else if (Group* group = Find(key.group)) {
      group->transactions.erase(key.producer_id);
    }
    return {};
  }
  if (!value) {
    if (Find(key.group) != nullptr) Remove(key.group);
    return {};
  }
  Group& group = Make(key.group);
  group.members.clear();
  group.static_members.clear();
  group.stored_at = stored_at;
  return DecodeGroup(*value, group);
}

void Coordinator::FinishLoading() {
  std::erase_if(groups_, [](const auto& entry) { return entry.second.stored_at < 0 && entry.second.unused(); });
  // Members go on as if nothing had happened; those that do not come back lose their session.
  for (auto& [name, group] : groups_) {
    for (auto& [id, member] : group.members) Touch(group, member, member.session_timeout_ms);
  }
  int64_t newest_ms = -1;
  for (const auto& [name, group] : groups_) {
    for (const auto& [topic, partitions] : group.offsets) {
      for (const auto& [partition, offset] : partitions) newest_ms = std::max(newest_ms, offset.committed_ms);
    }
  }
  if (newest_ms >= 0) retention_clock_.Remember(newest_ms);
}

Status Coordinator::Store(Group& group) {
  const log::StateRecord record{RecordKey{RecordKind::kGroup, group.name, {}, 0}.Encode(), EncodeGroup(group)};
  KAPPA_ASSIGN_OR_RETURN(group.stored_at, store_.Append({&record, 1}));
  return {};
}

void Coordinator::ArmMember(const Group& group, Member& member) {
  if (member.armed_us != 0 && member.armed_us <= member.expires_us) return;
  member.armed_us = member.expires_us;
  timers_.emplace(member.armed_us, Timer{group.name, member.id});
}

void Coordinator::Touch(const Group& group, Member& member, int64_t timeout_ms) {
  member.expires_us = clock_.SteadyMicros() + timeout_ms * 1000;
  ArmMember(group, member);
}

void Coordinator::SetDeadline(Group& group, int64_t delay_ms) {
  group.deadline_us = clock_.SteadyMicros() + delay_ms * 1000;
  if (group.armed_us != 0 && group.armed_us <= group.deadline_us) return;
  group.armed_us = group.deadline_us;
  timers_.emplace(group.armed_us, Timer{group.name, {}});
}

void Coordinator::Tick() {
  const int64_t now_us = clock_.SteadyMicros();
  while (!timers_.empty() && timers_.begin()->first <= now_us) {
    const int64_t due_us = timers_.begin()->first;
    const Timer timer = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    if (timer.group.empty()) {
      ExpireOffsets();
      timers_.emplace(now_us + options_.expiry_interval_ms * 1000, Timer{});
      continue;
    }
    Group* group = Find(timer.group);
    if (group == nullptr) continue;
    if (!timer.member.empty()) {
      OnMemberTimer(*group, timer.member, due_us);
    } else if (group->armed_us == due_us) {
      group->armed_us = 0;
      if (group->deadline_us == 0) continue;
      if (group->deadline_us > now_us) {
        SetDeadline(*group, (group->deadline_us - now_us + 999) / 1000);
      } else {
        group->deadline_us = 0;
        OnGroupTimer(*group);
      }
    }
  }
}

/// The time for joining, or for asking for the assignment, is over.
void Coordinator::OnGroupTimer(Group& group) {
  if (group.state == GroupState::kPreparingRebalance) {
    if (group.gathering && group.grew && group.gather_left_ms > 0) {
      group.grew = false;
      const int64_t more_ms = std::min(options_.gather_ms, group.gather_left_ms);
      group.gather_left_ms -= more_ms;
      return SetDeadline(group, more_ms);
    }
    return CompleteJoin(group);
  }
  const auto missing = std::exchange(group.unsynced, {});
  for (const std::string& id : missing) RemoveMember(group, id);
}

void Coordinator::OnMemberTimer(Group& group, const std::string& id, int64_t due_us) {
  if (auto pending = group.pending.find(id); pending != group.pending.end()) {
    if (pending->second == due_us) RemovePending(group, id);
    return;
  }
  Member* member = group.FindMember(id);
  if (member == nullptr || member->armed_us != due_us) return;
  member->armed_us = 0;
  // Who waits for an answer cannot send heartbeats. A new member whose client has gone would wait for ever: it is given up.
  if (member->sync || (member->join && !member->is_new)) return Touch(group, *member, member->session_timeout_ms);
  if (member->expires_us > due_us) return ArmMember(group, *member);
  RemoveMember(group, id);
}

void Coordinator::ExpireOffsetsOf(Group& group, int64_t before_ms, std::vector<log::StateRecord>& records) {
  const bool active = group.state != GroupState::kEmpty;
  if (active && !group.is_consumer_group()) return;
  std::set<std::string, std::less<>> subscribed;
  for (const auto& [id, member] : group.members) subscribed.merge(SubscribedTopics(member.MetadataFor(group.protocol)));
  for (auto topic = group.offsets.begin(); topic != group.offsets.end();) {
    auto& [name, partitions] = *topic;
    if (active && (group.state != GroupState::kStable || subscribed.contains(name))) {
      ++topic;
      continue;
    }
    for (auto offset = partitions.begin(); offset != partitions.end();) {
      int64_t since_ms = offset->second.committed_ms;
      if (!active && !group.protocol_type.empty()) since_ms = std::max(since_ms, group.empty_since_ms);
      if (since_ms >= before_ms) {
        ++offset;
        continue;
      }
      records.push_back({RecordKey{RecordKind::kOffset, group.name, name, offset->first}.Encode(), std::nullopt});
      offset = partitions.erase(offset);
      --offset_count_;
    }
    topic = partitions.empty() ? group.offsets.erase(topic) : std::next(topic);
  }
}

/// Drops offsets that are too old, and groups that have neither members nor offsets. What could not be written is forgotten all the
/// same: after a restart it expires again.
void Coordinator::ExpireOffsets() {
  const int64_t now_ms = retention_clock_.NowMs();
  std::vector<log::StateRecord> records;
  auto write = [&](bool last) {
    if (records.size() < kRecordsPerAppend && (!last || records.empty())) return;
    [[maybe_unused]] auto appended = store_.Append(records);
    records.clear();
  };
  for (auto at = groups_.begin(); at != groups_.end();) {
    Group& group = at->second;
    if (now_ms >= 0) ExpireOffsetsOf(group, now_ms - options_.offsets_retention_ms, records);
    if (group.unused()) {
      if (group.stored_at >= 0) records.push_back({RecordKey{RecordKind::kGroup, group.name, {}, 0}.Encode(), std::nullopt});
      at = groups_.erase(at);
    } else {
      ++at;
    }
    write(false);
  }
  write(true);
}

size_t Coordinator::LiveBytes() const {
  constexpr size_t kOffsetRecordBytes = 40;
  size_t bytes = 0;
  for (const auto& [name, group] : groups_) {
    if (group.stored_at >= 0) bytes += EncodeGroup(group).size() + name.size();
    for (const auto& [topic, partitions] : group.offsets) {
      for (const auto& [partition, offset] : partitions) bytes += kOffsetRecordBytes + name.size() + topic.size() + offset.metadata.size();
    }
    for (const auto& [producer, pending] : group.transactions) bytes += name.size() + EncodePending(pending).size();
  }
  return bytes;
}

Status Coordinator::Rewrite(log::Offset before) {
  std::vector<log::StateRecord> records;
  std::vector<log::Offset*> stored;  // where each record's new place is to be noted
  auto write = [&](bool last) -> Status {
    if (records.size() < kRecordsPerAppend && (!last || records.empty())) return {};
    KAPPA_ASSIGN_OR_RETURN(const log::Offset first, store_.Append(records));
    for (size_t i = 0; i < stored.size(); ++i) *stored[i] = first + static_cast<log::Offset>(i);
    records.clear();
    stored.clear();
    return {};
  };
  for (auto& [name, group] : groups_) {
    if (group.stored_at >= 0 && group.stored_at < before) {
      // In the middle of a rebalance no assignment goes with this generation. Should the process end before the outcome is stored,
      // the members must find themselves unknown, and join again, rather than be given an assignment of the generation before.
      const bool settled = group.state == GroupState::kStable || group.state == GroupState::kEmpty;
      const Group bare{.protocol_type = group.protocol_type, .generation = group.generation, .empty_since_ms = WallMs()};
      records.push_back({RecordKey{RecordKind::kGroup, name, {}, 0}.Encode(), EncodeGroup(settled ? group : bare)});
      stored.push_back(&group.stored_at);
      KAPPA_RETURN_IF_ERROR(write(false));
    }
    for (auto& [producer, pending] : group.transactions) {
      if (pending.stored_at < 0 || pending.stored_at >= before) continue;
      records.push_back({RecordKey{.kind = RecordKind::kPending, .group = name, .producer_id = producer}.Encode(), EncodePending(pending)});
      stored.push_back(&pending.stored_at);
      KAPPA_RETURN_IF_ERROR(write(false));
    }
    for (auto& [topic, partitions] : group.offsets) {
      for (auto& [partition, offset] : partitions) {
        if (offset.stored_at >= before) continue;
        records.push_back({RecordKey{RecordKind::kOffset, name, topic, partition}.Encode(), EncodeOffset(offset)});
        stored.push_back(&offset.stored_at);
        KAPPA_RETURN_IF_ERROR(write(false));
      }
    }
  }
  return write(true);
}

}  // namespace kappa::group
