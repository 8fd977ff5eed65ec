// Reading where a passing error of the disk must not end what took long to build.
#pragma once

#include "log/log.h"

namespace kappa::log {

/// As Partition::Read; where the disk fails, again after pauses, for some three seconds in all. Damage does not pass, and is told at once.
ReadResult ReadPatiently(const Partition& partition, Offset from, size_t max_bytes, Isolation isolation = Isolation::kReadUncommitted);

}  // namespace kappa::log
