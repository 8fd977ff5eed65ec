#include "txn/places.h"

#include "io/failpoint.h"

namespace kappa::txn {

TxnError Places::Begin(const TopicPartition& place, const ProducerIdentity& producer) {
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

TxnError Places::Begin(const std::string& group, const ProducerIdentity& producer) {
  group::GroupError error = group::GroupError::kNone;
  with_groups_([&](group::Coordinator& coordinator) { error = coordinator.BeginTransaction(group, producer.id, producer.epoch); });
  return error == group::GroupError::kNone ? TxnError::kNone : TxnError::kPolicyViolation;
}

void Places::End(const TopicPartition& place, const Decision& decision, std::function<void(bool)> done) {
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

void Places::End(const std::string& group, const Decision& decision, std::function<void(bool)> done) {
  io::Failpoint("txn_group");
  with_groups_([&](group::Coordinator& coordinator) {
    coordinator.EndTransaction(group, decision.producer.id, decision.commit,
                               [done = std::move(done)](group::GroupError error) { done(error == group::GroupError::kNone); });
  });
}

}  // namespace kappa::txn
