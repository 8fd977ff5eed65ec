// KAPPA_CHECK: invariants of our own. A failure is our bug; it prints what it knows and aborts, in every build.
#pragma once

#include <string_view>

namespace kappa {
[[noreturn]] void CheckFailed(const char* file, int line, std::string_view condition, std::string_view detail = {});
}  // namespace kappa

#define KAPPA_CHECK(condition)                              \
  do {                                                      \
    if (!(condition)) [[unlikely]]                          \
      ::kappa::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)
#ifdef NDEBUG
#define KAPPA_DCHECK(condition) \
  do {                          \
  } while (false)
#else
#define KAPPA_DCHECK(condition) KAPPA_CHECK(condition)
#endif
