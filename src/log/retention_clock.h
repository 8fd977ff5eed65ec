// Whether the wall clock can be trusted to delete old records.
#pragma once

#include <algorithm>
#include <cstdint>

#include "io/clock.h"
#include "io/failpoint.h"

namespace kappa::log {

/// Compares the wall clock with the steady one from call to call. When the wall clock leapt ahead (someone set it, a machine
/// slept), deletion by age pauses for an hour of steady time, so that a wrong clock can be put right before it costs records.
class RetentionClock {
 public:
  explicit RetentionClock(io::Clock& clock) : clock_(clock), trusted_us_(AheadMicros()), seen_us_(trusted_us_) {}
  /// At the start: what the wall clock said when it was believed last, in an earlier process. When it says much more by now, someone set it
  /// meanwhile, or the machine was off: the one cannot be told from the other.
  void Remember(int64_t wall_ms) { seen_us_ = trusted_us_ = std::min(trusted_us_, wall_ms * 1000 - clock_.SteadyMicros()); }
  /// Milliseconds since 1970, or -1 while nothing may be deleted by age.
  int64_t NowMs() {
    const int64_t ahead = AheadMicros(), steady = clock_.SteadyMicros();
    if (ahead - seen_us_ > kLeapMicros) paused_until_us_ = steady + kPauseMicros;
    seen_us_ = ahead;
    // A clock that is put right in part is as wrong as before.
    if (ahead - trusted_us_ > kLeapMicros && steady < paused_until_us_ && !io::Without("clock_leap")) return -1;
    trusted_us_ = ahead;
    return clock_.WallMicros() / 1000;
  }

 private:
  static constexpr int64_t kLeapMicros = 3600ll * 1'000'000;
  static constexpr int64_t kPauseMicros = 3600ll * 1'000'000;
  /// What the wall clock is ahead of the steady one: the same at any time, but for leaps and corrections.
  int64_t AheadMicros() const { return clock_.WallMicros() - clock_.SteadyMicros(); }

  io::Clock& clock_;
  int64_t trusted_us_;  // AheadMicros when the wall clock was last believed
  int64_t seen_us_;     // at the last call
  int64_t paused_until_us_ = INT64_MIN;
};

}  // namespace kappa::log
