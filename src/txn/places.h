// The places where transactions happen: partitions of the log, and groups.
#pragma once

#include <functional>
#include <string>

#include "group/coordinator.h"
#include "txn/coordinator.h"

namespace kappa::txn {

class Places final : public Participants {
 public:
  using GroupWork = std::function<void(group::Coordinator&)>;
  /// `with_groups` runs work on the coordinator of groups, at once.
  Places(log::Log& log, std::function<void(const GroupWork&)> with_groups) : log_(log), with_groups_(std::move(with_groups)) {}

  TxnError Begin(const TopicPartition& place, const ProducerIdentity& producer) override;
  TxnError Begin(const std::string& group, const ProducerIdentity& producer) override;
  void End(const TopicPartition& place, const Decision& decision, std::function<void(bool)> done) override;
  void End(const std::string& group, const Decision& decision, std::function<void(bool)> done) override;

 private:
  log::Log& log_;
  const std::function<void(const GroupWork&)> with_groups_;
};

}  // namespace kappa::txn
