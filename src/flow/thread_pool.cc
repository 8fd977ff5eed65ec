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
  while (next_ < count_) {
    int i = next_++;
    ++running_;
    lock.unlock();
    body(i);
    lock.lock();
    --running_;
  }
  done_.wait(lock, [this] { return running_ == 0; });
  body_ = nullptr;
}

void ThreadPool::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || (body_ != nullptr && next_ < count_); });
    if (stop_) return;
    while (body_ != nullptr && next_ < count_) {
      int i = next_++;
      ++running_;
      const auto* body = body_;
      lock.unlock();
      (*body)(i);
      lock.lock();
      --running_;
    }
    if (running_ == 0) done_.notify_all();
  }
}

}  // namespace kappa::flow
