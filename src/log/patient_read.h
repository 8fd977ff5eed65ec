// Reading where a passing error of the disk must not end what took long to build.
#pragma once

#include <functional>

#include "log/log.h"

namespace kappa::log {

/// What to do after the disk failed a read for the `failures`th time in a row: waits, and says whether to try again. Any thread.
using Patience = std::function<bool(const Partition& partition, Offset from, int failures)>;

/// Of those who have somebody to tell: some three seconds in all.
bool BriefPatience(const Partition& partition, Offset from, int failures);
inline constexpr int kBriefFailuresMax = 6;

/// As Partition::Read; where the disk fails, again for as long as there is patience. Damage does not pass, and is told at once.
ReadResult ReadPatiently(const Partition& partition, Offset from, size_t max_bytes, Isolation isolation = Isolation::kReadUncommitted,
                         const Patience& patience = BriefPatience);

}  // namespace kappa::log
