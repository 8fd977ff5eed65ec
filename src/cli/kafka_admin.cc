#include "cli/kafka_admin.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/client.h"

namespace kappa::cli {

Result<Owned<rd_kafka_event_t>> WaitFor(rd_kafka_queue_t* queue, const std::string& what) {
  Owned<rd_kafka_event_t> event(rd_kafka_queue_poll(queue, kAdminTimeoutMs));
  if (!event) return KafkaFailure(RD_KAFKA_RESP_ERR__TIMED_OUT, what);
  if (rd_kafka_resp_err_t error = rd_kafka_event_error(event.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaFailure(error, what, rd_kafka_event_error_string(event.get()));
  }
  return event;
}

Result<std::vector<ConfigEntry>> DescribeTopicConfig(KafkaHandle& handle, const std::string& topic) {
  Owned<rd_kafka_ConfigResource_t> resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(handle.get()));
  rd_kafka_ConfigResource_t* resources[] = {resource.get()};
  rd_kafka_DescribeConfigs(handle.get(), resources, 1, nullptr, queue.get());
  const std::string what = fmt::format("could not read the configuration of topic \"{}\"", topic);
  KAPPA_ASSIGN_OR_RETURN(Owned<rd_kafka_event_t> event, WaitFor(queue.get(), what));
  size_t count = 0;
  const rd_kafka_ConfigResource_t** results = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  if (count != 1) return KafkaFailure(RD_KAFKA_RESP_ERR__BAD_MSG, what);
  if (rd_kafka_resp_err_t error = rd_kafka_ConfigResource_error(results[0]); error != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaFailure(error, what);
  const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(results[0], &count);
  std::vector<ConfigEntry> out;
  for (size_t i = 0; i < count; ++i) {
    const char* value = rd_kafka_ConfigEntry_value(entries[i]);
    out.push_back({rd_kafka_ConfigEntry_name(entries[i]), value == nullptr ? "" : value, rd_kafka_ConfigEntry_is_default(entries[i]) != 0});
  }
  std::ranges::sort(out, {}, &ConfigEntry::name);
  return out;
}

int Fail(const Error& error) {
  PrintError(error);
  return 1;
}

}  // namespace kappa::cli
