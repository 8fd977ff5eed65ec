// Transactions: the coordinator for many threads, with a thread for its timers, over the log and the groups.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "group/groups.h"
#include "log/state_host.h"
#include "txn/coordinator.h"
#include "txn/places.h"

namespace kappa::txn {

/// The internal topic of transactional ids. Layout: docs/formats/transactions.md.
inline constexpr std::string_view kTransactionTopic = "__transactions";

/// Thread-safe. Lock order: this one's, then that of the groups; so nothing that runs on the groups may call here.
class Transactions {
 public:
  /// Recovers: what is decided is carried out, open transactions go on, and what belongs to none is aborted. `log`, `groups` and
  /// `clock` must outlive this.
  static Result<std::unique_ptr<Transactions>> Open(const TransactionOptions& options, log::Log& log, group::Groups& groups, io::Clock& clock);

  /// Runs `work` on the coordinator, alone. Replies come from here, or later from this one's thread; they must not call back.
  template <class Work> auto Do(Work&& work) { return host_->Do(std::forward<Work>(work)); }

 private:
  Transactions(const TransactionOptions& options, log::Log& log, group::Groups& groups, io::Clock& clock);
  void AbortWhatBelongsToNone(log::Log& log, group::Groups& groups);

  log::StateLog log_;
  log::Alarm alarm_;
  Places places_;
  Coordinator coordinator_;
  std::optional<log::StateHost<Coordinator>> host_;
};

}  // namespace kappa::txn
