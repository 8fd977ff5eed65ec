// Coordinator: Kafka's transactions as a state machine. No threads, sockets or files: time, ids, storage and the places where
// transactions happen are given to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/clock.h"
#include "log/retention_clock.h"
#include "log/state_log.h"
#include "txn/transaction.h"

namespace kappa::txn {

struct TransactionOptions {
  int32_t timeout_ms_max = 15 * 60 * 1000;             // longer ones are refused
  int64_t id_expiry_ms = 7ll * 24 * 3600 * 1000;       // an id without a transaction is forgotten so long after its last change
  int64_t expiry_interval_ms = 10 * 60 * 1000;         // between two looks for such ids
  int64_t retry_ms = 1'000;                            // between two attempts to carry out a decision, as when the disk is full
  size_t ids_max = 100'000;                            // some 300 bytes each, and 100 for each partition of an open transaction
};

/// What was decided about a producer's transaction. Everything of that producer id, up to this epoch, is meant.
struct Decision {
  ProducerIdentity producer;
  bool commit = false;
};

/// The partitions and groups that transactions change. Thread-safe.
class Participants {
 public:
  virtual ~Participants() = default;
  /// From now on the place takes part in the producer's transaction: kUnknownTopicOrPartition when it is gone.
  virtual TxnError Begin(const TopicPartition& place, const ProducerIdentity& producer) = 0;
  virtual TxnError Begin(const std::string& group, const ProducerIdentity& producer) = 0;
  /// Carries out a decision, once or again: what is done already, or gone, is passed over. `done(true)` when that is durable,
  /// `done(false)` when it is to be tried again; from any thread, perhaps at once.
  virtual void End(const TopicPartition& place, const Decision& decision, std::function<void(bool)> done) = 0;
  virtual void End(const std::string& group, const Decision& decision, std::function<void(bool)> done) = 0;
};

/// Deterministic: the same calls at the same times give the same answers and records.
///
/// Threads   one at a time; `on_ready` is called from any thread. Replies run inside a call and must not call back.
/// Durable   an outcome stands once its "prepare" record is on disk; it is carried out only then. Who asked for it is answered when
///           it is on disk in every partition and group. A place takes part once the record that names it is on disk.
/// Time      the clock's steady time for timeouts, wall time for what is shown and for the age of ids. Call Tick at NextDeadline(),
///           and after `on_ready`.
class Coordinator {
 public:
  Coordinator(const TransactionOptions& options, io::Clock& clock, std::function<Result<int64_t>()> new_producer_id, log::StateStore& store,
              Participants& participants, std::function<void()> on_ready);
  ~Coordinator();

  // Recovery, before anything else: all records of the log in order, then FinishLoading, which begins what is open and goes on with
  // what is decided.
  Status Load(std::string_view key, std::optional<std::string_view> value, log::Offset stored_at);
  void FinishLoading();

  struct InitResult {
    TxnError error = TxnError::kNone;
    ProducerIdentity producer;
  };
  /// A producer begins to work under `id`: the one before it is fenced off, and its open transaction aborted (kConcurrentTransactions
  /// until that is done). `expected`: what the producer was given before, when it asks for a new epoch of its own; id -1 otherwise.
  void InitProducer(const std::string& id, int32_t timeout_ms, const ProducerIdentity& expected, std::function<void(InitResult)> reply);
  void AddPartitions(const std::string& id, const ProducerIdentity& producer, const std::vector<TopicPartition>& places,
                     std::function<void(TxnError)> reply);
  void AddGroup(const std::string& id, const ProducerIdentity& producer, const std::string& group, std::function<void(TxnError)> reply);
  /// True when the open transaction of this producer has begun in all these partitions.
  bool HasBegun(const std::string& id, const ProducerIdentity& producer, const std::vector<TopicPartition>& places) const;
  /// `new_epoch`: the producer gets a new epoch with every transaction (KIP-890), so that nothing of this one reaches into the next.
  void End(const std::string& id, const ProducerIdentity& producer, bool commit, bool new_epoch, std::function<void(EndResult)> reply);
  /// An administrator ends what a producer has open, of this epoch or an older one: aborts it, and fences the producer off. Only the producer
  /// itself can commit (kInvalidTxnState). Answered when it is done everywhere, at once when nothing is open.
  void EndFor(const ProducerIdentity& producer, bool commit, std::function<void(TxnError)> reply);
  /// Nobody is answered any more.
  void AnswerWaiting();

  // Looking.
  const std::map<std::string, Transaction, std::less<>>& transactions() const { return transactions_; }
  const Transaction* FindTransaction(std::string_view id) const;
  /// Whether an open or decided transaction of this producer names the place: if not, what it has there belongs to nothing.
  bool Knows(const TopicPartition& place, int64_t producer_id) const;
  bool Knows(const std::string& group, int64_t producer_id) const;
  uint64_t commits() const { return commits_; }
  uint64_t aborts() const { return aborts_; }
  uint64_t timeouts() const { return timeouts_; }

  // Time.
  int64_t NextDeadline() const { return timers_.empty() ? INT64_MAX : timers_.begin()->first; }
  /// Does what is due and what is ready.
  void Tick();

  // Cleaning of the log, see group::Coordinator.
  size_t LiveBytes() const;
  Status Rewrite(log::Offset before);

 private:
  /// Work that storage and participants hand back from their threads. Outlives the coordinator.
  struct Inbox {
    std::mutex mutex;
    std::vector<std::function<void()>> work;
    std::function<void()> on_ready;
    void Push(std::function<void()> what);
  };

  Transaction* Find(std::string_view id) { return const_cast<Transaction*>(FindTransaction(id)); }
  Status Store(Transaction& transaction);
  void WhenDurable(std::function<void()> work);
  TxnError CheckProducer(const Transaction* transaction, const ProducerIdentity& producer) const;
  /// Adds places or groups to the open transaction, opening one if need be; replies when they have begun.
  template <class Place> void Add(const std::string& id, const ProducerIdentity& producer, std::span<const Place> places,
                                  std::map<Place, bool, std::less<>> Transaction::* of, std::function<void(TxnError)> reply);
  TxnError Decide(Transaction& transaction, bool commit, const ProducerIdentity& marked, const ProducerIdentity& previous, int64_t next_producer_id);
  TxnError FenceOff(Transaction& transaction, const ProducerIdentity& expected);
  void CarryOut(Transaction& transaction);
  void OnEnded(const std::string& id, bool done);
  void Complete(Transaction& transaction);
  void Arm(Transaction& transaction, int64_t due_us);
  void OnTimer(Transaction& transaction);
  void ExpireIds();
  int64_t WallMs() const { return clock_.WallMicros() / 1000; }

  const TransactionOptions options_;
  io::Clock& clock_;
  const std::function<Result<int64_t>()> new_producer_id_;
  log::StateStore& store_;
  Participants& participants_;
  log::RetentionClock retention_clock_;
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();

  std::map<std::string, Transaction, std::less<>> transactions_;
  uint64_t commits_ = 0, aborts_ = 0, timeouts_ = 0;  // since the start
  std::multimap<int64_t, std::string> timers_;  // by due time: an id, or empty for the expiry of ids. Lazy: one that goes off early is put back
};

}  // namespace kappa::txn
