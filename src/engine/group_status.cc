#include "engine/group_status.h"

#include <map>

#include "group/consumer_protocol.h"

namespace kappa::engine {

std::vector<GroupStatus> ListGroupStatus(group::Groups& groups) {
  return groups.Do([](group::Coordinator& coordinator) {
    std::vector<GroupStatus> all;
    for (const auto& [name, group] : coordinator.groups()) {
      all.push_back({name, std::string(group::Name(group.state)), group.protocol_type, group.protocol, group.generation, group.leader,
                     static_cast<int64_t>(group.members.size()), group.offset_count()});
    }
    return all;
  });
}

std::vector<GroupLag> ListGroupLag(group::Groups& groups, log::Log& log) {
  std::vector<GroupLag> all = groups.Do([](group::Coordinator& coordinator) {
    std::vector<GroupLag> found;
    for (const auto& [name, group] : coordinator.groups()) {
      std::map<std::pair<std::string, int32_t>, GroupLag> partitions;
      auto at = [&](const std::string& topic, int32_t partition) -> GroupLag& {
        GroupLag& lag = partitions[{topic, partition}];
        lag.group = name;
        lag.topic = topic;
        lag.partition = partition;
        return lag;
      };
      for (const auto& [topic, offsets] : group.offsets) {
        for (const auto& [partition, offset] : offsets) {
          GroupLag& lag = at(topic, partition);
          lag.committed = offset.offset;
          lag.committed_ms = offset.committed_ms;
          lag.metadata = offset.metadata;
        }
      }
      const bool assigned = group.is_consumer_group() && group.state == group::GroupState::kStable;
      for (const auto& [id, member] : group.members) {
        if (!assigned) break;
        for (const auto& [topic, owned] : group::AssignedPartitions(member.assignment)) {
          for (int32_t partition : owned) {
            GroupLag& lag = at(topic, partition);
            lag.member = id;
            lag.client = member.client_id;
          }
        }
      }
      for (auto& [place, lag] : partitions) found.push_back(std::move(lag));
    }
    return found;
  });
  std::shared_ptr<log::Topic> topic;
  for (GroupLag& lag : all) {
    if (topic == nullptr || topic->name() != lag.topic) topic = log.FindTopic(lag.topic);
    if (topic != nullptr && lag.partition >= 0 && lag.partition < topic->partition_count()) lag.end = topic->partition(lag.partition).durable_end();
  }
  return all;
}

}  // namespace kappa::engine
