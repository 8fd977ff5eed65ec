// Sequence checking and snapshots of producer state.
#include "log/producer_state.h"

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "io/failpoint.h"

namespace kappa::log {
namespace {

constexpr std::string_view kMagic = "KAPPAPRD";
constexpr uint32_t kVersion = 2;
constexpr uint32_t kVersionWithoutTransactions = 1;

/// Sequences run 0 .. 2^31 - 1 and begin again at 0.
int32_t Advanced(int32_t sequence, int32_t by) {
  return static_cast<int32_t>((static_cast<uint32_t>(sequence) + static_cast<uint32_t>(by)) & 0x7fffffffu);
}

}  // namespace

ProducerStates::Verdict ProducerStates::Check(const BatchHeader& header) {
  if (io::Failpoint("dedupe") != 0) return {};
  auto found = producers_.find(header.producer_id);
  if (found == producers_.end()) return {};
  Producer& producer = found->second;
  if (header.producer_epoch < producer.epoch) return {.error = KafkaError::kInvalidProducerEpoch};
  if (header.producer_epoch > producer.epoch) { return {.error = header.base_sequence == 0 ? KafkaError::kNone : KafkaError::kOutOfOrderSequence}; }
  const int32_t first = header.base_sequence;
  const int32_t last = Advanced(first, header.last_offset_delta);
  for (size_t i = 0; i < producer.count; ++i) {
    const Batch& batch = producer.batches[i];
    if (batch.first_sequence == first && batch.last_sequence == last) {
      return {.duplicate = true, .base_offset = batch.base_offset, .next_offset = batch.base_offset + batch.last_offset_delta + 1};
    }
  }
  if (producer.count == 0) {
    if (producer.awaited_sequence < 0 || producer.awaited_sequence == first || producer.refused_behind == first) return {};
    if (producer.refused_behind < 0) producer.refused_behind = first;
    return {.error = KafkaError::kOutOfOrderSequence};
  }
  if (first == Advanced(producer.batches[producer.count - 1].last_sequence, 1)) return {};
  // Stored once: behind the newest batch (by less than half of the number circle) and no part of a known one. The known ones may have a gap, where
  // batches lay that were deleted before a restart.
  auto behind = [&](int32_t sequence, int32_t than) {
    const uint32_t distance = (static_cast<uint32_t>(than) - static_cast<uint32_t>(sequence)) & 0x7fffffffu;
    return distance >= 1 && distance < (1u << 30);
  };
  bool stored = behind(last, producer.batches[producer.count - 1].first_sequence);
  for (size_t i = 0; i < producer.count; ++i) {
    stored &= behind(last, producer.batches[i].first_sequence) || behind(producer.batches[i].last_sequence, first);
  }
  return {.error = stored ? KafkaError::kDuplicateSequence : KafkaError::kOutOfOrderSequence};
}

void ProducerStates::Record(const BatchHeader& header, int64_t now_ms, int64_t steady_ms) {
  if (header.producer_id < 0) return;
  if (producers_.size() >= kProducersMax && !producers_.contains(header.producer_id)) ForgetOldest();
  Producer& producer = producers_[header.producer_id];
  if (producer.epoch != header.producer_epoch) {
    producer.epoch = header.producer_epoch;
    producer.count = 0;
    producer.awaited_sequence = -1;
  }
  producer.last_append_ms = now_ms;
  producer.seen_ms = steady_ms;
  if (header.is_control()) return;
  if (producer.count == kBatchesKept) {
    std::move(producer.batches.begin() + 1, producer.batches.end(), producer.batches.begin());
    --producer.count;
  }
  producer.batches[producer.count++] = {header.base_sequence, Advanced(header.base_sequence, header.last_offset_delta), header.base_offset,
                                        header.last_offset_delta};
}

std::unordered_map<int64_t, ProducerStates::Newest> ProducerStates::NewestOfAll() const {
  std::unordered_map<int64_t, Newest> newest;
  for (const auto& [id, producer] : producers_) {
    const Batch* batch = producer.count == 0 ? nullptr : &producer.batches[producer.count - 1];
    newest[id] = {batch == nullptr ? -1 : batch->base_offset + batch->last_offset_delta, producer.epoch};
  }
  return newest;
}

std::vector<ProducerInfo> ProducerStates::Infos() const {
  std::vector<ProducerInfo> infos;
  for (const auto& [id, producer] : producers_) {
    const int32_t last_sequence = producer.count == 0 ? -1 : producer.batches[producer.count - 1].last_sequence;
    infos.push_back({.id = id, .epoch = producer.epoch, .last_sequence = last_sequence, .last_append_ms = producer.last_append_ms});
  }
  return infos;
}

void ProducerStates::NoteRefused(const BatchHeader& header, int64_t steady_ms) {
  if (header.producer_id < 0) return;
  auto known = producers_.find(header.producer_id);
  if (known != producers_.end() && known->second.count > 0) return;  // it must go on where it was in any case
  if (known == producers_.end() && producers_.size() >= kProducersMax) ForgetOldest();
  producers_[header.producer_id] = {.seen_ms = steady_ms, .epoch = header.producer_epoch, .awaited_sequence = header.base_sequence, .batches = {}};
}

void ProducerStates::ForgetOldest() {
  std::vector<int64_t> times;
  for (const auto& [id, producer] : producers_) times.push_back(producer.seen_ms);
  auto tenth = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 10);
  std::nth_element(times.begin(), tenth, times.end());
  size_t forget = times.size() / 10 + 1;  // many may share the same millisecond
  std::erase_if(producers_, [&](const auto& entry) { return forget > 0 && entry.second.seen_ms <= *tenth && forget-- > 0; });
}

void ProducerStates::Expire(int64_t before_ms) {
  std::erase_if(producers_, [&](const auto& entry) { return entry.second.seen_ms < before_ms; });
}

// magic, version (4), offset (8), producers (8), then per producer: id (8), epoch (2), last_append_ms (8), batches (1), and per batch
// first sequence (4), last sequence (4), base offset (8), last offset delta (4); then the transactions (not in version 1), see
// transaction_state.cc; at the end CRC-32C (4) of all before it.
std::string ProducerStates::Encode(Offset at, const TransactionStates& transactions) const {
  ByteWriter out;
  out.Bytes(kMagic);
  out.Little(kVersion);
  out.Little(at);
  out.Little(static_cast<uint64_t>(producers_.size()));
  for (const auto& [id, producer] : producers_) {
    out.Little(id);
    out.Little(producer.epoch);
    out.Little(producer.last_append_ms);
    out.Little(producer.count);
    for (size_t i = 0; i < producer.count; ++i) {
      const Batch& batch = producer.batches[i];
      out.Little(batch.first_sequence);
      out.Little(batch.last_sequence);
      out.Little(batch.base_offset);
      out.Little(batch.last_offset_delta);
    }
  }
  transactions.Encode(out);
  out.Little(Crc32c(out.str()));
  return out.Take();
}

std::optional<Offset> ProducerStates::Restore(std::string_view bytes, int64_t steady_ms, TransactionStates& transactions) {
  if (bytes.size() < sizeof(uint32_t)) return std::nullopt;
  ByteReader tail(bytes.substr(bytes.size() - sizeof(uint32_t)));
  bytes.remove_suffix(sizeof(uint32_t));
  if (tail.Little<uint32_t>() != Crc32c(bytes)) return std::nullopt;
  ByteReader reader(bytes);
  if (reader.Bytes(kMagic.size()) != kMagic) return std::nullopt;
  const auto version = reader.Little<uint32_t>();
  if (version != kVersion && version != kVersionWithoutTransactions) return std::nullopt;
  auto at = reader.Little<Offset>();
  auto count = reader.Little<uint64_t>();
  std::unordered_map<int64_t, Producer> restored;
  for (uint64_t i = 0; i < count && reader.ok(); ++i) {
    auto id = reader.Little<int64_t>();
    Producer producer;
    producer.epoch = reader.Little<int16_t>();
    producer.last_append_ms = reader.Little<int64_t>();
    producer.seen_ms = steady_ms;
    producer.count = reader.Little<uint8_t>();
    if (producer.count > kBatchesKept) return std::nullopt;
    for (size_t b = 0; b < producer.count; ++b) {
      Batch& batch = producer.batches[b];
      batch.first_sequence = reader.Little<int32_t>();
      batch.last_sequence = reader.Little<int32_t>();
      batch.base_offset = reader.Little<Offset>();
      batch.last_offset_delta = reader.Little<int32_t>();
    }
    restored.emplace(id, producer);
  }
  TransactionStates restored_transactions;
  if (version != kVersionWithoutTransactions) restored_transactions.Decode(reader);
  if (!reader.AtEnd() || at < 0) return std::nullopt;
  transactions = std::move(restored_transactions);
  producers_ = std::move(restored);
  return at;
}

}  // namespace kappa::log
