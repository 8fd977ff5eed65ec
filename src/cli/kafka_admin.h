// What commands that administrate the broker share: librdkafka's objects with owners, and waiting for the answer to a request.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/kafka_handle.h"

namespace kappa::cli {

struct Destroy {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
  void operator()(rd_kafka_NewTopic_t* topic) const { rd_kafka_NewTopic_destroy(topic); }
  void operator()(rd_kafka_DeleteTopic_t* topic) const { rd_kafka_DeleteTopic_destroy(topic); }
  void operator()(rd_kafka_DeleteGroup_t* group) const { rd_kafka_DeleteGroup_destroy(group); }
  void operator()(rd_kafka_ConfigResource_t* resource) const { rd_kafka_ConfigResource_destroy(resource); }
  void operator()(rd_kafka_topic_partition_list_t* partitions) const { rd_kafka_topic_partition_list_destroy(partitions); }
  void operator()(rd_kafka_ListConsumerGroupOffsets_t* request) const { rd_kafka_ListConsumerGroupOffsets_destroy(request); }
  void operator()(rd_kafka_AlterConsumerGroupOffsets_t* request) const { rd_kafka_AlterConsumerGroupOffsets_destroy(request); }
};
template <class T> using Owned = std::unique_ptr<T, Destroy>;

inline constexpr int kAdminTimeoutMs = 30'000;
inline constexpr unsigned kText = 25, kInt8 = 20;  // pg_type oids, for PrintRows

/// Waits for the one event that an admin request gives; `what` begins the message when it fails.
Result<Owned<rd_kafka_event_t>> WaitFor(rd_kafka_queue_t* queue, const std::string& what);

struct ConfigEntry {
  std::string name, value;
  bool is_default;
};
/// A topic's settings, by name.
Result<std::vector<ConfigEntry>> DescribeTopicConfig(KafkaHandle& handle, const std::string& topic);

/// Prints the error. The exit status: 1.
int Fail(const Error& error);

}  // namespace kappa::cli
