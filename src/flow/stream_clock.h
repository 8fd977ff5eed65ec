// StreamClock: watermarks of one stream, and the verdict of every row: in time or late.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "data/column.h"

namespace kappa::flow {

inline constexpr int64_t kNoWatermark = std::numeric_limits<int64_t>::min();

/// In partition order, wm_p is the highest event time so far in partition p minus the declared delay. W after an epoch is
/// the minimum of wm_p over the partitions that the journal does not call idle (when all are idle: the maximum over all, since
/// nobody holds time back any more), and never goes back. A row is late when its
/// event time is below wm_p as it arrives, or below W of the epoch before. A row from further in the future than
/// `future_limit_us` past its epoch's wall time counts as late too and does not move wm_p: one broken clock must not close
/// all windows for ever.
///
/// All of it depends on the log and the journal alone. A NULL event time is never late and moves nothing.
class StreamClock {
 public:
  StreamClock(int partitions, int64_t delay_us, int64_t future_limit_us);

  /// Judges rows [from, to) of a partition, in arrival order, within the epoch of this wall time. Sets late[i] to 1 for late
  /// rows (others are left alone). Returns how many are late.
  int64_t Judge(int partition, const data::Column& event_time, int64_t from, int64_t to, int64_t wall_us, uint8_t* late);
  /// The journal's word on a partition, effective from the end of the current epoch on.
  void SetIdle(int partition, bool idle) { idle_[static_cast<size_t>(partition)] = idle; }
  bool idle(int partition) const { return idle_[static_cast<size_t>(partition)]; }
  void EndEpoch();
  /// W; kNoWatermark until every partition that is not idle had a row.
  int64_t watermark() const { return watermark_; }
  int64_t partition_watermark(int partition) const { return partitions_[static_cast<size_t>(partition)]; }
  int partitions() const { return static_cast<int>(partitions_.size()); }

  void Encode(ByteWriter& out) const;
  void Decode(ByteReader& in);

 private:
  int64_t delay_us_;
  int64_t future_limit_us_;
  std::vector<int64_t> partitions_;  // wm_p
  std::vector<bool> idle_;
  int64_t watermark_ = kNoWatermark;
};

}  // namespace kappa::flow
