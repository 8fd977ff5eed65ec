#include "cli/topic_describe.h"

#include <fmt/format.h>

#include "cli/client.h"
#include "cli/kafka_admin.h"
#include "format/decoder.h"

namespace kappa::cli {
namespace {

/// Of one partition: records from an offset on may not go, and why. Both null when all may.
struct Need {
  std::optional<std::string> from, by;
};

/// By partition. Kafka's protocol has no place for it, so the server is asked in SQL.
Result<std::vector<Need>> NeedsOf(const std::string& data, const TopicMetadata& topic) {
  KAPPA_ASSIGN_OR_RETURN(auto client, Client::Connect({.data = data, .pg = ""}));
  KAPPA_ASSIGN_OR_RETURN(const Rows rows,
                         client->Query("SELECT needed_from, needed_by FROM kappa.partitions WHERE topic = $1 ORDER BY partition", {topic.name}));
  std::vector<Need> needs(static_cast<size_t>(topic.partitions));
  for (size_t p = 0; p < std::min(needs.size(), rows.rows.size()); ++p) needs[p] = {rows.rows[p][0], rows.rows[p][1]};
  return needs;
}

void PrintJson(const std::string& topic, const std::vector<Watermarks>& marks, const std::optional<std::vector<Need>>& needs,
               const std::vector<ConfigEntry>& config) {
  std::string out = "{\"topic\":";
  format::AppendJsonString(topic, out);
  out += ",\"partitions\":[";
  for (size_t p = 0; p < marks.size(); ++p) {
    out += fmt::format("{}{{\"partition\":{},\"earliest\":{},\"latest\":{}", p == 0 ? "" : ",", p, marks[p].low, marks[p].high);
    if (needs) {
      const Need& need = (*needs)[p];
      out += fmt::format(",\"needed_from\":{},\"needed_by\":", need.from.value_or("null"));
      if (need.by) format::AppendJsonString(*need.by, out);
      else out += "null";
    }
    out += '}';
  }
  out += "],\"config\":{";
  for (size_t i = 0; i < config.size(); ++i) {
    if (i > 0) out += ',';
    format::AppendJsonString(config[i].name, out);
    out += ':';
    format::AppendJsonString(config[i].value, out);
  }
  fmt::print("{}}}}}\n", out);
}

}  // namespace

int DescribeTopic(const BrokerAddress& address, const std::string& name, bool json) {
  auto handle = KafkaHandle::Connect(address, RD_KAFKA_CONSUMER);
  if (!handle.ok()) return Fail(handle.error());
  auto topic = (*handle)->FindTopic(name);
  if (!topic.ok()) return Fail(topic.error());
  auto config = DescribeTopicConfig(**handle, name);
  if (!config.ok()) return Fail(config.error());
  std::vector<Watermarks> marks;
  for (int32_t p = 0; p < topic->partitions; ++p) {
    auto one = (*handle)->QueryWatermarks(topic->name, p);
    if (!one.ok()) return Fail(one.error());
    marks.push_back(*one);
  }
  std::optional<std::vector<Need>> needs;
  if (address.broker.empty()) {
    auto asked = NeedsOf(address.data, *topic);
    if (asked.ok()) needs = std::move(*asked);
    else fmt::print(stderr, "what needs these records is not shown: {}\n", asked.error().ToString());
  }
  if (json) {
    PrintJson(topic->name, marks, needs, *config);
    return 0;
  }
  Rows partitions{.columns = {"partition", "earliest", "latest", "records"}, .types = {kInt8, kInt8, kInt8, kInt8}};
  for (size_t p = 0; p < marks.size(); ++p) {
    partitions.rows.push_back(
        {std::to_string(p), std::to_string(marks[p].low), std::to_string(marks[p].high), std::to_string(marks[p].high - marks[p].low)});
  }
  if (needs) {
    for (const char* column : {"needed from", "needed by"}) partitions.columns.emplace_back(column);
    for (const unsigned type : {kInt8, kText}) partitions.types.push_back(type);
    for (size_t p = 0; p < marks.size(); ++p) {
      for (const auto& cell : {(*needs)[p].from, (*needs)[p].by}) partitions.rows[p].push_back(cell);
    }
  }
  Rows settings{.columns = {"configuration", "value", "set by"}, .types = {kText, kText, kText}};
  for (const ConfigEntry& entry : *config) settings.rows.push_back({entry.name, entry.value, entry.is_default ? "default" : "topic"});
  fmt::print("Topic {} at {}\n\n", topic->name, (*handle)->broker());
  PrintRows(partitions, RowFormat::kTable);
  fmt::print("\n");
  PrintRows(settings, RowFormat::kTable);
  return 0;
}

}  // namespace kappa::cli
