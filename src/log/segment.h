// One segment of a partition: its file, its sparse index, and what of it readers may see.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "io/file.h"
#include "log/cache_window.h"
#include "log/record_batch.h"
#include "log/segment_format.h"

namespace kappa::log {

/// Thread-safe. One appender at a time calls the Append* functions; readers use what Visible* admits.
class Segment {
 public:
  struct Opened {
    std::shared_ptr<io::File> file;
    std::shared_ptr<const std::vector<IndexEntry>> index;  // null for the active segment: use Floor* instead
  };

  /// Creates PATH.seg durably, empty; a crash leaves either nothing or a whole header.
  static Result<std::shared_ptr<Segment>> Create(const std::string& folder, std::string_view topic, int32_t partition, Offset base, Offset log_start);
  /// Reads header and marks of an existing file. What lies beyond the mark is neither checked nor visible yet.
  static Result<std::shared_ptr<Segment>> Open(const std::string& folder, std::string_view topic, int32_t partition, Offset base);

  /// A sealed segment that lies under another name until DurableRename gives it its own; see CompactedSegmentWriter. Its file stays open.
  static std::shared_ptr<Segment> OfCompaction(std::string path, Offset base, Offset clean_end, const SegmentMark& mark, io::File file,
                                               std::vector<IndexEntry> index);

  Offset base() const { return base_; }
  /// Of a compacted segment: see CompactedHeader.
  std::optional<Offset> clean_end() const { return clean_end_; }
  const std::string& path() const { return path_; }
  bool sealed() const { return sealed_.load(std::memory_order_acquire); }
  uint64_t file_bytes_at_open() const { return file_bytes_at_open_; }
  SegmentMark mark() const;

  /// The part that readers may see: whole batches, never shrinking.
  uint64_t visible_bytes() const { return visible_bytes_.load(std::memory_order_acquire); }
  Offset visible_end() const { return visible_end_.load(std::memory_order_acquire); }
  int64_t max_timestamp() const { return max_timestamp_.load(std::memory_order_acquire); }
  int64_t last_append_ms() const { return last_append_ms_.load(std::memory_order_acquire); }
  void Publish(Offset end, uint64_t bytes);
  /// Tells `window` of what became visible and durable since the last time, once it is worth it.
  void NoteCached(CacheWindow& window);

  /// Appends the pieces as they are. On failure the file has the length that it had before; `intact` turns false if even that failed.
  Status Append(std::span<iovec> pieces, uint64_t bytes, bool& intact);
  /// Tells of a batch that was appended (or found at recovery) at `position`, for index and maximum timestamp.
  void NoteBatch(const BatchHeader& header, uint64_t position);
  void NoteAppendTime(int64_t now_ms) {
    last_append_ms_.store(now_ms, std::memory_order_release);
    if (first_append_ms_ < 0) first_append_ms_ = now_ms;
  }
  /// Wall time of the first append since this process opened the segment, -1 before it. For the appender.
  int64_t first_append_ms() const { return first_append_ms_; }
  uint64_t write_position() const { return write_position_.load(std::memory_order_acquire); }
  void Preallocate(uint64_t append_bytes, uint64_t segment_bytes);
  Status Sync() { return file_->Sync(); }

  /// Writes a mark, without syncing it, unless the segment is sealed or a newer mark stands. All below must be fdatasynced, and so must the
  /// mark before: this one takes the page of the one before that, and a torn write may cost it. The same holds for MarkLogStart and Seal.
  Status WriteMark(Offset durable_end, uint64_t durable_bytes, int64_t max_timestamp, int64_t last_append_ms, Offset log_start);
  /// Writes into the mark that the partition begins at `log_start`. For the active segment.
  Status MarkLogStart(Offset log_start);
  /// Marks the segment as complete, durably, and writes its index. Everything in it must be fdatasynced and visible.
  Status Seal(Offset log_start);
  /// Where the next append goes, as recovery found it.
  void SetWritten(uint64_t bytes) {
    write_position_.store(bytes, std::memory_order_release);
    appended_from_ = bytes;
  }
  /// Cuts the file at `bytes`, whole batches; recovery only.
  Status CutAt(uint64_t bytes);
  /// Writes the file's bytes in [from, to) again, so that a sync surely reaches the disk; recovery only.
  Status Rewrite(uint64_t from, uint64_t to);

  /// The file, opened if need be; a sealed segment's index is loaded (or rebuilt) too when `with_index`.
  Result<Opened> Acquire(bool with_index);
  /// Closes file and index of a sealed segment; those who acquired them keep them.
  void Release();
  /// Opens file and index for as long as this lives: compaction is about to give the name to another file.
  Status Pin();
  void Unpin();
  /// Another segment stands in its place. What it gives is still true, but may be older than what else is known.
  void NoteReplaced() { replaced_.store(true, std::memory_order_release); }
  bool replaced() const { return replaced_.load(std::memory_order_acquire); }
  /// Greatest index entry with offset <= `offset`; {base, first position} without one.
  Result<IndexEntry> FloorOfOffset(Offset offset);
  /// Greatest index entry before which all timestamps are below `timestamp`.
  Result<IndexEntry> FloorOfTimestamp(int64_t timestamp);
  /// Greatest index entry with position <= `position`, as far as an index is in memory.
  IndexEntry FloorOfPosition(uint64_t position) const;
  /// Batches in [from, to), which begin and end there, were read and are right. What is appended counts as checked.
  void NoteChecked(uint64_t from, uint64_t to);
  /// Whether all in [from, to) was checked since the segment was opened, as far as that is remembered: of what was read, one stretch.
  bool Checked(uint64_t from, uint64_t to) const;
  /// Reads the index file into memory as far as it describes batches wholly below `bytes`; recovery of an active segment.
  void LoadActiveIndex(uint64_t bytes);
  /// Writes the index file as it stands now, unsynced: it can be rebuilt.
  Status SaveIndex() const;
  /// Compares every entry of the index file with the batches. Fails with data_corrupted.
  Status Verify();

 private:
  Segment(std::string path, Offset base) : base_(base), path_(std::move(path)) {}
  std::string IndexPath() const { return path_.substr(0, path_.size() - 4) + ".idx"; }
  IndexEntry First() const { return {base_, kSegmentHeaderBytes, kNoTimestamp}; }
  Result<std::shared_ptr<const std::vector<IndexEntry>>> LoadOrRebuildIndex(const io::File& file) const;
  Status PutMark(SegmentMark mark);

  const Offset base_;
  const std::string path_;
  uint64_t file_bytes_at_open_ = 0;
  std::optional<Offset> clean_end_;

  std::atomic<bool> replaced_{false};
  std::atomic<bool> sealed_{false};
  std::atomic<uint64_t> visible_bytes_{kSegmentHeaderBytes};
  std::atomic<Offset> visible_end_{0};
  std::atomic<uint64_t> write_position_{kSegmentHeaderBytes};
  std::atomic<int64_t> max_timestamp_{kNoTimestamp};
  std::atomic<int64_t> last_append_ms_{-1};

  std::atomic<uint64_t> cached_from_{0};  // what lies below was told to the window

  uint64_t preallocated_to_ = 0;  // of the appender; UINT64_MAX: it does not work here
  int64_t first_append_ms_ = -1;  // of the appender

  mutable std::mutex mutex_;  // guards what follows, except that the active segment's file_ never changes
  std::shared_ptr<io::File> file_;
  bool pinned_ = false;
  std::vector<IndexEntry> active_index_;
  std::shared_ptr<const std::vector<IndexEntry>> sealed_index_;
  uint64_t appended_from_ = kSegmentHeaderBytes;       // what lies behind was appended by this process
  uint64_t checked_from_ = 0, checked_to_ = 0;
  mutable std::mutex mark_mutex_;  // taken before mutex_
  SegmentMark mark_{};
};

/// The index that is wanted of a batch at `position`, when the last entry is at `last`; kSegmentHeaderBytes without one.
inline bool IndexWants(uint64_t position, uint64_t last) { return position >= last + kIndexIntervalBytes; }

std::string EncodeIndex(Offset base, std::span<const IndexEntry> index);
/// Nothing when the bytes are damaged, or the index of another segment.
std::vector<IndexEntry> DecodeIndex(std::string_view bytes, Offset base);
/// Reads an index file: nothing when it is missing, damaged or of another segment.
std::vector<IndexEntry> ReadIndexFile(const std::string& path, Offset base);

/// Bounds how many sealed segments are open, least recently used first. Thread-safe.
class SegmentCache {
 public:
  explicit SegmentCache(size_t capacity) : capacity_(capacity) {}
  void Touch(const std::shared_ptr<Segment>& segment);

 private:
  const size_t capacity_;
  std::mutex mutex_;
  std::list<std::pair<Segment*, std::weak_ptr<Segment>>> order_;  // most recent first
  std::unordered_map<Segment*, decltype(order_)::iterator> places_;
};

}  // namespace kappa::log
