// The queue between the epoch thread and one reader of a view's changes.
#pragma once

#include "engine/core.h"

namespace kappa::engine {

/// Threads: Offer, BeginSnapshot and Finish by the engine, Next by the reader.
class SubscriptionImpl {
 public:
  SubscriptionImpl(Core& core, std::string view, int version, data::Schema schema);

  const std::string& view() const { return view_; }
  int version() const { return version_; }
  uint32_t version_id() const { return version_id_; }
  const data::Schema& schema() const { return schema_; }
  void set_schema(data::Schema schema) { schema_ = std::move(schema); }

  /// Forgets what is queued; the snapshot's rows come next (after a reset event when `reset`).
  void BeginSnapshot(ops::ViewSnapshot snapshot, uint64_t epoch, uint32_t version_id, bool with_rows, bool reset);
  void Offer(uint64_t epoch, const std::vector<data::ChangeBatch>& changes);
  void Finish(Error error);
  Result<std::optional<ChangeEvent>> Next(int64_t timeout_us);

 private:
  const std::string view_;
  const int version_;  // asked for; 0 follows what serves
  uint32_t version_id_ = 0;
  data::Schema schema_;
  Core& core_;
  std::mutex mutex_;
  std::condition_variable ready_;
  bool reset_pending_ = false;
  uint64_t snapshot_epoch_ = 0;
  std::deque<data::Batch> snapshot_rows_;
  std::deque<ChangeEvent> queue_;
  int64_t queued_rows_ = 0;
  std::optional<Error> failure_;
};

}  // namespace kappa::engine
