// What happens behind an append: the sync, acknowledgements, checkpoints of index and producers, retention.
#include <algorithm>

#include "io/failpoint.h"
#include "io/folder.h"
#include "log/partition_log.h"

namespace kappa::log {
namespace {

// Index and producer snapshot are saved this often, so that an open after a crash walks at most this much.
constexpr uint64_t kCheckpointBytes = 32 << 20;
// However short the retention, a segment is not completed early before this age.
constexpr int64_t kSegmentAgeMinMs = 60'000;

}  // namespace

void PartitionLog::PublishDurable(Segment& segment, Offset end, uint64_t bytes) {
  segment.Publish(end, bytes);
  Offset seen = durable_end_.load(std::memory_order_relaxed);
  while (seen < end && !durable_end_.compare_exchange_weak(seen, end, std::memory_order_release, std::memory_order_relaxed)) {}
  if (!transactional_.load(std::memory_order_acquire)) return;
  std::lock_guard lock(transactions_mutex_);
  transactions_.Settle(end);
}

/// Holds append_mutex_.
std::string PartitionLog::EncodeProducers(Offset at) const {
  std::lock_guard lock(transactions_mutex_);
  return producers_.Encode(at, transactions_);
}

bool PartitionLog::Commit() {
  std::vector<Waiting> waiting;
  std::shared_ptr<Segment> segment;
  std::shared_ptr<io::File> file;
  Offset end, synced;
  uint64_t bytes;
  int64_t max_timestamp, last_append_ms;
  std::string producers;
  bool moved;
  {
    std::lock_guard lock(append_mutex_);
    waiting.swap(waiting_);
    segment = Active();
    auto opened = segment->Acquire(false);  // the active segment is open already
    KAPPA_CHECK(opened.ok());
    file = opened->file;
    end = end_offset();
    synced = synced_end_;
    moved = end > std::exchange(notified_end_, end);  // a roll may have published records already, without telling
    bytes = segment->write_position();
    max_timestamp = segment->max_timestamp();
    last_append_ms = segment->last_append_ms();
    if (bytes_since_checkpoint_ >= kCheckpointBytes) {
      bytes_since_checkpoint_ = 0;
      producers = EncodeProducers(end);
    }
  }
  auto answer = [&] {
    for (Waiting& waiter : waiting) {
      if (waiter.on_durable) waiter.on_durable(KafkaError::kNone);
    }
  };
  const bool early = unsafe_ || io::Failpoint("early_ack") != 0;
  if (early) {
    PublishDurable(*segment, end, bytes);
    answer();
  }
  if (end > synced) {
    io::AbortOnSyncFailure(file->Sync());
    // Unsynced, the mark rides along with the next commit. Should the process die now, the page cache still has it.
    if (!io::Without("mark")) { [[maybe_unused]] Status marked = segment->WriteMark(end, bytes, max_timestamp, last_append_ms, start_offset()); }
    std::lock_guard lock(append_mutex_);
    synced_end_ = std::max(synced_end_, end);
  }
  if (!early) {
    PublishDurable(*segment, end, bytes);
    answer();
  }
  segment->NoteCached(shared_->window);
  if (!producers.empty()) {
    [[maybe_unused]] Status saved = SaveProducers(producers, false);
    saved = segment->SaveIndex();
  }
  return moved;
}

Status PartitionLog::SaveProducers(const std::string& snapshot, bool durable) const {
  return durable ? io::WriteFileAtomically(folder_ + "/producers", snapshot) : io::ReplaceFile(folder_ + "/producers.recent", snapshot);
}

void PartitionLog::Stop(KafkaError error) {
  std::vector<Waiting> waiting;
  {
    std::lock_guard lock(append_mutex_);
    stopped_ = static_cast<int16_t>(error);
    if (error == KafkaError::kUnknownTopicOrPartition) waiting.swap(waiting_);
  }
  for (Waiting& waiter : waiting) {
    if (waiter.on_durable) waiter.on_durable(error);
  }
}

void PartitionLog::CloseFiles() {
  std::lock_guard lock(append_mutex_);
  std::shared_ptr<Segment> active = Active();
  io::AbortOnSyncFailure(active->Sync());
  synced_end_ = end_offset();
  Status marked = active->WriteMark(end_offset(), active->write_position(), active->max_timestamp(), active->last_append_ms(), start_offset());
  if (marked.ok()) io::AbortOnSyncFailure(active->Sync());
  // Both can be rebuilt from the batches.
  [[maybe_unused]] Status saved = active->SaveIndex();
  saved = SaveProducers(EncodeProducers(end_offset()), true);
}

void PartitionLog::Alter(const TopicConfig& config) {
  std::lock_guard lock(append_mutex_);
  config_ = config;
  max_message_bytes_.store(config.max_message_bytes, std::memory_order_relaxed);
  compact_.store(config.compact, std::memory_order_relaxed);
}

Status PartitionLog::DeleteBefore(Offset offset) {
  std::lock_guard files_lock(files_mutex_);
  std::lock_guard lock(append_mutex_);
  return DeleteBeforeLocked(offset);
}

/// First the new start is made durable in the active segment's mark, then files go: a segment that is missing without that
/// is damage, one that is left over is removed at the next open. Holds files_mutex_ and append_mutex_.
Status PartitionLog::DeleteBeforeLocked(Offset offset) {
  if (StoppedError() != KafkaError::kNone) return Error(sqlstate::kObjectNotInPrerequisiteState, "partition is closed");
  std::shared_ptr<Segment> active = Active();
  // A mark must not name a start beyond the end that it names.
  const Offset start = std::min({offset, durable_end(), active->mark().durable_end});
  if (start <= start_offset()) return {};
  SegmentList dropped;
  {
    std::lock_guard lock(segments_mutex_);
    size_t keep = 0;
    while (keep + 1 < segments_.size() && segments_[keep + 1]->base() <= start) ++keep;
    dropped.assign(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(keep));
  }
  io::AbortOnSyncFailure(active->Sync());
  if (!io::Without("log_start")) KAPPA_RETURN_IF_ERROR(active->MarkLogStart(start));
  io::AbortOnSyncFailure(active->Sync());
  start_offset_.store(start, std::memory_order_release);
  {
    std::lock_guard lock(transactions_mutex_);
    transactions_.Forget(start);
  }
  {
    std::lock_guard lock(segments_mutex_);
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(dropped.size()));
    hints_.clear();
    next_hint_ = 0;
  }
  for (const auto& segment : dropped) KAPPA_RETURN_IF_ERROR(RemoveFiles(*segment));
  return {};
}

void PartitionLog::ApplyRetention(int64_t now_ms, Offset keep_from) {
  std::lock_guard files_lock(files_mutex_);
  std::lock_guard lock(append_mutex_);
  if (StoppedError() != KafkaError::kNone) return;
  producers_.Expire(shared_->SteadyMs() - shared_->options.producer_id_expiry_ms);
  keep_from = std::min(keep_from, last_stable_offset());  // an open transaction may still be committed
  const bool by_age = config_.delete_old && config_.retention_ms >= 0;
  auto too_old = [&](const Segment& segment) {
    return by_age && now_ms >= 0 && segment.last_append_ms() >= 0 && now_ms - segment.last_append_ms() > config_.retention_ms;
  };
  // A segment goes as a whole, once its newest record is too old: one that fills slowly is completed early, so that its oldest
  // records stay at most about 1 1/4 times as long as they must.
  std::shared_ptr<Segment> active = Active();
  const int64_t first_ms = active->first_append_ms();
  int64_t age_most = SegmentAgeMost();
  if (by_age) age_most = std::min(age_most, std::max<int64_t>(config_.retention_ms / 4, kSegmentAgeMinMs));
  const bool fills_slowly = now_ms >= 0 && first_ms >= 0 && now_ms - first_ms > age_most;
  const bool empty = active->write_position() == kSegmentHeaderBytes;
  if (!empty && (too_old(*active) || fills_slowly) && !Roll().ok()) return;
  SegmentList list;
  {
    std::lock_guard segments_lock(segments_mutex_);
    list = segments_;
  }
  uint64_t total = 0;
  for (const auto& segment : list) total += segment->write_position();
  Offset before = start_offset();
  for (size_t i = 0; i + 1 < list.size(); ++i) {
    const uint64_t bytes = list[i]->write_position();
    bool too_much = config_.delete_old && config_.retention_bytes >= 0 && total - bytes >= static_cast<uint64_t>(config_.retention_bytes);
    if ((!too_old(*list[i]) && !too_much) || list[i + 1]->base() > keep_from) break;
    total -= bytes;
    before = list[i + 1]->base();
  }
  [[maybe_unused]] Status deleted = DeleteBeforeLocked(before);  // what could not be removed is removed by the next open
}

}  // namespace kappa::log
