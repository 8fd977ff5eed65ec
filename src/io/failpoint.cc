// Parsing and counting of failpoints.
#include "io/failpoint.h"

#include <unistd.h>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

namespace kappa::io {
namespace {

struct Armed {
  std::string name;
  uint64_t nth;     // 1: the first passing
  bool sticky;      // also every later one
  int error;        // an errno, kFailpointSkip, kAbort or kDelay
  uint64_t passed = 0;
};

constexpr int kAbort = -2;
constexpr int kDelay = -3;
constexpr useconds_t kDelayMicros = 50'000;

std::mutex mutex;
std::vector<Armed>& List() {
  static std::vector<Armed> list;
  return list;
}

Error BadSpec(std::string_view part) {
  return Error(sqlstate::kInvalidParameterValue, "invalid failpoint \"" + std::string(part) + "\"")
      .Hint("Write name:nth:action, with action abort, error, enospc, delay or skip; nth+ means from the nth on.");
}

Result<Armed> Parse(std::string_view part) {
  size_t first = part.find(':');
  size_t second = first == part.npos ? part.npos : part.find(':', first + 1);
  if (second == part.npos || first == 0) return BadSpec(part);
  std::string_view count = part.substr(first + 1, second - first - 1);
  std::string_view action = part.substr(second + 1);
  Armed armed{std::string(part.substr(0, first)), 0, false, 0};
  if (count.ends_with('+')) {
    armed.sticky = true;
    count.remove_suffix(1);
  }
  auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), armed.nth);
  if (error != std::errc() || end != count.data() + count.size() || armed.nth == 0) return BadSpec(part);
  if (action == "error") armed.error = EIO;
  else if (action == "enospc") armed.error = ENOSPC;
  else if (action == "skip") armed.error = kFailpointSkip;
  else if (action == "delay") armed.error = kDelay;
  else if (action == "abort") armed.error = kAbort;
  else return BadSpec(part);
  return armed;
}

/// Reads the environment before main() starts.
const bool environment_read = [] {
  const char* spec = std::getenv("KAPPA_FAILPOINT");
  if (spec == nullptr) return false;
  Status status = SetFailpoints(spec);
  if (!status.ok()) {
    std::fprintf(stderr, "kappa: KAPPA_FAILPOINT: %s\n", status.ToString().c_str());
    std::_Exit(2);
  }
  return true;
}();

}  // namespace

namespace internal {

constinit std::atomic<bool> failpoints_armed{false};

int PassFailpoint(std::string_view name) {
  const int action = [&] {
    std::lock_guard lock(mutex);
    for (Armed& armed : List()) {
      if (armed.name != name) continue;
      ++armed.passed;
      if (armed.passed != armed.nth && !(armed.sticky && armed.passed > armed.nth)) continue;
      if (armed.passed == armed.nth)
        std::fprintf(stderr, "kappa: failpoint %s strikes at passing %llu\n", armed.name.c_str(), static_cast<unsigned long long>(armed.nth));
      return armed.error;
    }
    return 0;
  }();
  if (action == kAbort) {
    kill(getpid(), SIGKILL);
    while (true) pause();
  }
  if (action != kDelay) return action;
  usleep(kDelayMicros);
  return 0;
}

}  // namespace internal

Status SetFailpoints(std::string_view spec) {
  std::vector<Armed> parsed;
  while (!spec.empty()) {
    size_t comma = spec.find(',');
    KAPPA_ASSIGN_OR_RETURN(Armed armed, Parse(spec.substr(0, comma)));
    parsed.push_back(std::move(armed));
    spec = comma == spec.npos ? std::string_view() : spec.substr(comma + 1);
  }
  std::lock_guard lock(mutex);
  List() = std::move(parsed);
  internal::failpoints_armed = !List().empty();
  return {};
}

}  // namespace kappa::io
