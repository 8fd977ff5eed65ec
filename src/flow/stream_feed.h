// StreamFeed: one stream's way from log records to judged rows. TableFeed: a table's changelog to keyed changes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/batch.h"
#include "flow/constraints.h"
#include "flow/journal.h"
#include "flow/stream_clock.h"
#include "flow/thread_pool.h"
#include "format/decoder.h"
#include "log/log.h"
#include "log/patient_read.h"

namespace kappa::flow {

/// What a feed must know of a stream.
struct StreamSpec {
  uint32_t id = 0;
  std::string name;
  std::string topic;
  data::Schema schema;
  int event_time = -1;
  int64_t watermark_delay_us = 0;
  int64_t future_limit_us = 0;
  int partitions = 1;
  format::DecodeOptions decode;
  std::vector<ConstrainedColumn> constraints;
  log::Isolation isolation = log::Isolation::kReadCommitted;
};

/// Rows of one partition with their verdicts. Columns: the feed's columns in order.
struct JudgedBatch {
  data::Batch rows;
  int partition = 0;
  std::vector<uint8_t> late;  // one byte a row, 1 for late; empty when no row is
};

/// A record that no row came of, or whose row a view leaves out.
struct DeadLetter {
  std::string topic;
  int32_t partition = 0;
  log::Offset offset = 0;
  std::string reason;
  std::string bytes;
  uint32_t view = 0;  // id of the view that leaves the row out (then `bytes` is empty); 0: the record gave no row
};

/// The columns of `spec.schema` that a feed gives may be any, and the hidden ones after them (plan::kHiddenStreamColumns):
/// partition (int4), offset (int8), record timestamp (timestamptz), processing time (timestamptz).
class StreamFeed {
 public:
  /// `batch_rows` bounds the rows of one JudgedBatch.
  StreamFeed(StreamSpec spec, std::shared_ptr<log::Topic> topic, std::vector<int> columns, size_t batch_rows,
             log::Patience patience = log::BriefPatience);
  ~StreamFeed();

  /// Adds columns that are not given yet (when a new view needs them). Never during Advance.
  void NeedColumns(const std::vector<int>& columns);
  const std::vector<int>& columns() const { return columns_; }

  /// Reads and decodes what `epochs` (in order, each once) give to this stream, on the pool, and judges the rows epoch by
  /// epoch. Appends rows to `out` and bad records to `dead`.
  Status Advance(std::span<const EpochRecord> epochs, ThreadPool& pool, std::vector<JudgedBatch>& out, std::vector<DeadLetter>& dead);
  const StreamSpec& spec() const { return spec_; }
  log::Offset position(int partition) const { return positions_[static_cast<size_t>(partition)]; }
  const std::vector<log::Offset>& positions() const { return positions_; }
  void set_position(int partition, log::Offset offset) { positions_[static_cast<size_t>(partition)] = offset; }
  const StreamClock& clock() const { return clock_; }
  int64_t late_rows() const { return late_rows_; }
  int64_t rows() const { return rows_; }
  int64_t dead_rows() const { return dead_rows_; }

  void Encode(ByteWriter& out) const;
  void Decode(ByteReader& in);

 private:
  struct Chunk;
  Status DecodeChunk(Chunk& chunk);

  StreamSpec spec_;
  std::shared_ptr<log::Topic> topic_;
  std::vector<int> columns_;
  size_t batch_rows_;
  log::Patience patience_;
  std::vector<log::Offset> positions_;
  StreamClock clock_;
  int64_t rows_ = 0;
  int64_t late_rows_ = 0;
  int64_t dead_rows_ = 0;
  std::mutex decoders_mutex_;
  std::vector<std::unique_ptr<format::JsonDecoder>> decoders_;  // idle ones
};

/// Of a batch of a table's changes: the offset and the timestamp of each row's record, and the time of the epoch that took it.
struct ChangeOrigin {
  std::vector<int64_t> offsets, timestamps_us, processed_us;
};

/// Reads a table's topic: value JSON = upsert, no value = delete by the key's JSON object of primary key columns.
class TableFeed {
 public:
  TableFeed(uint32_t id, std::string name, data::Schema schema, std::vector<int> primary_key, std::vector<ConstrainedColumn> constraints,
            std::shared_ptr<log::Topic> topic, log::Patience patience = log::BriefPatience);
  /// Appends batches in arrival order for ops::MakeUpsert: weight +1 upserts, -1 deletes by key.
  /// With `origins`, also where the changes of each batch come from.
  Status Advance(std::span<const EpochRecord> epochs, std::vector<data::ChangeBatch>& out, std::vector<DeadLetter>& dead,
                 std::vector<ChangeOrigin>* origins = nullptr);
  uint32_t id() const { return id_; }
  log::Offset position() const { return position_; }
  void set_position(log::Offset offset) { position_ = offset; }

 private:
  /// What of its topic an epoch ends with, and the epoch's time.
  struct Cut {
    log::Offset end;
    int64_t wall_us;
  };
  Status Read(std::span<const Cut> cuts, std::vector<data::ChangeBatch>& out, std::vector<DeadLetter>& dead, std::vector<ChangeOrigin>* origins);

  uint32_t id_;
  std::string name_;
  data::Schema schema_;
  std::vector<int> primary_key_;
  std::vector<ConstrainedColumn> constraints_;
  std::shared_ptr<log::Topic> topic_;
  log::Patience patience_;
  log::Offset position_ = 0;
  format::JsonDecoder values_;
  format::JsonDecoder keys_;
};

/// Splits the rows by verdict for a scan: all, the ones in time, or the late ones.
data::Batch SelectByVerdict(const JudgedBatch& batch, bool keep_in_time, bool keep_late);

}  // namespace kappa::flow
