// TopicReader: the records of some partitions between two positions, in the order in which they arrive.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/kafka_handle.h"

namespace kappa::cli {

/// Where to begin or to end: "earliest", "latest", "123" (an offset), or a time ("2026-01-31", "2026-01-31 12:00:00+01").
struct Position {
  enum class Kind { kEarliest, kLatest, kOffset, kTime } kind = Kind::kEarliest;
  int64_t value = 0;  // the offset, or milliseconds since 1970 UTC
};
/// Fails with invalid_parameter_value.
Result<Position> ParsePosition(const std::string& text);

struct ReadRange {
  int32_t partition = 0;
  int64_t begin = 0, end = 0;  // end is not included
};

class TopicReader {
 public:
  /// `handle` must be a consumer. Fails when the topic or the partition does not exist.
  static Result<std::unique_ptr<TopicReader>> Open(KafkaHandle& handle, const std::string& topic, int32_t partition, Position from,
                                                   std::optional<Position> to);
  ~TopicReader();

  const std::vector<ReadRange>& ranges() const { return ranges_; }
  uint64_t records_total() const;
  /// Gives each record until the ends are reached (`follow`: for ever), `each` returns false, or Ctrl-C. `idle` is called when nothing
  /// came for a moment.
  Status Read(bool follow, const std::function<bool(const rd_kafka_message_t&)>& each, const std::function<void()>& idle);

 private:
  TopicReader(KafkaHandle& handle, std::string topic) : handle_(handle), topic_(std::move(topic)) {}
  Result<int64_t> Resolve(int32_t partition, Position position, Watermarks marks);

  KafkaHandle& handle_;
  const std::string topic_;
  std::vector<ReadRange> ranges_;
  rd_kafka_topic_t* consumed_ = nullptr;
  rd_kafka_queue_t* queue_ = nullptr;
  std::vector<int32_t> started_;
};

}  // namespace kappa::cli
