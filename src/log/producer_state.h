// What a partition remembers of idempotent producers: enough to recognise a batch that is sent again.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "log/transaction_state.h"

namespace kappa::log {

/// The newest five batches of each producer id. Kafka's rules:
/// - a batch whose sequence range equals one of the five, of the same epoch, is a duplicate: answered with its offsets;
/// - a batch wholly below the newest and no part of the five was stored too, but its offset is forgotten: kDuplicateSequence (clients count
///   it as success);
/// - an epoch below the newest is kInvalidProducerEpoch; a higher one must begin at sequence 0;
/// - otherwise the first sequence must follow the last one (0 follows 2^31 - 1), else kOutOfOrderSequence;
/// - a producer that is not known (new, expired, forgotten, or its records were deleted) may begin at any sequence; but when the disk
///   refused that first batch, those that were sent behind it are out of order until it came again (not so in Kafka, where a failed
///   disk takes nothing more: here the second would be stored, and the first, sent again, taken for an old duplicate and lost). Should
///   one of them come twice without it, it was a late duplicate itself, which its producer will not send any more: then that one is taken.
/// Ages are counted by the steady clock, so that a leap of the wall clock makes nobody forgotten; they begin anew at an open.
/// Beyond kProducersMax, the producers that were silent for longest are forgotten, a tenth at a time.
/// One thread at a time.
class ProducerStates {
 public:
  static constexpr size_t kProducersMax = 100'000;  // about 20 MB

  struct Verdict {
    KafkaError error = KafkaError::kNone;
    bool duplicate = false;  // then the offsets of the original
    Offset base_offset = -1;
    Offset next_offset = -1;
  };
  /// `header.producer_id` must not be negative.
  Verdict Check(const BatchHeader& header);
  /// Remembers a batch that was appended at `header.base_offset`. Batches without a producer are ignored; of a marker only its epoch
  /// counts, which is higher than its transaction's where a newer producer fenced that one off.
  void Record(const BatchHeader& header, int64_t now_ms, int64_t steady_ms);
  /// Tells of a batch that passed Check but could not be written: it is still the one to come.
  void NoteRefused(const BatchHeader& header, int64_t steady_ms);
  /// Forgets producers that appended nothing since `before_ms` of the steady clock.
  void Expire(int64_t before_ms);
  size_t size() const { return producers_.size(); }
  /// What is to be found in the log of each producer, so that a log without snapshot remembers it: the last offset of its newest batch, -1
  /// when it has none of its epoch (then a marker), and that epoch.
  struct Newest {
    Offset last_offset;
    int16_t epoch;
  };
  std::unordered_map<int64_t, Newest> NewestOfAll() const;
  /// Without what is known of their transactions.
  std::vector<ProducerInfo> Infos() const;

  /// A snapshot of producers and transactions that is true at offset `at`; Restore gives that offset, nullopt when the bytes are
  /// damaged or foreign (then neither is changed).
  std::string Encode(Offset at, const TransactionStates& transactions) const;
  std::optional<Offset> Restore(std::string_view bytes, int64_t steady_ms, TransactionStates& transactions);

 private:
  void ForgetOldest();

  static constexpr size_t kBatchesKept = 5;
  struct Batch {
    int32_t first_sequence;
    int32_t last_sequence;
    Offset base_offset;
    int32_t last_offset_delta;
  };
  struct Producer {
    int64_t last_append_ms = -1;  // wall time, to be told
    int64_t seen_ms = 0;          // steady time, for the age
    int16_t epoch = -1;
    uint8_t count = 0;
    int32_t refused_behind = -1;    // the first sequence that was refused because of awaited_sequence
    int32_t awaited_sequence = -1;  // of the first batch, which was refused; -1: any. Not kept in snapshots: connections end with the process
    std::array<Batch, kBatchesKept> batches;  // oldest first
  };
  std::unordered_map<int64_t, Producer> producers_;
};

}  // namespace kappa::log
