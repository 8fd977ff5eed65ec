// kappa topic consume and verify: reading the records of a topic.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/kafka_handle.h"

namespace kappa::cli {

enum class RecordFormat { kValue, kJson, kTable };

struct ConsumeOptions {
  BrokerAddress address;
  std::string topic;
  int32_t partition = -1;          // -1: all
  std::string from = "earliest";   // earliest, latest, an offset, or a time
  std::string to;                  // an offset or a time, not included; empty: what is there now
  bool follow = false;             // go on until interrupted
  std::optional<uint64_t> limit;   // records
  RecordFormat format = RecordFormat::kValue;
};
int ConsumeTopic(const ConsumeOptions& options);

/// Reads everything over the wire and checks checksums and offsets. The exit status.
int VerifyTopics(const BrokerAddress& address, const std::vector<std::string>& topics, bool json);

}  // namespace kappa::cli
