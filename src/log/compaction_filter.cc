#include "log/compaction_filter.h"

#include <algorithm>

namespace kappa::log {
namespace {

bool IsAborted(const BatchHeader& batch, const std::vector<AbortedTransaction>& transactions) {
  return batch.is_transactional() && std::ranges::any_of(transactions, [&](const AbortedTransaction& transaction) {
           return transaction.producer_id == batch.producer_id && transaction.first_offset <= batch.base_offset &&
                  batch.base_offset < transaction.marker_offset;
         });
}

/// The records of a batch, or false when they cannot be taken apart: a producer compressed something else.
bool Open(const BatchHeader& header, std::string_view batch, size_t decompressed_bytes_max, std::string& section, std::vector<RawRecord>& records) {
  records.clear();
  auto opened = RecordsSection(batch, decompressed_bytes_max, section);
  return opened.ok() && ParseRawRecords(header, *opened, records).ok();
}

}  // namespace

CompactionFilter::CompactionFilter(const LatestOffsets& latest, Rules rules) : latest_(latest), rules_(std::move(rules)) {
  for (const AbortedTransaction& transaction : rules_.aborted) aborted_[transaction.producer_id].push_back(transaction);
}

Result<bool> CompactionFilter::NoteKeys(const BatchHeader& header, std::string_view batch, const std::vector<AbortedTransaction>& aborted,
                                        size_t decompressed_bytes_max, LatestOffsets& latest) {
  if (header.is_control() || header.record_count == 0 || IsAborted(header, aborted)) return true;
  if (!latest.HasRoomFor(static_cast<size_t>(header.record_count))) return false;
  std::string section;
  std::vector<RawRecord> records;
  if (!Open(header, batch, decompressed_bytes_max, section, records)) return true;
  for (const RawRecord& record : records) {
    if (record.key) latest.Note(*record.key, record.offset);
  }
  return true;
}

bool CompactionFilter::IsNewestOfProducer(const BatchHeader& header) const {
  if (header.producer_id < 0) return false;
  const auto newest = rules_.producers.find(header.producer_id);
  if (newest == rules_.producers.end()) return false;
  if (newest->second.last_offset >= 0) return newest->second.last_offset == header.last_offset();
  return header.is_control() && header.producer_epoch == newest->second.epoch;
}

/// The horizon that a batch gets which has something that must expire; none when it has one, or while the clock is not trusted.
std::optional<int64_t> CompactionFilter::HorizonFor(const BatchHeader& header) const {
  if (header.has_delete_horizon() || rules_.now_ms < 0) return std::nullopt;
  return rules_.now_ms + std::min(rules_.delete_retention_ms, INT64_MAX - rules_.now_ms);
}

std::optional<std::string_view> CompactionFilter::KeepMarker(const BatchHeader& header, std::string_view batch, std::string& storage) {
  const bool something_left = unfinished_.erase(header.producer_id) > 0;
  if (something_left || IsNewestOfProducer(header)) return batch;
  if (IsPast(header) || header.last_offset() < rules_.log_start) {
    if (MarkerCommits(batch) == false) aborted_markers_.insert(header.base_offset);
    return std::nullopt;
  }
  const std::optional<int64_t> horizon = HorizonFor(header);
  if (!horizon || !Open(header, batch, rules_.decompressed_bytes_max, section_, records_)) return batch;
  storage = KeepRecords(header, records_, horizon);
  return std::string_view(storage);
}

std::optional<std::string_view> CompactionFilter::Keep(const BatchHeader& header, std::string_view batch, std::string& storage) {
  if (header.base_offset >= rules_.end) return batch;
  if (header.is_control()) return KeepMarker(header, batch, storage);
  kept_.clear();
  bool deletes = false;
  const auto aborted = header.is_transactional() ? aborted_.find(header.producer_id) : aborted_.end();
  if (aborted == aborted_.end() || !IsAborted(header, aborted->second)) {
    if (!Open(header, batch, rules_.decompressed_bytes_max, section_, records_)) {
      if (header.is_transactional()) unfinished_.insert(header.producer_id);
      return batch;
    }
    for (const RawRecord& record : records_) {
      if (record.offset < rules_.log_start) continue;
      if (record.key && record.offset < latest_.Of(*record.key)) continue;
      if (record.key && !record.has_value) {
        if (IsPast(header)) continue;
        deletes = true;
      }
      kept_.push_back(record);
    }
  }
  const auto removed = static_cast<uint64_t>(header.record_count) - kept_.size();
  records_removed_ += removed;
  if (kept_.empty()) {
    if (!IsNewestOfProducer(header)) return std::nullopt;
    if (header.record_count == 0) return batch;
    storage = KeepRecords(header, kept_, std::nullopt);
    return std::string_view(storage);
  }
  if (header.is_transactional()) unfinished_.insert(header.producer_id);
  const std::optional<int64_t> horizon = deletes ? HorizonFor(header) : std::nullopt;
  if (removed == 0 && !horizon) return batch;
  storage = KeepRecords(header, kept_, horizon);
  return std::string_view(storage);
}

}  // namespace kappa::log
