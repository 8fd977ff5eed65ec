// Metadata, CreateTopics, DeleteTopics, DescribeConfigs: what clients see of topics and may do to them.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "serve/kafka/broker.h"
#include "serve/kafka/topic_config.h"

namespace kappa::serve::kafka {
namespace {

struct Refusal {
  Code code = Code::kNone;
  std::string message;
};

Refusal CheckName(const std::string& name) {
  if (IsInternalTopic(name)) return {Code::kInvalidTopic, fmt::format("topic name \"{}\" is reserved: it begins with \"__\"", name)};
  if (!log::IsValidTopicName(name)) {
    return {Code::kInvalidTopic, fmt::format("invalid topic name \"{}\": 1 to 249 of a-z, A-Z, 0-9, \".\", \"_\" and \"-\" are allowed", name)};
  }
  return {};
}

/// What a CreateTopics entry asks for.
Refusal ReadTopic(const CreateTopicsRequest::Topic& asked, const KafkaServerOptions& options, log::TopicConfig& config) {
  if (Refusal refusal = CheckName(asked.name); refusal.code != Code::kNone) return refusal;
  config = options.auto_create_config;
  if (!asked.assignments.empty()) {
    std::set<int32_t> seen;
    for (const auto& assignment : asked.assignments) {
      if (assignment.brokers != std::vector<int32_t>{kNodeId}) {
        return {Code::kInvalidReplicaAssignment, fmt::format("replicas can only be assigned to broker {}", kNodeId)};
      }
      seen.insert(assignment.partition);
    }
    if (seen.size() != asked.assignments.size() || *seen.begin() != 0 || *seen.rbegin() != static_cast<int32_t>(seen.size()) - 1) {
      return {Code::kInvalidReplicaAssignment, "assigned partitions must be 0, 1, 2 and so on"};
    }
    config.partitions = static_cast<int32_t>(seen.size());
  } else if (asked.partitions != -1) {
    config.partitions = asked.partitions;
  }
  if (config.partitions < 1 || config.partitions > options.partitions_max) {
    return {Code::kInvalidPartitions, fmt::format("number of partitions must be from 1 to {}", options.partitions_max)};
  }
  if (asked.replication_factor != -1 && asked.replication_factor != 1) {
    return {Code::kInvalidReplicationFactor, "replication factor must be 1: there is one broker"};
  }
  for (const auto& entry : asked.configs) {
    if (Status set = SetTopicConfig(config, entry.name, entry.value); !set.ok()) return {Code::kInvalidConfig, ErrorText(set.error())};
  }
  return {};
}

}  // namespace

std::string ErrorText(const Error& error) { return error.detail().empty() ? error.message() : error.message() + ". " + error.detail(); }

std::string NoSuchTopic(const std::string& name, Code error) {
  return fmt::format("topic \"{}\" {}", name, error == Code::kTopicAuthorizationFailed ? "is internal" : "does not exist");
}

Status Broker::MakeTopic(const std::string& name, const log::TopicConfig& config) {
  return options_.create_topic ? options_.create_topic(name, config) : log_.CreateTopic(name, config).status();
}

Status Broker::RemoveTopic(const std::string& name) {
  if (options_.delete_topic) return options_.delete_topic(name);
  KAPPA_RETURN_IF_ERROR(log_.DeleteTopic(name));
  groups_.Do([&](group::Coordinator& coordinator) { coordinator.ForgetTopic(name); });
  return {};
}

MetadataResponse::Topic Broker::DescribeTopic(const std::string& name, bool create) {
  MetadataResponse::Topic out;
  out.name = name;
  std::shared_ptr<log::Topic> topic = FindTopic(name, out.error);
  if (out.error == Code::kTopicAuthorizationFailed) out.is_internal = true;
  if (out.error == Code::kUnknownTopicOrPartition && create) {
    out.error = CheckName(name).code;
    if (out.error == Code::kNone) {
      Status made = MakeTopic(name, options_.auto_create_config);
      // Another client may have been faster; that is as good.
      if (!made.ok() && !made.error().Is(sqlstate::kDuplicateTable)) out.error = ToCode(made.error());
      if (out.error == Code::kNone) topic = FindTopic(name, out.error);
    }
  }
  if (topic == nullptr) return out;
  for (int32_t i = 0; i < topic->partition_count(); ++i) {
    MetadataResponse::Partition& partition = out.partitions.emplace_back();
    partition.index = i;
    partition.leader = kNodeId;
    partition.replicas = partition.in_sync_replicas = {kNodeId};
  }
  return out;
}

MetadataResponse Broker::Metadata(const MetadataRequest& request, int16_t version, const Endpoint& advertised) {
  MetadataResponse response;
  response.brokers.push_back({kNodeId, advertised.host, advertised.port, std::nullopt});
  response.cluster_id = options_.cluster_id;
  response.controller_id = kNodeId;
  if (!request.topics || (version == 0 && request.topics->empty())) {
    for (const std::shared_ptr<log::Topic>& topic : log_.ListTopics()) {
      if (topic->config().internal || IsInternalTopic(topic->name())) continue;
      MetadataResponse::Topic out = DescribeTopic(topic->name(), false);
      if (out.error == Code::kNone) response.topics.push_back(std::move(out));  // else it was deleted meanwhile
    }
    return response;
  }
  const bool create = options_.auto_create_topics && request.allow_auto_topic_creation;
  for (const auto& topic : *request.topics) response.topics.push_back(DescribeTopic(topic.name, create));
  return response;
}

CreateTopicsResponse Broker::CreateTopics(const CreateTopicsRequest& request) {
  CreateTopicsResponse response;
  std::multiset<std::string> names;
  for (const auto& asked : request.topics) names.insert(asked.name);
  for (const auto& asked : request.topics) {
    log::TopicConfig config;
    Refusal refusal = ReadTopic(asked, options_, config);
    if (refusal.code == Code::kNone && names.count(asked.name) > 1) {
      refusal = {Code::kInvalidRequest, fmt::format("topic \"{}\" is named more than once", asked.name)};
    }
    if (refusal.code == Code::kNone && log_.FindTopic(asked.name)) {
      refusal = {Code::kTopicAlreadyExists, fmt::format("topic \"{}\" already exists", asked.name)};
    }
    if (refusal.code == Code::kNone && !request.validate_only) {
      if (Status made = MakeTopic(asked.name, config); !made.ok()) refusal = {ToCode(made.error()), ErrorText(made.error())};
    }
    auto& out = response.topics.emplace_back();
    out.name = asked.name;
    out.error = refusal.code;
    if (refusal.code != Code::kNone) {
      out.message = std::move(refusal.message);
      continue;
    }
    out.partitions = config.partitions;
    out.replication_factor = 1;
    auto& configs = out.configs.emplace();
    for (auto& entry : DescribeTopicConfig(config)) {
      configs.push_back({std::string(entry.name), std::move(entry.value), false, static_cast<int8_t>(entry.is_default ? 5 : 1), false});
    }
  }
  return response;
}

DeleteTopicsResponse Broker::DeleteTopics(const DeleteTopicsRequest& request) {
  DeleteTopicsResponse response;
  for (const std::string& name : request.names) {
    auto& out = response.topics.emplace_back();
    out.name = name;
    if (!FindTopic(name, out.error)) {
      out.message = NoSuchTopic(name, out.error);
      continue;
    }
    Status deleted = RemoveTopic(name);
    if (!deleted.ok()) {
      out.error = ToCode(deleted.error());
      out.message = ErrorText(deleted.error());
    }
  }
  return response;
}

DescribeConfigsResponse Broker::DescribeConfigs(const DescribeConfigsRequest& request) {
  DescribeConfigsResponse response;
  for (const auto& asked : request.resources) {
    auto& out = response.resources.emplace_back();
    out.type = asked.type;
    out.name = asked.name;
    auto add = [&](std::string_view name, std::string value, bool read_only, int8_t source, int8_t type, std::string_view documentation) {
      if (asked.keys && std::ranges::find(*asked.keys, name) == asked.keys->end()) return;
      auto& entry = out.entries.emplace_back();
      entry.name = name;
      if (request.include_synonyms) entry.synonyms.push_back({entry.name, value, source});
      entry.value = std::move(value);
      entry.read_only = read_only;
      entry.source = source;
      entry.is_default = source == 5;
      entry.type = type;
      if (request.include_documentation && !documentation.empty()) entry.documentation = std::string(documentation);
    };
    if (asked.type == kTopicResource) {
      if (std::shared_ptr<log::Topic> topic = FindTopic(asked.name, out.error)) {
        for (auto& entry : DescribeTopicConfig(topic->config())) {
          add(entry.name, std::move(entry.value), false, entry.is_default ? 5 : 1, entry.type, entry.documentation);
        }
      } else {
        out.message = NoSuchTopic(asked.name, out.error);
      }
    } else if (asked.type == kBrokerResource && (asked.name.empty() || asked.name == std::to_string(kNodeId))) {
      constexpr int8_t kStatic = 4, kBoolean = 1, kInt = 3, kLong = 5;
      add("auto.create.topics.enable", options_.auto_create_topics ? "true" : "false", true, kStatic, kBoolean, {});
      add("num.partitions", std::to_string(options_.auto_create_config.partitions), true, kStatic, kInt, {});
      add("message.max.bytes", std::to_string(options_.auto_create_config.max_message_bytes), true, kStatic, kInt, {});
      add("socket.request.max.bytes", std::to_string(options_.frame_bytes_max), true, kStatic, kInt, {});
      add("connections.max.idle.ms", std::to_string(options_.idle_timeout_ms), true, kStatic, kLong, {});
    } else {
      out.error = Code::kInvalidRequest;
      out.message = fmt::format("there is no configuration resource of type {} named \"{}\"", asked.type, asked.name);
    }
  }
  return response;
}

}  // namespace kappa::serve::kafka
