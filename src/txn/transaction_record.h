// Records of the log of transactions: a transactional id as bytes, and back. Layout: docs/formats/transactions.md.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "txn/transaction.h"

namespace kappa::txn {

std::string EncodeKey(std::string_view id);
/// Fails with data_corrupted, or feature_not_supported for a kind that this program does not know.
Result<std::string> DecodeKey(std::string_view bytes);

std::string EncodeTransaction(const Transaction& transaction);
/// The stored fields, without the id. Partitions and groups have not begun.
Result<Transaction> DecodeTransaction(std::string_view bytes);

}  // namespace kappa::txn
