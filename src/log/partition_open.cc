// Opening a partition after a clean stop or a crash: the chain of segments, the torn tail, producer state.
#include <algorithm>

#include "io/failpoint.h"
#include "io/folder.h"
#include "log/batch_scanner.h"
#include "log/partition_log.h"

namespace kappa::log {
namespace {

// Below the mark, this much of the tail is checked byte for byte as well: where a dying disk or a bad restore shows first.
constexpr uint64_t kCheckedBelowMark = 4 << 20;

Error Damaged(const std::string& path, std::string detail) {
  return Error(sqlstate::kDataCorrupted, "segment file \"" + path + "\" is damaged below the durable offset")
      .Detail(std::move(detail))
      .Hint("Restore the file from a copy. Only if its records may be lost, move the partition's folder away and recreate the topic.");
}

}  // namespace

Status PartitionLog::CreateFolder(const std::string& folder, const std::string& topic, int32_t index) {
  KAPPA_RETURN_IF_ERROR(io::CreateFolders(folder));
  auto created = Segment::Create(folder, topic, index, 0, 0);
  return created.status();
}

Status PartitionLog::Open() {
  KAPPA_RETURN_IF_ERROR(ListSegments());
  KAPPA_RETURN_IF_ERROR(CheckChain());
  std::shared_ptr<Segment> active = segments_.back();
  end_offset_ = durable_end_ = active->visible_end();
  synced_end_ = notified_end_ = end_offset_;
  for (auto segment = segments_.rbegin(); segment != segments_.rend() && last_append_ms_ < 0; ++segment) {
    last_append_ms_ = (*segment)->last_append_ms();
  }
  KAPPA_ASSIGN_OR_RETURN(Offset producers_from, RestoreProducers(end_offset_));
  return ReplayProducers(producers_from);
}

/// Opens all segments of the folder, ascending, and removes what a crash left half-made.
Status PartitionLog::ListSegments() {
  KAPPA_ASSIGN_OR_RETURN(std::vector<std::string> names, io::ListFolder(folder_));
  for (const std::string& name : names) {
    if (name.ends_with(".tmp")) KAPPA_RETURN_IF_ERROR(io::DurableUnlink(folder_ + "/" + name));
    Offset base = BaseOfFileName(name, ".seg");
    if (base < 0) continue;
    KAPPA_ASSIGN_OR_RETURN(auto segment, Segment::Open(folder_, topic_, index_, base));
    segments_.push_back(std::move(segment));
    if (segments_.size() > 1) segments_[segments_.size() - 2]->Release();
  }
  if (segments_.empty()) {
    return Error(sqlstate::kDataCorrupted, "partition folder \"" + folder_ + "\" has no segment file").Hint("Restore the folder from a copy.");
  }
  return {};
}

/// Removes segments whose records a compacted one has taken over, when a crash came before that.
Status PartitionLog::RemoveCovered() {
  for (size_t i = 0; i + 1 < segments_.size();) {
    const Segment& segment = *segments_[i];
    const Segment& next = *segments_[i + 1];
    const bool covered = segment.clean_end() && segment.sealed() && next.sealed() && next.visible_end() <= segment.visible_end();
    if (!covered) {
      ++i;
      continue;
    }
    KAPPA_RETURN_IF_ERROR(RemoveFiles(next));
    segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
  return {};
}

/// Checks that the segments follow one another without a gap; recovers those that are not sealed.
Status PartitionLog::CheckChain() {
  const Offset start = segments_.back()->mark().log_start_offset;
  if (segments_.size() > 1 && segments_[1]->base() <= start && !segments_.back()->sealed()) {
    // The mark that says so may never have come to the disk: before files go on its word, it is written once more.
    KAPPA_RETURN_IF_ERROR(segments_.back()->Sync());
    KAPPA_RETURN_IF_ERROR(segments_.back()->MarkLogStart(start));
    KAPPA_RETURN_IF_ERROR(segments_.back()->Sync());
  }
  while (segments_.size() > 1 && segments_[1]->base() <= start) {  // deleted on purpose, but the crash came first
    KAPPA_RETURN_IF_ERROR(RemoveFiles(*segments_[0]));
    segments_.erase(segments_.begin());
  }
  if (!io::Without("covered")) KAPPA_RETURN_IF_ERROR(RemoveCovered());
  if (segments_.front()->base() > start) {
    return Error(sqlstate::kDataCorrupted, "partition folder \"" + folder_ + "\" lacks a segment file")
        .Detail("Records from offset " + std::to_string(start) + " on are expected, the first file begins at " +
                std::to_string(segments_.front()->base()) + ".")
        .Hint("Restore the missing file from a copy.");
  }
  start_offset_ = std::max(start, segments_.front()->base());
  for (size_t i = 0; i < segments_.size(); ++i) {
    const bool active = i + 1 == segments_.size();
    Segment& segment = *segments_[i];
    if (active && segment.sealed()) {
      return Error(sqlstate::kDataCorrupted, "partition folder \"" + folder_ + "\" lacks a segment file")
          .Detail("\"" + segment.path() + "\" is complete, but the file that follows it, from offset " + std::to_string(segment.visible_end()) +
                  ", is missing.")
          .Hint("Restore the missing file from a copy.");
    }
    if (!segment.sealed()) KAPPA_RETURN_IF_ERROR(RecoverTail(segment, active));
    if (!active && segment.visible_end() != segments_[i + 1]->base()) {
      return Error(sqlstate::kDataCorrupted, "partition folder \"" + folder_ + "\" lacks records")
          .Detail("\"" + segment.path() + "\" ends at offset " + std::to_string(segment.visible_end()) + ", the next file begins at " +
                  std::to_string(segments_[i + 1]->base()) + ".")
          .Hint("Restore the missing or damaged file from a copy.");
    }
    if (!active && !segment.sealed()) {
      KAPPA_RETURN_IF_ERROR(segment.Seal(start_offset_));
      segment.Release();
    }
  }
  return {};
}

/// Walks the end of an unsealed segment. Below its mark, anything wrong is damage; above it, the first batch that is not whole and
/// right is where a write was torn: the file is cut there, and what remains is written and synced again before anyone sees it.
Status PartitionLog::RecoverTail(Segment& segment, bool active) {
  KAPPA_ASSIGN_OR_RETURN(Segment::Opened opened, segment.Acquire(false));
  const SegmentMark mark = segment.mark();
  const uint64_t file_bytes = segment.file_bytes_at_open();
  segment.LoadActiveIndex(mark.durable_bytes);
  const uint64_t index_reaches = segment.FloorOfPosition(UINT64_MAX).position;
  const uint64_t checked_from = mark.durable_bytes > kCheckedBelowMark ? mark.durable_bytes - kCheckedBelowMark : 0;
  const IndexEntry from = segment.FloorOfPosition(std::min(index_reaches, checked_from));

  BatchScanner scanner(*opened.file, from.position, file_bytes);
  Offset expected = from.offset;
  while (true) {
    KAPPA_ASSIGN_OR_RETURN(auto found, scanner.Next(scanner.next_position() >= checked_from && !io::Without("tail_checksum")));
    if (found == BatchScanner::Found::kEnd) break;
    // A segment with a successor was synced whole before that was made.
    const bool below_mark = !active || scanner.position() < mark.durable_bytes;
    bool wrong = found == BatchScanner::Found::kBroken || scanner.header().base_offset != expected || scanner.header().leader_epoch != 0 ||
                 (scanner.position() < mark.durable_bytes && scanner.next_position() > mark.durable_bytes);
    if (wrong && below_mark) {
      std::string reason = found == BatchScanner::Found::kBroken ? scanner.reason() : "the batch there does not belong there";
      return Damaged(segment.path(),
                     "At position " + std::to_string(scanner.position()) + ", offset " + std::to_string(expected) + ": " + reason + ".");
    }
    if (wrong) break;
    if (scanner.position() > index_reaches) segment.NoteBatch(scanner.header(), scanner.position());
    expected = scanner.header().last_offset() + 1;
    if (scanner.next_position() == mark.durable_bytes && expected != mark.durable_end) {
      return Damaged(segment.path(), "The records up to position " + std::to_string(mark.durable_bytes) + " end at offset " +
                                         std::to_string(expected) + " instead of " + std::to_string(mark.durable_end) + ".");
    }
  }
  const uint64_t end_bytes = scanner.position();
  if (end_bytes < file_bytes) KAPPA_RETURN_IF_ERROR(segment.CutAt(end_bytes));
  if (end_bytes > mark.durable_bytes || end_bytes < file_bytes) {
    // Pages that a failed sync left "clean" in the cache would survive a mere fsync unwritten: write them again.
    if (!io::Without("tail_rewrite")) KAPPA_RETURN_IF_ERROR(segment.Rewrite(mark.durable_bytes, end_bytes));
    if (!io::Without("tail_sync")) KAPPA_RETURN_IF_ERROR(opened.file->Sync());
    int64_t append_ms = end_bytes > mark.durable_bytes ? shared_->NowMs() : mark.last_append_ms;
    segment.NoteAppendTime(append_ms);
    KAPPA_RETURN_IF_ERROR(segment.WriteMark(expected, end_bytes, segment.max_timestamp(), append_ms, mark.log_start_offset));
    if (!io::Without("tail_sync")) KAPPA_RETURN_IF_ERROR(opened.file->Sync());
  }
  segment.SetWritten(end_bytes);
  segment.Publish(expected, end_bytes);
  return {};
}

/// Loads the newest usable snapshot; the offset from which batches must be replayed onto it.
Result<Offset> PartitionLog::RestoreProducers(Offset end) {
  Offset best = -1;
  for (const char* name : {"/producers", "/producers.recent"}) {
    auto bytes = io::ReadWholeFile(folder_ + name);
    if (!bytes.ok()) continue;
    ProducerStates states;
    TransactionStates transactions;
    std::optional<Offset> at = states.Restore(*bytes, shared_->SteadyMs(), transactions);
    if (!at.has_value()) continue;
    if (*at > end) {  // of a longer log, so not of this one: a snapshot is saved only when all below it is durable
      KAPPA_RETURN_IF_ERROR(io::DurableUnlink(folder_ + name));
      continue;
    }
    if (*at > best) {
      best = *at;
      producers_ = std::move(states);
      transactions_ = std::move(transactions);
    }
  }
  transactional_ = !transactions_.empty();
  // Without any snapshot the headers of all segments are read: an aborted transaction must not come back.
  return std::max(best, start_offset());
}

Status PartitionLog::ReplayProducers(Offset from) {
  if (io::Without("producers_replay")) return {};
  const int64_t now_ms = shared_->NowMs(), steady_ms = shared_->SteadyMs();
  std::string control;
  for (const auto& segment : segments_) {
    if (segment->visible_end() <= from || segment->visible_bytes() == kSegmentHeaderBytes) continue;
    KAPPA_ASSIGN_OR_RETURN(Segment::Opened opened, segment->Acquire(false));
    KAPPA_ASSIGN_OR_RETURN(IndexEntry entry, segment->FloorOfOffset(from));
    BatchScanner scanner(*opened.file, entry.position, segment->visible_bytes());
    while (true) {
      KAPPA_ASSIGN_OR_RETURN(auto found, scanner.Next(false));
      if (found == BatchScanner::Found::kEnd) break;
      if (found == BatchScanner::Found::kBroken) {
        return Damaged(segment->path(), "At position " + std::to_string(scanner.position()) + ": " + scanner.reason() + ".");
      }
      const BatchHeader& header = scanner.header();
      if (header.last_offset() < from) continue;  // the start of the log may lie inside a batch
      producers_.Record(header, now_ms, steady_ms);
      if (header.is_control()) {
        control.resize(header.total_bytes());
        KAPPA_RETURN_IF_ERROR(opened.file->ReadExactlyAt(scanner.position(), control.data(), control.size()));
      }
      NoteTransaction(header, header.is_control() ? std::string_view(control) : std::string_view());
    }
    segment->Release();
  }
  std::lock_guard lock(transactions_mutex_);
  transactions_.Settle(end_offset());
  transactions_.Forget(start_offset());
  return {};
}

}  // namespace kappa::log
