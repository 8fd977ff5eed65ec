#include "log/state_log.h"

#include "io/failpoint.h"
#include "log/record_batch.h"

namespace kappa::log {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kDecompressedBytesMax = 64 << 20;
// Small, because space is given back a segment at a time.
constexpr int64_t kSegmentBytes = 8 << 20;

}  // namespace

StateLog::StateLog(Log& log, std::string topic) : log_(log), name_(std::move(topic)), topic_(log.FindTopic(name_)) {
  if (topic_ == nullptr) return;
  partition_ = &topic_->partition(0);
  waiting_->appended_end = partition_->end_offset();
}

Status StateLog::Open() {
  if (partition_ != nullptr) return {};
  KAPPA_ASSIGN_OR_RETURN(topic_, log_.CreateTopic(name_, {.segment_bytes = kSegmentBytes, .internal = true}));
  partition_ = &topic_->partition(0);
  return {};
}

Status StateLog::Replay(const Visit& visit) {
  if (partition_ == nullptr) return {};
  std::string storage;
  std::vector<Record> records;
  for (Offset next = partition_->start_offset(); next < partition_->durable_end();) {
    const ReadResult read = partition_->Read(next, kReadBytes);
    if (read.error == KafkaError::kKafkaStorageError) {
      return Error(sqlstate::kIoError, "topic \"" + name_ + "\" cannot be read").Detail("The disk failed at offset " + std::to_string(next) + ".");
    }
    if (read.error != KafkaError::kNone || read.bytes.empty()) {
      return Error(sqlstate::kDataCorrupted, "topic \"" + name_ + "\" cannot be read")
          .Detail("Reading offset " + std::to_string(next) + " failed.")
          .Hint("Check it with \"kappa topic verify --offline\".");
    }
    for (std::string_view rest = read.bytes; !rest.empty();) {
      KAPPA_ASSIGN_OR_RETURN(const BatchHeader header, ParseBatchHeader(rest));
      KAPPA_ASSIGN_OR_RETURN(const std::string_view section, RecordsSection(rest, kDecompressedBytesMax, storage));
      records.clear();
      KAPPA_RETURN_IF_ERROR(ParseRecords(header, section, records));
      for (const Record& record : records) KAPPA_RETURN_IF_ERROR(visit(record.key.value_or(""), record.value, record.offset));
      next = header.last_offset() + 1;
      rest.remove_prefix(header.total_bytes());
    }
  }
  return {};
}

Result<Offset> StateLog::Append(std::span<const StateRecord> records) {
  KAPPA_RETURN_IF_ERROR(Open());
  BatchBuilder batch;
  for (const StateRecord& record : records) batch.Add(0, record.key, record.value);
  // Should the log be closed instead, whoever waits is never answered: their connections end with it.
  const AppendResult appended = partition_->Append(batch.Finish(), [waiting = waiting_, topic = topic_, partition = partition_](KafkaError error) {
    if (error == KafkaError::kNone) waiting->RunUntil(partition->durable_end());
  });
  if (appended.error == KafkaError::kMessageTooLarge) return Error(sqlstate::kProgramLimitExceeded, appended.message);
  if (appended.error != KafkaError::kNone) return Error(sqlstate::kIoError, appended.message);
  std::lock_guard lock(waiting_->mutex);
  waiting_->appended_end = std::max(waiting_->appended_end, appended.next_offset);
  return appended.base_offset;
}

void StateLog::Waiting::RunUntil(Offset durable_end) {
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

void StateLog::WhenDurable(std::function<void()> work) {
  {
    std::lock_guard lock(waiting_->mutex);
    // The records become visible before their callbacks run, and those take this lock: what is queued here is not missed.
    if (partition_ != nullptr && partition_->durable_end() < waiting_->appended_end && !io::Without("state_durable")) {
      waiting_->queue.push_back({waiting_->appended_end, std::move(work)});
      return;
    }
  }
  work();
}

uint64_t StateLog::size_bytes() const { return partition_ == nullptr ? 0 : partition_->size_bytes(); }

std::optional<Offset> StateLog::FirstSegmentEnd() const {
  const std::vector<Partition::SegmentInfo> segments = partition_->segments();
  if (segments.size() < 2) return std::nullopt;
  return segments.front().end;
}

Status StateLog::DeleteBefore(Offset offset) { return partition_->DeleteBefore(offset); }

}  // namespace kappa::log
