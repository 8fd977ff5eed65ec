#include "cli/topic.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/client.h"
#include "cli/kafka_admin.h"
#include "cli/progress.h"
#include "cli/topic_consume.h"
#include "cli/topic_describe.h"
#include "cli/topic_groups.h"
#include "cli/topic_produce.h"
#include "format/decoder.h"
#include "log/log.h"

namespace kappa::cli {
namespace {

/// What the command line said; one for all verbs, of which one runs.
struct TopicArguments {
  BrokerAddress address{.data = DefaultDataFolder()};
  bool json = false;
  std::string name;
  std::vector<std::string> names;
  int32_t partitions = 1;
  std::vector<std::string> configs;
  bool if_not_exists = false, if_exists = false, unsafe = false, offline = false;
  ProduceOptions produce;
  ConsumeOptions consume;
  GroupsOptions groups;
  OffsetsOptions offsets;
};

Error TopicFailure(const rd_kafka_topic_result_t* result, const std::string& what) {
  const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(result);
  const char* text = rd_kafka_topic_result_error_string(result);
  return KafkaFailure(error, what, text == nullptr ? "" : text);
}

int CreateTopic(const TopicArguments& arguments) {
  auto handle = KafkaHandle::Connect(arguments.address, RD_KAFKA_PRODUCER);
  if (!handle.ok()) return Fail(handle.error());
  const std::string what = fmt::format("could not create topic \"{}\"", arguments.name);
  char reason[512] = "";
  Owned<rd_kafka_NewTopic_t> topic(rd_kafka_NewTopic_new(arguments.name.c_str(), arguments.partitions, 1, reason, sizeof reason));
  if (!topic) return Fail(Error(sqlstate::kInvalidParameterValue, fmt::format("{}: {}", what, reason)));
  for (const std::string& config : arguments.configs) {
    const size_t equals = config.find('=');
    if (equals == std::string::npos) {
      return Fail(Error(sqlstate::kInvalidParameterValue, fmt::format("\"{}\" is no configuration entry", config))
                      .Hint("Write it as name=value: --config retention.ms=86400000."));
    }
    rd_kafka_NewTopic_set_config(topic.get(), config.substr(0, equals).c_str(), config.substr(equals + 1).c_str());
  }
  if (arguments.unsafe) rd_kafka_NewTopic_set_config(topic.get(), "kappa.unsafe", "true");
  Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new((*handle)->get()));
  rd_kafka_NewTopic_t* topics[] = {topic.get()};
  rd_kafka_CreateTopics((*handle)->get(), topics, 1, nullptr, queue.get());
  auto event = WaitFor(queue.get(), what);
  if (!event.ok()) return Fail(event.error());
  size_t count = 0;
  const rd_kafka_topic_result_t** results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event->get()), &count);
  if (count == 1 && rd_kafka_topic_result_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (arguments.if_not_exists && rd_kafka_topic_result_error(results[0]) == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
      fmt::print("topic \"{}\" already exists\n", arguments.name);
      return 0;
    }
    return Fail(TopicFailure(results[0], what));
  }
  fmt::print("created topic \"{}\" with {} partition{}\n", arguments.name, arguments.partitions, arguments.partitions == 1 ? "" : "s");
  return 0;
}

int DeleteTopics(const TopicArguments& arguments) {
  auto handle = KafkaHandle::Connect(arguments.address, RD_KAFKA_PRODUCER);
  if (!handle.ok()) return Fail(handle.error());
  int status = 0;
  for (const std::string& name : arguments.names) {
    const std::string what = fmt::format("could not delete topic \"{}\"", name);
    Owned<rd_kafka_DeleteTopic_t> topic(rd_kafka_DeleteTopic_new(name.c_str()));
    Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new((*handle)->get()));
    rd_kafka_DeleteTopic_t* topics[] = {topic.get()};
    rd_kafka_DeleteTopics((*handle)->get(), topics, 1, nullptr, queue.get());
    auto event = WaitFor(queue.get(), what);
    if (!event.ok()) return Fail(event.error());
    size_t count = 0;
    const rd_kafka_topic_result_t** results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event->get()), &count);
    const rd_kafka_resp_err_t error = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      fmt::print("deleted topic \"{}\"\n", name);
    } else if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && arguments.if_exists) {
      fmt::print("topic \"{}\" does not exist\n", name);
    } else {
      status = Fail(count == 1 ? TopicFailure(results[0], what) : KafkaFailure(error, what));
    }
  }
  return status;
}

int ListTopics(const TopicArguments& arguments) {
  auto handle = KafkaHandle::Connect(arguments.address, RD_KAFKA_CONSUMER);
  if (!handle.ok()) return Fail(handle.error());
  auto topics = (*handle)->ListTopics();
  if (!topics.ok()) return Fail(topics.error());
  Rows rows{.columns = {"topic", "partitions", "records"}, .types = {kText, kInt8, kInt8}};
  for (const TopicMetadata& topic : *topics) {
    int64_t records = 0;
    for (int32_t p = 0; p < topic.partitions; ++p) {
      auto marks = (*handle)->QueryWatermarks(topic.name, p);
      if (!marks.ok()) return Fail(marks.error());
      records += marks->high - marks->low;
    }
    rows.rows.push_back({topic.name, std::to_string(topic.partitions), std::to_string(records)});
  }
  rows.tag = fmt::format("{} topics", rows.rows.size());
  PrintRows(rows, arguments.json ? RowFormat::kJson : RowFormat::kTable);
  return 0;
}

/// Checks segment files of a data folder that no server uses.
int VerifyOffline(const TopicArguments& arguments) {
  const std::string folder = arguments.address.data + "/log";
  if (!std::filesystem::is_directory(folder)) {
    return Fail(Error(sqlstate::kUndefinedFile, fmt::format("there is no log in data folder \"{}\"", arguments.address.data))
                    .Hint("Name the data folder with --data."));
  }
  auto log = log::Log::Open(folder, {}, io::RealClock());
  if (!log.ok()) return Fail(log.error());
  int status = 0;
  for (const std::string& name : arguments.names) {
    if (!(*log)->FindTopic(name)) status = Fail(Error(sqlstate::kUndefinedTable, fmt::format("topic \"{}\" does not exist", name)));
  }
  for (const auto& topic : (*log)->ListTopics()) {
    if (!arguments.names.empty() && std::ranges::find(arguments.names, topic->name()) == arguments.names.end()) continue;
    uint64_t bytes = 0;
    int64_t records = 0;
    bool good = true;
    for (int32_t p = 0; p < topic->partition_count(); ++p) {
      log::Partition& partition = topic->partition(p);
      bytes += partition.size_bytes();
      records += partition.end_offset() - partition.start_offset();
      if (Status verified = partition.Verify(); !verified.ok()) {
        good = false;
        status = Fail(verified.error());
      }
    }
    if (good)
      fmt::print("topic \"{}\" is intact: {} records, {} on disk, every checksum and index entry checked\n", topic->name(),
                 HumanCount(static_cast<uint64_t>(records)), HumanBytes(bytes));
  }
  (*log)->Close();
  return status;
}

}  // namespace

void AddTopicCommands(CLI::App& app, std::function<int()>* run) {
  CLI::App* topic = app.add_subcommand("topic", "Topics of the log: create, fill, read, check")->require_subcommand(1);
  topic->footer(
      "Examples:\n"
      "  kappa topic create orders --partitions 4\n"
      "  kappa topic produce orders orders.jsonl.zst --key user_id\n"
      "  kappa topic consume orders --from \"2026-01-31 12:00\" --format table --limit 20\n"
      "Any Kafka client works too: kcat, librdkafka, the Java clients.");
  auto arguments = std::make_shared<TopicArguments>();  // lives as long as the callbacks
  auto verb = [&](const char* name, const char* description, std::function<int(TopicArguments&)> action) {
    CLI::App* command = topic->add_subcommand(name, description);
    command->add_option("--broker", arguments->address.broker, "Address of the broker, host:port")->type_name("ADDR");
    command->add_option("--data", arguments->address.data, "Data folder of a running \"kappa serve\", whose address is taken")
        ->type_name("DIR")
        ->envname("KAPPA_DATA");
    command->add_option("--client-config", arguments->address.config, "Properties of librdkafka, one a line: user and password, certificates")
        ->type_name("FILE")
        ->envname("KAPPA_KAFKA_CONFIG");
    command->callback([arguments, run, action = std::move(action)] { *run = [arguments, action] { return action(*arguments); }; });
    return command;
  };

  CLI::App* create = verb("create", "Create a topic", CreateTopic);
  create->add_option("TOPIC", arguments->name, "Name: a-z, A-Z, 0-9, \".\", \"_\", \"-\"")->required();
  create->add_option("--partitions", arguments->partitions, "Number of partitions")->capture_default_str()->check(CLI::Range(1, 10'000));
  create
      ->add_option("--config", arguments->configs,
                   "name=value: retention.ms, cleanup.policy, segment.bytes, max.message.bytes and others (docs/kafka.md)")
      ->type_name("NAME=VALUE");
  create->add_flag("--unsafe", arguments->unsafe, "Acknowledge records before they are on disk: faster, and lost in a crash");
  create->add_flag("--if-not-exists", arguments->if_not_exists, "Succeed when the topic exists");

  CLI::App* list = verb("list", "List topics with partitions and records", ListTopics);
  list->add_flag("--json", arguments->json, "One JSON object a line");

  CLI::App* describe = verb("describe", "Show a topic's partitions, offsets, what needs its records, and configuration",
                            [](TopicArguments& given) { return DescribeTopic(given.address, given.name, given.json); });
  describe->add_option("TOPIC", arguments->name, "Name of the topic")->required();
  describe->add_flag("--json", arguments->json, "A JSON object");

  CLI::App* remove = verb("delete", "Delete topics with all their records", DeleteTopics);
  remove->add_option("TOPIC", arguments->names, "Names of topics")->required();
  remove->add_flag("--if-exists", arguments->if_exists, "Succeed when the topic does not exist");

  CLI::App* produce = verb("produce", "Send lines as records; done when all are acknowledged, which means on disk", [](TopicArguments& given) {
    given.produce.address = given.address;
    given.produce.topic = given.name;
    given.produce.json = given.json;
    return ProduceToTopic(given.produce);
  });
  produce->add_option("TOPIC", arguments->name, "Name of the topic")->required();
  produce->add_option("FILE", arguments->produce.files, "Files of lines, plain, .zst or .gz; none or \"-\": standard input. Empty lines are skipped");
  produce->add_option("--key", arguments->produce.key, "JSON field whose value becomes the record's key")->type_name("FIELD");
  produce->add_option("--partition", arguments->produce.partition, "Send all to this partition; otherwise by key")->check(CLI::NonNegativeNumber);
  produce->add_option("--from-line", arguments->produce.from_line, "First line to send, counted from 1 over all files")->check(CLI::PositiveNumber);
  produce->add_option("--lines", arguments->produce.lines, "Number of lines to send");
  produce->add_option("--rate", arguments->produce.rate, "Records a second; 0: as fast as possible")->check(CLI::NonNegativeNumber);
  produce->add_option("--compression", arguments->produce.compression, "none, gzip, snappy, lz4 or zstd")
      ->capture_default_str()
      ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}));
  produce->add_flag("--json", arguments->json, "The summary as a JSON object");

  static const std::map<std::string, RecordFormat> kFormats = {
      {"value", RecordFormat::kValue}, {"json", RecordFormat::kJson}, {"table", RecordFormat::kTable}};
  CLI::App* consume = verb("consume", "Print records; ends with the last record unless --follow", [](TopicArguments& given) {
    given.consume.address = given.address;
    given.consume.topic = given.name;
    return ConsumeTopic(given.consume);
  });
  consume->add_option("TOPIC", arguments->name, "Name of the topic")->required();
  consume->add_option("--partition", arguments->consume.partition, "Only this partition")->check(CLI::NonNegativeNumber);
  consume->add_option("--from", arguments->consume.from, "earliest, latest, an offset, or a time")->capture_default_str();
  auto* to = consume->add_option("--to", arguments->consume.to, "latest, an offset, or a time: where to stop (not included)");
  consume->add_flag("--follow,-f", arguments->consume.follow, "Go on with new records until interrupted")->excludes(to);
  consume->add_option("--limit", arguments->consume.limit, "Number of records");
  consume->add_option("--format", arguments->consume.format, "value, json or table")->transform(CLI::CheckedTransformer(kFormats, CLI::ignore_case));

  CLI::App* groups = verb("groups", "List consumer groups, or delete some", [](TopicArguments& given) {
    given.groups.address = given.address;
    given.groups.json = given.json;
    return ShowGroups(given.groups);
  });
  groups->add_option("--delete", arguments->groups.remove, "Groups to delete with their offsets; they must have no members")->type_name("GROUP");
  groups->add_flag("--json", arguments->json, "One JSON object a line");

  CLI::App* offsets = verb("offsets", "Show how far a consumer group has read, or set where it goes on", [](TopicArguments& given) {
    given.offsets.address = given.address;
    given.offsets.json = given.json;
    return ShowOffsets(given.offsets);
  });
  offsets->add_option("GROUP", arguments->offsets.group, "Name of the group")->required();
  offsets->add_option("TOPIC", arguments->offsets.topic, "Only this topic");
  offsets->add_option("--to", arguments->offsets.to, "earliest, latest, an offset or a time: where all partitions of the topic are set to");
  offsets->add_flag("--json", arguments->json, "One JSON object a line");

  CLI::App* verify = verb("verify", "Check every checksum and offset of topics", [](TopicArguments& given) {
    return given.offline ? VerifyOffline(given) : VerifyTopics(given.address, given.names, given.json);
  });
  verify->add_option("TOPIC", arguments->names, "Topics; none: all");
  verify->add_flag("--offline", arguments->offline, "Read the files of the data folder, which no server may be using; checks indexes too");
  verify->add_flag("--json", arguments->json, "One JSON object a line");
}

}  // namespace kappa::cli
