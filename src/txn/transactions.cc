#include "txn/transactions.h"

#include "io/failpoint.h"

namespace kappa::txn {

// ---- places

TxnError Transactions::Places::Begin(const TopicPartition& place, const ProducerIdentity& producer) {
  const std::shared_ptr<log::Topic> topic = log_.FindTopic(place.topic);
  if (topic == nullptr || place.partition >= topic->partition_count()) return TxnError::kUnknownTopicOrPartition;
  switch (topic->partition(place.partition).BeginTransaction(producer.id, producer.epoch)) {
    case log::KafkaError::kNone: return TxnError::kNone;
    case log::KafkaError::kUnknownTopicOrPartition: return TxnError::kUnknownTopicOrPartition;
    case log::KafkaError::kInvalidProducerEpoch: return TxnError::kProducerFenced;
    case log::KafkaError::kInvalidTxnState: return TxnError::kInvalidTxnState;
    default: return TxnError::kCoordinatorNotAvailable;
  }
}

TxnError Transactions::Places::Begin(const std::string& group, const ProducerIdentity& producer) {
  const group::GroupError error =
      groups_.Do([&](group::Coordinator& coordinator) { return coordinator.BeginTransaction(group, producer.id, producer.epoch); });
  return error == group::GroupError::kNone ? TxnError::kNone : TxnError::kPolicyViolation;
}

void Transactions::Places::End(const TopicPartition& place, const Decision& decision, std::function<void(bool)> done) {
  io::Failpoint("txn_marker");
  const std::shared_ptr<log::Topic> topic = log_.FindTopic(place.topic);
  if (topic == nullptr || place.partition >= topic->partition_count()) return done(true);  // deleted, and the records with it
  auto answer = [done, topic](log::KafkaError error) {
    // Refused for an older epoch: a newer transaction is open there, so this one has ended.
    done(error == log::KafkaError::kNone || error == log::KafkaError::kUnknownTopicOrPartition || error == log::KafkaError::kInvalidProducerEpoch);
  };
  const log::AppendResult ended =
      topic->partition(place.partition).EndTransaction(decision.producer.id, decision.producer.epoch, decision.commit, answer);
  if (ended.error != log::KafkaError::kNone) answer(ended.error);
}

void Transactions::Places::End(const std::string& group, const Decision& decision, std::function<void(bool)> done) {
  io::Failpoint("txn_group");
  groups_.Do([&](group::Coordinator& coordinator) {
    coordinator.EndTransaction(group, decision.producer.id, decision.commit,
                               [done = std::move(done)](group::GroupError error) { done(error == group::GroupError::kNone); });
  });
}

// ---- opening

Transactions::Transactions(const TransactionOptions& options, log::Log& log, group::Groups& groups, io::Clock& clock)
    : log_(log, std::string(kTransactionTopic)),
      places_(log, groups),
      coordinator_(options, clock, [&log] { return log.NextProducerId(); }, log_, places_, [this] { alarm_.Ring(); }) {}

Result<std::unique_ptr<Transactions>> Transactions::Open(const TransactionOptions& options, log::Log& log, group::Groups& groups, io::Clock& clock) {
  std::unique_ptr<Transactions> transactions(new Transactions(options, log, groups, clock));
  KAPPA_RETURN_IF_ERROR(transactions->log_.Replay([&](std::string_view key, std::optional<std::string_view> value, log::Offset offset) {
    return transactions->coordinator_.Load(key, value, offset);
  }));
  transactions->coordinator_.FinishLoading();
  transactions->AbortWhatBelongsToNone(log, groups);
  transactions->host_.emplace(clock, transactions->log_, transactions->alarm_, transactions->coordinator_);
  return transactions;
}

/// A place takes part only once that is on disk, so there is nothing to find, unless the log of transactions was lost: then readers of
/// committed records would wait for ever.
void Transactions::AbortWhatBelongsToNone(log::Log& log, group::Groups& groups) {
  for (const auto& topic : log.ListTopics()) {
    for (int32_t p = 0; p < topic->partition_count(); ++p) {
      const TopicPartition place{topic->name(), p};
      for (const log::ProducerInfo& producer : topic->partition(p).producers()) {
        if (producer.transaction_first_offset < 0 || coordinator_.Knows(place, producer.id)) continue;
        places_.End(place, {{producer.id, producer.epoch}, false}, [](bool) {});
      }
    }
  }
  groups.Do([&](group::Coordinator& coordinator) {
    std::vector<std::pair<std::string, int64_t>> unknown;
    for (const auto& [name, group] : coordinator.groups()) {
      for (const auto& [producer, pending] : group.transactions) {
        if (!coordinator_.Knows(name, producer)) unknown.emplace_back(name, producer);
      }
    }
    for (const auto& [group, producer] : unknown) coordinator.EndTransaction(group, producer, false, [](group::GroupError) {});
  });
}

}  // namespace kappa::txn
