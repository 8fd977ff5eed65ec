#include "io/clock.h"

#include <ctime>

namespace kappa::io {
namespace {

int64_t Micros(clockid_t id) {
  timespec now;
  clock_gettime(id, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
}

class SystemClock final : public Clock {
 public:
  int64_t WallMicros() const override { return Micros(CLOCK_REALTIME); }
  int64_t SteadyMicros() const override { return Micros(CLOCK_MONOTONIC); }
};

}  // namespace

Clock& RealClock() {
  static SystemClock clock;
  return clock;
}

}  // namespace kappa::io
