// CacheWindow: how much of what was appended stays in the page cache.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "io/file.h"

namespace kappa::log {

/// Whoever reads behind the producers finds the newest records in memory; older ones make room for the next. A log that is written for long then
/// goes through the same pages again and again, instead of taking fresh ones from the kernel (and in a virtual machine from the host, at many times
/// the cost of the copy) and pushing out what else the machine caches. What is read later stays as the kernel likes. Thread-safe.
class CacheWindow {
 public:
  static constexpr uint64_t kStepBytes = 1 << 20;  // what a segment tells of at a time

  /// 0: no bound, the kernel decides.
  explicit CacheWindow(uint64_t bytes) : bytes_max_(bytes) {}

  /// Told of a part of a file that has reached the disk; gives up what is too old by now.
  void NoteWritten(const std::shared_ptr<io::File>& file, uint64_t from, uint64_t to);

 private:
  struct Part {
    std::weak_ptr<io::File> file;
    uint64_t from, to;
  };
  const uint64_t bytes_max_;
  std::mutex mutex_;
  std::deque<Part> parts_;  // oldest first; guarded by mutex_, as is the next one
  uint64_t bytes_ = 0;
};

}  // namespace kappa::log
