// Reading: from an offset, by timestamp, everything for verification. Only what is visible.
#include <algorithm>

#include "log/batch_scanner.h"
#include "log/partition_log.h"

namespace kappa::log {

std::shared_ptr<Segment> PartitionLog::Active() const {
  std::lock_guard lock(segments_mutex_);
  return segments_.back();
}

/// The segment that holds `offset`; null below the first one.
std::shared_ptr<Segment> PartitionLog::SegmentOf(Offset offset) const {
  std::lock_guard lock(segments_mutex_);
  auto above = std::upper_bound(segments_.begin(), segments_.end(), offset, [](Offset o, const auto& segment) { return o < segment->base(); });
  return above == segments_.begin() ? nullptr : *(above - 1);
}

uint64_t PartitionLog::size_bytes() const {
  std::lock_guard lock(segments_mutex_);
  uint64_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment->write_position();
  return bytes;
}

std::vector<Partition::SegmentInfo> PartitionLog::segments() const {
  std::lock_guard lock(segments_mutex_);
  std::vector<SegmentInfo> infos;
  for (const auto& segment : segments_) infos.push_back({segment->base(), segment->visible_end(), segment->visible_bytes()});
  return infos;
}

/// Finds the batch that holds `from`: by the end of an earlier read, else by the index and a walk over headers.
Result<PartitionLog::Place> PartitionLog::Locate(Offset from) const {
  std::shared_ptr<Segment> segment = SegmentOf(from);
  if (segment == nullptr) return Error(sqlstate::kNumericValueOutOfRange, "offset is below the log's start");
  if (segment->sealed()) shared_->cache.Touch(segment);
  KAPPA_ASSIGN_OR_RETURN(Segment::Opened opened, segment->Acquire(false));
  {
    std::lock_guard lock(segments_mutex_);
    for (const Hint& hint : hints_) {
      if (hint.offset == from && hint.segment == segment.get()) return Place{segment, opened.file, hint.position, from};
    }
  }
  KAPPA_ASSIGN_OR_RETURN(IndexEntry entry, segment->FloorOfOffset(from));
  BatchScanner scanner(*opened.file, entry.position, segment->visible_bytes());
  Offset expected = entry.offset;
  while (true) {
    KAPPA_ASSIGN_OR_RETURN(auto found, scanner.Next(false));
    if (found != BatchScanner::Found::kBatch || scanner.header().base_offset != expected) {
      return Error(sqlstate::kDataCorrupted, "segment file \"" + segment->path() + "\" is damaged")
          .Detail("No batch with offset " + std::to_string(expected) + " at position " + std::to_string(scanner.position()) + ".");
    }
    if (scanner.header().last_offset() >= from) return Place{segment, opened.file, scanner.position(), expected};
    expected = scanner.header().last_offset() + 1;
  }
}

Offset PartitionLog::last_stable_offset() const {
  if (!transactional_.load(std::memory_order_acquire)) return durable_end();
  std::lock_guard lock(transactions_mutex_);
  return std::max(transactions_.LastStable(durable_end()), start_offset());
}

std::vector<ProducerInfo> PartitionLog::producers() const {
  std::lock_guard lock(append_mutex_);
  std::vector<ProducerInfo> infos = producers_.Infos();
  std::lock_guard transactions_lock(transactions_mutex_);
  transactions_.Describe(infos);
  return infos;
}

ReadResult PartitionLog::Read(Offset from, size_t max_bytes, Isolation isolation) const {
  ReadResult result;
  const bool committed = isolation == Isolation::kReadCommitted;
  const Offset stable = last_stable_offset();
  const Offset visible = committed ? stable : durable_end();
  auto finish = [&](KafkaError error) {
    result.error = error;
    result.high_watermark = durable_end();
    result.last_stable_offset = stable;
    result.log_start_offset = start_offset();
    return std::move(result);
  };
  if (StoppedError() == KafkaError::kUnknownTopicOrPartition) return finish(KafkaError::kUnknownTopicOrPartition);
  if (from < start_offset() || from > end_offset()) return finish(KafkaError::kOffsetOutOfRange);
  if (from >= visible) return finish(KafkaError::kNone);

  auto place = Locate(from);
  if (!place.ok()) {
    if (StoppedError() == KafkaError::kUnknownTopicOrPartition) return finish(KafkaError::kUnknownTopicOrPartition);
    if (from < start_offset()) return finish(KafkaError::kOffsetOutOfRange);  // retention was quicker
    return finish(place.error().Is(sqlstate::kDataCorrupted) ? KafkaError::kCorruptMessage : KafkaError::kKafkaStorageError);
  }
  const uint64_t available = place->segment->visible_bytes() - place->position;
  std::string& bytes = result.bytes;
  auto load = [&](uint64_t wanted) {
    size_t before = bytes.size();
    bytes.resize(static_cast<size_t>(wanted));
    return place->file->ReadExactlyAt(place->position + before, bytes.data() + before, bytes.size() - before);
  };
  Status loaded = load(std::min<uint64_t>(std::max(max_bytes, kBatchHeaderBytes), available));
  size_t used = 0;
  Offset expected = place->offset;
  KafkaError error = KafkaError::kNone;
  while (loaded.ok() && bytes.size() - used >= kBatchHeaderBytes) {
    std::string_view rest = std::string_view(bytes).substr(used);
    auto header = ParseBatchHeader(rest);
    if (committed && used > 0 && expected >= visible) break;
    if (!header.ok() || header->base_offset != expected || header->leader_epoch != 0 || header->total_bytes() > available - used) {
      error = KafkaError::kCorruptMessage;
      break;
    }
    if (header->total_bytes() > rest.size()) {
      if (used > 0) break;
      loaded = load(header->total_bytes());  // at least one batch, whatever its size
      continue;
    }
    if (!BatchCrcMatches(rest.substr(0, header->total_bytes()))) {
      error = KafkaError::kCorruptMessage;
      break;
    }
    used += header->total_bytes();
    expected = header->last_offset() + 1;
  }
  if (!loaded.ok()) {
    bytes.clear();
    return finish(KafkaError::kKafkaStorageError);
  }
  bytes.resize(used);
  if (used == 0) return finish(error);
  // Damage behind good batches is reported by the read that begins with it.
  {
    std::lock_guard lock(segments_mutex_);
    if (place->segment->base() >= segments_.front()->base()) {  // not one that retention has just dropped
      Hint hint{expected, place->position + used, place->segment.get()};
      if (hints_.size() < kHints) hints_.push_back(hint);
      else hints_[next_hint_++ % kHints] = hint;
    }
  }
  if (committed && transactional_.load(std::memory_order_acquire)) {
    std::lock_guard lock(transactions_mutex_);
    result.aborted = transactions_.AbortedIn(place->offset, expected);
  }
  return finish(KafkaError::kNone);
}

Result<std::optional<std::pair<Offset, int64_t>>> PartitionLog::FindTimestamp(int64_t timestamp_ms) const {
  using Answer = std::optional<std::pair<Offset, int64_t>>;
  const Offset start = start_offset();
  SegmentList list;
  {
    std::lock_guard lock(segments_mutex_);
    list = segments_;
  }
  std::string batch, storage;
  std::vector<Record> records;
  for (const auto& segment : list) {
    if (segment->max_timestamp() < timestamp_ms || segment->visible_bytes() == kSegmentHeaderBytes) continue;
    if (segment->sealed()) shared_->cache.Touch(segment);
    KAPPA_ASSIGN_OR_RETURN(Segment::Opened opened, segment->Acquire(false));
    KAPPA_ASSIGN_OR_RETURN(IndexEntry entry, segment->FloorOfTimestamp(timestamp_ms));
    BatchScanner scanner(*opened.file, entry.position, segment->visible_bytes());
    while (true) {
      KAPPA_ASSIGN_OR_RETURN(auto found, scanner.Next(false));
      if (found == BatchScanner::Found::kEnd) break;
      if (found == BatchScanner::Found::kBroken) {
        return Error(sqlstate::kDataCorrupted, "segment file \"" + segment->path() + "\" is damaged")
            .Detail("At position " + std::to_string(scanner.position()) + ": " + scanner.reason() + ".");
      }
      const BatchHeader& header = scanner.header();
      if (header.max_timestamp < timestamp_ms || header.is_control()) continue;
      batch.resize(header.total_bytes());
      KAPPA_RETURN_IF_ERROR(opened.file->ReadExactlyAt(scanner.position(), batch.data(), batch.size()));
      if (!BatchCrcMatches(batch))
        return Error(sqlstate::kDataCorrupted, "checksum of batch at offset " + std::to_string(header.base_offset) + " is wrong");
      KAPPA_ASSIGN_OR_RETURN(std::string_view section, RecordsSection(batch, shared_->options.batch_decompressed_bytes_max, storage));
      records.clear();
      KAPPA_RETURN_IF_ERROR(ParseRecords(header, section, records));
      for (const Record& record : records) {
        if (record.timestamp_ms >= timestamp_ms && record.offset >= start) return Answer(std::pair(record.offset, record.timestamp_ms));
      }
    }
  }
  return Answer();
}

Status PartitionLog::Verify() const {
  SegmentList list;
  {
    std::lock_guard lock(segments_mutex_);
    list = segments_;
  }
  for (const auto& segment : list) {
    if (segment->sealed()) shared_->cache.Touch(segment);
    KAPPA_RETURN_IF_ERROR(segment->Verify());
  }
  return {};
}

}  // namespace kappa::log
