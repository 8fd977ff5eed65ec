#include "txn/coordinator.h"

#include <algorithm>
#include <utility>

#include "io/failpoint.h"
#include "txn/transaction_record.h"

namespace kappa::txn {
namespace {

constexpr size_t kRecordsPerAppend = 1000;  // of records that nobody waits for

}  // namespace

std::string_view Name(TransactionState state) {
  switch (state) {
    case TransactionState::kEmpty: return "Empty";
    case TransactionState::kOngoing: return "Ongoing";
    case TransactionState::kPrepareCommit: return "PrepareCommit";
    case TransactionState::kPrepareAbort: return "PrepareAbort";
    case TransactionState::kCompleteCommit: return "CompleteCommit";
    case TransactionState::kCompleteAbort: return "CompleteAbort";
  }
  KAPPA_CHECK(false);
}

Coordinator::Coordinator(const TransactionOptions& options, io::Clock& clock, std::function<Result<int64_t>()> new_producer_id,
                         log::StateStore& store, Participants& participants, std::function<void()> on_ready)
    : options_(options),
      clock_(clock),
      new_producer_id_(std::move(new_producer_id)),
      store_(store),
      participants_(participants),
      retention_clock_(clock) {
  inbox_->on_ready = std::move(on_ready);
  timers_.emplace(clock_.SteadyMicros() + options_.expiry_interval_ms * 1000, std::string());
}

Coordinator::~Coordinator() {
  std::vector<std::function<void()>> dropped;  // freed after the lock
  std::lock_guard lock(inbox_->mutex);
  inbox_->on_ready = nullptr;
  dropped.swap(inbox_->work);
}

void Coordinator::Inbox::Push(std::function<void()> what) {
  std::lock_guard lock(mutex);
  if (!on_ready) return;  // the coordinator is gone
  work.push_back(std::move(what));
  on_ready();
}

const Transaction* Coordinator::FindTransaction(std::string_view id) const {
  const auto found = transactions_.find(id);
  return found == transactions_.end() ? nullptr : &found->second;
}

// ---- storage

Status Coordinator::Load(std::string_view key, std::optional<std::string_view> value, log::Offset stored_at) {
  KAPPA_ASSIGN_OR_RETURN(std::string id, DecodeKey(key));
  if (!value) {
    transactions_.erase(id);
    return {};
  }
  KAPPA_ASSIGN_OR_RETURN(Transaction transaction, DecodeTransaction(*value));
  transaction.id = id;
  transaction.stored_at = stored_at;
  transactions_.insert_or_assign(std::move(id), std::move(transaction));
  return {};
}

void Coordinator::FinishLoading() {
  const int64_t now_us = clock_.SteadyMicros();
  int64_t newest_ms = -1;
  for (const auto& [id, transaction] : transactions_) newest_ms = std::max(newest_ms, transaction.updated_ms);
  if (newest_ms >= 0) retention_clock_.Remember(newest_ms);
  for (auto& [id, transaction] : transactions_) {
    if (transaction.state == TransactionState::kOngoing) {
      transaction.started_us = now_us;
      for (auto& [place, begun] : transaction.partitions) begun = participants_.Begin(place, transaction.producer) == TxnError::kNone;
      for (auto& [group, begun] : transaction.groups) begun = participants_.Begin(group, transaction.producer) == TxnError::kNone;
      Arm(transaction, now_us + int64_t{transaction.timeout_ms} * 1000);
    } else if (transaction.deciding() && !io::Without("decision_repeated")) {
      CarryOut(transaction);
    }
  }
}

Status Coordinator::Store(Transaction& transaction) {
  transaction.updated_ms = WallMs();
  const log::StateRecord record{EncodeKey(transaction.id), EncodeTransaction(transaction)};
  KAPPA_ASSIGN_OR_RETURN(transaction.stored_at, store_.Append({&record, 1}));
  return {};
}

void Coordinator::WhenDurable(std::function<void()> work) {
  store_.WhenDurable([inbox = inbox_, work = std::move(work)]() mutable { inbox->Push(std::move(work)); });
}

size_t Coordinator::LiveBytes() const {
  size_t bytes = 0;
  for (const auto& [id, transaction] : transactions_) bytes += id.size() + EncodeTransaction(transaction).size();
  return bytes;
}

Status Coordinator::Rewrite(log::Offset before) {
  for (auto& [id, transaction] : transactions_) {
    if (transaction.stored_at >= before) continue;
    const log::StateRecord record{EncodeKey(id), EncodeTransaction(transaction)};
    KAPPA_ASSIGN_OR_RETURN(transaction.stored_at, store_.Append({&record, 1}));
  }
  return {};
}

// ---- producers

TxnError Coordinator::CheckProducer(const Transaction* transaction, const ProducerIdentity& producer) const {
  if (transaction == nullptr || transaction->producer.id != producer.id) return TxnError::kInvalidProducerIdMapping;
  return transaction->producer.epoch == producer.epoch ? TxnError::kNone : TxnError::kProducerFenced;
}

void Coordinator::InitProducer(const std::string& id, int32_t timeout_ms, const ProducerIdentity& expected, std::function<void(InitResult)> reply) {
  if (id.empty()) return reply({TxnError::kInvalidRequest});
  if (timeout_ms <= 0 || timeout_ms > options_.timeout_ms_max) return reply({TxnError::kInvalidTransactionTimeout});
  Transaction* transaction = Find(id);
  const bool is_new = transaction == nullptr;
  if (is_new && transactions_.size() >= options_.ids_max) return reply({TxnError::kPolicyViolation});
  if (!is_new) {
    const bool again = expected.id >= 0 && expected == transaction->previous;
    if (expected.id >= 0 && expected != transaction->producer && !again) return reply({TxnError::kProducerFenced});
    if (transaction->deciding()) return reply({TxnError::kConcurrentTransactions});
    if (transaction->state == TransactionState::kOngoing) {
      if (again) return reply({TxnError::kProducerFenced});
      // The producer asks again, and is given its epoch once nothing of the old transaction is left.
      const TxnError error = FenceOff(*transaction, expected);
      return reply({error == TxnError::kNone ? TxnError::kConcurrentTransactions : error});
    }
    if (again) {  // its answer was lost
      return WhenDurable([reply = std::move(reply), producer = transaction->producer] { reply({TxnError::kNone, producer}); });
    }
  }
  ProducerIdentity producer;
  if (is_new || transaction->producer.epoch >= kEpochMax) {
    const Result<int64_t> fresh = new_producer_id_();
    if (!fresh.ok()) return reply({TxnError::kCoordinatorNotAvailable});
    producer = {*fresh, 0};
  } else {
    producer = {transaction->producer.id, static_cast<int16_t>(transaction->producer.epoch + 1)};
  }
  Transaction next;
  if (!is_new) next = *transaction;
  next.id = id;
  next.producer = producer;
  next.previous = expected;
  next.timeout_ms = timeout_ms;
  next.state = TransactionState::kEmpty;
  if (!Store(next).ok()) return reply({TxnError::kCoordinatorNotAvailable});
  transactions_.insert_or_assign(id, std::move(next));
  WhenDurable([reply = std::move(reply), producer] { reply({TxnError::kNone, producer}); });
}

// ---- places

template <class Place> void Coordinator::Add(const std::string& id, const ProducerIdentity& producer, std::span<const Place> places,
                                             std::map<Place, bool, std::less<>> Transaction::* of, std::function<void(TxnError)> reply) {
  Transaction* transaction = Find(id);
  if (const TxnError error = CheckProducer(transaction, producer); error != TxnError::kNone) return reply(error);
  if (transaction->deciding()) return reply(TxnError::kConcurrentTransactions);
  const bool open = transaction->state == TransactionState::kOngoing;
  std::vector<Place> added;
  bool begun = true;
  for (const Place& place : places) {
    const auto [at, fresh] = (transaction->*of).try_emplace(place, false);
    if (fresh) added.push_back(place);
    begun &= at->second;
  }
  if (begun && open) return reply(TxnError::kNone);
  if (!open || !added.empty()) {
    const TransactionState before = std::exchange(transaction->state, TransactionState::kOngoing);
    const int64_t started_ms = std::exchange(transaction->started_ms, open ? transaction->started_ms : WallMs());
    if (!Store(*transaction).ok()) {
      transaction->state = before;
      transaction->started_ms = started_ms;
      for (const Place& place : added) (transaction->*of).erase(place);
      return reply(TxnError::kCoordinatorNotAvailable);
    }
    if (!open) {
      transaction->started_us = clock_.SteadyMicros();
      Arm(*transaction, transaction->started_us + int64_t{transaction->timeout_ms} * 1000);
    }
  }
  WhenDurable([this, id, producer, of, places = std::vector<Place>(places.begin(), places.end()), reply = std::move(reply)] {
    Transaction* transaction = Find(id);
    if (const TxnError error = CheckProducer(transaction, producer); error != TxnError::kNone) return reply(error);
    if (transaction->state != TransactionState::kOngoing) return reply(TxnError::kInvalidTxnState);
    for (const Place& place : places) {
      const auto at = (transaction->*of).find(place);
      if (at == (transaction->*of).end()) return reply(TxnError::kInvalidTxnState);  // of a transaction that ended meanwhile
      if (at->second) continue;
      if (const TxnError error = participants_.Begin(place, producer); error != TxnError::kNone) return reply(error);
      at->second = true;
    }
    reply(TxnError::kNone);
  });
}

void Coordinator::AddPartitions(const std::string& id, const ProducerIdentity& producer, const std::vector<TopicPartition>& places,
                                std::function<void(TxnError)> reply) {
  Add(id, producer, std::span(places), &Transaction::partitions, std::move(reply));
}

void Coordinator::AddGroup(const std::string& id, const ProducerIdentity& producer, const std::string& group, std::function<void(TxnError)> reply) {
  if (group.empty()) return reply(TxnError::kInvalidGroupId);
  Add(id, producer, std::span(&group, 1), &Transaction::groups, std::move(reply));
}

bool Coordinator::HasBegun(const std::string& id, const ProducerIdentity& producer, const std::vector<TopicPartition>& places) const {
  const Transaction* transaction = FindTransaction(id);
  if (CheckProducer(transaction, producer) != TxnError::kNone || transaction->state != TransactionState::kOngoing) return false;
  return std::ranges::all_of(places, [&](const TopicPartition& place) {
    const auto found = transaction->partitions.find(place);
    return found != transaction->partitions.end() && found->second;
  });
}

bool Coordinator::Knows(const TopicPartition& place, int64_t producer_id) const {
  return std::ranges::any_of(transactions_,
                             [&](const auto& entry) { return entry.second.producer.id == producer_id && entry.second.partitions.contains(place); });
}

bool Coordinator::Knows(const std::string& group, int64_t producer_id) const {
  return std::ranges::any_of(transactions_,
                             [&](const auto& entry) { return entry.second.producer.id == producer_id && entry.second.groups.contains(group); });
}

// ---- the end

void Coordinator::End(const std::string& id, const ProducerIdentity& producer, bool commit, bool new_epoch, std::function<void(EndResult)> reply) {
  using State = TransactionState;
  Transaction* transaction = Find(id);
  const State completed = commit ? State::kCompleteCommit : State::kCompleteAbort;
  const State prepared = commit ? State::kPrepareCommit : State::kPrepareAbort;
  if (transaction != nullptr && new_epoch && producer.id >= 0 && producer == transaction->previous) {  // asked again: the answer was lost
    if (transaction->state == completed) return reply({TxnError::kNone, transaction->producer});
    return reply({transaction->state == prepared ? TxnError::kConcurrentTransactions : TxnError::kProducerFenced});
  }
  if (const TxnError error = CheckProducer(transaction, producer); error != TxnError::kNone) return reply({error});
  if (transaction->deciding()) { return reply({transaction->state == prepared ? TxnError::kConcurrentTransactions : TxnError::kInvalidTxnState}); }
  if (transaction->state != State::kOngoing) {
    if (!new_epoch) return reply({transaction->state == completed ? TxnError::kNone : TxnError::kInvalidTxnState, transaction->producer});
    // A producer that failed before anything was added aborts, and is given its new epoch; there is nothing to commit.
    if (commit) return reply({TxnError::kInvalidTxnState});
  }
  ProducerIdentity marked = producer;
  int64_t next_producer_id = -1;
  if (new_epoch) {
    if (++marked.epoch > kEpochMax) {
      const Result<int64_t> fresh = new_producer_id_();
      if (!fresh.ok()) return reply({TxnError::kCoordinatorNotAvailable});
      next_producer_id = *fresh;
    }
  }
  const TxnError error = Decide(*transaction, commit, marked, new_epoch ? producer : ProducerIdentity(), next_producer_id);
  if (error != TxnError::kNone) return reply({error});
  transaction->reply = std::move(reply);
}

void Coordinator::EndFor(const ProducerIdentity& producer, bool commit, std::function<void(TxnError)> reply) {
  const auto found = std::ranges::find_if(transactions_, [&](const auto& entry) { return entry.second.producer.id == producer.id; });
  if (found == transactions_.end()) return reply(TxnError::kNone);
  Transaction& transaction = found->second;
  if (transaction.deciding()) {
    const bool same = (transaction.state == TransactionState::kPrepareCommit) == commit;
    return reply(same ? TxnError::kConcurrentTransactions : TxnError::kInvalidTxnState);
  }
  if (transaction.state != TransactionState::kOngoing) return reply(TxnError::kNone);
  if (producer.epoch < transaction.producer.epoch) return reply(TxnError::kInvalidProducerEpoch);
  if (commit) return reply(TxnError::kInvalidTxnState);
  if (const TxnError error = FenceOff(transaction, {}); error != TxnError::kNone) return reply(error);
  transaction.reply = [reply = std::move(reply)](const EndResult& result) { reply(result.error); };
}

/// Aborts the open transaction of a producer that is to write nothing any more. `expected`: unless it asked for that itself.
TxnError Coordinator::FenceOff(Transaction& transaction, const ProducerIdentity& expected) {
  ProducerIdentity marked = transaction.producer;
  if (marked.epoch < INT16_MAX) ++marked.epoch;
  return Decide(transaction, false, marked, expected, -1);
}

/// The one record that decides. From here on the outcome stands, whatever happens.
TxnError Coordinator::Decide(Transaction& transaction, bool commit, const ProducerIdentity& marked, const ProducerIdentity& previous,
                             int64_t next_producer_id) {
  Transaction decided = transaction;
  decided.state = commit ? TransactionState::kPrepareCommit : TransactionState::kPrepareAbort;
  decided.producer = marked;
  decided.previous = previous;
  decided.next_producer_id = next_producer_id;
  if (!Store(decided).ok()) return TxnError::kCoordinatorNotAvailable;
  transaction = std::move(decided);
  auto carry_out = [this, id = transaction.id] {
    Transaction* decided = Find(id);
    if (decided != nullptr && decided->deciding()) CarryOut(*decided);
  };
  if (io::Without("decision_durable")) inbox_->Push(carry_out);
  else WhenDurable(carry_out);
  return TxnError::kNone;
}

void Coordinator::CarryOut(Transaction& transaction) {
  io::Failpoint("txn_decided");
  const Decision decision{transaction.producer, transaction.state == TransactionState::kPrepareCommit};
  transaction.ends_failed = false;
  transaction.ends_open = static_cast<int>(transaction.partitions.size() + transaction.groups.size());
  if (transaction.ends_open == 0) return Complete(transaction);
  auto ended = [this, id = transaction.id, inbox = inbox_](bool done) { inbox->Push([this, id, done] { OnEnded(id, done); }); };
  for (const auto& [place, begun] : transaction.partitions) participants_.End(place, decision, ended);
  for (const auto& [group, begun] : transaction.groups) participants_.End(group, decision, ended);
  if (io::Without("ends_durable")) Complete(transaction);
}

void Coordinator::OnEnded(const std::string& id, bool done) {
  Transaction* transaction = Find(id);
  if (transaction == nullptr || !transaction->deciding() || transaction->ends_open == 0) return;
  transaction->ends_failed |= !done;
  if (--transaction->ends_open > 0) return;
  if (transaction->ends_failed) return Arm(*transaction, clock_.SteadyMicros() + options_.retry_ms * 1000);
  Complete(*transaction);
}

/// Nobody waits for this record: the next one of this id, which follows it in the log, makes it durable too, and without it the
/// decision is carried out once more, to no effect.
void Coordinator::Complete(Transaction& transaction) {
  io::Failpoint("txn_complete");
  const bool commit = transaction.state == TransactionState::kPrepareCommit;
  Transaction completed = transaction;
  completed.state = commit ? TransactionState::kCompleteCommit : TransactionState::kCompleteAbort;
  completed.partitions.clear();
  completed.groups.clear();
  completed.started_ms = -1;
  if (completed.next_producer_id >= 0) completed.producer = {std::exchange(completed.next_producer_id, -1), 0};
  if (!Store(completed).ok()) {
    transaction.ends_failed = true;
    return Arm(transaction, clock_.SteadyMicros() + options_.retry_ms * 1000);
  }
  const auto reply = std::exchange(completed.reply, nullptr);
  transaction = std::move(completed);
  ++(commit ? commits_ : aborts_);
  if (reply) reply({TxnError::kNone, transaction.producer});
}

void Coordinator::AnswerWaiting() {
  for (auto& [id, transaction] : transactions_) {
    if (const auto reply = std::exchange(transaction.reply, nullptr)) reply({TxnError::kCoordinatorNotAvailable});
  }
}

// ---- time

void Coordinator::Arm(Transaction& transaction, int64_t due_us) {
  if (transaction.armed_us != 0 && transaction.armed_us <= due_us) return;
  transaction.armed_us = due_us;
  timers_.emplace(due_us, transaction.id);
}

void Coordinator::Tick() {
  while (true) {
    std::vector<std::function<void()>> ready;
    {
      std::lock_guard lock(inbox_->mutex);
      ready.swap(inbox_->work);
    }
    if (ready.empty()) break;
    for (auto& work : ready) work();
  }
  const int64_t now_us = clock_.SteadyMicros();
  while (!timers_.empty() && timers_.begin()->first <= now_us) {
    const auto [due_us, id] = *timers_.begin();
    timers_.erase(timers_.begin());
    if (id.empty()) {
      ExpireIds();
      timers_.emplace(now_us + options_.expiry_interval_ms * 1000, std::string());
    } else if (Transaction* transaction = Find(id); transaction != nullptr && transaction->armed_us == due_us) {
      transaction->armed_us = 0;
      OnTimer(*transaction);
    }
  }
}

void Coordinator::OnTimer(Transaction& transaction) {
  if (transaction.deciding()) {
    if (transaction.ends_failed && transaction.ends_open == 0) CarryOut(transaction);
    return;
  }
  if (transaction.state != TransactionState::kOngoing) return;
  const int64_t now_us = clock_.SteadyMicros(), due_us = transaction.started_us + int64_t{transaction.timeout_ms} * 1000;
  if (now_us < due_us) return Arm(transaction, due_us);
  if (FenceOff(transaction, {}) == TxnError::kNone) {
    ++timeouts_;
  } else {
    Arm(transaction, now_us + options_.retry_ms * 1000);
  }
}

void Coordinator::ExpireIds() {
  const int64_t now_ms = retention_clock_.NowMs();
  if (now_ms < 0) return;
  std::vector<log::StateRecord> records;
  auto write = [&](size_t at_least) {
    if (records.size() < at_least) return;
    [[maybe_unused]] auto appended = store_.Append(records);  // what could not be written expires again after a restart
    records.clear();
  };
  for (auto at = transactions_.begin(); at != transactions_.end();) {
    const Transaction& transaction = at->second;
    const bool idle = !transaction.deciding() && transaction.state != TransactionState::kOngoing;
    if (!idle || transaction.updated_ms >= now_ms - options_.id_expiry_ms) {
      ++at;
      continue;
    }
    records.push_back({EncodeKey(transaction.id), std::nullopt});
    at = transactions_.erase(at);
    write(kRecordsPerAppend);
  }
  write(1);
}

}  // namespace kappa::txn
