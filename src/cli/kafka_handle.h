// KafkaHandle: a librdkafka client of the broker that a command means, and topics as that broker describes them.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace kappa::cli {

/// Options that all topic commands share.
struct BrokerAddress {
  std::string broker;  // host:port; wins over the folder
  std::string data;    // data folder whose endpoints.json is read
  std::string config;  // file of librdkafka's properties, "name=value" lines; may be empty
};
/// Fails with connection_failure when nothing serves the folder.
Result<std::string> ResolveBroker(const BrokerAddress& address);

struct TopicMetadata {
  std::string name;
  int32_t partitions = 0;
};

struct Watermarks {
  int64_t low = 0, high = 0;
};

/// One client. Its log lines are kept, not printed: the last one explains a failure.
class KafkaHandle {
 public:
  using Settings = std::map<std::string, std::string>;
  /// Called for each message that was acknowledged or given up, inside Poll.
  using OnDelivery = std::function<void(const rd_kafka_message_t& message)>;

  /// Connects; fails with connection_failure when there is no broker, invalid_parameter_value for a bad setting.
  static Result<std::unique_ptr<KafkaHandle>> Connect(const BrokerAddress& address, rd_kafka_type_t type, const Settings& settings = {},
                                                      OnDelivery on_delivery = {});
  ~KafkaHandle();
  KafkaHandle(const KafkaHandle&) = delete;

  rd_kafka_t* get() const { return handle_; }
  const std::string& broker() const { return broker_; }
  /// In order of name.
  Result<std::vector<TopicMetadata>> ListTopics();
  /// Fails with undefined_table, naming a close match.
  Result<TopicMetadata> FindTopic(const std::string& name);
  Result<Watermarks> QueryWatermarks(const std::string& topic, int32_t partition);

 private:
  KafkaHandle() = default;
  Error Unreachable(rd_kafka_resp_err_t error) const;

  rd_kafka_t* handle_ = nullptr;
  std::string broker_;
  OnDelivery on_delivery_;
  std::string last_log_;  // written by librdkafka's threads before Connect returns, and by Poll afterwards
};

/// An error of librdkafka in kappa's form; `what` is the message's beginning: "could not delete topic \"t\"".
Error KafkaFailure(rd_kafka_resp_err_t error, const std::string& what, const std::string& text = {});

/// True after Ctrl-C. The first call takes the signal over; a second Ctrl-C ends the program as usual.
bool Interrupted();

}  // namespace kappa::cli
