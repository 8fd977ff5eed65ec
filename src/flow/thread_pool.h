// A fixed set of threads that run loops side by side. The calling thread works too.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace kappa::flow {

/// Threads: ParallelFor may be called from several threads; calls take turns.
class ThreadPool {
 public:
  /// `threads` counts the caller: 1 starts none. `nice` is added to the new threads' nice value (replays give way to live).
  explicit ThreadPool(int threads, int nice = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }
  /// Calls body(0) .. body(count - 1), each once, and returns when all are done.
  void ParallelFor(int count, const std::function<void(int)>& body);

  /// What threads do that have nothing else to do, also the caller of ParallelFor while it waits: `work` does a piece and says whether there was
  /// one. Null again: returns when nobody is at it any more. It must not call the pool.
  void SetSpareWork(std::function<bool()> work);
  /// There may be a piece again.
  void WakeForSpareWork();

 private:
  void Work();
  void RunBodies(std::unique_lock<std::mutex>& lock);
  bool RunSpare(std::unique_lock<std::mutex>& lock);

  std::mutex turn_;  // one ParallelFor at a time
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(int)>* body_ = nullptr;
  int count_ = 0;
  int next_ = 0;
  int running_ = 0;
  std::function<bool()> spare_;
  int spare_running_ = 0;
  uint64_t spare_wakes_ = 0;   // grows whenever there may be spare work
  uint64_t spare_dry_at_ = 0;  // there was none when so many wakes had been
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace kappa::flow
