// Kafka record batch, format v2: reading and making. Layout: docs/formats/segment.md and the Kafka protocol guide.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kappa::log {

inline constexpr size_t kBatchHeaderBytes = 61;

/// The fixed header of a batch. Integers are big-endian on disk and wire.
struct BatchHeader {
  int64_t base_offset;
  int32_t batch_length;  // bytes after this field
  int32_t leader_epoch;
  int8_t magic;
  uint32_t crc;          // CRC-32C from `attributes` to the end
  int16_t attributes;    // bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon
  int32_t last_offset_delta;
  int64_t base_timestamp;
  int64_t max_timestamp;
  int64_t producer_id;
  int16_t producer_epoch;
  int32_t base_sequence;
  int32_t record_count;

  size_t total_bytes() const { return 12 + static_cast<size_t>(batch_length); }
  int64_t last_offset() const { return base_offset + last_offset_delta; }
  int codec() const { return attributes & 7; }
  bool is_control() const { return attributes & kControl; }
  bool is_transactional() const { return attributes & kTransactional; }
  /// Set by compaction: `base_timestamp` is the wall time from which on the batch's deletions need not be kept.
  bool has_delete_horizon() const { return attributes & kDeleteHorizon; }

  static constexpr int16_t kTransactional = 0x10, kControl = 0x20, kDeleteHorizon = 0x40;
};
/// Fails with data_corrupted when the bytes do not begin with a whole, sane header.
Result<BatchHeader> ParseBatchHeader(std::string_view bytes);
/// Checks the CRC of one whole batch.
bool BatchCrcMatches(std::string_view batch);

/// One record; views point into the batch (or into its decompressed bytes). Null key or value: nullopt.
struct Record {
  int64_t offset;
  int64_t timestamp_ms;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
};

/// The records section of a batch, decompressed if need be. `storage` receives the decompressed bytes (left empty for codec
/// none, when the result points into `batch`).
Result<std::string_view> RecordsSection(std::string_view batch, size_t decompressed_max, std::string& storage);
/// Decodes all records (headers are skipped over, validated). Appends to `records`.
Status ParseRecords(const BatchHeader& header, std::string_view section, std::vector<Record>& records);

/// A record as it lies in its batch, for those who copy it.
struct RawRecord {
  int64_t offset;
  int64_t timestamp_ms;
  std::optional<std::string_view> key;
  bool has_value;                    // one without deletes its key
  std::string_view bytes;            // all of it, from its length on
  std::string_view after_timestamp;  // from its offset delta on
};
Status ParseRawRecords(const BatchHeader& header, std::string_view section, std::vector<RawRecord>& records);
/// The batch with only these of its records, which keep their offsets; so do its producer and its sequence numbers. With none of them it belongs
/// to no transaction any more. `horizon_ms`: the delete horizon that it gets.
std::string KeepRecords(const BatchHeader& header, std::span<const RawRecord> kept, std::optional<int64_t> horizon_ms);
/// A batch without records and without a producer, in the place of offsets [from, to).
std::string EmptyBatch(int64_t from, int64_t to);

/// What a control batch says: true for commit, false for abort, nullopt for what is no marker of a transaction.
std::optional<bool> MarkerCommits(std::string_view batch);

/// Who made a batch, for the log's duplicate detection; by default nobody.
struct BatchProducer {
  int64_t id = -1;
  int16_t epoch = -1;
  int32_t base_sequence = -1;
  bool transactional = false;
};

/// Makes one batch, after which it is empty and can make the next.
class BatchBuilder {
 public:
  void Add(int64_t timestamp_ms, std::optional<std::string_view> key, std::optional<std::string_view> value);
  int32_t count() const { return count_; }
  size_t size() const { return records_.size(); }
  /// Base offset 0; the log assigns the real one. `codec`: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. Needs at least one record.
  std::string Finish(int codec = 0, const BatchProducer& producer = {}) { return Finish(codec, producer, 0); }
  /// The control batch that ends a transaction.
  static std::string Marker(int64_t timestamp_ms, int64_t producer_id, int16_t producer_epoch, bool commit);

 private:
  std::string Finish(int codec, const BatchProducer& producer, int16_t attributes);

  std::string records_;
  int32_t count_ = 0;
  int64_t base_timestamp_ = 0;
  int64_t max_timestamp_ = 0;
};

}  // namespace kappa::log
