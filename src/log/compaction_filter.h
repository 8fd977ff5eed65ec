// What compaction keeps of each batch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "log/latest_offsets.h"
#include "log/log.h"
#include "log/producer_state.h"
#include "log/record_batch.h"

namespace kappa::log {

/// Kafka's rules, for the batches of one partition from its start on, in order, below `end`:
/// - a record stays when no later one of its key is known; one without a key stays (Kafka drops it), as does a batch that cannot be decompressed;
/// - one without a value, which deletes its key, goes once its batch's delete horizon is past: that is set by the first pass that
///   knew of no later record of its key, and so removed all earlier ones;
/// - records of aborted transactions go;
/// - a marker goes once nothing is left of its transaction and the horizon that it got then is past;
/// - what would leave no trace of a living producer's newest batch stays as a batch without records, so that its sequence number and epoch are
///   known after a restart; or its marker does, when that is the newest it has.
class CompactionFilter {
 public:
  struct Rules {
    Offset log_start = 0;             // records below were deleted
    Offset end = 0;                   // of what `latest` knows; batches from here on stay as they are
    int64_t now_ms = -1;              // -1: the wall clock is not trusted, nothing expires
    int64_t delete_retention_ms = 0;
    size_t decompressed_bytes_max = 0;
    std::vector<AbortedTransaction> aborted;
    std::unordered_map<int64_t, ProducerStates::Newest> producers;
  };
  CompactionFilter(const LatestOffsets& latest, Rules rules);

  /// Notes the keys of a batch's records for `latest`; false, and nothing noted, when they do not fit. For batches below the end.
  static Result<bool> NoteKeys(const BatchHeader& header, std::string_view batch, const std::vector<AbortedTransaction>& aborted,
                               size_t decompressed_bytes_max, LatestOffsets& latest);

  /// What stays of a batch: itself, a smaller one in `storage`, or nothing.
  std::optional<std::string_view> Keep(const BatchHeader& header, std::string_view batch, std::string& storage);
  uint64_t records_removed() const { return records_removed_; }
  /// Markers of aborted transactions that went since the last call.
  std::unordered_set<Offset> TakeAbortedMarkers() { return std::exchange(aborted_markers_, {}); }

 private:
  bool IsNewestOfProducer(const BatchHeader& header) const;
  bool IsPast(const BatchHeader& header) const { return header.has_delete_horizon() && rules_.now_ms >= 0 && header.base_timestamp < rules_.now_ms; }
  std::optional<int64_t> HorizonFor(const BatchHeader& header) const;
  std::optional<std::string_view> KeepMarker(const BatchHeader& header, std::string_view batch, std::string& storage);

  const LatestOffsets& latest_;
  const Rules rules_;
  std::unordered_map<int64_t, std::vector<AbortedTransaction>> aborted_;  // by producer
  std::unordered_set<int64_t> unfinished_;  // producers of whose transaction something stayed, until its marker
  std::unordered_set<Offset> aborted_markers_;
  std::vector<RawRecord> records_, kept_;
  std::string section_;
  uint64_t records_removed_ = 0;
};

}  // namespace kappa::log
