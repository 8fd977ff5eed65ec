// The file that says what a topic is: FOLDER/topics/<name>/config, readable text with a checksum.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "log/log.h"

namespace kappa::log {

/// Fails with invalid_parameter_value, naming the setting.
Status ValidateTopicConfig(const TopicConfig& config);

std::string EncodeTopicConfig(std::string_view name, const TopicConfig& config);
/// `path` is for messages. Fails with data_corrupted, or feature_not_supported for a newer version.
Result<TopicConfig> DecodeTopicConfig(std::string_view text, std::string_view name, const std::string& path);

}  // namespace kappa::log
