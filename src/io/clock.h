// Time, as something that is given: the real clock, or one that a test moves by hand.
#pragma once

#include <atomic>
#include <cstdint>

namespace kappa::io {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Microseconds since 1970 UTC. May jump. For timestamps only.
  virtual int64_t WallMicros() const = 0;
  /// Microseconds since some start. Never jumps. For timeouts and durations.
  virtual int64_t SteadyMicros() const = 0;
};

/// The process's one real clock.
Clock& RealClock();

/// A clock for tests.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t wall_us) : wall_us_(wall_us) {}
  int64_t WallMicros() const override { return wall_us_.load(); }
  int64_t SteadyMicros() const override { return steady_us_.load(); }
  void Advance(int64_t micros) {
    wall_us_ += micros;
    steady_us_ += micros;
  }
  void JumpWall(int64_t micros) { wall_us_ += micros; }

 private:
  std::atomic<int64_t> wall_us_;
  std::atomic<int64_t> steady_us_{0};
};

}  // namespace kappa::io
