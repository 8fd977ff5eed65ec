// Rendering of errors and of failed checks.
#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace kappa {

std::string Error::ToString() const {
  std::string text = message_ + " (SQLSTATE " + sqlstate_ + ")";
  if (!detail_.empty()) text += ". " + detail_;
  if (!hint_.empty()) text += (detail_.empty() ? ". " : " ") + hint_;
  return text;
}

void CheckFailed(const char* file, int line, std::string_view condition, std::string_view detail) {
  std::fprintf(stderr, "kappa: internal error at %s:%d: check failed: %.*s %.*s\n", file, line, static_cast<int>(condition.size()), condition.data(),
               static_cast<int>(detail.size()), detail.data());
  std::fflush(stderr);
  std::abort();
}

}  // namespace kappa
