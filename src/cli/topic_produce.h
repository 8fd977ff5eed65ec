// kappa topic produce: lines of files or of standard input become records.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/kafka_handle.h"

namespace kappa::cli {

struct ProduceOptions {
  BrokerAddress address;
  std::string topic;
  std::vector<std::string> files;  // none: standard input
  std::string key;                 // JSON field whose value becomes the key; empty: no keys
  int32_t partition = -1;          // -1: by key, or spread
  uint64_t from_line = 1;          // 1-based, counted over all files
  std::optional<uint64_t> lines;   // at most
  double rate = 0;                 // records a second; 0: as fast as possible
  std::string compression = "none";
  bool json = false;               // the summary
};
/// The exit status: 1 when anything was not acknowledged.
int ProduceToTopic(const ProduceOptions& options);

}  // namespace kappa::cli
