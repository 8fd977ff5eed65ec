// What tests of groups share: a store in memory, ids in order, and opening groups over a log.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "group/groups.h"

namespace kappa::group {

inline std::unique_ptr<Groups> OpenGroups(log::Log& log, GroupOptions options = {.gather_ms = 0}, io::Clock& clock = io::RealClock()) {
  auto groups = Groups::Open(options, log, clock);
  EXPECT_TRUE(groups.ok()) << groups.status().ToString();
  return groups.ok() ? std::move(*groups) : nullptr;
}

/// Keeps records in memory; they are durable at once, or when the test says so.
class MemoryStore final : public GroupStore {
 public:
  Result<log::Offset> Append(std::span<const GroupRecord> appended) override {
    if (full) return Error(sqlstate::kDiskFull, "no space left on device");
    const auto first = static_cast<log::Offset>(records.size());
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
  void LoadInto(Coordinator& coordinator) {
    records.resize(durable);
    waiting.clear();
    for (size_t i = 0; i < records.size(); ++i) {
      Status loaded = coordinator.Load(records[i].key, records[i].value, static_cast<log::Offset>(i));
      EXPECT_TRUE(loaded.ok()) << loaded.ToString();
    }
    coordinator.FinishLoading();
  }

  std::vector<GroupRecord> records;
  size_t durable = 0;
  bool hold = false;  // records wait for Sync
  bool full = false;  // appends fail
  std::vector<std::function<void()>> waiting;
};

}  // namespace kappa::group
