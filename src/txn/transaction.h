// A transactional id as the coordinator knows it: whose it is, and what its transaction has reached.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "log/log.h"

namespace kappa::txn {

/// The codes of Kafka's protocol that transactions answer with.
enum class TxnError : int16_t {
  kNone = 0,
  kUnknownTopicOrPartition = 3,
  kCoordinatorNotAvailable = 15,
  kInvalidGroupId = 24,
  kInvalidRequest = 42,
  kPolicyViolation = 44,
  kInvalidProducerEpoch = 47,
  kInvalidTxnState = 48,
  kInvalidProducerIdMapping = 49,
  kInvalidTransactionTimeout = 50,
  kConcurrentTransactions = 51,
  kOperationNotAttempted = 55,
  kProducerFenced = 90,
};

enum class TransactionState : uint8_t {
  kEmpty = 0,           // a producer, no transaction yet
  kOngoing = 1,         // has partitions or groups
  kPrepareCommit = 2,   // decided; being carried out in its partitions and groups
  kPrepareAbort = 3,
  kCompleteCommit = 4,  // carried out everywhere
  kCompleteAbort = 5,
};
/// Kafka's name: "Empty", "Ongoing", "PrepareCommit", ..
std::string_view Name(TransactionState state);

/// The highest epoch that a producer is given; the one above it only fences off.
inline constexpr int16_t kEpochMax = INT16_MAX - 1;

struct ProducerIdentity {
  int64_t id = -1;
  int16_t epoch = -1;
  bool operator==(const ProducerIdentity&) const = default;
};

struct EndResult {
  TxnError error = TxnError::kNone;
  ProducerIdentity producer;  // for the next transaction
};

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};

struct Transaction {
  std::string id;
  ProducerIdentity producer;       // its epoch is the one that markers carry once the outcome is decided
  ProducerIdentity previous;       // what the producer was before its last request gave it a new epoch, should it ask again
  int64_t next_producer_id = -1;   // when epochs are used up: the id that follows once this transaction is complete
  int32_t timeout_ms = 0;
  TransactionState state = TransactionState::kEmpty;
  int64_t started_ms = -1;         // wall time of the open transaction's first partition or group; -1: none is open
  int64_t updated_ms = 0;          // wall time of the newest change
  std::map<TopicPartition, bool, std::less<>> partitions;  // true: begun there, which is when the record that names it is durable
  std::map<std::string, bool, std::less<>> groups;

  // Not stored.
  log::Offset stored_at = -1;      // of its record in the log of transactions
  int64_t started_us = -1;         // steady time; after a restart since then
  int64_t armed_us = 0;            // when its timer goes off; 0: not armed
  int ends_open = 0;               // partitions and groups that have not answered yet
  bool ends_failed = false;        // one of them could not: tried again later
  std::function<void(EndResult)> reply;  // to who asked for the end; may be empty

  bool deciding() const { return state == TransactionState::kPrepareCommit || state == TransactionState::kPrepareAbort; }
  bool complete() const { return state == TransactionState::kCompleteCommit || state == TransactionState::kCompleteAbort; }
};

}  // namespace kappa::txn
