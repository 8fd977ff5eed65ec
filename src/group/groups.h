// Groups: the coordinator for many threads, with a thread for its timers, over the log.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "group/coordinator.h"
#include "group/group_log.h"

namespace kappa::group {

/// Thread-safe.
class Groups {
 public:
  /// Recovers groups and offsets from the log. `log` and `clock` must outlive this. Offsets of topics that are gone are forgotten.
  static Result<std::unique_ptr<Groups>> Open(const GroupOptions& options, log::Log& log, io::Clock& clock);
  ~Groups();

  /// Runs `work` on the coordinator, alone. Replies may come from here, or later from the log's threads.
  template <class Work> auto Do(Work&& work) {
    std::unique_lock lock(mutex_);
    struct AtEnd {
      Groups& groups;
      ~AtEnd() {
        if (groups.coordinator_.NextDeadline() < groups.wakes_us_ || groups.MustClean()) groups.wake_.notify_one();
      }
    } at_end{*this};
    return std::forward<Work>(work)(coordinator_);
  }

 private:
  Groups(const GroupOptions& options, log::Log& log, io::Clock& clock);
  void Run();
  bool MustClean() const { return log_.size_bytes() > clean_at_bytes_; }
  void Clean(std::unique_lock<std::mutex>& lock);

  io::Clock& clock_;
  GroupLog log_;
  std::mutex mutex_;  // guards what follows
  Coordinator coordinator_;
  std::condition_variable wake_;
  int64_t wakes_us_ = 0;          // steady time at which the thread looks again
  uint64_t clean_at_bytes_;       // size of the log at which it is cleaned
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kappa::group
