// FetchWaiters: fetches that wait for more records, by partition, woken when one becomes durable.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "log/log.h"

namespace kappa::serve::kafka {

class Runtime;

/// A fetch under way.
class WaitingFetch {
 public:
  virtual ~WaitingFetch() = default;
  /// Reads what has come; answers when that is enough, or when `at_last`. Thread-safe; does nothing once answered.
  virtual void Advance(bool at_last) = 0;

 private:
  friend class FetchWaiters;
  std::atomic<bool> woken_{false};  // an Advance is already on its way
};

/// Thread-safe.
class FetchWaiters : public std::enable_shared_from_this<FetchWaiters> {
 public:
  /// Listens to the log until Stop.
  static std::shared_ptr<FetchWaiters> Make(log::Log& log, Runtime& runtime);

  /// From now on `fetch` is advanced whenever one of the partitions has more. False after Stop.
  bool Add(const std::shared_ptr<WaitingFetch>& fetch, const std::vector<const log::Partition*>& partitions);
  void Remove(const WaitingFetch& fetch, const std::vector<const log::Partition*>& partitions);
  /// Answers all that wait; uses neither the log nor the runtime afterwards.
  void Stop();

 private:
  FetchWaiters(log::Log& log, Runtime& runtime) : log_(log), runtime_(runtime) {}
  void Wake(const log::Partition& partition);

  log::Log& log_;
  Runtime& runtime_;
  std::atomic<int> count_{0};  // entries in waiting_, so that a log without readers pays one load
  std::mutex mutex_;
  bool stopped_ = false;  // guarded by mutex_, as waiting_ is
  int listener_ = -1;
  std::unordered_map<const log::Partition*, std::vector<std::shared_ptr<WaitingFetch>>> waiting_;
};

}  // namespace kappa::serve::kafka
