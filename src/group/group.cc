#include "group/group.h"

#include <algorithm>

namespace kappa::group {

std::string_view Name(GroupState state) {
  switch (state) {
    case GroupState::kEmpty: return "Empty";
    case GroupState::kPreparingRebalance: return "PreparingRebalance";
    case GroupState::kCompletingRebalance: return "CompletingRebalance";
    case GroupState::kStable: return "Stable";
  }
  KAPPA_CHECK(false);
}

std::string_view Member::MetadataFor(std::string_view protocol) const {
  auto found = std::ranges::find(protocols, protocol, &Protocol::name);
  return found == protocols.end() ? std::string_view() : std::string_view(found->metadata);
}

bool Member::Knows(std::string_view protocol) const { return std::ranges::find(protocols, protocol, &Protocol::name) != protocols.end(); }

const CommittedOffset* Group::FindOffset(std::string_view topic, int32_t partition) const {
  auto partitions = offsets.find(topic);
  if (partitions == offsets.end()) return nullptr;
  auto found = partitions->second.find(partition);
  return found == partitions->second.end() ? nullptr : &found->second;
}

bool Group::IsChanging(std::string_view topic, int32_t partition) const {
  return std::ranges::any_of(transactions, [&](const auto& entry) {
    const auto found = entry.second.offsets.find(topic);
    return found != entry.second.offsets.end() && found->second.contains(partition);
  });
}

size_t Group::EraseOffset(std::string_view topic, int32_t partition) {
  auto partitions = offsets.find(topic);
  if (partitions == offsets.end()) return 0;
  const size_t erased = partitions->second.erase(partition);
  if (partitions->second.empty()) offsets.erase(partitions);
  return erased;
}

int64_t Group::offset_count() const {
  int64_t count = 0;
  for (const auto& [topic, partitions] : offsets) count += static_cast<int64_t>(partitions.size());
  return count;
}

int32_t Group::rebalance_timeout_ms() const {
  int32_t longest = 0;
  for (const auto& [id, member] : members) longest = std::max(longest, member.rebalance_timeout_ms);
  return longest;
}

bool Group::Accepts(std::string_view type, const std::vector<Protocol>& protocols) const {
  if (type.empty() || protocols.empty()) return false;
  if (members.empty()) return true;
  if (type != protocol_type) return false;
  return std::ranges::any_of(protocols, [&](const Protocol& protocol) {
    return std::ranges::all_of(members, [&](const auto& entry) { return entry.second.Knows(protocol.name); });
  });
}

std::string Group::ChooseProtocol() const {
  auto known_to_all = [&](const std::string& name) {
    return std::ranges::all_of(members, [&](const auto& entry) { return entry.second.Knows(name); });
  };
  std::map<std::string, int> votes;
  for (const auto& [id, member] : members) {
    auto first = std::ranges::find_if(member.protocols, [&](const Protocol& protocol) { return known_to_all(protocol.name); });
    if (first != member.protocols.end()) ++votes[first->name];
  }
  const auto found = members.find(leader);
  const Member& judge = found == members.end() ? members.begin()->second : found->second;
  std::string best;
  int most = -1;
  for (const Protocol& protocol : judge.protocols) {
    if (!known_to_all(protocol.name)) continue;
    const int count = votes.contains(protocol.name) ? votes.at(protocol.name) : 0;
    if (count > most) {
      most = count;
      best = protocol.name;
    }
  }
  return best;
}

}  // namespace kappa::group
