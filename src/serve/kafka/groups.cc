// Consumer groups: requests to the coordinator, and its answers. The rules are in group/coordinator.h.
#include <algorithm>
#include <atomic>

#include "serve/kafka/broker.h"
#include "serve/kafka/group_messages.h"

namespace kappa::serve::kafka {
namespace {

std::vector<group::TopicPartitions> ToPartitions(const std::vector<OfTopic<int32_t>>& topics) {
  std::vector<group::TopicPartitions> out;
  for (const auto& topic : topics) out.push_back({topic.name, topic.partitions});
  return out;
}

OffsetFetchResponse::Partition ToPartition(int32_t index, const group::CommittedOffset& offset, bool require_stable) {
  if (require_stable && offset.changing) return {.index = index, .metadata = "", .error = Code::kUnstableOffsetCommit};
  return {.index = index, .offset = offset.offset, .leader_epoch = offset.leader_epoch, .metadata = offset.metadata};
}

/// What was asked for, in that order; partitions without a commit have offset -1.
std::vector<OfTopic<OffsetFetchResponse::Partition>> Fill(const std::optional<std::vector<OfTopic<int32_t>>>& asked,
                                                          const group::FetchedOffsets& found, bool require_stable) {
  std::vector<OfTopic<OffsetFetchResponse::Partition>> out;
  if (!asked) {
    for (const auto& [topic, offsets] : found) {
      auto& answer = out.emplace_back();
      answer.name = topic;
      for (const auto& [index, offset] : offsets) {
        if (offset.offset < 0 && !require_stable) continue;  // only in a transaction yet
        answer.partitions.push_back(ToPartition(index, offset, require_stable));
      }
    }
    return out;
  }
  for (const auto& topic : *asked) {
    auto& answer = out.emplace_back();
    answer.name = topic.name;
    const auto offsets = found.find(topic.name);
    for (int32_t index : topic.partitions) {
      const bool committed = offsets != found.end() && offsets->second.contains(index);
      answer.partitions.push_back(committed ? ToPartition(index, offsets->second.at(index), require_stable)
                                            : OffsetFetchResponse::Partition{.index = index, .metadata = ""});
    }
  }
  return out;
}

}  // namespace

FindCoordinatorResponse Broker::FindCoordinator(const FindCoordinatorRequest& request, const Endpoint& advertised) {
  FindCoordinatorResponse response;
  if (request.key_type != 0 && request.key_type != 1) {
    response.error = Code::kInvalidRequest;
    response.message = "there are coordinators of groups and of transactions only";
  } else {
    response.node_id = kNodeId;
    response.host = advertised.host;
    response.port = advertised.port;
  }
  for (const std::string& key : request.keys) {
    response.coordinators.push_back({key, response.node_id, response.host, response.port, response.error, response.message});
  }
  return response;
}

void Broker::JoinGroup(const RequestHeader& header, JoinGroupRequest request, const std::string& host, Respond<JoinGroupResponse> respond) {
  if (stopping_) return respond({.error = Code::kCoordinatorNotAvailable, .protocol = "", .member_id = request.member_id});
  group::JoinRequest join{.group = std::move(request.group),
                          .member_id = std::move(request.member_id),
                          .instance_id = std::move(request.instance_id),
                          .client_id = header.client_id,
                          .client_host = "/" + host,
                          .session_timeout_ms = request.session_timeout_ms,
                          .rebalance_timeout_ms = request.rebalance_timeout_ms,
                          .protocol_type = std::move(request.protocol_type),
                          .protocols = {},
                          .member_id_required = header.version >= 4,
                          .can_skip_assignment = header.version >= 9};
  for (auto& protocol : request.protocols) join.protocols.push_back({std::move(protocol.name), std::move(protocol.metadata.bytes)});
  groups_.Do([&](group::Coordinator& coordinator) {
    coordinator.Join(std::move(join), [respond = std::move(respond)](group::JoinResult result) {
      JoinGroupResponse response{.error = ToCode(result.error),
                                 .generation = result.generation,
                                 .protocol_type = result.protocol_type,
                                 .protocol = std::move(result.protocol),
                                 .leader = std::move(result.leader),
                                 .skip_assignment = result.skip_assignment,
                                 .member_id = std::move(result.member_id)};
      for (auto& member : result.members) {
        response.members.push_back({std::move(member.member_id), std::move(member.instance_id), {std::move(member.metadata)}});
      }
      respond(std::move(response));
    });
  });
}

void Broker::SyncGroup(SyncGroupRequest request, Respond<SyncGroupResponse> respond) {
  if (stopping_) return respond({.error = Code::kCoordinatorNotAvailable});
  group::SyncRequest sync{.claim = {request.group, request.generation, request.member_id, request.instance_id},
                          .protocol_type = request.protocol_type,
                          .protocol = request.protocol,
                          .assignments = {}};
  for (auto& assignment : request.assignments) sync.assignments[assignment.member_id] = std::move(assignment.assignment.bytes);
  groups_.Do([&](group::Coordinator& coordinator) {
    coordinator.Sync(std::move(sync), [respond = std::move(respond)](group::SyncResult result) {
      respond({.error = ToCode(result.error),
               .protocol_type = std::move(result.protocol_type),
               .protocol = std::move(result.protocol),
               .assignment = {std::move(result.assignment)}});
    });
  });
}

HeartbeatResponse Broker::Heartbeat(const HeartbeatRequest& request) {
  const group::GroupError error = groups_.Do([&](group::Coordinator& coordinator) {
    return coordinator.Heartbeat({request.group, request.generation, request.member_id, request.instance_id});
  });
  return {.error = ToCode(error)};
}

void Broker::LeaveGroup(int16_t version, const LeaveGroupRequest& request, Respond<LeaveGroupResponse> respond) {
  std::vector<group::LeavingMember> members;
  for (const auto& member : request.members) members.push_back({member.id, member.instance_id});
  if (version < 3) members.push_back({request.member_id, std::nullopt});
  groups_.Do([&](group::Coordinator& coordinator) {
    coordinator.Leave(request.group, members, [version, members, respond = std::move(respond)](const std::vector<group::GroupError>& errors) {
      LeaveGroupResponse response;
      if (version < 3) response.error = ToCode(errors.front());
      for (size_t i = 0; i < members.size(); ++i) response.members.push_back({members[i].member_id, members[i].instance_id, ToCode(errors[i])});
      respond(std::move(response));
    });
  });
}

void Broker::OffsetCommit(OffsetCommitRequest request, Respond<OffsetCommitResponse> respond) {
  OffsetCommitResponse response;
  std::vector<group::OffsetToCommit> offsets;
  std::vector<std::pair<size_t, size_t>> places;  // of the offsets, in the response
  ForEachPartition(request, response, [&](auto& in, auto&, const log::Partition&, const std::string& topic) {
    places.emplace_back(response.topics.size() - 1, response.topics.back().partitions.size() - 1);
    offsets.push_back({topic, in.index, in.offset, in.leader_epoch, std::move(in.metadata).value_or("")});
  });
  groups_.Do([&](group::Coordinator& coordinator) {
    coordinator.Commit({request.group, request.generation, request.member_id, request.instance_id}, std::move(offsets),
                       [response = std::move(response), places = std::move(places),
                        respond = std::move(respond)](const std::vector<group::GroupError>& errors) mutable {
                         for (size_t i = 0; i < places.size(); ++i) {
                           response.topics[places[i].first].partitions[places[i].second].error = ToCode(errors[i]);
                         }
                         respond(std::move(response));
                       });
  });
}

void Broker::OffsetFetch(int16_t version, OffsetFetchRequest request, Respond<OffsetFetchResponse> respond) {
  if (version < 8) request.groups.push_back({.id = std::move(request.group), .topics = std::move(request.topics)});
  if (request.groups.empty()) return respond({});
  struct Pending {
    std::vector<OffsetFetchRequest::Group> asked;
    OffsetFetchResponse response;
    Respond<OffsetFetchResponse> respond;
    std::atomic<size_t> open{0};
  };
  const bool require_stable = request.require_stable;
  auto pending = std::make_shared<Pending>();
  pending->asked = std::move(request.groups);
  pending->respond = std::move(respond);
  pending->open = pending->asked.size();
  pending->response.groups.resize(pending->asked.size());
  groups_.Do([&](group::Coordinator& coordinator) {
    for (size_t i = 0; i < pending->asked.size(); ++i) {
      const OffsetFetchRequest::Group& asked = pending->asked[i];
      std::optional<std::vector<group::TopicPartitions>> topics;
      if (asked.topics) topics = ToPartitions(*asked.topics);
      coordinator.Fetch(asked.id, topics, [pending, i, version, require_stable](const group::FetchedOffsets& found) {
        OffsetFetchResponse::Group& out = pending->response.groups[i];
        out.id = pending->asked[i].id;
        out.topics = Fill(pending->asked[i].topics, found, require_stable);
        if (pending->open.fetch_sub(1) != 1) return;
        if (version < 8) pending->response.topics = std::move(out.topics);
        pending->respond(std::move(pending->response));
      });
    }
  });
}

void Broker::OffsetDelete(const OffsetDeleteRequest& request, Respond<OffsetDeleteResponse> respond) {
  const std::vector<group::TopicPartitions> topics = ToPartitions(request.topics);
  groups_.Do([&](group::Coordinator& coordinator) {
    coordinator.DeleteOffsets(
        request.group, topics,
        [topics, respond = std::move(respond)](group::GroupError error, const std::vector<std::vector<group::GroupError>>& errors) {
          OffsetDeleteResponse response{.error = ToCode(error)};
          for (size_t t = 0; t < errors.size(); ++t) {
            auto& answer = response.topics.emplace_back();
            answer.name = topics[t].topic;
            for (size_t p = 0; p < errors[t].size(); ++p) answer.partitions.push_back({topics[t].partitions[p], ToCode(errors[t][p])});
          }
          respond(std::move(response));
        });
  });
}

ListGroupsResponse Broker::ListGroups(const ListGroupsRequest& request) {
  ListGroupsResponse response;
  auto matches = [](const std::vector<std::string>& wanted, std::string_view name) {
    return wanted.empty() || std::ranges::any_of(wanted, [&](const std::string& one) {
             return std::ranges::equal(one, name, [](char a, char b) { return std::tolower(a) == std::tolower(b); });
           });
  };
  if (!matches(request.types, "classic")) return response;
  groups_.Do([&](group::Coordinator& coordinator) {
    for (const auto& [name, group] : coordinator.groups()) {
      const std::string_view state = group::Name(group.state);
      if (matches(request.states, state)) response.groups.push_back({name, group.protocol_type, std::string(state)});
    }
  });
  return response;
}

DescribeGroupsResponse Broker::DescribeGroups(const DescribeGroupsRequest& request) {
  DescribeGroupsResponse response;
  groups_.Do([&](group::Coordinator& coordinator) {
    for (const std::string& name : request.groups) {
      auto& out = response.groups.emplace_back();
      out.id = name;
      const group::Group* group = coordinator.FindGroup(name);
      if (group == nullptr) {
        out.state = "Dead";  // how Kafka says that there is no such group
        continue;
      }
      const bool stable = group->state == group::GroupState::kStable;
      out.state = group::Name(group->state);
      out.protocol_type = group->protocol_type;
      if (stable) out.protocol = group->protocol;
      for (const auto& [id, member] : group->members) {
        auto& described = out.members.emplace_back();
        described.id = id;
        described.instance_id = member.instance_id;
        described.client_id = member.client_id;
        described.client_host = member.client_host;
        if (!stable) continue;  // nothing is settled
        described.metadata.bytes = member.MetadataFor(group->protocol);
        described.assignment.bytes = member.assignment;
      }
    }
  });
  return response;
}

void Broker::DeleteGroups(const DeleteGroupsRequest& request, Respond<DeleteGroupsResponse> respond) {
  if (request.groups.empty()) return respond({});
  struct Pending {
    DeleteGroupsResponse response;
    Respond<DeleteGroupsResponse> respond;
    std::atomic<size_t> open{0};
  };
  auto pending = std::make_shared<Pending>();
  pending->respond = std::move(respond);
  pending->open = request.groups.size();
  for (const std::string& name : request.groups) pending->response.groups.push_back({name});
  groups_.Do([&](group::Coordinator& coordinator) {
    for (size_t i = 0; i < request.groups.size(); ++i) {
      coordinator.DeleteGroup(request.groups[i], [pending, i](group::GroupError error) {
        pending->response.groups[i].error = ToCode(error);
        if (pending->open.fetch_sub(1) == 1) pending->respond(std::move(pending->response));
      });
    }
  });
}

}  // namespace kappa::serve::kafka
