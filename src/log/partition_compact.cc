// Compaction: which segments need it, the pass over them, and the swap of files that a crash leaves done or undone.
#include <algorithm>

#include "io/folder.h"
#include "log/batch_scanner.h"
#include "log/compacted_segment.h"
#include "log/compaction_filter.h"
#include "log/partition_log.h"

namespace kappa::log {
namespace {

std::string StemOf(const Segment& segment) { return segment.path().substr(0, segment.path().size() - 4); }
uint64_t BatchBytes(const Segment& segment) { return segment.visible_bytes() - kSegmentHeaderBytes; }

/// visit(scanner) for each batch of a sealed segment from `from` on, until it gives false.
template <class Visit> Status ForEachBatch(Segment& segment, Offset from, Visit visit) {
  KAPPA_ASSIGN_OR_RETURN(Segment::Opened opened, segment.Acquire(false));
  KAPPA_ASSIGN_OR_RETURN(IndexEntry entry, segment.FloorOfOffset(from));
  BatchScanner scanner(*opened.file, entry.position, segment.visible_bytes());
  while (true) {
    KAPPA_ASSIGN_OR_RETURN(auto found, scanner.Next(false));
    if (found == BatchScanner::Found::kEnd) return {};
    if (found == BatchScanner::Found::kBroken) {
      return Error(sqlstate::kDataCorrupted, "segment file \"" + segment.path() + "\" is damaged")
          .Detail("At position " + std::to_string(scanner.position()) + ": " + scanner.reason() + ".")
          .Hint("Restore the file from a copy.");
    }
    if (scanner.header().last_offset() < from) continue;
    KAPPA_ASSIGN_OR_RETURN(const bool more, visit(scanner));
    if (!more) return {};
  }
}

}  // namespace

void PartitionLog::AllowCompaction(Offset below) { compact_below_.store(below, std::memory_order_release); }

PartitionLog::CompactionNeed PartitionLog::NeedOfCompaction(int64_t now_ms) const {
  CompactionNeed need;
  std::lock_guard lock(append_mutex_);
  if (!config_.compact || StoppedError() != KafkaError::kNone) return need;
  SegmentList list;
  {
    std::lock_guard segments_lock(segments_mutex_);
    list = segments_;
  }
  // An open transaction may still be aborted: what it wrote is not known to count.
  const Offset bound = std::min(compact_below_.load(std::memory_order_acquire), last_stable_offset());
  Offset clean = list.back()->base();
  for (const auto& segment : list) clean = std::min(clean, segment->clean_end().value_or(segment->base()));
  clean = std::max(clean, list.front()->base());
  uint64_t clean_bytes = 0, dirty_bytes = 0;
  bool overdue = false;
  need.from = need.to = clean;
  for (size_t i = 0; i + 1 < list.size(); ++i) {
    const Segment& segment = *list[i];
    if (segment.visible_end() > bound) break;
    if (segment.visible_end() <= clean) {
      clean_bytes += BatchBytes(segment);
      continue;
    }
    const bool old_enough = config_.min_compaction_lag_ms == 0 || (now_ms >= 0 && now_ms - segment.last_append_ms() >= config_.min_compaction_lag_ms);
    if (!old_enough) break;
    // When the first record of the segment came is not known; it was after the segment before was complete.
    const int64_t first_ms = i == 0 ? segment.last_append_ms() : list[i - 1]->last_append_ms();
    overdue |= now_ms >= 0 && now_ms - first_ms >= config_.max_compaction_lag_ms;
    dirty_bytes += BatchBytes(segment);
    need.to = segment.visible_end();
  }
  if (dirty_bytes == 0) return need;
  need.dirty_ratio = static_cast<double>(dirty_bytes) / static_cast<double>(clean_bytes + dirty_bytes);
  need.must = overdue || need.dirty_ratio > config_.min_cleanable_dirty_ratio;
  return need;
}

/// Notes the keys of [need.from, need.to), as far as they fit. Where the noted part ends: a batch begins there, or the segment ends.
Result<Offset> PartitionLog::NoteLatest(const SegmentList& list, const CompactionNeed& need, const std::vector<AbortedTransaction>& aborted,
                                        const CompactionPace& pace, LatestOffsets& latest) const {
  Offset end = need.to;
  for (const auto& segment : list) {
    if (segment->visible_end() <= need.from || segment->base() >= end) continue;
    KAPPA_RETURN_IF_ERROR(ForEachBatch(*segment, need.from, [&](BatchScanner& scanner) -> Result<bool> {
      KAPPA_ASSIGN_OR_RETURN(const std::string_view batch, scanner.Contents());
      KAPPA_RETURN_IF_ERROR(pace(batch.size(), 0));
      KAPPA_ASSIGN_OR_RETURN(const bool fits,
                             CompactionFilter::NoteKeys(scanner.header(), batch, aborted, shared_->options.batch_decompressed_bytes_max, latest));
      if (!fits) end = scanner.header().base_offset;
      return fits;
    }));
    shared_->cache.Touch(segment);
  }
  return end;
}

Result<uint64_t> PartitionLog::Compact(int64_t now_ms, const CompactionPace& pace) {
  const CompactionNeed need = NeedOfCompaction(now_ms);
  if (need.to <= need.from) return uint64_t{0};
  SegmentList list;
  CompactionFilter::Rules rules{
      .log_start = start_offset(), .now_ms = now_ms, .decompressed_bytes_max = shared_->options.batch_decompressed_bytes_max};
  uint64_t segment_bytes;
  {
    std::lock_guard lock(append_mutex_);
    rules.delete_retention_ms = config_.delete_retention_ms;
    rules.producers = producers_.NewestOfAll();
    segment_bytes = static_cast<uint64_t>(config_.segment_bytes);
    {
      std::lock_guard transactions_lock(transactions_mutex_);
      rules.aborted = transactions_.AbortedIn(0, need.to);
    }
    std::lock_guard segments_lock(segments_mutex_);
    list = segments_;
  }
  LatestOffsets latest(shared_->options.compaction_buffer_bytes);
  KAPPA_ASSIGN_OR_RETURN(rules.end, NoteLatest(list, need, rules.aborted, pace, latest));
  const Offset end = rules.end;
  CompactionFilter filter(latest, std::move(rules));
  const auto behind = std::ranges::find_if(list, [&](const auto& segment) { return segment->base() >= end; });
  for (std::span<const std::shared_ptr<Segment>> rest(list.begin(), behind); !rest.empty();) {
    KAPPA_ASSIGN_OR_RETURN(const size_t taken, CompactSome(rest, end, segment_bytes, filter, pace));
    if (taken == 0) break;
    rest = rest.subspan(taken);
  }
  return filter.records_removed();
}

/// Writes one segment in the place of the first ones of `rest`, as many as it surely has room for, and puts it there: how many. 0 when they are not
/// there any more, or must not be compacted any more.
Result<size_t> PartitionLog::CompactSome(std::span<const std::shared_ptr<Segment>> rest, Offset clean_end, uint64_t segment_bytes,
                                         CompactionFilter& filter, const CompactionPace& pace) {
  KAPPA_ASSIGN_OR_RETURN(auto writer,
                         CompactedSegmentWriter::Create(
                             {.folder = folder_, .topic = topic_, .partition = index_, .base = rest.front()->base(), .clean_end = clean_end}));
  std::string storage;
  int64_t last_append_ms = -1;
  size_t taken = 0;
  auto copy = [&](BatchScanner& scanner) -> Result<bool> {
    KAPPA_ASSIGN_OR_RETURN(const std::string_view batch, scanner.Contents());
    const auto kept = filter.Keep(scanner.header(), batch, storage);
    KAPPA_RETURN_IF_ERROR(pace(batch.size(), kept ? kept->size() : 0));
    if (!kept) return true;
    KAPPA_ASSIGN_OR_RETURN(const BatchHeader header, ParseBatchHeader(*kept));
    KAPPA_RETURN_IF_ERROR(writer->Add(header, *kept));
    return true;
  };
  auto write = [&]() -> Result<std::shared_ptr<Segment>> {
    do {
      Segment& segment = *rest[taken];
      KAPPA_RETURN_IF_ERROR(ForEachBatch(segment, segment.base(), copy));
      last_append_ms = std::max(last_append_ms, segment.last_append_ms());
      shared_->cache.Touch(rest[taken++]);
    } while (taken < rest.size() && writer->bytes() + BatchBytes(*rest[taken]) <= segment_bytes);
    return writer->Finish(rest[taken - 1]->visible_end(), last_append_ms, start_offset());
  };
  auto compacted = write();
  Status ready = compacted.status();
  if (ready.ok()) ready = ForgetAborted(filter.TakeAbortedMarkers());
  Result<bool> swapped = false;
  if (ready.ok()) swapped = Swap(rest.first(taken), *compacted, writer->temporary_path());
  if (!swapped.ok() || !*swapped) writer->Discard();
  KAPPA_RETURN_IF_ERROR(ready);
  KAPPA_RETURN_IF_ERROR(swapped.status());
  return *swapped ? taken : 0;
}

/// What compaction removed with its marker must not be remembered by a snapshot either: to a reader, a transaction that is named aborted and
/// has no marker would go on for ever.
Status PartitionLog::ForgetAborted(const std::unordered_set<Offset>& markers) {
  if (markers.empty()) return {};
  std::lock_guard lock(append_mutex_);
  {
    std::lock_guard transactions_lock(transactions_mutex_);
    transactions_.Forget(markers);
  }
  io::AbortOnSyncFailure(Active()->Sync());  // a snapshot is only of what is durable
  return SaveProducers(EncodeProducers(end_offset()), true);
}

/// The rename is what counts: before it the old segments stand, after it the new one does, and what it covers is removed, if not here then by the
/// next open. Who reads the old files keeps them.
Result<bool> PartitionLog::Swap(std::span<const std::shared_ptr<Segment>> group, const std::shared_ptr<Segment>& compacted,
                                const std::string& temporary) {
  std::lock_guard files_lock(files_mutex_);
  if (StoppedError() != KafkaError::kNone || compact_below_.load(std::memory_order_acquire) < compacted->visible_end()) return false;
  {
    std::lock_guard lock(segments_mutex_);
    if (std::ranges::search(segments_, group).empty()) return false;  // deleted meanwhile
  }
  Status ready;
  for (const auto& segment : group) {
    if (ready.ok()) ready = segment->Pin();
  }
  // An index that names positions of the old file must not be there when the new one is.
  if (ready.ok()) ready = io::DurableUnlink(StemOf(*compacted) + ".idx");
  if (ready.ok()) {
    ready = io::DurableRename(temporary, compacted->path());
    if (!ready.ok() && !io::Exists(temporary)) io::AbortOnSyncFailure(ready);  // renamed, but the folder could not be synced
  }
  if (!ready.ok()) {
    for (const auto& segment : group) segment->Unpin();
    return ready.error();
  }
  {
    std::lock_guard lock(segments_mutex_);
    const auto place = std::ranges::search(segments_, group);
    *place.begin() = compacted;
    segments_.erase(place.begin() + 1, place.end());
    hints_.clear();
    next_hint_ = 0;
    for (const auto& segment : group) segment->NoteReplaced();
  }
  [[maybe_unused]] Status saved = compacted->SaveIndex();  // rebuilt from the segment when it is missing
  for (size_t i = 1; i < group.size(); ++i) KAPPA_RETURN_IF_ERROR(RemoveFiles(*group[i]));
  shared_->cache.Touch(compacted);
  return true;
}

Status PartitionLog::RemoveFiles(const Segment& segment) {
  KAPPA_RETURN_IF_ERROR(io::DurableUnlink(StemOf(segment) + ".idx"));
  return io::DurableUnlink(StemOf(segment) + ".seg");
}

}  // namespace kappa::log
