// Parsing, checking and building of record batches, format v2.
//
//   at  bytes  field             (big-endian)
//    0      8  baseOffset        set by the log
//    8      4  batchLength       bytes after this field
//   12      4  partitionLeaderEpoch  set by the log
//   16      1  magic             2
//   17      4  crc               CRC-32C of everything from byte 21
//   21      2  attributes
//   23      4  lastOffsetDelta
//   27      8  baseTimestamp
//   35      8  maxTimestamp
//   43      8  producerId        -1: none
//   51      2  producerEpoch
//   53      4  baseSequence
//   57      4  recordCount
//   61      -  records, compressed as a whole by the codec in `attributes`
//
// A record: length, attributes (1 byte), timestampDelta, offsetDelta, key length (-1: null), key, value length (-1: null), value,
// header count, headers (key length, key, value length, value); all integers are zigzag varints.
#include "log/record_batch.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "log/codec.h"

namespace kappa::log {
namespace {

constexpr size_t kCrcAt = 17;
constexpr size_t kCrcFrom = 21;
constexpr size_t kRecordBytesMin = 7;  // seven one-byte fields

Error Corrupted(const char* what) { return Error(sqlstate::kDataCorrupted, std::string("malformed record batch: ") + what); }

/// A pointer that walks records; every read is checked against the end, a failed one sticks.
struct Cursor {
  const char* at;
  const char* end;
  bool ok = true;

  size_t left() const { return static_cast<size_t>(end - at); }

  int64_t ZigZag() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at == end) break;
      auto byte = static_cast<uint8_t>(*at++);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
    }
    ok = false;
    return 0;
  }
  /// A length and that many bytes; null for -1.
  std::optional<std::string_view> Nullable() {
    int64_t length = ZigZag();
    if (length == -1) return std::nullopt;
    if (length < 0 || static_cast<uint64_t>(length) > left()) {
      ok = false;
      return std::nullopt;
    }
    std::string_view bytes(at, static_cast<size_t>(length));
    at += length;
    return bytes;
  }
};

bool SkipHeaders(Cursor& record) {
  int64_t count = record.ZigZag();
  if (count < 0 || static_cast<uint64_t>(count) > record.left()) return false;
  for (int64_t i = 0; i < count && record.ok; ++i) {
    if (!record.Nullable().has_value()) return false;  // a header's key is never null
    record.Nullable();
  }
  return record.ok;
}

}  // namespace

Result<BatchHeader> ParseBatchHeader(std::string_view bytes) {
  ByteReader reader(bytes);
  BatchHeader header;
  header.base_offset = reader.Big<int64_t>();
  header.batch_length = reader.Big<int32_t>();
  header.leader_epoch = reader.Big<int32_t>();
  header.magic = reader.Big<int8_t>();
  header.crc = reader.Big<uint32_t>();
  header.attributes = reader.Big<int16_t>();
  header.last_offset_delta = reader.Big<int32_t>();
  header.base_timestamp = reader.Big<int64_t>();
  header.max_timestamp = reader.Big<int64_t>();
  header.producer_id = reader.Big<int64_t>();
  header.producer_epoch = reader.Big<int16_t>();
  header.base_sequence = reader.Big<int32_t>();
  header.record_count = reader.Big<int32_t>();
  if (!reader.ok()) return Corrupted("header is cut off");
  if (header.magic != 2) return Corrupted("magic is not 2");
  if (header.batch_length < static_cast<int32_t>(kBatchHeaderBytes - 12)) return Corrupted("length is too small");
  if (header.base_offset < 0 || header.last_offset_delta < 0 || header.base_offset > INT64_MAX - header.last_offset_delta - 1) {
    return Corrupted("offsets are out of range");
  }
  if (header.record_count < 0 || header.record_count > int64_t{header.last_offset_delta} + 1) return Corrupted("record count is wrong");
  return header;
}

bool BatchCrcMatches(std::string_view batch) {
  if (batch.size() < kBatchHeaderBytes) return false;
  ByteReader reader(batch.substr(kCrcAt));
  return reader.Big<uint32_t>() == Crc32c(batch.substr(kCrcFrom));
}

Result<std::string_view> RecordsSection(std::string_view batch, size_t decompressed_max, std::string& storage) {
  storage.clear();
  KAPPA_ASSIGN_OR_RETURN(BatchHeader header, ParseBatchHeader(batch));
  if (header.total_bytes() > batch.size()) return Corrupted("batch is cut off");
  std::string_view section = batch.substr(kBatchHeaderBytes, header.total_bytes() - kBatchHeaderBytes);
  if (header.codec() == 0) return section;
  KAPPA_RETURN_IF_ERROR(Decompress(static_cast<Codec>(header.codec()), section, decompressed_max, storage));
  return std::string_view(storage);
}

namespace {

/// emit(record, begin, after_timestamp, end) for each record of a section; the pointers into it say where the record lies.
template <class Emit> Status WalkRecords(const BatchHeader& header, std::string_view section, Emit emit) {
  if (header.record_count < 0 || static_cast<size_t>(header.record_count) > section.size() / kRecordBytesMin) {
    return Corrupted("record count is wrong");
  }
  const bool log_append_time = (header.attributes & 8) != 0;
  Cursor cursor{section.data(), section.data() + section.size()};
  int64_t last_delta = -1;
  for (int32_t i = 0; i < header.record_count; ++i) {
    const char* const begin = cursor.at;
    int64_t length = cursor.ZigZag();
    if (!cursor.ok || length < 0 || static_cast<uint64_t>(length) > cursor.left()) return Corrupted("record length is wrong");
    Cursor record{cursor.at, cursor.at + length};
    cursor.at += length;
    if (record.left() == 0) return Corrupted("record is empty");
    ++record.at;  // attributes, unused in v2
    int64_t timestamp_delta = record.ZigZag();
    const char* const after_timestamp = record.at;
    int64_t offset_delta = record.ZigZag();
    if (offset_delta <= last_delta || offset_delta > header.last_offset_delta) return Corrupted("record offsets are out of order");
    last_delta = offset_delta;
    Record parsed;
    parsed.offset = header.base_offset + offset_delta;
    parsed.timestamp_ms = log_append_time
                              ? header.max_timestamp
                              : static_cast<int64_t>(static_cast<uint64_t>(header.base_timestamp) + static_cast<uint64_t>(timestamp_delta));
    parsed.key = record.Nullable();
    parsed.value = record.Nullable();
    if (!SkipHeaders(record) || record.left() != 0) return Corrupted("record does not fill its length");
    emit(parsed, begin, after_timestamp, cursor.at);
  }
  if (cursor.left() != 0) return Corrupted("bytes follow the last record");
  return {};
}

/// Length, magic and checksum are set here, the leader epoch to 0.
std::string EncodeBatch(const BatchHeader& header, std::string_view records) {
  ByteWriter out;
  out.str().reserve(kBatchHeaderBytes + records.size());
  out.Big(header.base_offset);
  out.Big(static_cast<int32_t>(kBatchHeaderBytes - 12 + records.size()));
  out.Big<int32_t>(0);
  out.Big<int8_t>(2);
  out.Big<uint32_t>(0);
  out.Big(header.attributes);
  out.Big(header.last_offset_delta);
  out.Big(header.base_timestamp);
  out.Big(header.max_timestamp);
  out.Big(header.producer_id);
  out.Big(header.producer_epoch);
  out.Big(header.base_sequence);
  out.Big(header.record_count);
  out.Bytes(records);
  out.PatchBig(kCrcAt, Crc32c(std::string_view(out.str()).substr(kCrcFrom)));
  return out.Take();
}

}  // namespace

Status ParseRecords(const BatchHeader& header, std::string_view section, std::vector<Record>& records) {
  const size_t before = records.size();
  const size_t most = section.size() / kRecordBytesMin;
  const size_t count = std::min(most, static_cast<size_t>(std::max(header.record_count, 0)));
  if (records.capacity() < before + count) records.reserve(std::max(before + count, records.capacity() * 2));
  return WalkRecords(header, section, [&](const Record& record, const char*, const char*, const char*) { records.push_back(record); });
}

Status ParseRawRecords(const BatchHeader& header, std::string_view section, std::vector<RawRecord>& records) {
  return WalkRecords(header, section, [&](const Record& record, const char* begin, const char* after_timestamp, const char* end) {
    records.push_back({record.offset,
                       record.timestamp_ms,
                       record.key,
                       record.value.has_value(),
                       {begin, static_cast<size_t>(end - begin)},
                       {after_timestamp, static_cast<size_t>(end - after_timestamp)}});
  });
}

void BatchBuilder::Add(int64_t timestamp_ms, std::optional<std::string_view> key, std::optional<std::string_view> value) {
  if (count_ == 0) base_timestamp_ = max_timestamp_ = timestamp_ms;
  max_timestamp_ = std::max(max_timestamp_, timestamp_ms);
  auto timestamp_delta = static_cast<int64_t>(static_cast<uint64_t>(timestamp_ms) - static_cast<uint64_t>(base_timestamp_));
  char fields[64];
  size_t used = 0;
  auto put = [&](int64_t number) {
    auto rest = (static_cast<uint64_t>(number) << 1) ^ static_cast<uint64_t>(number >> 63);
    while (rest >= 0x80) {
      fields[used++] = static_cast<char>(rest | 0x80);
      rest >>= 7;
    }
    fields[used++] = static_cast<char>(rest);
  };
  auto length_of = [](std::optional<std::string_view> bytes) { return bytes ? static_cast<int64_t>(bytes->size()) : -1; };
  // The record's length comes first, so the small fields are encoded once to learn theirs.
  put(timestamp_delta);
  put(count_);
  put(length_of(key));
  size_t front = used;
  put(length_of(value));
  size_t value_length_bytes = used - front;
  size_t body = 1 + front + (key ? key->size() : 0) + value_length_bytes + (value ? value->size() : 0) + 1;
  put(static_cast<int64_t>(body));
  records_.append(fields + front + value_length_bytes, used - front - value_length_bytes);
  records_.push_back(0);
  records_.append(fields, front);
  if (key) records_.append(*key);
  records_.append(fields + front, value_length_bytes);
  if (value) records_.append(*value);
  records_.push_back(0);  // no headers
  ++count_;
}

// Key: version 0 (2), kind (2): 0 abort, 1 commit. Value: version 0 (2), the coordinator's epoch (4), which is always 0.
std::string BatchBuilder::Marker(int64_t timestamp_ms, int64_t producer_id, int16_t producer_epoch, bool commit) {
  ByteWriter key, value;
  key.Big<int16_t>(0);
  key.Big<int16_t>(commit ? 1 : 0);
  value.Big<int16_t>(0);
  value.Big<int32_t>(0);
  BatchBuilder batch;
  batch.Add(timestamp_ms, key.str(), value.str());
  return batch.Finish(0, {.id = producer_id, .epoch = producer_epoch, .transactional = true}, BatchHeader::kControl);
}

std::optional<bool> MarkerCommits(std::string_view batch) {
  auto header = ParseBatchHeader(batch);
  if (!header.ok() || !header->is_control() || header->codec() != 0 || header->total_bytes() > batch.size()) return std::nullopt;
  std::vector<Record> records;
  const std::string_view section = batch.substr(kBatchHeaderBytes, header->total_bytes() - kBatchHeaderBytes);
  if (!ParseRecords(*header, section, records).ok() || records.size() != 1 || !records[0].key) return std::nullopt;
  ByteReader key(*records[0].key);
  [[maybe_unused]] const auto version = key.Big<int16_t>();
  const auto kind = key.Big<int16_t>();
  if (!key.ok() || kind < 0 || kind > 1) return std::nullopt;
  return kind == 1;
}

std::string BatchBuilder::Finish(int codec, const BatchProducer& producer, int16_t attributes) {
  KAPPA_CHECK(count_ > 0);
  if (codec != 0) records_ = Compress(static_cast<Codec>(codec), records_);
  KAPPA_CHECK(records_.size() < (1u << 31) - kBatchHeaderBytes);
  BatchHeader header{};
  header.attributes = static_cast<int16_t>(codec | attributes | (producer.transactional ? BatchHeader::kTransactional : 0));
  header.last_offset_delta = count_ - 1;
  header.base_timestamp = base_timestamp_;
  header.max_timestamp = max_timestamp_;
  header.producer_id = producer.id;
  header.producer_epoch = producer.epoch;
  header.base_sequence = producer.base_sequence;
  header.record_count = count_;
  std::string batch = EncodeBatch(header, records_);
  records_.clear();
  count_ = 0;
  return batch;
}

std::string KeepRecords(const BatchHeader& header, std::span<const RawRecord> kept, std::optional<int64_t> horizon_ms) {
  BatchHeader out = header;
  out.record_count = static_cast<int32_t>(kept.size());
  if (kept.empty()) {
    out.attributes = 0;
    out.base_timestamp = out.max_timestamp = -1;
    return EncodeBatch(out, {});
  }
  if (horizon_ms) {
    out.attributes |= BatchHeader::kDeleteHorizon;
    out.base_timestamp = *horizon_ms;
  }
  ByteWriter records, body;
  out.max_timestamp = kept[0].timestamp_ms;
  for (const RawRecord& record : kept) {
    out.max_timestamp = std::max(out.max_timestamp, record.timestamp_ms);
    if (!horizon_ms) {
      records.Bytes(record.bytes);
      continue;
    }
    body.str().clear();
    body.Little<int8_t>(0);
    body.ZigZag(static_cast<int64_t>(static_cast<uint64_t>(record.timestamp_ms) - static_cast<uint64_t>(*horizon_ms)));
    body.Bytes(record.after_timestamp);
    records.ZigZag(static_cast<int64_t>(body.size()));
    records.Bytes(body.str());
  }
  return EncodeBatch(out, header.codec() == 0 ? records.str() : Compress(static_cast<Codec>(header.codec()), records.str()));
}

std::string EmptyBatch(int64_t from, int64_t to) {
  KAPPA_CHECK(to > from && to - from <= int64_t{INT32_MAX});
  return EncodeBatch({.base_offset = from,
                      .last_offset_delta = static_cast<int32_t>(to - from - 1),
                      .base_timestamp = -1,
                      .max_timestamp = -1,
                      .producer_id = -1,
                      .producer_epoch = -1,
                      .base_sequence = -1},
                     {});
}

}  // namespace kappa::log
