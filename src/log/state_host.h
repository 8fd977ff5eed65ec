// StateHost: a coordinator for many threads, with a thread for its timers and for cleaning its log.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "io/clock.h"
#include "log/state_log.h"

namespace kappa::log {

/// Wakes a thread that waits, or that is about to.
class Alarm {
 public:
  void Ring() {
    std::lock_guard lock(mutex_);
    rung_ = true;
    changed_.notify_one();
  }
  /// Until Ring, at most so long.
  void Wait(int64_t micros) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::microseconds(micros), [&] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rung_ = false;
};

/// `Coordinator` has NextDeadline() and Tick() for time, LiveBytes() and Rewrite(before) for cleaning, AnswerWaiting() for the end.
/// Thread-safe.
template <class Coordinator> class StateHost {
 public:
  /// `clock`, `log` and `coordinator` must outlive this.
  StateHost(io::Clock& clock, StateLog& log, Alarm& alarm, Coordinator& coordinator)
      : clock_(clock), log_(log), alarm_(alarm), coordinator_(coordinator), thread_([this] { Run(); }) {}
  ~StateHost() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      coordinator_.AnswerWaiting();
    }
    alarm_.Ring();
    thread_.join();
  }

  /// Runs `work` on the coordinator, alone. Replies may come from here, or later from the log's threads or this one's.
  template <class Work> auto Do(Work&& work) {
    std::unique_lock lock(mutex_);
    struct AtEnd {
      StateHost& host;
      ~AtEnd() {
        if (host.coordinator_.NextDeadline() < host.wakes_us_ || host.MustClean()) host.alarm_.Ring();
      }
    } at_end{*this};
    return std::forward<Work>(work)(coordinator_);
  }

 private:
  // The log may grow to twice what is needed of it, and this, before it is cleaned.
  static constexpr uint64_t kSlackBytes = 32 << 20;
  static constexpr int64_t kLongestSleepUs = 60'000'000;

  void Run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      coordinator_.Tick();
      if (MustClean()) Clean(lock);
      const int64_t now_us = clock_.SteadyMicros();
      wakes_us_ = std::min(coordinator_.NextDeadline(), now_us + kLongestSleepUs);
      if (wakes_us_ <= now_us || stopping_) continue;
      lock.unlock();
      alarm_.Wait(wakes_us_ - now_us);
      lock.lock();
    }
  }

  bool MustClean() const { return log_.size_bytes() > clean_at_bytes_; }

  /// Frees the oldest segments one by one: what is still needed of one is written again at the end, and once that is durable the
  /// segment goes. Others wait for the log only while records are collected and written, which is at most one segment's worth.
  void Clean(std::unique_lock<std::mutex>& lock) {
    const uint64_t enough = coordinator_.LiveBytes() * 2 + kSlackBytes / 2;
    while (!stopping_ && log_.size_bytes() > enough) {
      const std::optional<Offset> end = log_.FirstSegmentEnd();
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

  io::Clock& clock_;
  StateLog& log_;
  Alarm& alarm_;
  std::mutex mutex_;  // guards what follows
  Coordinator& coordinator_;
  int64_t wakes_us_ = 0;                    // steady time at which the thread looks again
  uint64_t clean_at_bytes_ = kSlackBytes;   // size of the log at which it is cleaned
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kappa::log
