#include "flow/thread_pool.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace kappa::flow {

ThreadPool::ThreadPool(int threads, int nice) {
  for (int i = 1; i < threads; ++i) {
    workers_.emplace_back([this, nice] {
      if (nice != 0) setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), nice);
      Work();
    });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int count, const std::function<void(int)>& body) {
  if (count <= 1 || workers_.empty()) {
    for (int i = 0; i < count; ++i) body(i);
    return;
  }
  std::lock_guard turn(turn_);
  std::unique_lock lock(mutex_);
  body_ = &body;
  count_ = count;
  next_ = 0;
  wake_.notify_all();
  RunBodies(lock);
  while (running_ > 0) {
    if (!RunSpare(lock)) done_.wait(lock);
  }
  body_ = nullptr;
}

void ThreadPool::SetSpareWork(std::function<bool()> work) {
  std::unique_lock lock(mutex_);
  spare_ = nullptr;
  done_.wait(lock, [this] { return spare_running_ == 0; });
  spare_ = std::move(work);
  ++spare_wakes_;
  wake_.notify_all();
}

void ThreadPool::WakeForSpareWork() {
  std::lock_guard lock(mutex_);
  ++spare_wakes_;
  wake_.notify_all();
}

void ThreadPool::RunBodies(std::unique_lock<std::mutex>& lock) {
  while (body_ != nullptr && next_ < count_) {
    const int i = next_++;
    ++running_;
    const auto* body = body_;
    lock.unlock();
    (*body)(i);
    lock.lock();
    --running_;
  }
}

/// Looks for a piece of spare work and does it, without the lock; false when there was none before and nothing woke us since.
bool ThreadPool::RunSpare(std::unique_lock<std::mutex>& lock) {
  if (!spare_ || spare_dry_at_ == spare_wakes_) return false;
  const uint64_t wakes = spare_wakes_;
  const std::function<bool()> work = spare_;
  ++spare_running_;
  lock.unlock();
  const bool found = work();
  lock.lock();
  if (--spare_running_ == 0) done_.notify_all();
  if (!found) spare_dry_at_ = wakes;
  return true;
}

void ThreadPool::Work() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (body_ != nullptr && next_ < count_) {
      RunBodies(lock);
      if (running_ == 0) done_.notify_all();
    } else if (!RunSpare(lock)) {
      wake_.wait(lock);
    }
  }
}

}  // namespace kappa::flow
