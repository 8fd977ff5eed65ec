// The bound of state memory, for the whole process: pages beyond it live in a spill file on disk, at the same addresses.
// docs/decisions/0013.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace kappa::state {

/// Bounds what the pages of all arenas keep in memory. The file for the rest is made in `folder` at once, without a name, so
/// that it goes with the process. Fails with io_error when it cannot be made; the bound holds all the same, and CheckMemory
/// fails once it is reached. A second call changes the bound; the file stays where it is.
Status SetMemoryLimit(uint64_t bytes, const std::string& folder);
/// Six tenths of what this process may use: the machine's memory, its control group's, or its address space limit.
uint64_t DefaultMemoryLimit();

struct MemoryUse {
  uint64_t limit_bytes = 0;     // 0: no bound was set
  uint64_t page_bytes = 0;      // of pages in use, wherever they are
  uint64_t resident_bytes = 0;  // of slabs that are in memory, free pages in them included
  uint64_t spill_bytes = 0;     // of the spill file
};
MemoryUse GetMemoryUse();

/// Fails with disk_full while state is beyond its bound and the spill file cannot grow. Steps of work ask before they begin:
/// a step that has begun gets memory above the bound, up to half of the bound more; then the process ends.
Status CheckMemory();

/// Gives the memory that the allocator keeps for later back to the system. Costs milliseconds: for quiet moments.
void ReleaseFreeMemory();

namespace internal {
extern std::atomic<bool> spilling;
void BeginRead(const void* address, size_t bytes);
}  // namespace internal

/// True once there are pages that may be out of memory.
inline bool Spilling() { return internal::spilling.load(std::memory_order_relaxed); }
/// Says that these bytes will be read soon: begins to fetch them when they are out. With many calls before the first read, the
/// disk serves them side by side.
inline void WillRead(const void* address, size_t bytes) {
  if (Spilling()) [[unlikely]]
    internal::BeginRead(address, bytes);
}

/// Rows of a step of work that touches pages row by row: at most `rows`, and few where pages may be out of memory, so that what was
/// fetched for the step is still there when it is used.
inline int64_t StepRows(int64_t rows) {
  constexpr int64_t kSpillingRows = 1024;
  return Spilling() && rows > kSpillingRows ? kSpillingRows : rows;
}
/// Reads that are begun before the first of them is waited for.
inline constexpr size_t kReadsAtOnce = 512;
/// The same for whole ways through trees, of several reads each: what they look at must be there together.
inline constexpr size_t kPathsAtOnce = 128;

}  // namespace kappa::state
