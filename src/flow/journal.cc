#include "flow/journal.h"

#include "base/bytes.h"
#include "base/format_version.h"
#include "log/patient_read.h"
#include "log/record_batch.h"

namespace kappa::flow {
namespace {

constexpr uint8_t kJournalVersion = 1;
constexpr size_t kReadBytes = 1 << 20;

}  // namespace

std::string EpochRecord::Encode() const {
  ByteWriter out;
  out.Little<uint8_t>(kJournalVersion);
  out.Varint(epoch);
  out.Little<int64_t>(wall_us);
  out.Varint(ends.size());
  for (const PartitionEnd& end : ends) {
    out.Varint(end.relation);
    out.Varint(static_cast<uint64_t>(end.partition));
    out.Varint(static_cast<uint64_t>(end.end));
  }
  out.Varint(idle.size());
  for (const IdleChange& change : idle) {
    out.Varint(change.relation);
    out.Varint(static_cast<uint64_t>(change.partition));
    out.Little<uint8_t>(change.idle);
  }
  return out.Take();
}

Result<EpochRecord> EpochRecord::Decode(std::string_view bytes) {
  ByteReader in(bytes);
  EpochRecord record;
  const auto version = in.Little<uint8_t>();
  if (in.ok() && version > kJournalVersion) return NewerFormat("journal record", version, kJournalVersion);
  record.epoch = in.Varint();
  record.wall_us = in.Little<int64_t>();
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) {
    PartitionEnd end;
    end.relation = static_cast<uint32_t>(in.Varint());
    end.partition = static_cast<int32_t>(in.Varint());
    end.end = static_cast<log::Offset>(in.Varint());
    record.ends.push_back(end);
  }
  for (uint64_t i = 0, n = in.Varint(); in.ok() && i < n; ++i) {
    IdleChange change;
    change.relation = static_cast<uint32_t>(in.Varint());
    change.partition = static_cast<int32_t>(in.Varint());
    change.idle = in.Little<uint8_t>() != 0;
    record.idle.push_back(change);
  }
  if (!in.AtEnd()) return Error(sqlstate::kDataCorrupted, "journal record cannot be decoded");
  return record;
}

Status JournalReader::Read(size_t max, std::vector<EpochRecord>& epochs) {
  std::string storage;
  std::vector<log::Record> records;
  while (max > 0) {
    while (buffered_at_ < buffered_.size() && max > 0) {
      epochs.push_back(std::move(buffered_[buffered_at_++]));
      --max;
    }
    if (max == 0 || next_ >= partition_.durable_end()) return {};
    buffered_.clear();
    buffered_at_ = 0;
    log::ReadResult read = log::ReadPatiently(partition_, next_, kReadBytes);
    if (read.error != log::KafkaError::kNone) {
      return Error(read.error == log::KafkaError::kCorruptMessage ? sqlstate::kDataCorrupted : sqlstate::kIoError, "could not read the journal");
    }
    std::string_view left = read.bytes;
    const log::Offset before = next_;
    while (!left.empty()) {
      KAPPA_ASSIGN_OR_RETURN(log::BatchHeader header, log::ParseBatchHeader(left));
      if (header.total_bytes() > left.size()) break;
      records.clear();
      KAPPA_ASSIGN_OR_RETURN(std::string_view section, log::RecordsSection(left.substr(0, header.total_bytes()), 64 << 20, storage));
      KAPPA_RETURN_IF_ERROR(log::ParseRecords(header, section, records));
      for (const log::Record& record : records) {
        if (record.offset < next_ || !record.value) continue;
        KAPPA_ASSIGN_OR_RETURN(EpochRecord epoch, EpochRecord::Decode(*record.value));
        buffered_.push_back(std::move(epoch));
      }
      next_ = header.last_offset() + 1;
      left.remove_prefix(header.total_bytes());
    }
    if (next_ == before) return {};
  }
  return {};
}

Result<std::shared_ptr<log::Topic>> OpenJournal(log::Log& log) {
  if (auto topic = log.FindTopic("__journal")) return topic;
  log::TopicConfig config;
  config.internal = true;
  config.segment_bytes = 64 << 20;
  return log.CreateTopic("__journal", config);
}

}  // namespace kappa::flow
