// Topic settings: bounds, and their text form.
#include "log/topic_config.h"

#include <charconv>
#include <cmath>
#include <map>

#include "base/checksum_line.h"

namespace kappa::log {
namespace {

constexpr std::string_view kFirstLine = "kappa topic 1\n";
constexpr std::string_view kFirstWords = "kappa topic ";
constexpr int32_t kPartitionsMax = 10'000;
constexpr int64_t kSegmentBytesMin = 16 << 10;
constexpr int64_t kSegmentBytesMax = int64_t{1} << 40;
constexpr double kMillion = 1e6;

Error Invalid(std::string_view name, int64_t value, std::string_view range) {
  return Error(sqlstate::kInvalidParameterValue, "invalid value for topic setting \"" + std::string(name) + "\": " + std::to_string(value))
      .Hint("It must be " + std::string(range) + ".");
}

}  // namespace

Status ValidateTopicConfig(const TopicConfig& config) {
  if (config.partitions < 1 || config.partitions > kPartitionsMax) return Invalid("partitions", config.partitions, "between 1 and 10000");
  if (config.segment_bytes < kSegmentBytesMin || config.segment_bytes > kSegmentBytesMax) {
    return Invalid("segment_bytes", config.segment_bytes, "between 16384 (16 KiB) and 1099511627776 (1 TiB)");
  }
  if (config.retention_ms < -1) return Invalid("retention_ms", config.retention_ms, "-1 (for ever) or more");
  if (config.retention_bytes < -1) return Invalid("retention_bytes", config.retention_bytes, "-1 (no bound) or more");
  if (config.segment_ms < 1) return Invalid("segment_ms", config.segment_ms, "at least 1");
  if (config.delete_retention_ms < 0) return Invalid("delete_retention_ms", config.delete_retention_ms, "0 or more");
  if (config.min_compaction_lag_ms < 0) return Invalid("min_compaction_lag_ms", config.min_compaction_lag_ms, "0 or more");
  if (config.max_compaction_lag_ms < 1) return Invalid("max_compaction_lag_ms", config.max_compaction_lag_ms, "at least 1");
  if (!(config.min_cleanable_dirty_ratio >= 0 && config.min_cleanable_dirty_ratio <= 1)) {
    return Error(sqlstate::kInvalidParameterValue, "invalid value for topic setting \"min_cleanable_dirty_ratio\"").Hint("It must be from 0 to 1.");
  }
  if (!config.delete_old && !config.compact) {
    return Error(sqlstate::kInvalidParameterValue, "a topic needs a cleanup policy").Hint("It may be delete, compact, or both.");
  }
  if (config.max_message_bytes < 256) return Invalid("max_message_bytes", config.max_message_bytes, "at least 256");
  return {};
}

std::string EncodeTopicConfig(std::string_view name, const TopicConfig& config) {
  std::string text(kFirstLine);
  auto put = [&](std::string_view key, int64_t value) { text += std::string(key) + " " + std::to_string(value) + "\n"; };
  text += "name " + std::string(name) + "\n";
  put("partitions", config.partitions);
  put("segment_bytes", config.segment_bytes);
  put("retention_ms", config.retention_ms);
  put("retention_bytes", config.retention_bytes);
  put("max_message_bytes", config.max_message_bytes);
  put("unsafe", config.unsafe);
  put("internal", config.internal);
  put("segment_ms", config.segment_ms);
  put("delete_old", config.delete_old);
  put("compact", config.compact);
  put("delete_retention_ms", config.delete_retention_ms);
  put("min_compaction_lag_ms", config.min_compaction_lag_ms);
  put("max_compaction_lag_ms", config.max_compaction_lag_ms);
  put("min_cleanable_dirty_millionths", std::llround(config.min_cleanable_dirty_ratio * kMillion));
  return WithChecksumLine(std::move(text));
}

Result<TopicConfig> DecodeTopicConfig(std::string_view text, std::string_view name, const std::string& path) {
  KAPPA_ASSIGN_OR_RETURN(std::string_view body, WithoutChecksumLine(text, path));
  if (!body.starts_with(kFirstLine)) {
    if (!body.starts_with(kFirstWords)) return DamagedFile(path, "It is not a topic's configuration.");
    return Error(sqlstate::kFeatureNotSupported, "file \"" + path + "\" has a newer format")
        .Hint("Open the folder with the newer program that wrote it.");
  }
  body.remove_prefix(kFirstLine.size());
  std::map<std::string_view, std::string_view> settings;
  while (!body.empty()) {
    size_t end = body.find('\n');
    size_t space = body.find(' ');
    if (end == body.npos || space > end) return DamagedFile(path, "A line is malformed.");
    settings[body.substr(0, space)] = body.substr(space + 1, end - space - 1);
    body.remove_prefix(end + 1);
  }
  if (settings["name"] != name) return DamagedFile(path, "It belongs to topic \"" + std::string(settings["name"]) + "\".");
  bool ok = true;
  auto number = [&](std::string_view key) {
    int64_t value = 0;
    std::string_view digits = settings[key];
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    ok = ok && !digits.empty() && error == std::errc() && end == digits.data() + digits.size();
    return value;
  };
  TopicConfig config;
  config.partitions = static_cast<int32_t>(number("partitions"));
  config.segment_bytes = number("segment_bytes");
  config.retention_ms = number("retention_ms");
  config.retention_bytes = number("retention_bytes");
  config.max_message_bytes = static_cast<int32_t>(number("max_message_bytes"));
  config.unsafe = number("unsafe") != 0;
  config.internal = number("internal") != 0;
  // Settings that came later: a topic made before them has the defaults.
  auto later = [&](std::string_view key, int64_t otherwise) { return settings.contains(key) ? number(key) : otherwise; };
  config.segment_ms = later("segment_ms", config.segment_ms);
  config.delete_old = later("delete_old", config.delete_old) != 0;
  config.compact = later("compact", config.compact) != 0;
  config.delete_retention_ms = later("delete_retention_ms", config.delete_retention_ms);
  config.min_compaction_lag_ms = later("min_compaction_lag_ms", config.min_compaction_lag_ms);
  config.max_compaction_lag_ms = later("max_compaction_lag_ms", config.max_compaction_lag_ms);
  config.min_cleanable_dirty_ratio =
      static_cast<double>(later("min_cleanable_dirty_millionths", std::llround(config.min_cleanable_dirty_ratio * kMillion))) / kMillion;
  if (!ok) return DamagedFile(path, "A setting is missing or no number.");
  KAPPA_RETURN_IF_ERROR(ValidateTopicConfig(config));
  return config;
}

}  // namespace kappa::log
