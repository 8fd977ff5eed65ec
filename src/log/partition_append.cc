// Appending: validation, offsets, duplicate detection, the write, and rolling to a new segment.
#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "io/failpoint.h"
#include "log/codec.h"
#include "log/partition_log.h"

namespace kappa::log {
namespace {

/// The fields that the log rewrites: base offset, length as it was, leader epoch 0. They lie outside the CRC.
constexpr size_t kRewrittenBytes = 16;

/// Walks the records of an uncompressed batch by their lengths: costs a few nanoseconds a record, and keeps batches that no
/// reader could take apart out of the log. Compressed batches are believed: readers check them.
bool RecordsFill(std::string_view section, int32_t count) {
  const char* at = section.data();
  const char* const end = at + section.size();
  for (int32_t i = 0; i < count; ++i) {
    uint64_t length = 0;
    int shift = 0;
    while (true) {
      if (at == end || shift > 28) return false;
      auto byte = static_cast<uint8_t>(*at++);
      length |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
      shift += 7;
    }
    if ((length & 1) != 0) return false;  // negative
    length >>= 1;
    if (length > static_cast<uint64_t>(end - at)) return false;
    at += length;
  }
  return at == end;
}

}  // namespace

/// A compacted topic takes only records with keys; that can be seen only by taking batches apart.
const char* PartitionLog::WhyNotCompactable(const BatchHeader& header, std::string_view batch) const {
  std::string storage;
  std::vector<RawRecord> records;
  auto section = RecordsSection(batch, shared_->options.batch_decompressed_bytes_max, storage);
  if (!section.ok() || !ParseRawRecords(header, *section, records).ok()) return "the records of a compacted topic must be readable";
  const bool keyed = std::ranges::all_of(records, [](const RawRecord& record) { return record.key.has_value(); });
  return keyed ? nullptr : "the records of a compacted topic need keys";
}

AppendResult PartitionLog::Refuse(KafkaError error, std::string message) const {
  AppendResult result;
  result.error = error;
  result.message = std::move(message);
  result.log_start_offset = start_offset();
  return result;
}

std::optional<AppendResult> PartitionLog::Validate(std::string_view batches, std::vector<BatchAt>& parsed) const {
  if (batches.empty()) return Refuse(KafkaError::kInvalidRecord, "no record batch given");
  while (!batches.empty()) {
    if (batches.size() > 16 && batches[16] >= 0 && batches[16] < 2) {
      return Refuse(KafkaError::kUnsupportedForMessageFormat, "message format " + std::to_string(batches[16]) + " is not supported, only 2 is");
    }
    auto header = ParseBatchHeader(batches);
    if (!header.ok()) return Refuse(KafkaError::kCorruptMessage, header.error().message());
    if (header->total_bytes() > batches.size()) return Refuse(KafkaError::kCorruptMessage, "record batch is cut off");
    if (const int32_t most = max_message_bytes_.load(std::memory_order_relaxed); header->total_bytes() > static_cast<size_t>(most)) {
      return Refuse(KafkaError::kMessageTooLarge,
                    "record batch of " + std::to_string(header->total_bytes()) + " bytes is larger than max_message_bytes, " + std::to_string(most));
    }
    std::string_view batch = batches.substr(0, header->total_bytes());
    batches.remove_prefix(batch.size());
    if (header->is_control()) return Refuse(KafkaError::kInvalidRecord, "control batches cannot be produced");
    if (header->has_delete_horizon()) return Refuse(KafkaError::kInvalidRecord, "batches with a delete horizon cannot be produced");
    if (header->is_transactional() && header->producer_id < 0) return Refuse(KafkaError::kInvalidRecord, "transactional batch without producer id");
    if (header->codec() > kCodecLast) return Refuse(KafkaError::kInvalidRecord, "unknown compression codec " + std::to_string(header->codec()));
    if (header->record_count < 1 || header->record_count != header->last_offset_delta + 1) {
      return Refuse(KafkaError::kInvalidRecord, "record count " + std::to_string(header->record_count) + " contradicts last offset delta " +
                                                    std::to_string(header->last_offset_delta));
    }
    if (header->producer_id >= 0 && (header->producer_epoch < 0 || header->base_sequence < 0)) {
      return Refuse(KafkaError::kInvalidRecord, "producer id without epoch and sequence");
    }
    if (!BatchCrcMatches(batch)) return Refuse(KafkaError::kCorruptMessage, "checksum of record batch is wrong");
    if (header->codec() == 0 && !RecordsFill(batch.substr(kBatchHeaderBytes), header->record_count)) {
      return Refuse(KafkaError::kInvalidRecord, "records do not fill their batch");
    }
    if (compact_.load(std::memory_order_relaxed)) {
      if (const char* why = WhyNotCompactable(*header, batch)) return Refuse(KafkaError::kInvalidRecord, why);
    }
    parsed.push_back({*header, batch});
    if (parsed.size() > 1 && (header->producer_id >= 0 || parsed[0].header.producer_id >= 0)) {
      return Refuse(KafkaError::kInvalidRecord, "an idempotent producer must send one batch at a time");
    }
  }
  return std::nullopt;
}

/// Whether a batch with a producer may be appended; kNone with `duplicate.base_offset` set: it was already. Holds append_mutex_.
KafkaError PartitionLog::CheckProducer(const BatchHeader& header, AppendResult& duplicate) {
  const ProducerStates::Verdict verdict = producers_.Check(header);
  if (verdict.duplicate) {
    duplicate.base_offset = verdict.base_offset;
    duplicate.next_offset = verdict.next_offset;
    return KafkaError::kNone;
  }
  if (verdict.error == KafkaError::kInvalidProducerEpoch) return verdict.error;
  if (!header.is_transactional() && !transactional_.load(std::memory_order_acquire)) return verdict.error;
  std::lock_guard lock(transactions_mutex_);
  const KafkaError error = transactions_.Check(header);
  return error != KafkaError::kNone ? error : verdict.error;
}

AppendResult PartitionLog::Append(std::string_view batches, std::function<void(KafkaError)> on_durable) {
  std::vector<BatchAt> parsed;
  if (auto refused = Validate(batches, parsed)) return std::move(*refused);

  std::lock_guard lock(append_mutex_);
  if (StoppedError() != KafkaError::kNone) return Refuse(StoppedError(), "the log is closed or the topic was deleted");
  if (parsed[0].header.producer_id >= 0) {
    AppendResult duplicate;
    duplicate.log_start_offset = start_offset();
    const KafkaError error = CheckProducer(parsed[0].header, duplicate);
    if (error != KafkaError::kNone) {
      const char* why = error == KafkaError::kInvalidProducerEpoch ? "a newer epoch of this producer was here already"
                        : error == KafkaError::kInvalidTxnState    ? "the batch is not of the producer's open transaction"
                        : error == KafkaError::kDuplicateSequence  ? "the batch was stored before, its offset is no longer known"
                                                                   : "sequence number out of order";
      return Refuse(error, why);
    }
    if (duplicate.base_offset >= 0) {
      if (io::Without("duplicate_offset")) duplicate.base_offset = end_offset();
      waiting_.push_back({duplicate.next_offset, std::move(on_durable)});
      shared_->commit.Enqueue(shared_from_this());
      return duplicate;
    }
  }
  return Write(parsed, std::move(on_durable));
}

/// Assigns offsets and writes. Holds append_mutex_.
AppendResult PartitionLog::Write(std::vector<BatchAt>& batches, std::function<void(KafkaError)> on_durable) {
  AppendResult result;
  result.log_start_offset = start_offset();
  std::vector<std::array<char, kRewrittenBytes>> starts(batches.size());
  std::vector<iovec> pieces(2 * batches.size());
  const int64_t now_ms = shared_->NowMs(), steady_ms = shared_->SteadyMs();
  size_t bytes = 0;
  for (const BatchAt& batch : batches) bytes += batch.bytes.size();

  std::shared_ptr<Segment> active = Active();
  const bool full = active->write_position() + bytes > static_cast<uint64_t>(config_.segment_bytes);
  const bool old = active->first_append_ms() >= 0 && now_ms - active->first_append_ms() > SegmentAgeMost();
  if ((full || old) && active->write_position() > kSegmentHeaderBytes) {
    Status rolled = Roll();
    if (!rolled.ok()) {
      producers_.NoteRefused(batches[0].header, steady_ms);
      return Refuse(KafkaError::kKafkaStorageError, rolled.error().message());
    }
    active = Active();
  }

  Offset offset = end_offset();
  result.base_offset = offset;
  for (size_t i = 0; i < batches.size(); ++i) {
    BatchAt& batch = batches[i];
    if (offset > INT64_MAX - int64_t{batch.header.last_offset_delta} - 1) return Refuse(KafkaError::kKafkaStorageError, "offsets are used up");
    batch.header.base_offset = offset;
    ByteWriter start;
    start.Big(offset);
    start.Big(batch.header.batch_length);
    start.Big<int32_t>(0);
    std::memcpy(starts[i].data(), start.str().data(), kRewrittenBytes);
    pieces[2 * i] = {starts[i].data(), kRewrittenBytes};
    pieces[2 * i + 1] = {const_cast<char*>(batch.bytes.data()) + kRewrittenBytes, batch.bytes.size() - kRewrittenBytes};
    offset = batch.header.last_offset() + 1;
  }
  uint64_t position = active->write_position();
  active->Preallocate(bytes, static_cast<uint64_t>(config_.segment_bytes));
  bool intact = true;
  Status written = active->Append(pieces, bytes, intact);
  if (!written.ok()) {
    if (!io::Without("refused")) producers_.NoteRefused(batches[0].header, steady_ms);
    if (!intact) stopped_ = static_cast<int16_t>(KafkaError::kKafkaStorageError);  // until a restart has recovered the tail
    bool full_disk = written.error().Is(sqlstate::kDiskFull);
    return Refuse(KafkaError::kKafkaStorageError, full_disk ? "no space left on device" : written.error().message());
  }
  for (const BatchAt& batch : batches) {
    active->NoteBatch(batch.header, position);
    producers_.Record(batch.header, now_ms, steady_ms);
    NoteTransaction(batch.header, batch.bytes);
    position += batch.bytes.size();
  }
  active->NoteAppendTime(now_ms);
  last_append_ms_.store(now_ms, std::memory_order_release);
  bytes_since_checkpoint_ += bytes;
  result.next_offset = offset;
  waiting_.push_back({offset, std::move(on_durable)});
  end_offset_.store(offset, std::memory_order_release);
  if (io::Without("read_durable")) PublishDurable(*active, offset, position);
  shared_->commit.Enqueue(shared_from_this());
  return result;
}

/// Takes notice of a transactional batch, or a marker, that is in the log.
void PartitionLog::NoteTransaction(const BatchHeader& header, std::string_view batch) {
  if (!header.is_transactional()) return;
  std::lock_guard lock(transactions_mutex_);
  if (const std::optional<bool> commits = MarkerCommits(batch)) {
    transactions_.End(header, *commits);
  } else {
    transactions_.Record(header);
  }
  transactional_.store(true, std::memory_order_release);
}

KafkaError PartitionLog::BeginTransaction(int64_t producer_id, int16_t epoch) {
  std::lock_guard lock(append_mutex_);
  if (StoppedError() != KafkaError::kNone) return StoppedError();
  std::lock_guard transactions_lock(transactions_mutex_);
  transactional_.store(true, std::memory_order_release);
  return transactions_.Begin(producer_id, epoch);
}

AppendResult PartitionLog::EndTransaction(int64_t producer_id, int16_t epoch, bool commit, std::function<void(KafkaError)> on_durable) {
  AppendResult result;
  result.log_start_offset = start_offset();
  {
    std::lock_guard lock(append_mutex_);
    if (StoppedError() != KafkaError::kNone) return Refuse(StoppedError(), "the log is closed or the topic was deleted");
    bool needs_marker = false;
    {
      std::lock_guard transactions_lock(transactions_mutex_);
      result.error = transactions_.PrepareEnd(producer_id, epoch, needs_marker);
    }
    if (needs_marker) {
      const std::string marker = BatchBuilder::Marker(shared_->NowMs(), producer_id, epoch, commit);
      std::vector<BatchAt> batches{{*ParseBatchHeader(marker), marker}};
      return Write(batches, std::move(on_durable));
    }
  }
  if (result.error == KafkaError::kNone && on_durable) on_durable(KafkaError::kNone);
  return result;
}

/// Completes the active segment and begins the next one at the end offset. In this order, so that a crash at any point leaves a
/// chain that CheckChain accepts: data durable; next segment durable, empty; this one sealed. Holds append_mutex_.
Status PartitionLog::Roll() {
  std::shared_ptr<Segment> old = Active();
  const Offset end = end_offset();
  if (!io::Without("roll_sync")) io::AbortOnSyncFailure(old->Sync());
  auto created = Segment::Create(folder_, topic_, index_, end, start_offset());
  if (!created.ok()) {
    // A full disk or a shortage of descriptors refuses this append; the next one tries again.
    if (created.error().Is(sqlstate::kIoError)) io::AbortOnSyncFailure(created.error());
    return created.error();
  }
  PublishDurable(*old, end, old->write_position());
  synced_end_ = end;
  Status sealed = old->Seal(start_offset());
  io::AbortOnSyncFailure(sealed);
  {
    std::lock_guard lock(segments_mutex_);
    segments_.push_back(*created);
  }
  shared_->cache.Touch(old);
  [[maybe_unused]] Status saved = SaveProducers(EncodeProducers(end), true);  // rebuilt from batch headers when it is missing
  bytes_since_checkpoint_ = 0;
  return {};
}

}  // namespace kappa::log
