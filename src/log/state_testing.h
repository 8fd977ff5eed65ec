// What tests of coordinators share: a store in memory.
#pragma once

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "log/state_log.h"

namespace kappa::log {

/// Keeps records in memory; they are durable at once, or when the test says so.
class MemoryStore final : public StateStore {
 public:
  Result<Offset> Append(std::span<const StateRecord> appended) override {
    if (full) return Error(sqlstate::kDiskFull, "no space left on device");
    const auto first = static_cast<Offset>(records.size());
    records.insert(records.end(), appended.begin(), appended.end());
    if (!hold) durable = records.size();
    return first;
  }
  void WhenDurable(std::function<void()> work) override {
    if (durable == records.size()) return work();
    waiting.push_back(std::move(work));
  }
  /// All that was appended becomes durable.
  void Sync() {
    durable = records.size();
    for (auto& work : std::exchange(waiting, {})) work();
  }
  /// What a crash leaves is loaded into `coordinator`.
  template <class Coordinator> void LoadInto(Coordinator& coordinator) {
    records.resize(durable);
    waiting.clear();
    for (size_t i = 0; i < records.size(); ++i) {
      Status loaded = coordinator.Load(records[i].key, records[i].value, static_cast<Offset>(i));
      EXPECT_TRUE(loaded.ok()) << loaded.ToString();
    }
    coordinator.FinishLoading();
  }

  std::vector<StateRecord> records;
  size_t durable = 0;
  bool hold = false;  // records wait for Sync
  bool full = false;  // appends fail
  std::vector<std::function<void()>> waiting;
};

}  // namespace kappa::log
