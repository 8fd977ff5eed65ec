// Faults on demand, for crash tests: named places in the code that fail or kill the process at their nth passing.
//
// KAPPA_FAILPOINT="sync:3:error,rename:1:abort" reads: the third `sync` fails with EIO; the first `rename` kills the process
// as kill -9 would. "append_write:2+:enospc" fails the second and every later one. Actions: abort, error (EIO), enospc,
// delay (50 ms, then on as usual), skip (a sync claims success without doing anything: to prove that tests notice).
// The first time that one strikes is told on stderr. Unset, a failpoint costs the load and test of one byte.
#pragma once

#include <atomic>
#include <string_view>

#include "base/error.h"

namespace kappa::io {

namespace internal {
extern std::atomic<bool> failpoints_armed;
int PassFailpoint(std::string_view name);
}  // namespace internal

inline constexpr int kFailpointSkip = -1;

/// Counts a passing of `name`. Returns 0, or the errno that the caller must behave as if it had got, or kFailpointSkip.
/// Names in use: append_write (records), write, read, sync (segments), file_sync (whole small files), open, create, rename, unlink, dir_sync, truncate,
/// mkdir, list, size. Faults of the log's own, with skip: dedupe (take no batch for a duplicate), early_ack (acknowledge before the sync); more are
/// asked for by Without.
inline int Failpoint(std::string_view name) {
  if (!internal::failpoints_armed.load(std::memory_order_relaxed)) [[likely]]
    return 0;
  return internal::PassFailpoint(name);
}

/// Whether a test took this rule out of the program (`skip`), to prove that it would notice: see test/sim_mutants.py. Not so in release builds.
inline bool Without([[maybe_unused]] std::string_view rule) {
#ifdef NDEBUG
  return false;
#else
  return Failpoint(rule) == kFailpointSkip;
#endif
}

/// Replaces all failpoints (and their counts) by those of `spec`, in the form of the environment variable; "" disarms.
/// Fails with invalid_parameter_value, leaving what was set.
Status SetFailpoints(std::string_view spec);

}  // namespace kappa::io
