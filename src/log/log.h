// The log: topics of partitions of Kafka record batches, kept verbatim. The source of truth; it knows nothing above it.
#pragma once

#include <climits>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/clock.h"

namespace kappa::io {
class File;
}

namespace kappa::log {

using Offset = int64_t;

struct TopicConfig {
  int32_t partitions = 1;
  int64_t segment_bytes = 256 << 20;
  int64_t retention_ms = -1;     // since the append, not the record's timestamp; -1: for ever
  int64_t retention_bytes = -1;  // per partition; -1: no bound
  int32_t max_message_bytes = 32 << 20;
  bool unsafe = false;           // acknowledge before fdatasync
  bool internal = false;         // "__journal" and the like: hidden from Metadata, refused to Kafka producers
  int64_t segment_ms = 7ll * 24 * 3600 * 1000;  // age of its oldest record at which a segment is completed, full or not

  // Cleanup: by retention, by compaction (of each key the last record stays), or both.
  bool delete_old = true;                                 // retention_ms and retention_bytes count
  bool compact = false;                                   // every record needs a key
  int64_t delete_retention_ms = 24ll * 3600 * 1000;       // how long compaction keeps a record without value, which deletes its key
  int64_t min_compaction_lag_ms = 0;                      // records are kept at least so long
  int64_t max_compaction_lag_ms = INT64_MAX;              // and are compacted after so long, however little there is to gain
  double min_cleanable_dirty_ratio = 0.5;                 // otherwise once more than this part of the bytes was never compacted
};

struct LogOptions {
  int sync_threads = 2;  // 0: no threads at all, the owner calls Log::CommitOne and Log::CompactOne
  size_t batch_decompressed_bytes_max = 64 << 20;
  uint64_t page_cache_bytes = 128 << 20;  // of the newest records stay in the page cache; 0: as the kernel likes
  int64_t producer_id_expiry_ms = 7ll * 24 * 3600 * 1000;
  size_t compaction_buffer_bytes = 64 << 20;         // keys that compaction remembers at a time, 24 bytes each
  uint64_t compaction_bytes_per_second = 64 << 20;   // that compaction reads and writes at most; 0: no bound
};

/// Kafka's error codes that an append or a read can give; kNone is success. Source: Kafka protocol guide.
enum class KafkaError : int16_t {
  kUnknownServerError = -1,
  kNone = 0,
  kOffsetOutOfRange = 1,
  kCorruptMessage = 2,
  kUnknownTopicOrPartition = 3,
  kMessageTooLarge = 10,
  kOffsetMetadataTooLarge = 12,
  kInvalidTopic = 17,
  kRecordListTooLarge = 18,
  kInvalidRequiredAcks = 21,
  kUnsupportedVersion = 35,
  kTopicAlreadyExists = 36,
  kInvalidPartitions = 37,
  kInvalidReplicationFactor = 38,
  kInvalidConfig = 40,
  kInvalidRequest = 42,
  kUnsupportedForMessageFormat = 43,
  kPolicyViolation = 44,
  kOutOfOrderSequence = 45,
  kDuplicateSequence = 46,
  kInvalidProducerEpoch = 47,
  kInvalidTxnState = 48,
  kKafkaStorageError = 56,
  kUnknownProducerId = 59,
  kInvalidRecord = 87,
};

struct AppendResult {
  KafkaError error = KafkaError::kNone;
  std::string message;        // for a person, when error is set
  Offset base_offset = -1;    // of the first record (the original one for a duplicate)
  Offset next_offset = -1;    // one past the last record: durable when the partition's durable_end() reaches it
  int64_t append_time_ms = -1;
  Offset log_start_offset = 0;
};

/// What a read sees of transactions: all that is durable, or nothing that is not decided yet.
enum class Isolation : int8_t { kReadUncommitted = 0, kReadCommitted = 1 };

/// Void are the transactional batches of this producer from the first one to the marker that ended the transaction.
struct AbortedTransaction {
  int64_t producer_id = -1;
  Offset first_offset = -1;
  Offset marker_offset = -1;
  bool operator==(const AbortedTransaction&) const = default;
};

struct BatchHeader;

/// A part of a file: whole record batches that somebody passes on as they lie there.
struct FileSlice {
  std::shared_ptr<io::File> file;
  uint64_t position = 0;
  size_t bytes = 0;
};

struct ReadResult {
  KafkaError error = KafkaError::kNone;
  std::string bytes;  // whole record batches; the first may begin before the asked offset
  FileSlice slice;    // of ReadForSending: where they lie, instead of `bytes`
  Offset high_watermark = 0;
  Offset last_stable_offset = 0;
  Offset log_start_offset = 0;
  std::vector<AbortedTransaction> aborted;  // with kReadCommitted: those that overlap `bytes`

  /// True for batches that a reader of committed records passes over: of aborted transactions, and markers.
  bool PassesOver(const BatchHeader& batch) const;
};

/// A producer that a partition remembers.
struct ProducerInfo {
  int64_t id = -1;
  int16_t epoch = -1;
  int32_t last_sequence = -1;
  int64_t last_append_ms = -1;
  Offset transaction_first_offset = -1;  // of the open transaction; -1 when none is, or it has no batch here
};

class Partition {
 public:
  virtual ~Partition() = default;
  virtual const std::string& topic() const = 0;
  virtual int32_t index() const = 0;
  /// One past the last appended record; records from durable_end() on are not visible to anyone yet.
  virtual Offset end_offset() const = 0;
  /// One past the last fdatasync'ed record: the high watermark.
  virtual Offset durable_end() const = 0;
  /// Below it every transaction is decided, and its marker durable: where readers of committed records end.
  virtual Offset last_stable_offset() const = 0;
  virtual Offset start_offset() const = 0;
  virtual uint64_t size_bytes() const = 0;
  virtual int64_t last_append_ms() const = 0;  // wall time of the newest append, kept across restarts; -1 when there was none

  /// Appends complete v2 record batches after validating length, magic, CRC, record count and producer sequence; assigns
  /// offsets. Returns after the write, before the sync: `on_durable` is called once, from a sync thread, when the records are
  /// durable (or with kKafkaStorageError), unless `error` is set on return. Thread-safe.
  virtual AppendResult Append(std::string_view batches, std::function<void(KafkaError)> on_durable) = 0;
  /// Whole batches from the one that holds `from`, at most `max_bytes` but at least one batch; only durable records.
  virtual ReadResult Read(Offset from, size_t max_bytes, Isolation isolation = Isolation::kReadUncommitted) const = 0;
  /// As Read, but where many batches follow one another as they were appended it tells where they lie, in `slice`. They were checked before by
  /// this process, as they came or by an earlier read; not again.
  virtual ReadResult ReadForSending(Offset from, size_t max_bytes, Isolation isolation) const = 0;

  /// Lets a producer append transactional batches of this epoch until EndTransaction: others are refused (kInvalidTxnState), and
  /// ones of an older epoch too (kInvalidProducerEpoch). Kept in memory: whoever decides about transactions begins them anew after
  /// a restart.
  virtual KafkaError BeginTransaction(int64_t producer_id, int16_t epoch) = 0;
  /// Appends the marker that commits or aborts what the producer's open transaction has here; nothing when it has nothing (then
  /// `next_offset` is -1). `epoch`: at least the transaction's; batches of older ones are refused from now on. The marker counts
  /// once durable; answers are as Append's.
  virtual AppendResult EndTransaction(int64_t producer_id, int16_t epoch, bool commit, std::function<void(KafkaError)> on_durable) = 0;
  virtual std::vector<ProducerInfo> producers() const = 0;
  /// First offset whose record timestamp is >= this, with that timestamp.
  virtual Result<std::optional<std::pair<Offset, int64_t>>> FindTimestamp(int64_t timestamp_ms) const = 0;
  /// Deletes the durable records below `offset`: they cannot be read any more; space comes back by whole segments.
  virtual Status DeleteBefore(Offset offset) = 0;
  /// Checks every CRC and index entry of all segments.
  virtual Status Verify() const = 0;
  struct SegmentInfo {
    Offset base;
    Offset end;
    uint64_t bytes;
  };
  virtual std::vector<SegmentInfo> segments() const = 0;
};

class Topic {
 public:
  virtual ~Topic() = default;
  virtual const std::string& name() const = 0;
  virtual const TopicConfig& config() const = 0;
  virtual int32_t partition_count() const = 0;
  virtual Partition& partition(int32_t index) = 0;
};

/// What compaction did since the log was opened.
struct CompactionFigures {
  uint64_t passes = 0;
  uint64_t bytes_read = 0, bytes_written = 0;
  uint64_t records_removed = 0;
  uint64_t failures = 0;  // passes that gave up: a full disk, a damaged segment
  std::string last_failure;
};

/// A folder of topics. Thread-safe.
class Log {
 public:
  virtual ~Log() = default;
  /// Opens or creates. Cuts torn tails, fdatasyncs what was recovered, refuses damage below the durable offset
  /// (data_corrupted, with file and offset), refuses a folder of a newer format.
  static Result<std::unique_ptr<Log>> Open(const std::string& folder, LogOptions options, io::Clock& clock);

  /// Fails with duplicate_table ("topic .. already exists") or invalid_parameter_value.
  virtual Result<std::shared_ptr<Topic>> CreateTopic(const std::string& name, const TopicConfig& config) = 0;
  /// Changes settings, and adds partitions when `config` has more, atomically. The new Topic; those that are held already keep
  /// showing what was. Fails with undefined_table, or invalid_parameter_value for what cannot change: `unsafe`, `internal`, fewer
  /// partitions.
  virtual Result<std::shared_ptr<Topic>> AlterTopic(const std::string& name, const TopicConfig& config) = 0;
  /// Fails with undefined_table. Appends that wait are answered with kUnknownTopicOrPartition.
  virtual Status DeleteTopic(const std::string& name) = 0;
  /// Null when there is none.
  virtual std::shared_ptr<Topic> FindTopic(std::string_view name) const = 0;
  virtual std::vector<std::shared_ptr<Topic>> ListTopics() const = 0;
  /// Called from sync threads after some partition's durable_end() moved; must return quickly. Kept until RemoveListener.
  virtual int AddDurableListener(std::function<void(Partition&)> listener) = 0;
  /// Waits for a call in progress, so a listener must not call it.
  virtual void RemoveDurableListener(int id) = 0;
  /// A fresh id for an idempotent producer; never given twice, also not after a restart.
  virtual Result<int64_t> NextProducerId() = 0;
  /// For a log without sync threads, as a simulation has it: does what one of them would, for the partition that waits for longest.
  /// False when none does.
  virtual bool CommitOne() = 0;
  /// Applies retention by time and size; called by the owner now and then. `keep_from` says what views still need.
  virtual void ApplyRetention(const std::function<Offset(const Partition&)>& keep_from) = 0;
  /// Compaction may touch records below these offsets from now on, until the next call; before the first one, none. Called by the owner
  /// now and then: the log's own thread begins to work.
  virtual void AllowCompaction(const std::function<Offset(const Partition&)>& below) = 0;
  /// Compacts the partition that needs it most; false when none does. For a log without threads.
  virtual bool CompactOne() = 0;
  virtual CompactionFigures compaction() const = 0;
  /// Commits and answers what was appended, then refuses appends (kKafkaStorageError). Topics that are still held can be read.
  virtual void Close() = 0;
};

/// A topic name that Kafka allows: 1 to 249 of [a-zA-Z0-9._-], not "." or "..".
bool IsValidTopicName(std::string_view name);
/// Kafka's default partitioner: murmur2(key) & 0x7fffffff, modulo partitions.
int32_t PartitionForKey(std::string_view key, int32_t partitions);

}  // namespace kappa::log
