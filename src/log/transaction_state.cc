#include "log/transaction_state.h"

#include <algorithm>

#include "io/failpoint.h"

namespace kappa::log {

bool ReadResult::PassesOver(const BatchHeader& batch) const {
  if (batch.is_control()) return true;
  return batch.is_transactional() && std::ranges::any_of(aborted, [&](const AbortedTransaction& transaction) {
           return transaction.producer_id == batch.producer_id && transaction.first_offset <= batch.base_offset &&
                  batch.base_offset < transaction.marker_offset;
         });
}

KafkaError TransactionStates::Begin(int64_t producer_id, int16_t epoch) {
  auto [found, added] = open_.try_emplace(producer_id, Open{epoch});
  Open& open = found->second;
  if (epoch < open.epoch) return KafkaError::kInvalidProducerEpoch;
  // With batches of another epoch: whoever decides must end that transaction first.
  if (epoch > open.epoch && open.first_offset >= 0) return KafkaError::kInvalidTxnState;
  open.epoch = epoch;
  return KafkaError::kNone;
}

KafkaError TransactionStates::Check(const BatchHeader& header) const {
  if (io::Without("transaction_begun")) return KafkaError::kNone;
  const auto found = open_.find(header.producer_id);
  if (found == open_.end()) return header.is_transactional() ? KafkaError::kInvalidTxnState : KafkaError::kNone;
  if (header.producer_epoch < found->second.epoch) return KafkaError::kInvalidProducerEpoch;
  return header.is_transactional() && header.producer_epoch == found->second.epoch ? KafkaError::kNone : KafkaError::kInvalidTxnState;
}

void TransactionStates::Record(const BatchHeader& batch) {
  if (!batch.is_transactional()) return;
  Open& open = open_.try_emplace(batch.producer_id, Open{batch.producer_epoch}).first->second;
  if (open.first_offset < 0) open.first_offset = batch.base_offset;
}

KafkaError TransactionStates::PrepareEnd(int64_t producer_id, int16_t epoch, bool& needs_marker) {
  needs_marker = false;
  const auto found = open_.find(producer_id);
  if (found == open_.end()) return KafkaError::kNone;
  if (epoch < found->second.epoch) return KafkaError::kInvalidProducerEpoch;
  needs_marker = found->second.first_offset >= 0;
  if (!needs_marker) open_.erase(found);
  return KafkaError::kNone;
}

void TransactionStates::End(const BatchHeader& marker, bool commit) {
  const auto found = open_.find(marker.producer_id);
  if (found == open_.end()) return;
  const Offset first = found->second.first_offset;
  open_.erase(found);
  if (first < 0) return;
  settling_.push_back({first, marker.base_offset});
  if (!commit) aborted_.push_back({{marker.producer_id, first, marker.base_offset}, FirstOpen(marker.base_offset + 1)});
}

void TransactionStates::Settle(Offset end) {
  while (!settling_.empty() && settling_.front().marker_offset < end) settling_.pop_front();
}

void TransactionStates::Forget(Offset start) {
  const auto kept = std::ranges::lower_bound(aborted_, start, {}, [](const Aborted& aborted) { return aborted.transaction.marker_offset; });
  aborted_.erase(aborted_.begin(), kept);
}

void TransactionStates::Forget(const std::unordered_set<Offset>& markers) {
  std::erase_if(aborted_, [&](const Aborted& aborted) { return markers.contains(aborted.transaction.marker_offset); });
}

Offset TransactionStates::FirstOpen(Offset otherwise) const {
  for (const auto& [id, open] : open_) {
    if (open.first_offset >= 0) otherwise = std::min(otherwise, open.first_offset);
  }
  return otherwise;
}

Offset TransactionStates::LastStable(Offset durable_end) const {
  Offset stable = FirstOpen(durable_end);
  for (const Settling& settling : settling_) stable = std::min(stable, settling.first_offset);
  return stable;
}

void TransactionStates::Describe(std::vector<ProducerInfo>& producers) const {
  size_t told = 0;
  for (ProducerInfo& producer : producers) {
    const auto found = open_.find(producer.id);
    if (found == open_.end()) continue;
    producer.transaction_first_offset = found->second.first_offset;
    ++told;
  }
  if (told == open_.size()) return;
  for (const auto& [id, open] : open_) {
    if (std::ranges::find(producers, id, &ProducerInfo::id) != producers.end()) continue;
    producers.push_back({.id = id, .epoch = open.epoch, .transaction_first_offset = open.first_offset});
  }
}

std::vector<AbortedTransaction> TransactionStates::AbortedIn(Offset from, Offset to) const {
  std::vector<AbortedTransaction> overlapping;
  auto at = std::ranges::lower_bound(aborted_, from, {}, [](const Aborted& aborted) { return aborted.transaction.marker_offset; });
  for (; at != aborted_.end(); ++at) {
    if (at->transaction.first_offset < to) overlapping.push_back(at->transaction);
    if (at->later_from >= to) break;
  }
  return overlapping;
}

// Number of open transactions (8), each: producer id (8), epoch (2), first offset (8); number of aborted ones (8), by marker, each:
// producer id (8), first offset (8), offset of the marker (8), offset below which later ones have nothing (8).
void TransactionStates::Encode(ByteWriter& out) const {
  out.Little(static_cast<uint64_t>(std::ranges::count_if(open_, [](const auto& entry) { return entry.second.first_offset >= 0; })));
  for (const auto& [id, open] : open_) {
    if (open.first_offset < 0) continue;
    out.Little(id);
    out.Little(open.epoch);
    out.Little(open.first_offset);
  }
  out.Little(static_cast<uint64_t>(aborted_.size()));
  for (const Aborted& aborted : aborted_) {
    out.Little(aborted.transaction.producer_id);
    out.Little(aborted.transaction.first_offset);
    out.Little(aborted.transaction.marker_offset);
    out.Little(aborted.later_from);
  }
}

void TransactionStates::Decode(ByteReader& in) {
  for (auto left = in.Little<uint64_t>(); in.ok() && left > 0; --left) {
    const auto id = in.Little<int64_t>();
    const auto epoch = in.Little<int16_t>();
    open_.insert_or_assign(id, Open{epoch, in.Little<Offset>()});
  }
  for (auto left = in.Little<uint64_t>(); in.ok() && left > 0; --left) {
    Aborted& aborted = aborted_.emplace_back();
    aborted.transaction.producer_id = in.Little<int64_t>();
    aborted.transaction.first_offset = in.Little<Offset>();
    aborted.transaction.marker_offset = in.Little<Offset>();
    aborted.later_from = in.Little<Offset>();
  }
}

}  // namespace kappa::log
