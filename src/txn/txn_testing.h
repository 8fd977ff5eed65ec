// What tests of transactions share: opening them over a log.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "txn/transactions.h"

namespace kappa::txn {

inline std::unique_ptr<Transactions> OpenTransactions(log::Log& log, group::Groups& groups, TransactionOptions options = {},
                                                      io::Clock& clock = io::RealClock()) {
  auto transactions = Transactions::Open(options, log, groups, clock);
  EXPECT_TRUE(transactions.ok()) << transactions.status().ToString();
  return transactions.ok() ? std::move(*transactions) : nullptr;
}

}  // namespace kappa::txn
