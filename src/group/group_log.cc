#include "group/group_log.h"

#include "log/record_batch.h"

namespace kappa::group {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kDecompressedBytesMax = 64 << 20;
// Small, because space is given back a segment at a time.
constexpr int64_t kSegmentBytes = 8 << 20;

}  // namespace

GroupLog::GroupLog(log::Log& log) : log_(log), topic_(log.FindTopic(kGroupTopic)) {
  if (topic_ == nullptr) return;
  partition_ = &topic_->partition(0);
  waiting_->appended_end = partition_->end_offset();
}

Status GroupLog::Open() {
  if (partition_ != nullptr) return {};
  KAPPA_ASSIGN_OR_RETURN(topic_, log_.CreateTopic(std::string(kGroupTopic), {.segment_bytes = kSegmentBytes, .internal = true}));
  partition_ = &topic_->partition(0);
  return {};
}

Status GroupLog::Replay(const Visit& visit) {
  if (partition_ == nullptr) return {};
  std::string storage;
  std::vector<log::Record> records;
  for (log::Offset next = partition_->start_offset(); next < partition_->durable_end();) {
    const log::ReadResult read = partition_->Read(next, kReadBytes);
    if (read.error != log::KafkaError::kNone || read.bytes.empty()) {
      return Error(sqlstate::kDataCorrupted, "topic \"" + std::string(kGroupTopic) + "\" cannot be read")
          .Detail("Reading offset " + std::to_string(next) + " failed.")
          .Hint("Check it with \"kappa topic verify --offline\".");
    }
    for (std::string_view rest = read.bytes; !rest.empty();) {
      KAPPA_ASSIGN_OR_RETURN(const log::BatchHeader header, log::ParseBatchHeader(rest));
      KAPPA_ASSIGN_OR_RETURN(const std::string_view section, log::RecordsSection(rest, kDecompressedBytesMax, storage));
      records.clear();
      KAPPA_RETURN_IF_ERROR(log::ParseRecords(header, section, records));
      for (const log::Record& record : records) KAPPA_RETURN_IF_ERROR(visit(record.key.value_or(""), record.value, record.offset));
      next = header.last_offset() + 1;
      rest.remove_prefix(header.total_bytes());
    }
  }
  return {};
}

Result<log::Offset> GroupLog::Append(std::span<const GroupRecord> records) {
  KAPPA_RETURN_IF_ERROR(Open());
  log::BatchBuilder batch;
  for (const GroupRecord& record : records) batch.Add(0, record.key, record.value);
  // Should the log be closed instead, whoever waits is never answered: their connections end with it.
  const log::AppendResult appended =
      partition_->Append(batch.Finish(), [waiting = waiting_, topic = topic_, partition = partition_](log::KafkaError error) {
        if (error == log::KafkaError::kNone) waiting->RunUntil(partition->durable_end());
      });
  if (appended.error == log::KafkaError::kMessageTooLarge) return Error(sqlstate::kProgramLimitExceeded, appended.message);
  if (appended.error != log::KafkaError::kNone) return Error(sqlstate::kIoError, appended.message);
  std::lock_guard lock(waiting_->mutex);
  waiting_->appended_end = std::max(waiting_->appended_end, appended.next_offset);
  return appended.base_offset;
}

void GroupLog::Waiting::RunUntil(log::Offset durable_end) {
  std::deque<Work> ready;
  {
    std::lock_guard lock(mutex);
    while (!queue.empty() && queue.front().end <= durable_end) {
      ready.push_back(std::move(queue.front()));
      queue.pop_front();
    }
  }
  for (Work& work : ready) work.run();
}

void GroupLog::WhenDurable(std::function<void()> work) {
  {
    std::lock_guard lock(waiting_->mutex);
    // The records become visible before their callbacks run, and those take this lock: what is queued here is not missed.
    if (partition_ != nullptr && partition_->durable_end() < waiting_->appended_end) {
      waiting_->queue.push_back({waiting_->appended_end, std::move(work)});
      return;
    }
  }
  work();
}

uint64_t GroupLog::size_bytes() const { return partition_ == nullptr ? 0 : partition_->size_bytes(); }

std::optional<log::Offset> GroupLog::FirstSegmentEnd() const {
  const std::vector<log::Partition::SegmentInfo> segments = partition_->segments();
  if (segments.size() < 2) return std::nullopt;
  return segments.front().end;
}

Status GroupLog::DeleteBefore(log::Offset offset) { return partition_->DeleteBefore(offset); }

}  // namespace kappa::group
