// Members of groups: joining, the assignment, heartbeats, leaving. The rules are those of Kafka's coordinator.
#include <algorithm>

#include "group/coordinator.h"

namespace kappa::group {
namespace {

// A new member that is not part of a generation after this time is given up: its client has probably gone.
constexpr int64_t kNewMemberTimeoutMs = 5 * 60 * 1000;

size_t ProtocolBytes(const std::vector<Protocol>& protocols) {
  size_t bytes = 0;
  for (const Protocol& protocol : protocols) bytes += protocol.name.size() + protocol.metadata.size();
  return bytes;
}

void Fail(const JoinReply& reply, GroupError error, std::string member_id = {}) { reply({.error = error, .member_id = std::move(member_id)}); }

}  // namespace

GroupError Coordinator::CheckClaim(Group* group, const MemberClaim& claim, bool check_generation) const {
  if (group == nullptr) return GroupError::kUnknownMemberId;
  if (claim.instance_id) {
    auto found = group->static_members.find(*claim.instance_id);
    if (found == group->static_members.end()) return GroupError::kUnknownMemberId;
    if (found->second != claim.member_id) return GroupError::kFencedInstanceId;
  }
  if (group->FindMember(claim.member_id) == nullptr) return GroupError::kUnknownMemberId;
  return check_generation && claim.generation != group->generation ? GroupError::kIllegalGeneration : GroupError::kNone;
}

bool Coordinator::TooLarge(const Group& group, const JoinRequest& request) const {
  size_t bytes = ProtocolBytes(request.protocols);
  for (const auto& [id, member] : group.members) {
    if (id != request.member_id) bytes += ProtocolBytes(member.protocols) + member.assignment.size();
  }
  return bytes > options_.group_bytes_max;
}

void Coordinator::Join(JoinRequest request, JoinReply reply) {
  if (request.group.empty()) return Fail(reply, GroupError::kInvalidGroupId, request.member_id);
  if (request.session_timeout_ms < options_.session_timeout_ms_min || request.session_timeout_ms > options_.session_timeout_ms_max) {
    return Fail(reply, GroupError::kInvalidSessionTimeout, request.member_id);
  }
  request.rebalance_timeout_ms = request.rebalance_timeout_ms < 0 ? request.session_timeout_ms : request.rebalance_timeout_ms;
  Group* group = Find(request.group);
  if (group == nullptr && !request.member_id.empty()) return Fail(reply, GroupError::kUnknownMemberId, request.member_id);
  if (group == nullptr && groups_.size() >= options_.groups_max) return Fail(reply, GroupError::kPolicyViolation);
  const Group none;
  const Group& present = group == nullptr ? none : *group;
  if (TooLarge(present, request)) return Fail(reply, GroupError::kPolicyViolation, request.member_id);
  if (!present.Accepts(request.protocol_type, request.protocols)) return Fail(reply, GroupError::kInconsistentGroupProtocol, request.member_id);
  if (request.member_id.empty()) {
    Group& joined = Make(request.group);
    return JoinNew(joined, std::move(request), std::move(reply));
  }

  if (group->pending.contains(request.member_id)) {
    if (request.instance_id) return Fail(reply, GroupError::kUnknownMemberId, request.member_id);
    group->pending.erase(request.member_id);
    const std::string id = request.member_id;
    return AddMember(*group, id, std::move(request), std::move(reply));
  }
  const GroupError error = CheckClaim(group, {request.group, -1, request.member_id, request.instance_id}, /*check_generation=*/false);
  if (error != GroupError::kNone) return Fail(reply, error, request.member_id);
  Member& member = *group->FindMember(request.member_id);
  JoinKnown(*group, member, std::move(request), std::move(reply));
}

void Coordinator::JoinNew(Group& group, JoinRequest request, JoinReply reply) {
  if (request.instance_id) {
    if (auto found = group.static_members.find(*request.instance_id); found != group.static_members.end()) {
      const std::string old_id = found->second;
      return JoinReplacing(group, old_id, std::move(request), std::move(reply));
    }
  }
  if (group.members.size() + group.pending.size() >= options_.members_max) return Fail(reply, GroupError::kGroupMaxSizeReached);
  const std::string id = (request.instance_id ? *request.instance_id : request.client_id) + "-" + make_id_();
  if (request.member_id_required && !request.instance_id) {
    const int64_t lapses_us = clock_.SteadyMicros() + int64_t{request.session_timeout_ms} * 1000;
    group.pending[id] = lapses_us;
    timers_.emplace(lapses_us, Timer{group.name, id});
    return Fail(reply, GroupError::kMemberIdRequired, id);
  }
  AddMember(group, id, std::move(request), std::move(reply));
}

void Coordinator::AddMember(Group& group, const std::string& id, JoinRequest request, JoinReply reply) {
  Member& member = group.members[id];
  member.id = id;
  member.instance_id = request.instance_id;
  member.is_new = true;
  if (group.members.size() == 1) group.protocol_type = request.protocol_type;
  if (member.instance_id) group.static_members[*member.instance_id] = id;
  if (group.leader.empty()) group.leader = id;
  group.grew = true;
  Wait(group, member, std::move(request), std::move(reply));
}

/// The member joins, and waits for the others.
void Coordinator::Wait(Group& group, Member& member, JoinRequest request, JoinReply reply) {
  if (member.join) Fail(member.join, GroupError::kUnknownMemberId);  // the client sent its request again; nobody waits for the first
  member.client_id = std::move(request.client_id);
  member.client_host = std::move(request.client_host);
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms = request.rebalance_timeout_ms;
  member.protocols = std::move(request.protocols);
  member.join = std::move(reply);
  Touch(group, member, member.is_new ? kNewMemberTimeoutMs : member.session_timeout_ms);
  if (group.state == GroupState::kPreparingRebalance) return TryCompleteJoin(group);
  PrepareRebalance(group);
}

void Coordinator::JoinKnown(Group& group, Member& member, JoinRequest request, JoinReply reply) {
  const bool same = member.protocols == request.protocols;
  const bool repeats = group.state == GroupState::kCompletingRebalance || (group.state == GroupState::kStable && group.leader != member.id);
  if (!same || !repeats) return Wait(group, member, std::move(request), std::move(reply));
  // The answer was lost on its way, or a follower missed what happened: the generation stands.
  Touch(group, member, member.session_timeout_ms);
  reply(Present(group, member));
}

/// A static member has come back without its id: it takes its own place under a new one.
void Coordinator::JoinReplacing(Group& group, const std::string& old_id, JoinRequest request, JoinReply reply) {
  const std::string id = *request.instance_id + "-" + make_id_();
  auto node = group.members.extract(old_id);
  node.key() = id;
  Member& member = group.members.insert(std::move(node)).position->second;
  if (member.join) Fail(std::exchange(member.join, {}), GroupError::kFencedInstanceId, old_id);
  if (member.sync) std::exchange(member.sync, {})({.error = GroupError::kFencedInstanceId});
  member.id = id;
  member.armed_us = 0;  // its timer goes by the old id
  group.static_members[*request.instance_id] = id;
  if (group.unsynced.erase(old_id) > 0) group.unsynced.insert(id);
  const std::string old_leader = group.leader;
  if (group.leader == old_id) group.leader = id;

  const std::vector<Protocol> before = std::exchange(member.protocols, request.protocols);
  if (group.state != GroupState::kStable || group.ChooseProtocol() != group.protocol) {
    return Wait(group, member, std::move(request), std::move(reply));
  }
  member.client_id = std::move(request.client_id);
  member.client_host = std::move(request.client_host);
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms = request.rebalance_timeout_ms;
  Touch(group, member, member.session_timeout_ms);
  if (Status stored = Store(group); !stored.ok()) return Fail(reply, GroupError::kCoordinatorNotAvailable, id);
  JoinResult result = Present(group, member);
  if (request.can_skip_assignment) {
    result.skip_assignment = group.leader == id;
  } else {
    // An older client that found itself leader would send an assignment, and expect the others to take it up. Named a follower it
    // just asks for its own.
    result.leader = old_leader;
    result.members.clear();
  }
  store_.WhenDurable([reply = std::move(reply), result = std::move(result)] { reply(result); });
}

JoinResult Coordinator::Present(const Group& group, const Member& member) const {
  JoinResult result{.generation = group.generation,
                    .protocol_type = group.protocol_type,
                    .protocol = group.protocol,
                    .leader = group.leader,
                    .member_id = member.id};
  if (group.leader == member.id) {
    for (const auto& [id, other] : group.members) {
      result.members.push_back({id, other.instance_id, std::string(other.MetadataFor(group.protocol))});
    }
  }
  return result;
}

void Coordinator::PrepareRebalance(Group& group) {
  if (group.state == GroupState::kCompletingRebalance) FailSyncs(group, GroupError::kRebalanceInProgress);
  ++rebalances_;
  group.unsynced.clear();
  group.gathering = group.state == GroupState::kEmpty && options_.gather_ms > 0;
  group.state = GroupState::kPreparingRebalance;
  const int64_t timeout_ms = group.rebalance_timeout_ms();
  if (group.gathering) {
    group.grew = false;
    group.gather_left_ms = std::max<int64_t>(timeout_ms - options_.gather_ms, 0);
    return SetDeadline(group, options_.gather_ms);
  }
  SetDeadline(group, timeout_ms);
  TryCompleteJoin(group);
}

void Coordinator::TryCompleteJoin(Group& group) {
  if (group.state != GroupState::kPreparingRebalance || group.gathering || !group.pending.empty()) return;
  if (std::ranges::all_of(group.members, [](const auto& entry) { return entry.second.join != nullptr; })) CompleteJoin(group);
}

/// Makes the next generation of those who joined.
void Coordinator::CompleteJoin(Group& group) {
  group.gathering = false;
  group.deadline_us = 0;
  bool anyone = false;
  for (auto at = group.members.begin(); at != group.members.end();) {
    const Member& member = at->second;
    anyone = anyone || member.join != nullptr;
    // A static member that is away keeps its place until its session ends.
    at = member.join || member.instance_id ? std::next(at) : group.members.erase(at);
  }
  if (!group.members.empty() && !anyone) return SetDeadline(group, group.rebalance_timeout_ms());
  ++group.generation;
  if (group.members.empty()) {
    group.state = GroupState::kEmpty;
    group.protocol.clear();
    group.leader.clear();
    group.empty_since_ms = WallMs();
    // Should this fail, the log tells of members that a restart will find gone.
    [[maybe_unused]] Status stored = Store(group);
    return;
  }
  if (const Member* leader = group.FindMember(group.leader); leader == nullptr || !leader->join) {
    group.leader = std::ranges::find_if(group.members, [](const auto& entry) { return entry.second.join != nullptr; })->first;
  }
  group.protocol = group.ChooseProtocol();
  group.state = GroupState::kCompletingRebalance;
  SetDeadline(group, group.rebalance_timeout_ms());
  for (auto& [id, member] : group.members) {
    if (!member.join) continue;
    member.is_new = false;
    group.unsynced.insert(id);
    Touch(group, member, member.session_timeout_ms);
    std::exchange(member.join, {})(Present(group, member));
  }
}

void Coordinator::FailSyncs(Group& group, GroupError error) {
  for (auto& [id, member] : group.members) {
    member.assignment.clear();
    if (!member.sync) continue;
    Touch(group, member, member.session_timeout_ms);
    std::exchange(member.sync, {})({.error = error});
  }
}

void Coordinator::Sync(SyncRequest request, SyncReply reply) {
  Group* group = Find(request.claim.group);
  auto fail = [&](GroupError error) { reply({.error = error}); };
  if (GroupError error = CheckClaim(group, request.claim, /*check_generation=*/true); error != GroupError::kNone) return fail(error);
  if ((request.protocol_type && *request.protocol_type != group->protocol_type) || (request.protocol && *request.protocol != group->protocol)) {
    return fail(GroupError::kInconsistentGroupProtocol);
  }
  Member& member = *group->FindMember(request.claim.member_id);
  if (group->state == GroupState::kPreparingRebalance) return fail(GroupError::kRebalanceInProgress);
  if (group->state == GroupState::kEmpty) return fail(GroupError::kUnknownMemberId);
  group->unsynced.erase(member.id);
  if (group->unsynced.empty()) group->deadline_us = 0;
  Touch(*group, member, member.session_timeout_ms);
  auto answer = [this](const Group& of, const Member& to, SyncReply waiting) {
    SyncResult result{.protocol_type = of.protocol_type, .protocol = of.protocol, .assignment = to.assignment};
    store_.WhenDurable([waiting = std::move(waiting), result = std::move(result)] { waiting(result); });
  };
  if (group->state == GroupState::kStable) return answer(*group, member, std::move(reply));

  if (member.sync) std::exchange(member.sync, {})({.error = GroupError::kUnknownMemberId});  // sent again
  member.sync = std::move(reply);
  if (group->leader != member.id) return;  // should the leader never ask, its time to sync ends, and with it the rebalance
  size_t bytes = 0;
  for (auto& [id, other] : group->members) {
    auto found = request.assignments.find(id);
    other.assignment = found == request.assignments.end() ? std::string() : std::move(found->second);
    bytes += ProtocolBytes(other.protocols) + other.assignment.size();
  }
  const bool too_large = bytes > options_.group_bytes_max;
  if (too_large || !Store(*group).ok()) {
    FailSyncs(*group, too_large ? GroupError::kPolicyViolation : GroupError::kCoordinatorNotAvailable);
    return PrepareRebalance(*group);
  }
  group->state = GroupState::kStable;
  for (auto& [id, other] : group->members) {
    if (!other.sync) continue;
    Touch(*group, other, other.session_timeout_ms);
    answer(*group, other, std::exchange(other.sync, {}));
  }
}

GroupError Coordinator::Heartbeat(const MemberClaim& claim) {
  Group* group = Find(claim.group);
  if (GroupError error = CheckClaim(group, claim, /*check_generation=*/true); error != GroupError::kNone) return error;
  Member& member = *group->FindMember(claim.member_id);
  if (!member.is_new) Touch(*group, member, member.session_timeout_ms);
  return group->state == GroupState::kPreparingRebalance ? GroupError::kRebalanceInProgress : GroupError::kNone;
}

void Coordinator::Leave(const std::string& name, const std::vector<LeavingMember>& members, std::function<void(std::vector<GroupError>)> reply) {
  std::vector<GroupError> errors(members.size(), GroupError::kNone);
  for (size_t i = 0; i < members.size(); ++i) {
    Group* group = Find(name);
    const LeavingMember& leaving = members[i];
    if (group != nullptr && group->pending.contains(leaving.member_id)) {
      RemovePending(*group, leaving.member_id);
      continue;
    }
    std::string id = leaving.member_id;
    if (group != nullptr && leaving.instance_id && id.empty()) {  // whoever administrates the group knows the instance only
      auto found = group->static_members.find(*leaving.instance_id);
      if (found != group->static_members.end()) id = found->second;
    }
    errors[i] = CheckClaim(group, {name, -1, id, leaving.instance_id}, /*check_generation=*/false);
    if (errors[i] == GroupError::kNone) RemoveMember(*group, id);
  }
  store_.WhenDurable([reply = std::move(reply), errors = std::move(errors)] { reply(errors); });
}

void Coordinator::RemoveMember(Group& group, const std::string& id) {
  auto found = group.members.find(id);
  if (found == group.members.end()) return;
  Member member = std::move(found->second);
  group.members.erase(found);
  group.unsynced.erase(member.id);
  if (member.instance_id) group.static_members.erase(*member.instance_id);
  if (group.leader == member.id) group.leader = group.members.empty() ? std::string() : group.members.begin()->first;
  if (member.join) Fail(member.join, GroupError::kUnknownMemberId);
  if (member.sync) member.sync({.error = GroupError::kUnknownMemberId});
  if (group.state == GroupState::kPreparingRebalance) return TryCompleteJoin(group);
  if (group.state != GroupState::kEmpty) PrepareRebalance(group);
}

void Coordinator::RemovePending(Group& group, const std::string& id) {
  group.pending.erase(id);
  TryCompleteJoin(group);
}

void Coordinator::AnswerWaiting() {
  for (auto& [name, group] : groups_) {
    for (auto& [id, member] : group.members) {
      if (member.join) Fail(std::exchange(member.join, {}), GroupError::kNotCoordinator, id);
      if (member.sync) std::exchange(member.sync, {})({.error = GroupError::kNotCoordinator});
    }
  }
}

}  // namespace kappa::group
