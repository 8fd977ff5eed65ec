// What tests of groups share: a store in memory, and opening groups over a log.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "group/groups.h"
#include "log/state_testing.h"

namespace kappa::group {

using log::MemoryStore;

inline std::unique_ptr<Groups> OpenGroups(log::Log& log, GroupOptions options = {.gather_ms = 0}, io::Clock& clock = io::RealClock()) {
  auto groups = Groups::Open(options, log, clock);
  EXPECT_TRUE(groups.ok()) << groups.status().ToString();
  return groups.ok() ? std::move(*groups) : nullptr;
}

}  // namespace kappa::group
