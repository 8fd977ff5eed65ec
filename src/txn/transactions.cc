#include "txn/transactions.h"

namespace kappa::txn {

Transactions::Transactions(const TransactionOptions& options, log::Log& log, group::Groups& groups, io::Clock& clock)
    : log_(log, std::string(kTransactionTopic)),
      places_(log, [&groups](const Places::GroupWork& work) { groups.Do(work); }),
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
