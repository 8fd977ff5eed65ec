// What administrators do: settings and partitions of topics, deleting records; and questions that have one answer here.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "serve/kafka/admin_messages.h"
#include "serve/kafka/broker.h"
#include "serve/kafka/topic_config.h"

namespace kappa::serve::kafka {
namespace {

constexpr std::string_view kNoSecurity = "access control is not supported yet: every client may do everything";

/// The one leader epoch there is: the log stores it in every batch.
constexpr int32_t kLeaderEpoch = 0;

}  // namespace

Status Broker::ChangeUnreadTopic(const std::string& name, const std::function<Status()>& change) {
  return options_.change_topic ? options_.change_topic(name, change) : change();
}

CreatePartitionsResponse Broker::CreatePartitions(const CreatePartitionsRequest& request) {
  CreatePartitionsResponse response;
  for (const auto& asked : request.topics) {
    auto& out = response.topics.emplace_back();
    out.name = asked.name;
    auto refuse = [&](Code code, std::string message) {
      out.error = code;
      out.message = std::move(message);
    };
    const std::shared_ptr<log::Topic> topic = FindTopic(asked.name, out.error);
    if (topic == nullptr) {
      refuse(out.error, NoSuchTopic(asked.name, out.error));
      continue;
    }
    const int32_t before = topic->partition_count();
    const auto added = static_cast<size_t>(std::max(asked.count - before, 0));
    const bool assigned_elsewhere =
        asked.assignments && (asked.assignments->size() != added || std::ranges::any_of(*asked.assignments, [](const auto& assignment) {
                                return assignment.brokers != std::vector<int32_t>{kNodeId};
                              }));
    if (asked.count <= before || asked.count > options_.partitions_max) {
      refuse(Code::kInvalidPartitions,
             fmt::format("topic \"{}\" has {} partitions: it can get more, up to {}", asked.name, before, options_.partitions_max));
    } else if (assigned_elsewhere) {
      refuse(Code::kInvalidReplicaAssignment, fmt::format("each new partition can only be assigned to broker {}", kNodeId));
    } else if (!request.validate_only) {
      log::TopicConfig config = topic->config();
      config.partitions = asked.count;
      Status grown = ChangeUnreadTopic(asked.name, [&] { return log_.AlterTopic(asked.name, config).status(); });
      if (!grown.ok()) refuse(ToCode(grown.error()), ErrorText(grown.error()));
    }
  }
  return response;
}

/// Sets what `set` does to the topic's configuration, after all of it was found good.
void Broker::AlterTopicConfig(AlterConfigsResponse::Resource& out, bool validate_only, const std::function<Status(log::TopicConfig&)>& set) {
  if (out.type != kTopicResource) {
    out.error = Code::kInvalidRequest;
    out.message = out.type == kBrokerResource ? "settings of the broker are set on its command line" : "only topics can be configured";
    return;
  }
  const std::shared_ptr<log::Topic> topic = FindTopic(out.name, out.error);
  if (topic == nullptr) {
    out.message = NoSuchTopic(out.name, out.error);
    return;
  }
  log::TopicConfig config = topic->config();
  Status done = set(config);
  if (done.ok() && config.unsafe != topic->config().unsafe) {
    done = Error(sqlstate::kInvalidParameterValue, "\"kappa.unsafe\" cannot be changed once the topic is made");
  }
  if (done.ok() && !validate_only) done = log_.AlterTopic(out.name, config).status();
  if (done.ok()) return;
  out.error = ToCode(done.error());
  out.message = ErrorText(done.error());
}

/// set(config, changes) for each resource, on its topic's configuration.
template <class Request, class Set> AlterConfigsResponse Broker::AlterTopicConfigs(const Request& request, Set&& set) {
  AlterConfigsResponse response;
  for (const auto& asked : request.resources) {
    auto& out = response.resources.emplace_back();
    out.type = asked.type;
    out.name = asked.name;
    AlterTopicConfig(out, request.validate_only, [&](log::TopicConfig& config) { return set(config, asked.configs); });
  }
  return response;
}

AlterConfigsResponse Broker::AlterConfigs(const AlterConfigsRequest& request) {
  return AlterTopicConfigs(request, [](log::TopicConfig& config, const auto& entries) -> Status {
    config = {.partitions = config.partitions, .unsafe = config.unsafe, .internal = config.internal};
    for (const auto& entry : entries) KAPPA_RETURN_IF_ERROR(SetTopicConfig(config, entry.name, entry.value));
    return {};
  });
}

AlterConfigsResponse Broker::IncrementalAlterConfigs(const IncrementalAlterConfigsRequest& request) {
  return AlterTopicConfigs(request, [](log::TopicConfig& config, const auto& entries) -> Status {
    for (const auto& entry : entries) {
      if (entry.operation == IncrementalConfig::kDelete) {
        KAPPA_RETURN_IF_ERROR(SetTopicConfig(config, entry.name, std::nullopt));
      } else if (entry.operation == IncrementalConfig::kSet && entry.value) {
        KAPPA_RETURN_IF_ERROR(SetTopicConfig(config, entry.name, entry.value));
      } else {
        return Error(sqlstate::kInvalidParameterValue, fmt::format("topic configuration \"{}\" can be set and deleted only", entry.name));
      }
    }
    return {};
  });
}

DeleteRecordsResponse Broker::DeleteRecords(const DeleteRecordsRequest& request) {
  DeleteRecordsResponse response;
  ForEachPartition(request, response, [&](const auto& in, auto& out, log::Partition& partition, const std::string&) {
    const log::Offset end = partition.durable_end();
    if (in.offset < -1 || in.offset > end) {
      out.error = Code::kOffsetOutOfRange;
      return;
    }
    const log::Offset before = in.offset == -1 ? end : in.offset;
    Status deleted = options_.delete_records ? options_.delete_records(partition, before) : partition.DeleteBefore(before);
    if (!deleted.ok()) out.error = ToCode(deleted.error());
    if (deleted.ok()) out.low_watermark = partition.start_offset();
  });
  return response;
}

OffsetForLeaderEpochResponse Broker::OffsetForLeaderEpoch(const OffsetForLeaderEpochRequest& request) {
  OffsetForLeaderEpochResponse response;
  ForEachPartition(request, response, [](const auto& in, auto& out, const log::Partition& partition, const std::string&) {
    if (in.current_leader_epoch > kLeaderEpoch) {
      out.error = Code::kUnknownLeaderEpoch;
    } else if (in.leader_epoch == kLeaderEpoch) {
      out.leader_epoch = kLeaderEpoch;
      out.end_offset = partition.durable_end();
    }
  });
  return response;
}

DescribeLogDirsResponse Broker::DescribeLogDirs(const DescribeLogDirsRequest& request) {
  DescribeLogDirsResponse response;
  auto& folder = response.folders.emplace_back();
  folder.path = options_.log_folder;
  std::error_code failed;
  if (const std::filesystem::space_info space = std::filesystem::space(folder.path, failed); !failed) {
    folder.total_bytes = static_cast<int64_t>(space.capacity);
    folder.usable_bytes = static_cast<int64_t>(space.available);
  }
  auto describe = [&](log::Topic& topic, const std::vector<int32_t>* partitions) {
    auto& out = folder.topics.emplace_back();
    out.name = topic.name();
    for (int32_t i = 0; i < topic.partition_count(); ++i) {
      if (partitions != nullptr && std::ranges::find(*partitions, i) == partitions->end()) continue;
      out.partitions.push_back({.index = i, .bytes = static_cast<int64_t>(topic.partition(i).size_bytes())});
    }
  };
  if (!request.topics) {
    for (const auto& topic : log_.ListTopics()) {
      if (!topic->config().internal && !IsInternalTopic(topic->name())) describe(*topic, nullptr);
    }
    return response;
  }
  for (const auto& asked : *request.topics) {
    Code error = Code::kNone;  // unknown topics are left out, as Kafka does
    if (const auto topic = FindTopic(asked.name, error)) describe(*topic, &asked.partitions);
  }
  return response;
}

DescribeUserScramCredentialsResponse Broker::DescribeUserScramCredentials(const DescribeUserScramCredentialsRequest& request) {
  DescribeUserScramCredentialsResponse response;
  const auto users = options_.users == nullptr ? decltype(options_.users->All())() : options_.users->All();
  const auto describe = [&](auto& out, const auth::User& user) {
    using Credential = DescribeUserScramCredentialsResponse::Credential;
    out.credentials = {{Credential::kSha256, user.sha256.iterations}, {Credential::kSha512, user.sha512.iterations}};
  };
  if (!request.users || request.users->empty()) {
    for (const auto& [name, user] : users) {
      auto& out = response.users.emplace_back();
      out.name = name;
      describe(out, user);
    }
    return response;
  }
  std::map<std::string_view, int> asked;
  for (const auto& user : *request.users) ++asked[user.name];
  for (const auto& [name, times] : asked) {
    auto& out = response.users.emplace_back();
    out.name = name;
    const auto user = users.find(name);
    if (times > 1) {
      out.error = Code::kDuplicateResource;
      out.message = fmt::format("user \"{}\" is asked for twice", name);
    } else if (user == users.end()) {
      out.error = Code::kResourceNotFound;
      out.message = fmt::format("there is no user \"{}\"", name);
    } else {
      describe(out, user->second);
    }
  }
  return response;
}

DescribeAclsResponse Broker::DescribeAcls() { return {.error = Code::kSecurityDisabled, .message = std::string(kNoSecurity), .resources = {}}; }

CreateAclsResponse Broker::CreateAcls(const CreateAclsRequest& request) {
  return {.outcomes = {request.acls.size(), {Code::kSecurityDisabled, std::string(kNoSecurity)}}};
}

DeleteAclsResponse Broker::DeleteAcls(const DeleteAclsRequest& request) {
  return {.outcomes = {request.filters.size(), {Code::kSecurityDisabled, std::string(kNoSecurity), {}}}};
}

}  // namespace kappa::serve::kafka
