// The journal: one record per epoch, in the system topic "__journal". It holds everything that is not in the events but
// influences results. A replay follows it. Layout: docs/formats/journal.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "log/log.h"

namespace kappa::flow {

/// A partition of a stream's or table's topic, by the relation's catalog id.
struct PartitionEnd {
  uint32_t relation = 0;
  int32_t partition = 0;
  log::Offset end = 0;  // the epoch holds the records below this offset that earlier epochs do not
};
struct IdleChange {
  uint32_t relation = 0;
  int32_t partition = 0;
  bool idle = false;
};

/// One epoch. Only partitions whose end moved, and idle verdicts that changed, are listed.
struct EpochRecord {
  uint64_t epoch = 0;
  int64_t wall_us = 0;
  std::vector<PartitionEnd> ends;
  std::vector<IdleChange> idle;

  std::string Encode() const;
  /// Fails with data_corrupted.
  static Result<EpochRecord> Decode(std::string_view bytes);
};

/// Reads epochs in order.
class JournalReader {
 public:
  JournalReader(const log::Partition& partition, log::Offset from) : partition_(partition), next_(from) {}
  /// Appends up to `max` epochs; fewer mean that the durable end was reached.
  Status Read(size_t max, std::vector<EpochRecord>& epochs);
  /// The journal offset that Read continues from.
  log::Offset next_offset() const { return next_; }

 private:
  const log::Partition& partition_;
  log::Offset next_;
  std::vector<EpochRecord> buffered_;  // decoded but not handed out yet, newest last
  size_t buffered_at_ = 0;
};

/// Makes (or finds) the journal's topic.
Result<std::shared_ptr<log::Topic>> OpenJournal(log::Log& log);

}  // namespace kappa::flow
