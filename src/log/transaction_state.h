// What a partition remembers of transactions: which are open, and which were aborted.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/bytes.h"
#include "log/log.h"
#include "log/record_batch.h"

namespace kappa::log {

/// A transaction is open from Begin, or from its first batch when the log is read again, to its marker. It is settled once that is
/// durable: only then may readers of committed records pass its first batch. One thread at a time.
class TransactionStates {
 public:
  /// See Partition::BeginTransaction.
  KafkaError Begin(int64_t producer_id, int16_t epoch);
  /// Whether a batch with a producer may be appended.
  KafkaError Check(const BatchHeader& header) const;
  /// Remembers a batch that was appended: of an open transaction its first one counts.
  void Record(const BatchHeader& batch);
  /// Whether EndTransaction may end it, and has to write a marker for it. One without batches is forgotten here.
  KafkaError PrepareEnd(int64_t producer_id, int16_t epoch, bool& needs_marker);
  /// Remembers a marker that was appended.
  void End(const BatchHeader& marker, bool commit);
  /// Markers below `end` are durable.
  void Settle(Offset end);
  /// Forgets what was aborted wholly below `start`.
  void Forget(Offset start);
  /// Forgets the aborted ones with these markers, of which compaction has removed everything.
  void Forget(const std::unordered_set<Offset>& markers);

  /// True while nothing is known: then everything that is durable is stable.
  bool empty() const { return open_.empty() && settling_.empty() && aborted_.empty(); }
  Offset LastStable(Offset durable_end) const;
  /// Tells of each producer where its open transaction begins; adds those that are not among `producers`.
  void Describe(std::vector<ProducerInfo>& producers) const;
  /// Aborted transactions that overlap [from, to), by marker.
  std::vector<AbortedTransaction> AbortedIn(Offset from, Offset to) const;

  void Encode(ByteWriter& out) const;
  /// Into an empty one; bytes that are wrong fail the reader.
  void Decode(ByteReader& in);

 private:
  struct Open {
    int16_t epoch;
    Offset first_offset = -1;
  };
  struct Settling {
    Offset first_offset;
    Offset marker_offset;
  };
  struct Aborted {
    AbortedTransaction transaction;
    Offset later_from;  // those whose markers follow have no batch below this
  };
  Offset FirstOpen(Offset otherwise) const;

  std::unordered_map<int64_t, Open> open_;
  std::deque<Settling> settling_;  // by marker
  std::vector<Aborted> aborted_;   // by marker
};

}  // namespace kappa::log
