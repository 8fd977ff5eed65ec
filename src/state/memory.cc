// What memory there is: the machine's, the control group's, the address space limit. And giving some back.
#include "state/memory.h"

#if defined(KAPPA_JEMALLOC)
#include <jemalloc/jemalloc.h>
#endif
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>

#if defined(KAPPA_JEMALLOC)
/// What jemalloc reads at start; the variable MALLOC_CONF is read after it. Huge pages, for a run takes and returns batches of megabytes, and
/// faults of small pages cost more than the work on them. Free memory stays for ten seconds, and is given back by a thread.
extern "C" const char* malloc_conf;
const char* malloc_conf = "thp:always,background_thread:true,dirty_decay_ms:10000,muzzy_decay_ms:0";
#endif

namespace kappa::state {
namespace {

std::optional<uint64_t> ReadNumber(const std::string& path) {
  std::ifstream file(path);
  uint64_t number;
  if (file >> number) return number;  // "max" is no number
  return std::nullopt;
}

/// The least bound on the way from this process's control group up to the root, in both versions of control groups.
uint64_t ControlGroupLimit() {
  uint64_t limit = UINT64_MAX;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "0::/a/b" or "4:memory:/a/b"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && ("," + controllers + ",").find(",memory,") == std::string::npos) continue;
    const std::string root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    std::string group = line.substr(second + 1);
    while (true) {
      if (auto bytes = ReadNumber(root + group + (unified ? "/memory.max" : "/memory.limit_in_bytes"))) limit = std::min(limit, *bytes);
      if (group.empty() || group == "/") break;
      group.resize(group.rfind('/'));
    }
  }
  return limit;
}

}  // namespace

uint64_t DefaultMemoryLimit() {
  uint64_t bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  bytes = std::min(bytes, ControlGroupLimit());
  rlimit ration{};
  if (getrlimit(RLIMIT_AS, &ration) == 0 && ration.rlim_cur != RLIM_INFINITY) bytes = std::min<uint64_t>(bytes, ration.rlim_cur);
  return bytes / 10 * 6;
}

void ReleaseFreeMemory() {
#if defined(KAPPA_JEMALLOC)
  static const std::string purge_all = "arena." + std::to_string(MALLCTL_ARENAS_ALL) + ".purge";
  mallctl(purge_all.c_str(), nullptr, nullptr, nullptr, 0);
#endif
}

}  // namespace kappa::state
