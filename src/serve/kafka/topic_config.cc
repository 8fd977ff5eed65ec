#include "serve/kafka/topic_config.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>

#include <fmt/format.h>

namespace kappa::serve::kafka {
namespace {

using log::TopicConfig;

constexpr std::string_view kCleanupPolicy = "cleanup.policy";

/// A number in TopicConfig, a flag in it, the cleanup policy, or (none of these) a name whose only value is `fixed`.
struct Key {
  std::string_view name;
  std::string_view documentation;
  int64_t TopicConfig::* big = nullptr;
  int32_t TopicConfig::* small = nullptr;
  double TopicConfig::* ratio = nullptr;  // from 0 to 1
  bool TopicConfig::* flag = nullptr;
  std::string_view fixed = {};
  int64_t min = 0;
  int64_t max = std::numeric_limits<int64_t>::max();

  std::string Value(const TopicConfig& config) const {
    if (big != nullptr) return std::to_string(config.*big);
    if (small != nullptr) return std::to_string(config.*small);
    if (ratio != nullptr) return fmt::format("{}", config.*ratio);
    if (name == kCleanupPolicy) return config.compact ? config.delete_old ? "compact,delete" : "compact" : "delete";
    if (flag != nullptr) return config.*flag ? "true" : "false";
    return std::string(fixed);
  }
  int8_t type() const {
    return big != nullptr ? 5 : small != nullptr ? 3 : ratio != nullptr ? 6 : flag != nullptr ? 1 : name == kCleanupPolicy ? 7 : 2;
  }
};

constexpr Key kKeys[] = {
    {.name = "retention.ms",
     .documentation = "Age at which segments are deleted; -1 keeps them for ever.",
     .big = &TopicConfig::retention_ms,
     .min = -1},
    {.name = "retention.bytes",
     .documentation = "Size of a partition beyond which its oldest segments are deleted; -1 sets no bound.",
     .big = &TopicConfig::retention_bytes,
     .min = -1},
    {.name = "segment.bytes",
     .documentation = "Size of a segment file.",
     .big = &TopicConfig::segment_bytes,
     .min = 16384,
     .max = std::numeric_limits<int32_t>::max()},
    {.name = "segment.ms",
     .documentation = "Age of its oldest record at which a segment is completed, so that it can be deleted or compacted.",
     .big = &TopicConfig::segment_ms,
     .min = 1},
    {.name = "max.message.bytes",
     .documentation = "Largest record batch that is accepted.",
     .small = &TopicConfig::max_message_bytes,
     .min = 256,
     .max = std::numeric_limits<int32_t>::max()},
    {.name = "kappa.unsafe", .documentation = "Acknowledge before the records are on disk.", .flag = &TopicConfig::unsafe},
    {.name = kCleanupPolicy, .documentation = "delete: by age and size; compact: the last record of each key stays; or both."},
    {.name = "delete.retention.ms",
     .documentation = "Time for which compaction keeps a record without value, which deletes its key.",
     .big = &TopicConfig::delete_retention_ms},
    {.name = "min.cleanable.dirty.ratio",
     .documentation = "Part of a partition's bytes that were never compacted, beyond which they are.",
     .ratio = &TopicConfig::min_cleanable_dirty_ratio},
    {.name = "min.compaction.lag.ms", .documentation = "Time for which a record is not compacted.", .big = &TopicConfig::min_compaction_lag_ms},
    {.name = "max.compaction.lag.ms",
     .documentation = "Time after which a record is compacted, however little there is to gain.",
     .big = &TopicConfig::max_compaction_lag_ms,
     .min = 1},
    {.name = "compression.type", .documentation = "Batches are kept as the producer compressed them.", .fixed = "producer"},
    {.name = "message.timestamp.type", .documentation = "The producer's timestamps are kept.", .fixed = "CreateTime"},
    {.name = "min.insync.replicas", .documentation = "There is one broker.", .fixed = "1"},
};

Error Invalid(std::string_view name, std::string_view value, std::string_view expected) {
  return Error(sqlstate::kInvalidParameterValue, fmt::format("invalid value for topic configuration \"{}\": \"{}\"", name, value))
      .Detail(fmt::format("Expected {}.", expected));
}

Status SetCleanupPolicy(TopicConfig& config, std::string_view text) {
  bool compact = false, delete_old = false;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t comma = std::min(rest.find(','), rest.size());
    std::string_view one = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one != "compact" && one != "delete") return Invalid(kCleanupPolicy, text, "\"delete\", \"compact\", or \"compact,delete\"");
    (one == "compact" ? compact : delete_old) = true;
  }
  if (!compact && !delete_old) return Invalid(kCleanupPolicy, text, "\"delete\", \"compact\", or \"compact,delete\"");
  config.compact = compact;
  config.delete_old = delete_old;
  return {};
}

}  // namespace

Status SetTopicConfig(TopicConfig& config, std::string_view name, const std::optional<std::string>& value) {
  for (const Key& key : kKeys) {
    if (key.name != name) continue;
    const std::string text = value.value_or(key.Value(TopicConfig()));
    if (name == kCleanupPolicy) {
      KAPPA_RETURN_IF_ERROR(SetCleanupPolicy(config, text));
    } else if (key.ratio != nullptr) {
      double ratio = 0;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ratio);
      if (error != std::errc() || end != text.data() + text.size() || !(ratio >= 0 && ratio <= 1)) return Invalid(name, text, "a number from 0 to 1");
      config.*key.ratio = ratio;
    } else if (key.flag != nullptr) {
      if (text != "true" && text != "false") return Invalid(name, text, "true or false");
      config.*key.flag = text == "true";
    } else if (key.big != nullptr || key.small != nullptr) {
      int64_t number = 0;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || end != text.data() + text.size() || number < key.min || number > key.max) {
        return Invalid(name, text, fmt::format("a whole number from {} to {}", key.min, key.max));
      }
      if (key.big != nullptr) config.*key.big = number;
      if (key.small != nullptr) config.*key.small = static_cast<int32_t>(number);
    } else if (text != key.fixed) {
      return Invalid(name, text, fmt::format("\"{}\", the only value that is supported", key.fixed));
    }
    return Status::Ok();
  }
  std::string known;
  for (const Key& key : kKeys) known += (known.empty() ? "" : ", ") + std::string(key.name);
  return Error(sqlstate::kInvalidParameterValue, fmt::format("unknown topic configuration \"{}\"", name)).Detail("Known are " + known + ".");
}

std::vector<TopicConfigEntry> DescribeTopicConfig(const TopicConfig& config) {
  std::vector<TopicConfigEntry> entries;
  for (const Key& key : kKeys) {
    std::string value = key.Value(config);
    const bool is_default = value == key.Value(TopicConfig());
    entries.push_back({key.name, std::move(value), is_default, key.type(), key.documentation});
  }
  return entries;
}

}  // namespace kappa::serve::kafka
