// Kafka's names for a topic's configuration ("retention.ms"), to and from log::TopicConfig.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "log/log.h"

namespace kappa::serve::kafka {

/// Sets one entry; a null value means the default. Fails with invalid_parameter_value for an unknown name or a bad value.
Status SetTopicConfig(log::TopicConfig& config, std::string_view name, const std::optional<std::string>& value);

struct TopicConfigEntry {
  std::string_view name;
  std::string value;
  bool is_default;
  int8_t type;  // as DescribeConfigs numbers them: 1 boolean, 2 string, 3 int, 5 long, 6 double, 7 list
  std::string_view documentation;
};
std::vector<TopicConfigEntry> DescribeTopicConfig(const log::TopicConfig& config);

}  // namespace kappa::serve::kafka
