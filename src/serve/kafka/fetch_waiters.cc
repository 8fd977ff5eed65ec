#include "serve/kafka/fetch_waiters.h"

#include <utility>

#include "serve/kafka/broker.h"

namespace kappa::serve::kafka {

std::shared_ptr<FetchWaiters> FetchWaiters::Make(log::Log& log, Runtime& runtime) {
  std::shared_ptr<FetchWaiters> waiters(new FetchWaiters(log, runtime));
  // Without mutex_: the log holds a lock of its own both here and when it calls the listener.
  waiters->listener_ = log.AddDurableListener([weak = waiters->weak_from_this()](log::Partition& partition) {
    if (auto self = weak.lock()) self->Wake(partition);
  });
  return waiters;
}

bool FetchWaiters::Add(const std::shared_ptr<WaitingFetch>& fetch, const std::vector<const log::Partition*>& partitions) {
  std::lock_guard lock(mutex_);
  if (stopped_) return false;
  for (const log::Partition* partition : partitions) waiting_[partition].push_back(fetch);
  count_.fetch_add(static_cast<int>(partitions.size()));
  return true;
}

void FetchWaiters::Remove(const WaitingFetch& fetch, const std::vector<const log::Partition*>& partitions) {
  std::vector<std::shared_ptr<WaitingFetch>> dropped;  // freed after the lock
  std::lock_guard lock(mutex_);
  for (const log::Partition* partition : partitions) {
    auto found = waiting_.find(partition);
    if (found == waiting_.end()) continue;
    auto& fetches = found->second;
    for (size_t i = 0; i < fetches.size(); ++i) {
      if (fetches[i].get() != &fetch) continue;
      dropped.push_back(std::exchange(fetches[i], std::move(fetches.back())));
      fetches.pop_back();
      count_.fetch_sub(1);
      break;
    }
    if (fetches.empty()) waiting_.erase(found);
  }
}

void FetchWaiters::Wake(const log::Partition& partition) {
  if (count_.load() == 0) return;
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  auto found = waiting_.find(&partition);
  if (found == waiting_.end()) return;
  for (const std::shared_ptr<WaitingFetch>& fetch : found->second) {
    if (fetch->woken_.exchange(true)) continue;
    runtime_.Post([fetch] {
      fetch->woken_.store(false);
      fetch->Advance(/*at_last=*/false);
    });
  }
}

void FetchWaiters::Stop() {
  decltype(waiting_) waiting;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    waiting.swap(waiting_);
    count_.store(0);
  }
  log_.RemoveDurableListener(listener_);
  for (auto& [partition, fetches] : waiting) {
    for (auto& fetch : fetches) fetch->Advance(/*at_last=*/true);
  }
}

}  // namespace kappa::serve::kafka
