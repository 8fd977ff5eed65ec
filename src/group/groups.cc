#include "group/groups.h"

#include <random>
#include <set>

#include <fmt/format.h>

namespace kappa::group {
namespace {

// The log may grow to twice what is needed of it, and this, before it is cleaned.
constexpr uint64_t kSlackBytes = 32 << 20;
constexpr int64_t kLongestSleepUs = 60'000'000;

/// As a UUID, version 4: members of different servers never have the same.
std::string RandomId() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  const uint64_t high = (random() & ~0xf000ull) | 0x4000, low = (random() & ~(3ull << 62)) | (2ull << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffffffffffff);
}

}  // namespace

Groups::Groups(const GroupOptions& options, log::Log& log, io::Clock& clock)
    : clock_(clock), log_(log), coordinator_(options, clock, RandomId, log_), clean_at_bytes_(kSlackBytes) {}

Result<std::unique_ptr<Groups>> Groups::Open(const GroupOptions& options, log::Log& log, io::Clock& clock) {
  std::unique_ptr<Groups> groups(new Groups(options, log, clock));
  KAPPA_RETURN_IF_ERROR(groups->log_.Replay([&](std::string_view key, std::optional<std::string_view> value, log::Offset offset) {
    return groups->coordinator_.Load(key, value, offset);
  }));
  groups->coordinator_.FinishLoading();
  // A topic was deleted, and the process ended before its offsets were: they must not meet a new topic of that name.
  std::set<std::string> gone;
  for (const auto& [name, group] : groups->coordinator_.groups()) {
    for (const auto& [topic, partitions] : group.offsets) {
      if (log.FindTopic(topic) == nullptr) gone.insert(topic);
    }
  }
  for (const std::string& topic : gone) groups->coordinator_.ForgetTopic(topic);
  groups->thread_ = std::thread([raw = groups.get()] { raw->Run(); });
  return groups;
}

Groups::~Groups() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    coordinator_.AnswerWaiting();
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Groups::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    coordinator_.Tick();
    if (MustClean()) Clean(lock);
    const int64_t now_us = clock_.SteadyMicros();
    wakes_us_ = std::min(coordinator_.NextDeadline(), now_us + kLongestSleepUs);
    if (wakes_us_ > now_us && !stopping_) wake_.wait_for(lock, std::chrono::microseconds(wakes_us_ - now_us));
  }
}

/// Frees the oldest segments one by one: what is still needed of one is written again at the end, and once that is durable the
/// segment goes. Others wait for the log only while records are collected and written, which is at most one segment's worth.
void Groups::Clean(std::unique_lock<std::mutex>& lock) {
  const uint64_t enough = coordinator_.LiveBytes() * 2 + kSlackBytes / 2;
  while (!stopping_ && log_.size_bytes() > enough) {
    const std::optional<log::Offset> end = log_.FirstSegmentEnd();
    if (!end || !coordinator_.Rewrite(*end).ok()) break;  // a full disk: later
    struct Durable {
      std::mutex mutex;
      std::condition_variable changed;
      bool yes = false;
    };
    auto durable = std::make_shared<Durable>();
    log_.WhenDurable([durable] {
      std::lock_guard guard(durable->mutex);
      durable->yes = true;
      durable->changed.notify_one();
    });
    lock.unlock();
    bool done;
    {
      std::unique_lock guard(durable->mutex);
      done = durable->changed.wait_for(guard, std::chrono::seconds(10), [&] { return durable->yes; });
    }
    const bool deleted = done && log_.DeleteBefore(*end).ok();
    lock.lock();
    if (!deleted) break;
  }
  clean_at_bytes_ = std::max(log_.size_bytes(), coordinator_.LiveBytes() * 2) + kSlackBytes;
}

}  // namespace kappa::group
