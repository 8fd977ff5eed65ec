// Faults on demand, for crash tests: named places in the code that fail or kill the process at their nth passing.
//
// KAPPA_FAILPOINT="sync:3:error,rename:1:abort" reads: the third `sync` fails with EIO; the first `rename` kills the process
// as kill -9 would. "append_write:2+:enospc" fails the second and every later one. Actions: abort, error (EIO), enospc.
// Unset, a failpoint costs the load and test of one byte.
#pragma once

#include <atomic>
#include <string_view>

#include "base/error.h"

namespace kappa::io {

namespace internal {
extern std::atomic<bool> failpoints_armed;
int PassFailpoint(std::string_view name);
}  // namespace internal

/// Counts a passing of `name`. Returns 0, or the errno that the caller must behave as if it had got.
/// Names in use: append_write (records), write, read, sync (segments), file_sync (whole small files), create, rename, unlink, dir_sync, truncate. Higher layers may add their own.
inline int Failpoint(std::string_view name) {
  if (!internal::failpoints_armed.load(std::memory_order_relaxed)) [[likely]]
    return 0;
  return internal::PassFailpoint(name);
}

/// Replaces all failpoints (and their counts) by those of `spec`, in the form of the environment variable; "" disarms.
/// Fails with invalid_parameter_value, leaving what was set.
Status SetFailpoints(std::string_view spec);

}  // namespace kappa::io
