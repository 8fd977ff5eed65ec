#include "cli/topic_reader.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "data/datetime.h"

namespace kappa::cli {
namespace {

constexpr int kIdleMs = 100;
constexpr int kRequestTimeoutMs = 30'000;
constexpr size_t kBatchRecords = 1000;

}  // namespace

Result<Position> ParsePosition(const std::string& text) {
  if (text == "earliest") return Position{Position::Kind::kEarliest};
  if (text == "latest") return Position{Position::Kind::kLatest};
  Position position{Position::Kind::kOffset};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), position.value);
  if (error == std::errc() && end == text.data() + text.size() && position.value >= 0) return position;
  Result<int64_t> micros = data::ParseTimestamptz(text, data::TimeZone());
  if (!micros.ok() || !data::IsFinite(*micros)) {
    return Error(sqlstate::kInvalidParameterValue, fmt::format("\"{}\" is neither an offset nor a time", text))
        .Hint("Use earliest, latest, an offset like 1200, or a time like \"2026-01-31 12:00\" (UTC unless it names a zone).");
  }
  // A record at this very microsecond belongs to the range: round up to the millisecond of record timestamps.
  return Position{Position::Kind::kTime, (*micros >= 0 ? *micros + 999 : *micros) / 1000};
}

Result<int64_t> TopicReader::Resolve(int32_t partition, Position position, Watermarks marks) {
  switch (position.kind) {
    case Position::Kind::kEarliest: return marks.low;
    case Position::Kind::kLatest: return marks.high;
    case Position::Kind::kOffset: return std::clamp(position.value, marks.low, marks.high);
    case Position::Kind::kTime: break;
  }
  std::unique_ptr<rd_kafka_topic_partition_list_t, decltype(&rd_kafka_topic_partition_list_destroy)> times(rd_kafka_topic_partition_list_new(1),
                                                                                                           rd_kafka_topic_partition_list_destroy);
  rd_kafka_topic_partition_list_add(times.get(), topic_.c_str(), partition)->offset = position.value;
  rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(handle_.get(), times.get(), kRequestTimeoutMs);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = times->elems[0].err;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaFailure(error, fmt::format("could not find that time in topic \"{}\"", topic_));
  return times->elems[0].offset < 0 ? marks.high : times->elems[0].offset;  // nothing that young
}

Result<std::unique_ptr<TopicReader>> TopicReader::Open(KafkaHandle& handle, const std::string& topic, int32_t partition, Position from,
                                                       std::optional<Position> to) {
  KAPPA_ASSIGN_OR_RETURN(const TopicMetadata metadata, handle.FindTopic(topic));
  if (partition >= metadata.partitions) {
    return Error(sqlstate::kInvalidParameterValue, fmt::format("topic \"{}\" has no partition {}", topic, partition))
        .Detail(fmt::format("It has partitions 0 to {}.", metadata.partitions - 1));
  }
  auto reader = std::unique_ptr<TopicReader>(new TopicReader(handle, topic));
  for (int32_t p = std::max(partition, 0); p < (partition < 0 ? metadata.partitions : partition + 1); ++p) {
    KAPPA_ASSIGN_OR_RETURN(const Watermarks marks, handle.QueryWatermarks(topic, p));
    ReadRange range{.partition = p};
    KAPPA_ASSIGN_OR_RETURN(range.begin, reader->Resolve(p, from, marks));
    KAPPA_ASSIGN_OR_RETURN(range.end, reader->Resolve(p, to.value_or(Position{Position::Kind::kLatest}), marks));
    reader->ranges_.push_back(range);
  }
  return reader;
}

uint64_t TopicReader::records_total() const {
  uint64_t total = 0;
  for (const ReadRange& range : ranges_) total += range.end > range.begin ? static_cast<uint64_t>(range.end - range.begin) : 0;
  return total;
}

TopicReader::~TopicReader() {
  for (int32_t partition : started_) rd_kafka_consume_stop(consumed_, partition);
  if (queue_ != nullptr) rd_kafka_queue_destroy(queue_);
  if (consumed_ != nullptr) rd_kafka_topic_destroy(consumed_);
}

Status TopicReader::Read(bool follow, const std::function<bool(const rd_kafka_message_t&)>& each, const std::function<void()>& idle) {
  consumed_ = rd_kafka_topic_new(handle_.get(), topic_.c_str(), nullptr);
  queue_ = rd_kafka_queue_new(handle_.get());
  std::vector<int64_t> ends;  // by partition; -1: done or not read
  size_t open = 0;
  for (const ReadRange& range : ranges_) {
    ends.resize(static_cast<size_t>(range.partition) + 1, -1);
    if (!follow && range.begin >= range.end) continue;
    if (rd_kafka_consume_start_queue(consumed_, range.partition, range.begin, queue_) != 0) {
      return KafkaFailure(rd_kafka_last_error(), fmt::format("could not read topic \"{}\"", topic_));
    }
    started_.push_back(range.partition);
    ends.back() = follow ? INT64_MAX : range.end;
    ++open;
  }
  std::vector<rd_kafka_message_t*> messages(kBatchRecords);
  bool go_on = true;
  while (open > 0 && go_on && !Interrupted()) {
    const ssize_t count = rd_kafka_consume_batch_queue(queue_, kIdleMs, messages.data(), messages.size());
    if (count < 0) return KafkaFailure(rd_kafka_last_error(), fmt::format("could not read topic \"{}\"", topic_));
    if (count == 0) idle();
    Status failed;
    for (ssize_t i = 0; i < count; ++i) {
      rd_kafka_message_t* message = messages[static_cast<size_t>(i)];
      int64_t* end =
          message->partition >= 0 && static_cast<size_t>(message->partition) < ends.size() ? &ends[static_cast<size_t>(message->partition)] : nullptr;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        const bool record = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        if (end != nullptr && *end >= 0) {
          if (record && message->offset < *end && go_on) go_on = each(*message);
          // Offsets may have gaps, so the end may be passed without being met.
          if (message->offset >= *end - (record ? 1 : 0)) {
            *end = -1;
            --open;
          }
        }
      } else if (failed.ok()) {
        failed = KafkaFailure(message->err, fmt::format("could not read topic \"{}\"", topic_), rd_kafka_message_errstr(message));
      }
      rd_kafka_message_destroy(message);
    }
    KAPPA_RETURN_IF_ERROR(std::move(failed));
  }
  return Status::Ok();
}

}  // namespace kappa::cli
