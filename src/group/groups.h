// Groups: the coordinator for many threads, with a thread for its timers, over the log.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "group/coordinator.h"
#include "log/state_host.h"

namespace kappa::group {

/// The internal topic of committed offsets and groups. Layout: docs/formats/groups.md.
inline constexpr std::string_view kGroupTopic = "__groups";

/// Thread-safe.
class Groups {
 public:
  /// Recovers groups and offsets from the log. `log` and `clock` must outlive this. Offsets of topics that are gone are forgotten.
  static Result<std::unique_ptr<Groups>> Open(const GroupOptions& options, log::Log& log, io::Clock& clock);

  /// Runs `work` on the coordinator, alone. Replies may come from here, or later from the log's threads.
  template <class Work> auto Do(Work&& work) { return host_->Do(std::forward<Work>(work)); }

 private:
  Groups(const GroupOptions& options, log::Log& log, io::Clock& clock);

  log::StateLog log_;
  log::Alarm alarm_;
  Coordinator coordinator_;
  std::optional<log::StateHost<Coordinator>> host_;
};

}  // namespace kappa::group
