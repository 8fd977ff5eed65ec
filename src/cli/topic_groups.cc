#include "cli/topic_groups.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "cli/client.h"
#include "cli/kafka_admin.h"
#include "cli/topic_reader.h"

namespace kappa::cli {
namespace {

int DeleteGroups(KafkaHandle& handle, const std::vector<std::string>& names) {
  int status = 0;
  for (const std::string& name : names) {
    const std::string what = fmt::format("could not delete group \"{}\"", name);
    Owned<rd_kafka_DeleteGroup_t> group(rd_kafka_DeleteGroup_new(name.c_str()));
    Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(handle.get()));
    rd_kafka_DeleteGroup_t* groups[] = {group.get()};
    rd_kafka_DeleteGroups(handle.get(), groups, 1, nullptr, queue.get());
    auto event = WaitFor(queue.get(), what);
    if (!event.ok()) return Fail(event.error());
    size_t count = 0;
    const rd_kafka_group_result_t** results = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event->get()), &count);
    const rd_kafka_error_t* error = count == 1 ? rd_kafka_group_result_error(results[0]) : nullptr;
    if (error != nullptr) {
      status = Fail(KafkaFailure(rd_kafka_error_code(error), what));
    } else {
      fmt::print("deleted group \"{}\" with its offsets\n", name);
    }
  }
  return status;
}

struct CommittedOffset {
  std::string topic;
  int32_t partition;
  int64_t offset;
};

Result<std::vector<CommittedOffset>> FetchOffsets(KafkaHandle& handle, const OffsetsOptions& options) {
  const std::string what = fmt::format("could not read the offsets of group \"{}\"", options.group);
  Owned<rd_kafka_ListConsumerGroupOffsets_t> request(rd_kafka_ListConsumerGroupOffsets_new(options.group.c_str(), nullptr));
  Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(handle.get()));
  rd_kafka_ListConsumerGroupOffsets_t* requests[] = {request.get()};
  rd_kafka_ListConsumerGroupOffsets(handle.get(), requests, 1, nullptr, queue.get());
  KAPPA_ASSIGN_OR_RETURN(Owned<rd_kafka_event_t> event, WaitFor(queue.get(), what));
  size_t count = 0;
  const rd_kafka_group_result_t** results =
      rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(event.get()), &count);
  if (count != 1) return KafkaFailure(RD_KAFKA_RESP_ERR__BAD_MSG, what);
  if (const rd_kafka_error_t* error = rd_kafka_group_result_error(results[0])) return KafkaFailure(rd_kafka_error_code(error), what);
  const rd_kafka_topic_partition_list_t* partitions = rd_kafka_group_result_partitions(results[0]);
  std::vector<CommittedOffset> offsets;
  for (int i = 0; i < partitions->cnt; ++i) {
    const rd_kafka_topic_partition_t& one = partitions->elems[i];
    if (one.offset >= 0 && (options.topic.empty() || options.topic == one.topic)) offsets.push_back({one.topic, one.partition, one.offset});
  }
  std::ranges::sort(offsets, {}, [](const CommittedOffset& one) { return std::tie(one.topic, one.partition); });
  return offsets;
}

/// Where a position is in each partition of the topic.
Result<Owned<rd_kafka_topic_partition_list_t>> Locate(KafkaHandle& handle, const TopicMetadata& topic, const Position& position) {
  Owned<rd_kafka_topic_partition_list_t> places(rd_kafka_topic_partition_list_new(topic.partitions));
  for (int32_t p = 0; p < topic.partitions; ++p) {
    KAPPA_ASSIGN_OR_RETURN(const Watermarks marks, handle.QueryWatermarks(topic.name, p));
    int64_t offset = marks.low;
    if (position.kind == Position::Kind::kLatest) offset = marks.high;
    if (position.kind == Position::Kind::kOffset) offset = std::clamp(position.value, marks.low, marks.high);
    if (position.kind == Position::Kind::kTime) {
      Owned<rd_kafka_topic_partition_list_t> time(rd_kafka_topic_partition_list_new(1));
      rd_kafka_topic_partition_list_add(time.get(), topic.name.c_str(), p)->offset = position.value;
      const rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(handle.get(), time.get(), kAdminTimeoutMs);
      if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaFailure(error, fmt::format("could not search topic \"{}\"", topic.name));
      offset = time->elems[0].offset < 0 ? marks.high : time->elems[0].offset;
    }
    rd_kafka_topic_partition_list_add(places.get(), topic.name.c_str(), p)->offset = offset;
  }
  return places;
}

Status SetOffsets(KafkaHandle& handle, const OffsetsOptions& options) {
  if (options.topic.empty()) {
    return Error(sqlstate::kInvalidParameterValue, "no topic to set offsets of").Hint("Name it: kappa topic offsets GROUP TOPIC --to earliest.");
  }
  KAPPA_ASSIGN_OR_RETURN(const Position position, ParsePosition(options.to));
  KAPPA_ASSIGN_OR_RETURN(const TopicMetadata topic, handle.FindTopic(options.topic));
  KAPPA_ASSIGN_OR_RETURN(Owned<rd_kafka_topic_partition_list_t> places, Locate(handle, topic, position));
  const std::string what = fmt::format("could not set the offsets of group \"{}\"", options.group);
  Owned<rd_kafka_AlterConsumerGroupOffsets_t> request(rd_kafka_AlterConsumerGroupOffsets_new(options.group.c_str(), places.get()));
  Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(handle.get()));
  rd_kafka_AlterConsumerGroupOffsets_t* requests[] = {request.get()};
  rd_kafka_AlterConsumerGroupOffsets(handle.get(), requests, 1, nullptr, queue.get());
  KAPPA_ASSIGN_OR_RETURN(Owned<rd_kafka_event_t> event, WaitFor(queue.get(), what));
  size_t count = 0;
  const rd_kafka_group_result_t** results =
      rd_kafka_AlterConsumerGroupOffsets_result_groups(rd_kafka_event_AlterConsumerGroupOffsets_result(event.get()), &count);
  if (count != 1) return KafkaFailure(RD_KAFKA_RESP_ERR__BAD_MSG, what);
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (const rd_kafka_error_t* whole = rd_kafka_group_result_error(results[0])) error = rd_kafka_error_code(whole);
  const rd_kafka_topic_partition_list_t* partitions = rd_kafka_group_result_partitions(results[0]);
  for (int i = 0; partitions != nullptr && i < partitions->cnt; ++i) {
    if (partitions->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) error = partitions->elems[i].err;
  }
  if (error == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID) {
    return Error(sqlstate::kObjectInUse, what + ": it has members").Hint("Stop its consumers first: they would go on where they are.");
  }
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaFailure(error, what);
  return {};
}

}  // namespace

int ShowGroups(const GroupsOptions& options) {
  auto handle = KafkaHandle::Connect(options.address, RD_KAFKA_CONSUMER);
  if (!handle.ok()) return Fail(handle.error());
  if (!options.remove.empty()) return DeleteGroups(**handle, options.remove);
  Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new((*handle)->get()));
  rd_kafka_ListConsumerGroups((*handle)->get(), nullptr, queue.get());
  auto listed = WaitFor(queue.get(), "could not list groups");
  if (!listed.ok()) return Fail(listed.error());
  size_t count = 0;
  const rd_kafka_ConsumerGroupListing_t** listings =
      rd_kafka_ListConsumerGroups_result_valid(rd_kafka_event_ListConsumerGroups_result(listed->get()), &count);
  std::vector<std::string> names;
  std::map<std::string, std::string> states;
  for (size_t i = 0; i < count; ++i) {
    names.emplace_back(rd_kafka_ConsumerGroupListing_group_id(listings[i]));
    states[names.back()] = rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(listings[i]));
  }
  std::ranges::sort(names);
  Rows rows{.columns = {"group", "state", "protocol", "members"}, .types = {kText, kText, kText, kInt8}};
  if (!names.empty()) {
    std::vector<const char*> asked;
    for (const std::string& name : names) asked.push_back(name.c_str());
    rd_kafka_DescribeConsumerGroups((*handle)->get(), asked.data(), asked.size(), nullptr, queue.get());
    auto described = WaitFor(queue.get(), "could not describe groups");
    if (!described.ok()) return Fail(described.error());
    const rd_kafka_ConsumerGroupDescription_t** groups =
        rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(described->get()), &count);
    for (size_t i = 0; i < count; ++i) {
      const std::string name = rd_kafka_ConsumerGroupDescription_group_id(groups[i]);
      if (rd_kafka_ConsumerGroupDescription_error(groups[i]) != nullptr) {  // what its members say is not a consumer's
        rows.rows.push_back({name, states[name], std::nullopt, std::nullopt});
        continue;
      }
      const char* protocol = rd_kafka_ConsumerGroupDescription_partition_assignor(groups[i]);
      rows.rows.push_back(
          {name, states[name], protocol == nullptr ? "" : protocol, std::to_string(rd_kafka_ConsumerGroupDescription_member_count(groups[i]))});
    }
  }
  rows.tag = fmt::format("{} groups", rows.rows.size());
  PrintRows(rows, options.json ? RowFormat::kJson : RowFormat::kTable);
  return 0;
}

int ShowOffsets(const OffsetsOptions& options) {
  auto handle = KafkaHandle::Connect(options.address, RD_KAFKA_CONSUMER);
  if (!handle.ok()) return Fail(handle.error());
  if (!options.to.empty()) {
    if (Status set = SetOffsets(**handle, options); !set.ok()) return Fail(set.error());
  }
  auto offsets = FetchOffsets(**handle, options);
  if (!offsets.ok()) return Fail(offsets.error());
  Rows rows{.columns = {"topic", "partition", "committed", "latest", "lag"}, .types = {kText, kInt8, kInt8, kInt8, kInt8}};
  for (const CommittedOffset& one : *offsets) {
    auto marks = (*handle)->QueryWatermarks(one.topic, one.partition);
    if (!marks.ok()) return Fail(marks.error());
    rows.rows.push_back({one.topic, std::to_string(one.partition), std::to_string(one.offset), std::to_string(marks->high),
                         std::to_string(std::max<int64_t>(marks->high - one.offset, 0))});
  }
  rows.tag = fmt::format("{} partitions", rows.rows.size());
  PrintRows(rows, options.json ? RowFormat::kJson : RowFormat::kTable);
  return 0;
}

}  // namespace kappa::cli
