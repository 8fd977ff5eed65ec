// One partition on disk: appends, reads, group commit, rolling, recovery. partition_append.cc, partition_read.cc,
// partition_open.cc, partition_commit.cc and
// partition_compact.cc each hold one of these.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "log/cache_window.h"
#include "log/group_commit.h"
#include "log/latest_offsets.h"
#include "log/log.h"
#include "log/producer_state.h"
#include "log/segment.h"
#include "log/transaction_state.h"

namespace kappa::log {

/// What the partitions of one Log share.
struct LogShared {
  LogShared(LogOptions o, io::Clock& c) : options(o), clock(c), cache(kSegmentsOpenMax), window(o.page_cache_bytes), commit(o.sync_threads) {}
  static constexpr size_t kSegmentsOpenMax = 256;

  const LogOptions options;
  io::Clock& clock;
  SegmentCache cache;
  CacheWindow window;
  GroupCommit commit;
  int64_t NowMs() const { return clock.WallMicros() / 1000; }
  int64_t SteadyMs() const { return clock.SteadyMicros() / 1000; }
};

class CompactionFilter;

/// Told of bytes that compaction read and wrote; may wait, so that it does not take the disk from others. An error ends the pass.
using CompactionPace = std::function<Status(uint64_t read, uint64_t written)>;

class PartitionLog final : public Partition, public Committable, public std::enable_shared_from_this<PartitionLog> {
 public:
  PartitionLog(std::shared_ptr<LogShared> shared, std::string topic, int32_t index, TopicConfig config, std::string folder)
      : shared_(std::move(shared)),
        topic_(std::move(topic)),
        index_(index),
        config_(config),
        unsafe_(config.unsafe),
        max_message_bytes_(config.max_message_bytes),
        compact_(config.compact),
        folder_(std::move(folder)) {}

  /// Makes the folder with one empty segment.
  static Status CreateFolder(const std::string& folder, const std::string& topic, int32_t index);
  /// Recovers; to be called once, before anything else.
  Status Open();

  const std::string& topic() const override { return topic_; }
  int32_t index() const override { return index_; }
  Offset end_offset() const override { return end_offset_.load(std::memory_order_acquire); }
  Offset durable_end() const override { return durable_end_.load(std::memory_order_acquire); }
  Offset start_offset() const override { return start_offset_.load(std::memory_order_acquire); }
  uint64_t size_bytes() const override;
  int64_t last_append_ms() const override { return last_append_ms_.load(std::memory_order_acquire); }
  AppendResult Append(std::string_view batches, std::function<void(KafkaError)> on_durable) override;
  Offset last_stable_offset() const override;
  ReadResult Read(Offset from, size_t max_bytes, Isolation isolation) const override;
  ReadResult ReadForSending(Offset from, size_t max_bytes, Isolation isolation) const override;
  KafkaError BeginTransaction(int64_t producer_id, int16_t epoch) override;
  AppendResult EndTransaction(int64_t producer_id, int16_t epoch, bool commit, std::function<void(KafkaError)> on_durable) override;
  std::vector<ProducerInfo> producers() const override;
  Result<std::optional<std::pair<Offset, int64_t>>> FindTimestamp(int64_t timestamp_ms) const override;
  Status DeleteBefore(Offset offset) override;
  Status Verify() const override;
  std::vector<SegmentInfo> segments() const override;

  bool Commit() override;
  Partition& committed_partition() override { return *this; }

  /// Takes over settings that may change while the partition is in use.
  void Alter(const TopicConfig& config);
  /// Deletes segments that are past the topic's retention and below `keep_from`. `now_ms` -1: by size only.
  void ApplyRetention(int64_t now_ms, Offset keep_from);
  /// Compaction may touch records below `below` from now on.
  void AllowCompaction(Offset below);
  struct CompactionNeed {
    bool must = false;        // by the topic's settings
    double dirty_ratio = 0;   // part of the bytes that may be compacted and never were
    Offset from = 0, to = 0;  // where these lie, whole segments but for `from`
  };
  /// `now_ms` -1: unknown.
  CompactionNeed NeedOfCompaction(int64_t now_ms) const;
  /// One pass over the partition, as far as the keys fit the buffer: how many records went. One at a time.
  Result<uint64_t> Compact(int64_t now_ms, const CompactionPace& pace);
  /// Ends appends (they fail with `error` from now on) and answers those who still wait with it.
  void Stop(KafkaError error);
  /// While `locks` are held nothing is appended and no file changes its name, and reads and later appends are answered with `error`; gives the
  /// answer of before.
  using FileLocks = std::pair<std::unique_lock<std::mutex>, std::unique_lock<std::mutex>>;
  KafkaError RefuseWhile(KafkaError error, FileLocks& locks) {
    if (!locks.first.owns_lock()) {
      locks.first = std::unique_lock(files_mutex_);
      locks.second = std::unique_lock(append_mutex_);
    }
    return static_cast<KafkaError>(stopped_.exchange(static_cast<int16_t>(error)));
  }
  /// After Stop and after the sync threads ended: syncs, writes mark, index and producer snapshot.
  void CloseFiles();

 private:
  struct Waiting {
    Offset end;
    std::function<void(KafkaError)> on_durable;
  };
  using SegmentList = std::vector<std::shared_ptr<Segment>>;
  struct BatchAt {
    BatchHeader header;
    std::string_view bytes;
  };

  // partition_open.cc
  Status ListSegments();
  Status CheckChain();
  Status RemoveCovered();
  Result<Offset> RestoreProducers(Offset end);
  Status RecoverTail(Segment& segment, bool active);
  Status ReplayProducers(Offset from);

  // partition_append.cc
  AppendResult Refuse(KafkaError error, std::string message) const;
  std::optional<AppendResult> Validate(std::string_view batches, std::vector<BatchAt>& parsed) const;
  const char* WhyNotCompactable(const BatchHeader& header, std::string_view batch) const;
  KafkaError CheckProducer(const BatchHeader& header, AppendResult& duplicate);
  void NoteTransaction(const BatchHeader& header, std::string_view batch);
  AppendResult Write(std::vector<BatchAt>& batches, std::function<void(KafkaError)> on_durable);
  Status Roll();
  /// When a segment's first record is so old, another one is begun. Holds append_mutex_.
  int64_t SegmentAgeMost() const { return config_.compact ? std::min(config_.segment_ms, config_.max_compaction_lag_ms) : config_.segment_ms; }
  KafkaError StoppedError() const { return static_cast<KafkaError>(stopped_.load(std::memory_order_acquire)); }

  // partition_commit.cc
  std::string EncodeProducers(Offset at) const;
  void PublishDurable(Segment& segment, Offset end, uint64_t bytes);
  Status DeleteBeforeLocked(Offset offset);
  Status SaveProducers(const std::string& snapshot, bool durable) const;

  // partition_compact.cc
  Result<Offset> NoteLatest(const SegmentList& list, const CompactionNeed& need, const std::vector<AbortedTransaction>& aborted,
                            const CompactionPace& pace, LatestOffsets& latest) const;
  Result<size_t> CompactSome(std::span<const std::shared_ptr<Segment>> rest, Offset clean_end, uint64_t segment_bytes, CompactionFilter& filter,
                             const CompactionPace& pace);
  Status ForgetAborted(const std::unordered_set<Offset>& markers);
  Result<bool> Swap(std::span<const std::shared_ptr<Segment>> group, const std::shared_ptr<Segment>& compacted, const std::string& temporary);
  static Status RemoveFiles(const Segment& segment);

  // partition_read.cc
  std::shared_ptr<Segment> SegmentOf(Offset offset) const;
  std::shared_ptr<Segment> Active() const;
  struct Place {
    std::shared_ptr<Segment> segment;
    std::shared_ptr<io::File> file;
    uint64_t position;
    Offset offset;  // base offset of the batch at `position`
  };
  Result<Place> Locate(Offset from) const;
  KafkaError ReadBatches(const Place& place, size_t max_bytes, Offset visible, bool committed, ReadResult& result, Offset& next) const;
  ReadResult Read(Offset from, size_t max_bytes, Isolation isolation, bool may_slice) const;
  bool FindSlice(const Place& place, size_t max_bytes, Offset visible, ReadResult& result, Offset& next) const;
  void NoteHint(const Place& place, Offset offset, uint64_t position) const;

  const std::shared_ptr<LogShared> shared_;
  const std::string topic_;
  const int32_t index_;
  TopicConfig config_;                        // guarded by append_mutex_
  const bool unsafe_;                         // config_'s, for those who do not hold the mutex
  std::atomic<int32_t> max_message_bytes_;    // as well
  std::atomic<bool> compact_;                 // as well
  const std::string folder_;

  std::atomic<Offset> end_offset_{0};
  std::atomic<Offset> durable_end_{0};
  std::atomic<Offset> start_offset_{0};
  std::atomic<int64_t> last_append_ms_{-1};
  std::atomic<int16_t> stopped_{0};  // a KafkaError once appends are refused for good

  std::atomic<Offset> compact_below_{0};

  std::mutex files_mutex_;                // whoever removes or replaces segment files; taken before append_mutex_
  mutable std::mutex append_mutex_;       // one appender at a time; guards the next five
  ProducerStates producers_;
  std::vector<Waiting> waiting_;
  Offset synced_end_ = 0;                 // below it nothing needs a sync (differs from durable_end_ in unsafe topics)
  Offset notified_end_ = 0;               // listeners were told of the records below
  uint64_t bytes_since_checkpoint_ = 0;

  mutable std::mutex transactions_mutex_;  // taken after append_mutex_; guards the next one
  TransactionStates transactions_;
  std::atomic<bool> transactional_{false};  // false as long as transactions_ is empty: the others pay a load

  mutable std::mutex segments_mutex_;     // taken after append_mutex_; guards the next two
  SegmentList segments_;                  // ascending; the last is active
  struct Hint {
    Offset offset;
    uint64_t position;
    Segment* segment;
  };
  static constexpr size_t kHints = 8;
  mutable std::vector<Hint> hints_;       // where recent reads ended: sequential readers skip the index
  mutable size_t next_hint_ = 0;
};

}  // namespace kappa::log
