#include "flow/stream_clock.h"

namespace kappa::flow {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

int64_t SaturatingSubtract(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_sub_overflow(a, b, &result)) return b > 0 ? kNoWatermark + 1 : kMax;
  return result;
}

int64_t SaturatingAdd(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_add_overflow(a, b, &result)) return b > 0 ? kMax : kNoWatermark;
  return result;
}

}  // namespace

StreamClock::StreamClock(int partitions, int64_t delay_us, int64_t future_limit_us)
    : delay_us_(delay_us),
      future_limit_us_(future_limit_us),
      partitions_(static_cast<size_t>(partitions), kNoWatermark),
      idle_(static_cast<size_t>(partitions), false) {}

int64_t StreamClock::Judge(int partition, const data::Column& event_time, int64_t from, int64_t to, int64_t wall_us, uint8_t* late) {
  const int64_t* times = event_time.data<int64_t>();
  const bool nulls = event_time.has_nulls();
  const int64_t future = SaturatingAdd(wall_us, future_limit_us_);
  int64_t low = partitions_[static_cast<size_t>(partition)];
  int64_t count = 0;
  for (int64_t row = from; row < to; ++row) {
    if (nulls && event_time.IsNull(row)) continue;
    const int64_t time = times[row];
    if (time > future || time < low || time < watermark_) {
      late[row] = 1;
      ++count;
      continue;
    }
    const int64_t candidate = SaturatingSubtract(time, delay_us_);
    if (candidate > low) low = candidate;
  }
  partitions_[static_cast<size_t>(partition)] = low;
  return count;
}

void StreamClock::EndEpoch() {
  int64_t low = kMax;
  int64_t high = kNoWatermark;
  bool any = false;
  for (size_t p = 0; p < partitions_.size(); ++p) {
    high = std::max(high, partitions_[p]);
    if (idle_[p]) continue;
    any = true;
    low = std::min(low, partitions_[p]);
  }
  watermark_ = std::max(watermark_, any ? low : high);
}

void StreamClock::Encode(ByteWriter& out) const {
  out.Varint(partitions_.size());
  for (size_t p = 0; p < partitions_.size(); ++p) {
    out.Little<int64_t>(partitions_[p]);
    out.Little<uint8_t>(idle_[p]);
  }
  out.Little<int64_t>(watermark_);
}

void StreamClock::Decode(ByteReader& in) {
  if (in.Varint() != partitions_.size()) return in.Fail();
  for (size_t p = 0; p < partitions_.size(); ++p) {
    partitions_[p] = in.Little<int64_t>();
    idle_[p] = in.Little<uint8_t>() != 0;
  }
  watermark_ = in.Little<int64_t>();
}

}  // namespace kappa::flow
