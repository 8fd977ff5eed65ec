// The sync threads: one fdatasync for all appends that wait for the same partition.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "log/log.h"

namespace kappa::log {

/// Something that can be dirty. Its Commit runs on one sync thread at a time.
class Committable {
 public:
  virtual ~Committable() = default;
  /// Makes durable all that was appended before the call and answers those who wait. True when something new became visible.
  virtual bool Commit() = 0;
  virtual Partition& committed_partition() = 0;

 private:
  friend class GroupCommit;
  bool queued_ = false;      // guarded by GroupCommit::mutex_
  bool committing_ = false;
  bool again_ = false;       // became dirty during its Commit
};

/// Thread-safe.
class GroupCommit {
 public:
  /// Without threads, whoever owns this calls CommitOne.
  explicit GroupCommit(int threads);
  ~GroupCommit() { Stop(); }

  void Enqueue(std::shared_ptr<Committable> dirty);
  /// Commits the partition that waits for longest; false when none does. What each sync thread does again and again.
  bool CommitOne();
  /// Commits what is queued, then ends the threads. Nothing may be enqueued after it.
  void Stop();

  int AddListener(std::function<void(Partition&)> listener);
  /// Waits for a call in progress; so a listener must not remove itself.
  void RemoveListener(int id);

 private:
  void Run();
  void CommitFront(std::unique_lock<std::mutex>& lock);
  void Notify(Partition& partition);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Committable>> queue_;  // guarded by mutex_
  bool stopping_ = false;                           // guarded by mutex_
  std::vector<std::thread> threads_;

  std::shared_mutex listeners_mutex_;
  std::map<int, std::function<void(Partition&)>> listeners_;
  int next_listener_ = 1;
};

}  // namespace kappa::log
