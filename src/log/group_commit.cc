// Queue and threads of the group commit.
#include "log/group_commit.h"

#include <pthread.h>

namespace kappa::log {

GroupCommit::GroupCommit(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

void GroupCommit::Enqueue(std::shared_ptr<Committable> dirty) {
  {
    std::lock_guard lock(mutex_);
    if (dirty->queued_) return;
    if (dirty->committing_) {
      dirty->again_ = true;
      return;
    }
    dirty->queued_ = true;
    queue_.push_back(std::move(dirty));
  }
  wake_.notify_one();
}

void GroupCommit::Run() {
  pthread_setname_np(pthread_self(), "log-sync");
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    CommitFront(lock);
  }
}

bool GroupCommit::CommitOne() {
  std::unique_lock lock(mutex_);
  if (queue_.empty()) return false;
  CommitFront(lock);
  return true;
}

/// Holds `lock`, except during the commit.
void GroupCommit::CommitFront(std::unique_lock<std::mutex>& lock) {
  std::shared_ptr<Committable> dirty = std::move(queue_.front());
  queue_.pop_front();
  dirty->queued_ = false;
  dirty->committing_ = true;
  lock.unlock();
  if (dirty->Commit()) Notify(dirty->committed_partition());
  lock.lock();
  dirty->committing_ = false;
  if (std::exchange(dirty->again_, false)) {
    dirty->queued_ = true;
    queue_.push_back(std::move(dirty));
  }
}

void GroupCommit::Notify(Partition& partition) {
  std::shared_lock lock(listeners_mutex_);
  for (auto& [id, listener] : listeners_) listener(partition);
}

void GroupCommit::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  while (CommitOne()) {}
}

int GroupCommit::AddListener(std::function<void(Partition&)> listener) {
  std::unique_lock lock(listeners_mutex_);
  listeners_.emplace(next_listener_, std::move(listener));
  return next_listener_++;
}

void GroupCommit::RemoveListener(int id) {
  std::unique_lock lock(listeners_mutex_);
  listeners_.erase(id);
}

}  // namespace kappa::log
