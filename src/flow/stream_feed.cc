#include "flow/stream_feed.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/value.h"
#include "log/record_batch.h"
#include "plan/node.h"

namespace kappa::flow {
namespace {

constexpr size_t kReadBytes = 4 << 20;
constexpr size_t kDecompressedMax = 64 << 20;

/// Where in the log a run of rows lies.
struct Range {
  int partition;
  log::Offset from;
  log::Offset to;
};

/// Records of [from, to) as they lie in memory. `next` is where to go on.
struct RawRecords {
  std::shared_ptr<std::string> bytes;                       // what was read
  std::vector<std::shared_ptr<std::string>> decompressed;   // sections of compressed batches
  std::vector<log::Record> records;
  struct Damaged {
    log::Offset offset;
    std::string reason;
    std::string bytes;
  };
  std::vector<Damaged> damaged;                             // batches whose compressed contents a producer got wrong
  log::Offset next = 0;
};

/// The markers that end transactions leave holes among the offsets; so does what a transaction aborted, when committed records alone are read.
Status ReadRecords(const log::Partition& partition, log::Offset from, log::Offset to, log::Isolation isolation, const log::Patience& patience,
                   RawRecords& out) {
  log::ReadResult read = log::ReadPatiently(partition, from, kReadBytes, isolation, patience);
  if (read.error != log::KafkaError::kNone) {
    return Error(read.error == log::KafkaError::kCorruptMessage ? sqlstate::kDataCorrupted : sqlstate::kIoError,
                 fmt::format("could not read topic \"{}\" partition {} at offset {}", partition.topic(), partition.index(), from));
  }
  read.bytes.append(format::kPadding, '\0');
  out.bytes = std::make_shared<std::string>(std::move(read.bytes));
  std::string_view left(*out.bytes);
  left.remove_suffix(format::kPadding);
  out.next = from;
  while (!left.empty() && out.next < to) {
    KAPPA_ASSIGN_OR_RETURN(log::BatchHeader header, log::ParseBatchHeader(left));
    if (header.total_bytes() > left.size()) break;
    std::string_view batch = left.substr(0, header.total_bytes());
    left.remove_prefix(header.total_bytes());
    if (!read.PassesOver(header)) {
      std::string storage;
      const size_t before = out.records.size();
      auto opened = log::RecordsSection(batch, kDecompressedMax, storage);
      std::string_view section = opened.ok() ? *opened : std::string_view();
      if (opened.ok() && !storage.empty()) {
        const size_t size = section.size();
        const size_t at = static_cast<size_t>(section.data() - storage.data());
        storage.append(format::kPadding, '\0');
        out.decompressed.push_back(std::make_shared<std::string>(std::move(storage)));
        section = std::string_view(*out.decompressed.back()).substr(at, size);
      }
      const Status parsed = opened.ok() ? log::ParseRecords(header, section, out.records) : opened.status();
      if (!parsed.ok()) {
        // The log keeps batches as they came; what cannot be decoded is a dead letter, and the stream goes on.
        out.records.resize(before);
        if (header.base_offset >= from && header.base_offset < to)
          out.damaged.push_back({header.base_offset, parsed.error().message(), std::string(batch)});
      }
    }
    out.next = header.last_offset() + 1;
  }
  // Epochs end at batch ends, but a reader may begin inside a batch.
  std::erase_if(out.records, [&](const log::Record& record) { return record.offset < from || record.offset >= to; });
  if (out.next <= from) {
    return Error(sqlstate::kDataCorrupted, fmt::format("topic \"{}\" partition {} gives no record at offset {} although it is below the durable end",
                                                       partition.topic(), partition.index(), from));
  }
  out.next = std::min(out.next, to);
  return {};
}

/// Keeps both kinds of memory alive.
data::Keepalive KeepaliveOf(const RawRecords& raw) {
  struct Memory {
    std::shared_ptr<std::string> bytes;
    std::vector<std::shared_ptr<std::string>> decompressed;
  };
  auto memory = std::make_shared<Memory>();
  memory->bytes = raw.bytes;
  memory->decompressed = raw.decompressed;
  return memory;
}

data::ColumnPtr Int8Column(data::Type type, std::span<const int64_t> values) {
  auto column = std::make_shared<data::Column>(type, static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), column->mutable_data<int64_t>());
  return column;
}

/// Refused rows were good until now; the order of bad ones is made later.
void MoveRefused(std::vector<RefusedRow>& refused, std::vector<int32_t>& good, std::vector<format::BadRecord>& bad) {
  size_t at = 0, kept = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    if (at < refused.size() && refused[at].row == static_cast<int32_t>(i)) bad.push_back({good[i], std::move(refused[at++].reason)});
    else good[kept++] = good[i];
  }
  good.resize(kept);
}

}  // namespace

/// A stretch of one partition, decoded by one task.
struct StreamFeed::Chunk {
  Range range{};
  struct Part {
    data::Batch rows;                // declared columns asked for, and the event time last when it was not asked for
    std::vector<log::Offset> offsets;
    std::vector<int64_t> timestamps_ms;
    std::vector<int64_t> processed_us;  // wall time of each row's epoch, where somebody reads it
  };
  std::vector<Part> parts;
  std::vector<DeadLetter> dead;
  Status status;
};

StreamFeed::StreamFeed(StreamSpec spec, std::shared_ptr<log::Topic> topic, std::vector<int> columns, size_t batch_rows, log::Patience patience)
    : spec_(std::move(spec)),
      topic_(std::move(topic)),
      batch_rows_(batch_rows),
      patience_(std::move(patience)),
      positions_(static_cast<size_t>(spec_.partitions), 0),
      clock_(spec_.partitions, spec_.watermark_delay_us, spec_.future_limit_us) {
  NeedColumns(columns);
  for (const ConstrainedColumn& constraint : spec_.constraints) NeedColumns({constraint.column});
}

StreamFeed::~StreamFeed() = default;

void StreamFeed::NeedColumns(const std::vector<int>& columns) {
  for (int column : columns) {
    if (std::find(columns_.begin(), columns_.end(), column) == columns_.end()) columns_.push_back(column);
  }
  decoders_.clear();
}

Status StreamFeed::DecodeChunk(Chunk& chunk) {
  // What the decoder gives: the declared columns of columns_, then the event time.
  std::vector<int> declared;
  for (int column : columns_) {
    if (column < spec_.schema.size()) declared.push_back(column);
  }
  if (spec_.event_time >= 0) declared.push_back(spec_.event_time);
  std::unique_ptr<format::JsonDecoder> decoder;
  {
    std::lock_guard lock(decoders_mutex_);
    if (!decoders_.empty()) {
      decoder = std::move(decoders_.back());
      decoders_.pop_back();
    }
  }
  if (!decoder) decoder = std::make_unique<format::JsonDecoder>(spec_.schema, declared, spec_.decode);

  log::Partition& partition = topic_->partition(chunk.range.partition);
  log::Offset at = std::max(chunk.range.from, partition.start_offset());
  std::vector<std::string_view> values;
  std::vector<int64_t> value_records;  // index of the record of each value
  std::vector<int32_t> good;
  std::vector<format::BadRecord> bad;
  while (at < chunk.range.to) {
    RawRecords raw;
    KAPPA_RETURN_IF_ERROR(ReadRecords(partition, at, chunk.range.to, spec_.isolation, patience_, raw));
    at = raw.next;
    for (RawRecords::Damaged& batch : raw.damaged) {
      chunk.dead.push_back(
          {spec_.topic, chunk.range.partition, batch.offset, "record batch cannot be decoded: " + batch.reason, std::move(batch.bytes)});
    }
    const data::Keepalive keepalive = KeepaliveOf(raw);
    for (size_t begin = 0; begin < raw.records.size(); begin += batch_rows_) {
      const size_t end = std::min(raw.records.size(), begin + batch_rows_);
      values.clear();
      value_records.clear();
      good.clear();
      bad.clear();
      for (size_t i = begin; i < end; ++i) {
        if (raw.records[i].value) {
          values.push_back(*raw.records[i].value);
          value_records.push_back(static_cast<int64_t>(i));
        } else {
          chunk.dead.push_back({spec_.topic, chunk.range.partition, raw.records[i].offset, "record has no value", ""});
        }
      }
      Chunk::Part part;
      KAPPA_ASSIGN_OR_RETURN(part.rows, decoder->Decode(values, keepalive, good, bad));
      if (!spec_.constraints.empty()) {
        std::vector<RefusedRow> refused;
        TakeRefused(spec_.constraints, declared, part.rows, refused);
        MoveRefused(refused, good, bad);
      }
      for (int32_t i : good) {
        const log::Record& record = raw.records[static_cast<size_t>(value_records[static_cast<size_t>(i)])];
        part.offsets.push_back(record.offset);
        part.timestamps_ms.push_back(record.timestamp_ms);
      }
      for (format::BadRecord& b : bad) {
        const log::Record& record = raw.records[static_cast<size_t>(value_records[static_cast<size_t>(b.index)])];
        chunk.dead.push_back({spec_.topic, chunk.range.partition, record.offset, std::move(b.reason), std::string(*record.value)});
      }
      if (part.rows.rows > 0) chunk.parts.push_back(std::move(part));
    }
  }
  std::stable_sort(chunk.dead.begin(), chunk.dead.end(), [](const DeadLetter& a, const DeadLetter& b) { return a.offset < b.offset; });
  std::lock_guard lock(decoders_mutex_);
  decoders_.push_back(std::move(decoder));
  return {};
}

Status StreamFeed::Advance(std::span<const EpochRecord> epochs, ThreadPool& pool, std::vector<JudgedBatch>& out, std::vector<DeadLetter>& dead) {
  // Where each partition goes on to, epoch by epoch.
  std::vector<std::vector<log::Offset>> ends(static_cast<size_t>(spec_.partitions));  // per partition, end after each epoch
  std::vector<log::Offset> last = positions_;
  for (size_t p = 0; p < ends.size(); ++p) ends[p].reserve(epochs.size());
  for (const EpochRecord& epoch : epochs) {
    for (const PartitionEnd& end : epoch.ends) {
      if (end.relation == spec_.id && end.partition < spec_.partitions) {
        last[static_cast<size_t>(end.partition)] = std::max(last[static_cast<size_t>(end.partition)], end.end);
      }
    }
    for (size_t p = 0; p < ends.size(); ++p) ends[p].push_back(last[p]);
  }

  // Decode in parallel: every partition is cut into stretches.
  std::vector<Chunk> chunks;
  for (int p = 0; p < spec_.partitions; ++p) {
    const log::Offset from = positions_[static_cast<size_t>(p)];
    const log::Offset to = last[static_cast<size_t>(p)];
    const log::Offset step = std::max<log::Offset>(4096, (to - from + 3) / 4);
    for (log::Offset at = from; at < to; at += step) {
      Chunk chunk;
      chunk.range = {p, at, std::min(to, at + step)};
      chunks.push_back(std::move(chunk));
    }
  }
  pool.ParallelFor(static_cast<int>(chunks.size()), [&](int i) {
    Chunk& chunk = chunks[static_cast<size_t>(i)];
    chunk.status = DecodeChunk(chunk);
  });
  for (Chunk& chunk : chunks) KAPPA_RETURN_IF_ERROR(chunk.status);

  // Judge in order: epoch by epoch, partition by partition, since a verdict may depend on the epoch before.
  const bool judged = spec_.event_time >= 0;
  const bool timed = std::find(columns_.begin(), columns_.end(), spec_.schema.size() + plan::kProcessingTimeColumn) != columns_.end();
  struct Cursor {
    size_t chunk = 0, part = 0;
    int64_t row = 0;
  };
  std::vector<std::vector<std::vector<uint8_t>>> late(chunks.size());
  std::vector<Cursor> cursors(static_cast<size_t>(spec_.partitions));
  for (size_t c = 0; c < chunks.size(); ++c) { late[c].resize(chunks[c].parts.size()); }
  for (int p = 0; p < spec_.partitions; ++p) {
    size_t c = 0;
    while (c < chunks.size() && chunks[c].range.partition != p) ++c;
    cursors[static_cast<size_t>(p)].chunk = c;
  }
  for (size_t e = 0; e < epochs.size(); ++e) {
    for (const IdleChange& change : epochs[e].idle) {
      if (change.relation == spec_.id && change.partition < spec_.partitions) clock_.SetIdle(change.partition, change.idle);
    }
    if (!judged && !timed) continue;
    for (int p = 0; p < spec_.partitions; ++p) {
      Cursor& cursor = cursors[static_cast<size_t>(p)];
      const log::Offset end = ends[static_cast<size_t>(p)][e];
      while (cursor.chunk < chunks.size() && chunks[cursor.chunk].range.partition == p) {
        Chunk& chunk = chunks[cursor.chunk];
        if (cursor.part == chunk.parts.size()) {
          ++cursor.chunk;
          cursor.part = 0;
          continue;
        }
        Chunk::Part& part = chunk.parts[cursor.part];
        const auto stop = std::lower_bound(part.offsets.begin() + cursor.row, part.offsets.end(), end) - part.offsets.begin();
        if (stop > cursor.row && timed) part.processed_us.resize(static_cast<size_t>(stop), epochs[e].wall_us);
        if (stop > cursor.row && !judged) cursor.row = stop;
        if (stop > cursor.row) {
          std::vector<uint8_t>& flags = late[cursor.chunk][cursor.part];
          if (flags.empty()) flags.resize(static_cast<size_t>(part.rows.rows), 0);
          late_rows_ += clock_.Judge(p, *part.rows.columns.back(), cursor.row, stop, epochs[e].wall_us, flags.data());
          cursor.row = stop;
        }
        if (cursor.row < part.rows.rows) break;
        cursor.row = 0;
        ++cursor.part;
      }
    }
    if (judged) clock_.EndEpoch();
  }

  for (size_t c = 0; c < chunks.size(); ++c) {
    Chunk& chunk = chunks[c];
    for (size_t i = 0; i < chunk.parts.size(); ++i) {
      Chunk::Part& part = chunk.parts[i];
      JudgedBatch batch;
      batch.partition = chunk.range.partition;
      batch.rows.rows = part.rows.rows;
      size_t declared = 0;
      for (int column : columns_) {
        if (column < spec_.schema.size()) {
          batch.rows.columns.push_back(part.rows.columns[declared++]);
          continue;
        }
        switch (column - spec_.schema.size()) {
          case 0:
            batch.rows.columns.push_back(data::ConstantColumn(data::Value::Fixed<int32_t>(data::TypeId::kInt4, batch.partition), part.rows.rows));
            break;
          case 1: batch.rows.columns.push_back(Int8Column(data::TypeId::kInt8, part.offsets)); break;
          case plan::kProcessingTimeColumn: batch.rows.columns.push_back(Int8Column(data::TypeId::kTimestamptz, part.processed_us)); break;
          default:
            for (int64_t& t : part.timestamps_ms) t *= 1000;
            batch.rows.columns.push_back(Int8Column(data::TypeId::kTimestamptz, part.timestamps_ms));
        }
      }
      if (judged && std::find(late[c][i].begin(), late[c][i].end(), 1) != late[c][i].end()) batch.late = std::move(late[c][i]);
      rows_ += batch.rows.rows;
      out.push_back(std::move(batch));
    }
    dead_rows_ += static_cast<int64_t>(chunk.dead.size());
    std::move(chunk.dead.begin(), chunk.dead.end(), std::back_inserter(dead));
  }
  positions_ = last;
  return {};
}

void StreamFeed::Encode(ByteWriter& out) const {
  out.Varint(positions_.size());
  for (log::Offset position : positions_) out.Varint(static_cast<uint64_t>(position));
  clock_.Encode(out);
  out.Varint(static_cast<uint64_t>(rows_));
  out.Varint(static_cast<uint64_t>(late_rows_));
  out.Varint(static_cast<uint64_t>(dead_rows_));
}

void StreamFeed::Decode(ByteReader& in) {
  if (in.Varint() != positions_.size()) return in.Fail();
  for (log::Offset& position : positions_) position = static_cast<log::Offset>(in.Varint());
  clock_.Decode(in);
  rows_ = static_cast<int64_t>(in.Varint());
  late_rows_ = static_cast<int64_t>(in.Varint());
  dead_rows_ = static_cast<int64_t>(in.Varint());
}

data::Batch SelectByVerdict(const JudgedBatch& batch, bool keep_in_time, bool keep_late) {
  if (keep_in_time && (keep_late || batch.late.empty())) return batch.rows;
  data::Batch out;
  std::vector<int32_t> rows;
  if (!batch.late.empty()) {
    for (int64_t i = 0; i < batch.rows.rows; ++i) {
      if (batch.late[static_cast<size_t>(i)] ? keep_late : keep_in_time) rows.push_back(static_cast<int32_t>(i));
    }
  }
  out.rows = static_cast<int64_t>(rows.size());
  for (const data::ColumnPtr& column : batch.rows.columns) out.columns.push_back(data::Gather(*column, rows));
  return out;
}

namespace {

std::vector<int> AllColumns(const data::Schema& schema) {
  std::vector<int> columns;
  for (int i = 0; i < schema.size(); ++i) columns.push_back(i);
  return columns;
}

}  // namespace

TableFeed::TableFeed(uint32_t id, std::string name, data::Schema schema, std::vector<int> primary_key, std::vector<ConstrainedColumn> constraints,
                     std::shared_ptr<log::Topic> topic, log::Patience patience)
    : id_(id),
      name_(std::move(name)),
      schema_(std::move(schema)),
      primary_key_(std::move(primary_key)),
      constraints_(std::move(constraints)),
      topic_(std::move(topic)),
      patience_(std::move(patience)),
      values_(schema_, AllColumns(schema_), {}),
      keys_(
          [this] {
            data::Schema keys;
            for (int column : primary_key_) keys.fields.push_back(schema_.fields[static_cast<size_t>(column)]);
            return keys;
          }(),
          [this] {
            std::vector<int> columns;
            for (size_t i = 0; i < primary_key_.size(); ++i) columns.push_back(static_cast<int>(i));
            return columns;
          }(),
          {}) {}

Status TableFeed::Advance(std::span<const EpochRecord> epochs, std::vector<data::ChangeBatch>& out, std::vector<DeadLetter>& dead,
                          std::vector<ChangeOrigin>* origins) {
  std::vector<Cut> cuts;
  for (const EpochRecord& epoch : epochs) {
    for (const PartitionEnd& e : epoch.ends) {
      if (e.relation == id_ && e.end > (cuts.empty() ? position_ : cuts.back().end)) cuts.push_back({e.end, epoch.wall_us});
    }
  }
  return cuts.empty() ? Status() : Read(cuts, out, dead, origins);
}

Status TableFeed::Read(std::span<const Cut> cuts, std::vector<data::ChangeBatch>& out, std::vector<DeadLetter>& dead,
                       std::vector<ChangeOrigin>* origins) {
  const log::Offset end = cuts.back().end;
  auto cut = cuts.begin();  // of the record that is read
  log::Partition& partition = topic_->partition(0);
  position_ = std::max(position_, partition.start_offset());
  std::vector<std::string_view> run;
  std::vector<int64_t> run_records;
  std::vector<int32_t> good;
  std::vector<format::BadRecord> bad;
  while (position_ < end) {
    RawRecords raw;
    KAPPA_RETURN_IF_ERROR(ReadRecords(partition, position_, end, log::Isolation::kReadCommitted, patience_, raw));
    position_ = raw.next;
    for (RawRecords::Damaged& batch : raw.damaged) {
      dead.push_back({topic_->name(), 0, batch.offset, "record batch cannot be decoded: " + batch.reason, std::move(batch.bytes)});
    }
    const data::Keepalive keepalive = KeepaliveOf(raw);
    // Consecutive upserts, or deletes, go through the decoder together.
    for (size_t i = 0; i < raw.records.size();) {
      const bool upsert = raw.records[i].value.has_value();
      run.clear();
      run_records.clear();
      good.clear();
      bad.clear();
      for (; i < raw.records.size() && raw.records[i].value.has_value() == upsert; ++i) {
        const auto& bytes = upsert ? raw.records[i].value : raw.records[i].key;
        if (!bytes) {
          dead.push_back({topic_->name(), 0, raw.records[i].offset, "record has neither key nor value", ""});
          continue;
        }
        run.push_back(*bytes);
        run_records.push_back(static_cast<int64_t>(i));
      }
      KAPPA_ASSIGN_OR_RETURN(data::Batch rows, (upsert ? values_ : keys_).Decode(run, keepalive, good, bad));
      if (upsert && !constraints_.empty()) {
        std::vector<RefusedRow> refused;
        TakeRefused(constraints_, AllColumns(schema_), rows, refused);
        MoveRefused(refused, good, bad);
        std::sort(bad.begin(), bad.end(), [](const format::BadRecord& a, const format::BadRecord& b) { return a.index < b.index; });
      }
      for (format::BadRecord& b : bad) {
        dead.push_back({topic_->name(), 0, raw.records[static_cast<size_t>(run_records[static_cast<size_t>(b.index)])].offset, std::move(b.reason),
                        std::string(run[static_cast<size_t>(b.index)])});
      }
      if (rows.rows == 0) continue;
      if (origins != nullptr) {
        ChangeOrigin& origin = origins->emplace_back();
        for (const int32_t i : good) {
          const log::Record& record = raw.records[static_cast<size_t>(run_records[static_cast<size_t>(i)])];
          origin.offsets.push_back(record.offset);
          origin.timestamps_us.push_back(record.timestamp_ms * 1000);
          while (record.offset >= cut->end) ++cut;
          origin.processed_us.push_back(cut->wall_us);
        }
      }
      data::ChangeBatch changes;
      changes.rows = rows.rows;
      if (upsert) {
        changes.columns = std::move(rows.columns);
      } else {
        for (const data::Field& field : schema_.fields) changes.columns.push_back(data::NullColumn(field.type, rows.rows));
        for (size_t k = 0; k < primary_key_.size(); ++k) changes.columns[static_cast<size_t>(primary_key_[k])] = rows.columns[k];
        changes.weights = std::make_shared<std::vector<int64_t>>(static_cast<size_t>(rows.rows), -1);
      }
      out.push_back(std::move(changes));
    }
  }
  return {};
}

}  // namespace kappa::flow
