// Whether the wall clock can be trusted to delete old records.
#pragma once

#include <optional>

#include "io/clock.h"

namespace kappa::log {

/// Compares the wall clock with the steady one from call to call. When the wall clock leapt ahead (someone set it, a machine
/// slept), deletion by age pauses for an hour of steady time, so that a wrong clock can be put right before it costs records.
class RetentionClock {
 public:
  explicit RetentionClock(io::Clock& clock) : clock_(clock), wall_us_(clock.WallMicros()), steady_us_(clock.SteadyMicros()) {}
  /// Milliseconds since 1970, or -1 while nothing may be deleted by age.
  int64_t NowMs() {
    const int64_t wall = clock_.WallMicros(), steady = clock_.SteadyMicros();
    const int64_t leap = (wall - wall_us_) - (steady - steady_us_);
    wall_us_ = wall;
    steady_us_ = steady;
    if (leap > kLeapMicros) paused_until_us_ = steady + kPauseMicros;
    if (leap < -kLeapMicros) paused_until_us_.reset();
    if (paused_until_us_.has_value() && steady < *paused_until_us_) return -1;
    paused_until_us_.reset();
    return wall / 1000;
  }

 private:
  static constexpr int64_t kLeapMicros = 3600ll * 1'000'000;
  static constexpr int64_t kPauseMicros = 3600ll * 1'000'000;
  io::Clock& clock_;
  int64_t wall_us_;
  int64_t steady_us_;
  std::optional<int64_t> paused_until_us_;
};

}  // namespace kappa::log
