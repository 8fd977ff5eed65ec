#include "cli/kafka_handle.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <fstream>

#include <fmt/format.h>

#include "cli/client.h"

namespace kappa::cli {
namespace {

constexpr int kConnectTimeoutMs = 5'000;
constexpr int kRequestTimeoutMs = 30'000;

std::atomic<bool> interrupted{false};

/// Edits that turn one word into the other.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

/// Properties from a file, so that a password is no argument. Empty lines and those that begin with "#" are passed over.
Result<std::map<std::string, std::string>> ReadConfig(const std::string& path) {
  std::map<std::string, std::string> out;
  if (path.empty()) return out;
  std::ifstream file(path);
  if (!file) return Error(sqlstate::kUndefinedFile, fmt::format("could not read the client configuration \"{}\"", path));
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line.front() == '#') continue;
    const size_t equals = line.find('=');
    if (equals == line.npos) {
      return Error(sqlstate::kInvalidParameterValue, fmt::format("client configuration \"{}\", line {}: no \"=\"", path, number))
          .Hint("Write properties of librdkafka, one a line: sasl.username=ann");
    }
    out[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return out;
}

}  // namespace

bool Interrupted() {
  static const bool taken = [] {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    return true;
  }();
  return taken && interrupted.load(std::memory_order_relaxed);
}

Error KafkaFailure(rd_kafka_resp_err_t error, const std::string& what, const std::string& text) {
  const char* state = sqlstate::kIoError;
  if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) state = sqlstate::kUndefinedTable;
  if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) state = sqlstate::kDuplicateTable;
  if (error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__TIMED_OUT) state = sqlstate::kConnectionFailure;
  return Error(state, fmt::format("{}: {}", what, text.empty() ? rd_kafka_err2str(error) : text.c_str()));
}

Result<std::string> ResolveBroker(const BrokerAddress& address) {
  if (!address.broker.empty()) return address.broker;
  return ReadEndpoint(address.data, "kafka");
}

Result<std::unique_ptr<KafkaHandle>> KafkaHandle::Connect(const BrokerAddress& address, rd_kafka_type_t type, const Settings& settings,
                                                          OnDelivery on_delivery) {
  auto handle = std::unique_ptr<KafkaHandle>(new KafkaHandle());
  KAPPA_ASSIGN_OR_RETURN(handle->broker_, ResolveBroker(address));
  handle->on_delivery_ = std::move(on_delivery);
  KAPPA_ASSIGN_OR_RETURN(const Settings given, ReadConfig(address.config));

  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char error[512] = "";
  auto set = [&](const std::string& name, const std::string& value) {
    return rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof error) == RD_KAFKA_CONF_OK;
  };
  bool good = set("bootstrap.servers", handle->broker_) && set("client.id", "kappa") && set("log.queue", "true");
  for (const auto& [name, value] : given) good = good && set(name, value);
  for (const auto& [name, value] : settings) good = good && set(name, value);
  if (!good) {
    rd_kafka_conf_destroy(conf);
    return Error(sqlstate::kInvalidParameterValue, error);
  }
  rd_kafka_conf_set_opaque(conf, handle.get());
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int, const char* reason, void* opaque) { static_cast<KafkaHandle*>(opaque)->last_log_ = reason; });
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  if (handle->on_delivery_) {
    rd_kafka_conf_set_dr_msg_cb(
        conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) { static_cast<KafkaHandle*>(opaque)->on_delivery_(*message); });
  }
  handle->handle_ = rd_kafka_new(type, conf, error, sizeof error);
  if (handle->handle_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    return Error(sqlstate::kInvalidParameterValue, error);
  }
  rd_kafka_set_log_queue(handle->handle_, nullptr);  // log lines come with Poll, where they are dropped

  const rd_kafka_metadata_t* metadata = nullptr;
  rd_kafka_resp_err_t failed = rd_kafka_metadata(handle->handle_, 0, nullptr, &metadata, kConnectTimeoutMs);
  if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) return handle->Unreachable(failed);
  rd_kafka_metadata_destroy(metadata);
  return handle;
}

KafkaHandle::~KafkaHandle() {
  if (handle_ != nullptr) rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

Error KafkaHandle::Unreachable(rd_kafka_resp_err_t error) const {
  rd_kafka_poll(handle_, 0);  // brings the reason, if there is one
  return Error(sqlstate::kConnectionFailure, fmt::format("could not reach a Kafka broker at \"{}\"", broker_))
      .Detail(last_log_.empty() ? std::string(rd_kafka_err2str(error)) + "." : last_log_ + ".")
      .Hint(
          "Is \"kappa serve\" running? Name its data folder with --data, its address with --broker, and what it asks of clients with "
          "--client-config.");
}

Result<std::vector<TopicMetadata>> KafkaHandle::ListTopics() {
  const rd_kafka_metadata_t* metadata = nullptr;
  rd_kafka_resp_err_t failed = rd_kafka_metadata(handle_, 1, nullptr, &metadata, kRequestTimeoutMs);
  if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) return Unreachable(failed);
  std::vector<TopicMetadata> topics;
  for (int i = 0; i < metadata->topic_cnt; ++i) topics.push_back({metadata->topics[i].topic, metadata->topics[i].partition_cnt});
  rd_kafka_metadata_destroy(metadata);
  std::ranges::sort(topics, {}, &TopicMetadata::name);
  return topics;
}

Result<TopicMetadata> KafkaHandle::FindTopic(const std::string& name) {
  // All topics are asked for: a question about one would create it.
  KAPPA_ASSIGN_OR_RETURN(std::vector<TopicMetadata> topics, ListTopics());
  const TopicMetadata* closest = nullptr;
  for (const TopicMetadata& topic : topics) {
    if (topic.name == name) return topic;
    if (closest == nullptr || Distance(topic.name, name) < Distance(closest->name, name)) closest = &topic;
  }
  const bool close = closest != nullptr && Distance(closest->name, name) <= std::max<size_t>(1, name.size() / 3);
  return Error(sqlstate::kUndefinedTable, fmt::format("topic \"{}\" does not exist", name))
      .Hint(close ? fmt::format("Perhaps you meant \"{}\".", closest->name) : fmt::format("Create it with: kappa topic create {}", name));
}

Result<Watermarks> KafkaHandle::QueryWatermarks(const std::string& topic, int32_t partition) {
  Watermarks out;
  rd_kafka_resp_err_t failed = rd_kafka_query_watermark_offsets(handle_, topic.c_str(), partition, &out.low, &out.high, kRequestTimeoutMs);
  if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaFailure(failed, fmt::format("could not read the offsets of topic \"{}\"", topic));
  return out;
}

}  // namespace kappa::cli
