// Reading: from an offset, by timestamp, everything for verification. Only what is visible.
#include <algorithm>
#include <cstring>

#include "io/failpoint.h"
#include "log/batch_scanner.h"
#include "log/partition_log.h"

namespace kappa::log {
namespace {
// Less than this is copied: cheaper than to send it apart from the answer around it.
constexpr uint64_t kSliceBytesMin = 64 << 10;
}  // namespace

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

/// The batches from `place` on, at least one, of which those without records go: compaction leaves them where records were, and to readers
/// they are worth nothing. `next`: the offset behind the last one, gone or not.
KafkaError PartitionLog::ReadBatches(const Place& place, size_t max_bytes, Offset visible, bool committed, ReadResult& result, Offset& next) const {
  const uint64_t available = place.segment->visible_bytes() - place.position;
  std::string& bytes = result.bytes;
  auto load = [&](uint64_t wanted) {
    size_t before = bytes.size();
    bytes.resize(static_cast<size_t>(wanted));
    return place.file->ReadExactlyAt(place.position + before, bytes.data() + before, bytes.size() - before);
  };
  Status loaded = load(std::min<uint64_t>(std::max(max_bytes, kBatchHeaderBytes), available));
  size_t used = 0, kept = 0, kept_used = 0;  // bytes that were looked at, those of them that stay, and where the last of those ended
  Offset kept_next = place.offset;
  next = place.offset;
  KafkaError error = KafkaError::kNone;
  while (loaded.ok() && bytes.size() - used >= kBatchHeaderBytes) {
    std::string_view rest = std::string_view(bytes).substr(used);
    auto header = ParseBatchHeader(rest);
    if (committed && used > 0 && next >= visible) break;
    if (!header.ok() || header->base_offset != next || header->leader_epoch != 0 || header->total_bytes() > available - used) {
      error = KafkaError::kCorruptMessage;
      break;
    }
    const size_t size = header->total_bytes();
    if (size > rest.size()) {
      if (used > 0) break;
      loaded = load(size);  // at least one batch, whatever its size
      continue;
    }
    if (!BatchCrcMatches(rest.substr(0, size)) && !io::Without("read_checksum")) {
      error = KafkaError::kCorruptMessage;
      break;
    }
    next = header->last_offset() + 1;
    if (header->record_count > 0) {
      if (kept != used) std::memmove(bytes.data() + kept, bytes.data() + used, size);
      kept += size;
      kept_used = used + size;
      kept_next = next;
    }
    used += size;
  }
  if (!loaded.ok()) {
    bytes.clear();
    return KafkaError::kKafkaStorageError;
  }
  bytes.resize(kept);
  if (used == 0) return error;
  place.segment->NoteChecked(place.position, place.position + used);
  if (kept > 0) NoteHint(place, kept_next, place.position + kept_used);
  // Damage behind good batches is reported by the read that begins with it.
  return KafkaError::kNone;
}

/// The batches from `place` to the last place below `max_bytes` that the index knows, when they may be passed on as they lie there.
bool PartitionLog::FindSlice(const Place& place, size_t max_bytes, Offset visible, ReadResult& result, Offset& next) const {
  Segment& segment = *place.segment;
  if (segment.clean_end() || segment.replaced()) return false;  // compaction left batches there that readers shall not see
  const IndexEntry end = segment.FloorOfPosition(std::min(place.position + max_bytes, segment.visible_bytes()));
  if (end.position < place.position + kSliceBytesMin || end.offset > visible || !segment.Checked(place.position, end.position)) return false;
  result.slice = {place.file, place.position, end.position - place.position};
  next = end.offset;
  NoteHint(place, end.offset, end.position);
  return true;
}

/// Where a read that goes on there finds its first batch.
void PartitionLog::NoteHint(const Place& place, Offset offset, uint64_t position) const {
  std::lock_guard lock(segments_mutex_);
  if (place.segment->base() < segments_.front()->base() || place.segment->replaced()) return;  // retention or compaction has just dropped it
  Hint hint{offset, position, place.segment.get()};
  if (hints_.size() < kHints) hints_.push_back(hint);
  else hints_[next_hint_++ % kHints] = hint;
}

ReadResult PartitionLog::Read(Offset from, size_t max_bytes, Isolation isolation) const { return Read(from, max_bytes, isolation, false); }

ReadResult PartitionLog::ReadForSending(Offset from, size_t max_bytes, Isolation isolation) const { return Read(from, max_bytes, isolation, true); }

ReadResult PartitionLog::Read(Offset from, size_t max_bytes, Isolation isolation, bool may_slice) const {
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
  while (from < visible) {
    auto place = Locate(from);
    if (!place.ok()) {
      if (StoppedError() == KafkaError::kUnknownTopicOrPartition) return finish(KafkaError::kUnknownTopicOrPartition);
      if (from < start_offset()) return finish(KafkaError::kOffsetOutOfRange);  // retention was quicker
      return finish(place.error().Is(sqlstate::kDataCorrupted) ? KafkaError::kCorruptMessage : KafkaError::kKafkaStorageError);
    }
    Offset next;
    if (!may_slice || !FindSlice(*place, max_bytes, visible, result, next)) {
      const KafkaError error = ReadBatches(*place, max_bytes, visible, committed, result, next);
      if (error != KafkaError::kNone) return finish(error);
    }
    if (committed && transactional_.load(std::memory_order_acquire)) {
      std::lock_guard lock(transactions_mutex_);
      result.aborted = transactions_.AbortedIn(place->offset, next);
    }
    if (committed && place->segment->replaced()) {  // what is known of transactions may be newer than what was read
      result.bytes.clear();
      result.slice = {};
      continue;
    }
    if (!result.bytes.empty() || result.slice.bytes > 0) break;
    if (next >= visible) {
      result.bytes = EmptyBatch(from, std::min<Offset>(next, from + INT32_MAX));  // so that a reader gets on
      break;
    }
    from = next;
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
