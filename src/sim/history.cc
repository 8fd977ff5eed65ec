#include "sim/history.h"

#include <algorithm>

#include "base/hash.h"
#include "log/record_batch.h"

namespace kappa::sim {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kDecompressedBytesMax = 1 << 20;

std::string Name(int32_t partition) { return "partition " + std::to_string(partition); }

}  // namespace

std::vector<std::tuple<log::Offset, std::string, std::string>> KeyedRecordsOf(std::string_view batches, log::Offset from) {
  std::vector<std::tuple<log::Offset, std::string, std::string>> found;
  std::string storage;
  std::vector<log::Record> records;
  while (!batches.empty()) {
    auto header = log::ParseBatchHeader(batches);
    Require(header.ok(), "a reader got what is no batch");
    auto section = log::RecordsSection(batches, kDecompressedBytesMax, storage);
    Require(section.ok(), "a reader got a batch whose records cannot be read");
    records.clear();
    Require(log::ParseRecords(*header, *section, records).ok(), "a reader got a batch whose records cannot be read");
    for (const log::Record& record : records) {
      if (record.offset >= from) found.emplace_back(record.offset, record.key.value_or(""), record.value.value_or(""));
    }
    batches.remove_prefix(header->total_bytes());
  }
  return found;
}

log::Offset EndOf(std::string_view batches) {
  log::Offset end = -1;
  while (!batches.empty()) {
    const log::BatchHeader header = *log::ParseBatchHeader(batches);
    end = header.last_offset() + 1;
    batches.remove_prefix(header.total_bytes());
  }
  return end;
}

std::vector<std::pair<log::Offset, std::string>> RecordsOf(std::string_view batches, log::Offset from) {
  std::vector<std::pair<log::Offset, std::string>> found;
  for (auto& [offset, key, value] : KeyedRecordsOf(batches, from)) {
    Require(offset == from, "a reader got offset " + std::to_string(offset) + " instead of " + std::to_string(from));
    found.emplace_back(from++, std::move(value));
  }
  return found;
}

ProducerHistory& History::AddProducer(int32_t partition) {
  auto& list = producers_[partition];
  list.push_back(std::make_unique<ProducerHistory>());
  list.back()->partition = partition;
  list.back()->name = "p" + std::to_string(partition) + "." + std::to_string(list.size());
  return *list.back();
}

void History::NoteAcknowledged(ProducerHistory::Batch& batch, log::Offset offset) {
  Require(offset >= 0 && (batch.told_offset < 0 || batch.told_offset == offset),
          batch.values[0] + " was acknowledged at offset " + std::to_string(batch.told_offset) + " and again at " + std::to_string(offset));
  batch.told_offset = offset;
}

log::Offset History::SettledBelow(int32_t partition) const {
  log::Offset settled = INT64_MAX;
  for (const auto& producer : producers_.at(partition)) {
    log::Offset told = 0;
    for (const ProducerHistory::Batch& batch : producer->batches) {
      if (batch.told_offset < 0) break;
      told = batch.told_offset;
    }
    settled = std::min(settled, told);
  }
  return settled;
}

void History::NoteProducerId(int64_t id) {
  Require(producer_ids_.emplace(id, true).second, "producer id " + std::to_string(id) + " was given twice");
}

void History::NoteRead(int32_t index, log::Offset high_watermark, const std::vector<std::pair<log::Offset, std::string>>& records) {
  Partition& partition = partitions_[index];
  partition.high_watermark = std::max(partition.high_watermark, high_watermark);
  for (const auto& [offset, value] : records) {
    Require(offset < high_watermark, Name(index) + ": a reader was shown offset " + std::to_string(offset) + ", beyond the high watermark");
    auto [at, fresh] = partition.seen.emplace(offset, value);
    Require(fresh || at->second == value, Name(index) + ": offset " + std::to_string(offset) + " was " + at->second + " and is " + value);
  }
}

void History::NoteDeleted(int32_t index, log::Offset before, bool told) {
  Partition& partition = partitions_[index];
  partition.deleted_asked = std::max(partition.deleted_asked, before);
  if (told) partition.deleted_told = std::max(partition.deleted_told, before);
}

void History::NoteToldCommit(int32_t partition, size_t index) {
  CommitHistory& history = commits_[partition];
  history.told = std::max(history.told, index + 1);
}

void History::CheckCommit(int32_t partition, log::Offset committed) {
  CommitHistory& history = commits_[partition];
  size_t kept = history.accepted.size();
  while (kept > history.told && history.accepted[kept - 1] != committed) --kept;
  const bool matches = kept > 0 ? history.accepted[kept - 1] == committed : committed == -1;
  Require(matches, Name(partition) + ": the committed offset is " + std::to_string(committed) + ", clients were told of " +
                       std::to_string(history.told == 0 ? -1 : history.accepted[history.told - 1]));
  history.accepted.resize(kept);
}

void History::CheckLog(log::Topic& topic) const {
  for (int32_t i = 0; i < topic.partition_count(); ++i) CheckPartition(topic.partition(i));
}

void History::CheckPartition(log::Partition& log) const {
  const int32_t index = log.index();
  const std::string name = Name(index) + ": ";
  auto noted = partitions_.find(index);
  const Partition partition = noted == partitions_.end() ? Partition() : noted->second;
  const log::Offset start = log.start_offset(), end = log.durable_end();
  Require(end == log.end_offset(), name + "after recovery not all is durable");
  Require(end >= partition.high_watermark,
          name + "readers were shown records up to " + std::to_string(partition.high_watermark) + ", now it ends at " + std::to_string(end));
  Require(start >= partition.deleted_told && start <= partition.deleted_asked,
          name + "it begins at " + std::to_string(start) + ", deleted was up to " + std::to_string(partition.deleted_told));
  std::map<log::Offset, std::string> records;
  for (log::Offset next = start; next < end;) {
    log::ReadResult read = log.Read(next, kReadBytes);
    Require(read.error == log::KafkaError::kNone && !read.bytes.empty(), name + "offset " + std::to_string(next) + " cannot be read");
    for (auto& [offset, value] : RecordsOf(read.bytes, next)) {
      records.emplace(offset, std::move(value));
      next = offset + 1;
    }
  }
  for (const auto& [offset, value] : partition.seen) {
    if (offset < start) continue;
    auto found = records.find(offset);
    Require(found != records.end() && found->second == value,
            name + "a reader was shown " + value + " at offset " + std::to_string(offset) + ", which is not there any more");
  }
  std::map<std::string, log::Offset> places;
  for (const auto& [offset, value] : records) {
    auto [at, fresh] = places.emplace(value, offset);
    Require(fresh, name + value + " is there twice, at offsets " + std::to_string(at->second) + " and " + std::to_string(offset));
  }
  size_t matched = 0;
  auto list = producers_.find(index);
  if (list != producers_.end()) {
    for (const auto& producer : list->second) {
      log::Offset before = -1;
      bool ended = false;
      for (size_t b = 0; b < producer->batches.size(); ++b) {
        const ProducerHistory::Batch& batch = producer->batches[b];
        for (size_t r = 0; r < batch.values.size(); ++r) {
          auto found = places.find(batch.values[r]);
          const log::Offset told = batch.told_offset < 0 ? -1 : batch.told_offset + static_cast<log::Offset>(r);
          if (found == places.end()) {
            Require(told < start, name + batch.values[r] + " was acknowledged at offset " + std::to_string(told) + " and is lost");
            ended |= told < 0;
            continue;
          }
          ++matched;
          Require(!ended, name + batch.values[r] + " is there, but one that was sent before it is not");
          Require(b < producer->sent, name + batch.values[r] + " was never sent");
          Require(found->second > before, name + batch.values[r] + " is out of order");
          Require(told < 0 || told == found->second,
                  name + batch.values[r] + " was acknowledged at offset " + std::to_string(told) + " and is at " + std::to_string(found->second));
          before = found->second;
        }
      }
    }
  }
  Require(matched == records.size(), name + "records are there that nobody sent");
}

void History::CheckCompacted(const log::Partition& log) const {
  const std::string name = "compacted topic: ";
  std::map<std::string, std::pair<log::Offset, std::string>> last;  // by key
  std::map<std::string, log::Offset> places;                        // by value
  log::Offset before = -1;
  for (log::Offset next = log.start_offset(); next < log.durable_end();) {
    const log::ReadResult read = log.Read(next, kReadBytes);
    Require(read.error == log::KafkaError::kNone && !read.bytes.empty(), name + "offset " + std::to_string(next) + " cannot be read");
    for (auto& [offset, key, value] : KeyedRecordsOf(read.bytes, next)) {
      Require(offset > before, name + "offset " + std::to_string(offset) + " comes behind " + std::to_string(before));
      before = offset;
      if (!value.empty()) Require(places.emplace(value, offset).second, name + value + " is there twice");
      last[key] = {offset, std::move(value)};
    }
    next = EndOf(read.bytes);
  }
  struct Acknowledged {
    log::Offset offset = -1;
    std::string value;
  };
  std::map<std::string, Acknowledged> acknowledged;  // the newest of each key
  std::map<std::string, bool> deletes_under_way;
  size_t matched = 0;
  auto list = producers_.find(kCompactedPartition);
  if (list == producers_.end()) return;
  for (const auto& producer : list->second) {
    log::Offset newest = -1;
    for (size_t b = 0; b < producer->batches.size(); ++b) {
      const ProducerHistory::Batch& batch = producer->batches[b];
      for (size_t r = 0; r < batch.values.size(); ++r) {
        const log::Offset told = batch.told_offset < 0 ? -1 : batch.told_offset + static_cast<log::Offset>(r);
        Acknowledged& known = acknowledged[batch.keys[r]];
        if (told > known.offset) known = {told, batch.values[r]};
        if (batch.values[r].empty()) {
          deletes_under_way[batch.keys[r]] |= told < 0;
          continue;
        }
        auto found = places.find(batch.values[r]);
        if (found == places.end()) continue;
        ++matched;
        Require(b < producer->sent, name + batch.values[r] + " was never sent");
        Require(found->second > newest, name + batch.values[r] + " is out of order");
        Require(told < 0 || told == found->second, name + batch.values[r] + " is not where it was acknowledged");
        newest = found->second;
      }
    }
  }
  Require(matched == places.size(), name + "records are there that nobody sent");
  for (const auto& [key, known] : acknowledged) {
    if (known.offset < 0) continue;
    auto found = last.find(key);
    if (found == last.end()) {
      Require(known.value.empty() || deletes_under_way[key], name + known.value + ", the last of key " + key + ", is lost");
      continue;
    }
    const auto& [offset, value] = found->second;
    Require(offset >= known.offset, name + "of key " + key + " the last record is at offset " + std::to_string(offset) + ", acknowledged was " +
                                        std::to_string(known.offset));
    Require(offset != known.offset || value == known.value,
            name + "offset " + std::to_string(offset) + " is " + value + " instead of " + known.value);
  }
}

TransactionHistory& History::AddTransaction(const std::string& id) {
  transactions_.push_back(std::make_unique<TransactionHistory>());
  transactions_.back()->name = id + "." + std::to_string(transactions_.size());
  return *transactions_.back();
}

std::string History::NewValue(TransactionHistory& transaction, int32_t partition) {
  std::string text = transaction.name + "/" + std::to_string(transaction.values.size());
  transactional_values_[text] = {&transaction, transaction.values.size()};
  transaction.values.push_back({text, partition});
  return text;
}

void History::NoteAppended(TransactionHistory& transaction, const std::vector<std::string>& values, log::Offset offset) {
  for (const std::string& value : values) transaction.values[transactional_values_.at(value).second].told_offset = offset++;
}

log::Offset History::NewOffset(TransactionHistory& transaction, int32_t partition) {
  std::vector<TransactionHistory*>& offsets = group_offsets_[partition];
  transaction.group_offset = static_cast<log::Offset>(offsets.size());
  offsets.push_back(&transaction);
  return transaction.group_offset;
}

log::Offset History::OffsetToBeSeen(int32_t partition) const {
  log::Offset newest = -1;
  if (auto found = group_offsets_.find(partition); found != group_offsets_.end()) {
    for (const TransactionHistory* transaction : found->second) {
      if (transaction->committed || transaction->seen) newest = transaction->group_offset;
    }
  }
  return newest;
}

void History::NoteGroupOffset(int32_t partition, log::Offset at_least, log::Offset offset, bool changing) {
  const std::string name = "transactional offset of " + Name(partition) + ": ";
  Require(changing || offset >= at_least,
          name + "it is " + std::to_string(offset) + ", but the transaction that commits " + std::to_string(at_least) + " was committed or seen");
  if (offset < 0) return;
  TransactionHistory& transaction = *group_offsets_.at(partition).at(static_cast<size_t>(offset));
  Require(transaction.commit_asked, name + "it is " + std::to_string(offset) + ", but " + transaction.name + " was never to be committed");
  transaction.seen = true;
}

/// Whose records readers of committed records see in these batches.
std::vector<std::pair<log::Offset, TransactionHistory*>> History::CommittedIn(const log::ReadResult& read, log::Offset from,
                                                                              std::vector<std::string>& values) {
  std::vector<std::pair<log::Offset, TransactionHistory*>> found;
  for (std::string_view rest = read.bytes; !rest.empty();) {
    const log::BatchHeader header = *log::ParseBatchHeader(rest);
    const std::string_view batch = rest.substr(0, header.total_bytes());
    rest.remove_prefix(batch.size());
    if (read.PassesOver(header)) continue;
    for (auto& [offset, key, value] : KeyedRecordsOf(batch, from)) {
      auto known = transactional_values_.find(value);
      Require(known != transactional_values_.end(), "a reader of committed records was shown " + value + ", which nobody sent");
      TransactionHistory& transaction = *known->second.first;
      const log::Offset told = transaction.values[known->second.second].told_offset;
      Require(transaction.commit_asked, value + " was shown, but its transaction was never to be committed");
      Require(told < 0 || told == offset, value + " was acknowledged at offset " + std::to_string(told) + " and is at " + std::to_string(offset));
      transaction.seen = true;
      found.emplace_back(offset, &transaction);
      values.push_back(value);
    }
  }
  return found;
}

void History::NoteCommitted(int32_t partition, log::Offset from, const log::ReadResult& read) {
  std::vector<std::string> values;
  for (const auto& [offset, transaction] : CommittedIn(read, from, values)) {
    Require(offset < read.last_stable_offset,
            Name(partition) + ": a reader of committed records was shown offset " + std::to_string(offset) + ", beyond the last stable offset");
  }
  log::Offset& told = stable_told_[partition];
  told = std::max(told, read.last_stable_offset);
}

void History::CheckTransactions(log::Topic& topic, bool all_ended) {
  std::map<std::string, int> shown;
  std::map<int32_t, log::Offset> stable;
  for (int32_t p = 0; p < topic.partition_count(); ++p) {
    const log::Partition& partition = topic.partition(p);
    const std::string name = "transactional " + Name(p) + ": ";
    stable[p] = partition.last_stable_offset();
    Require(stable[p] >= stable_told_[p],
            name + "its last stable offset went back from " + std::to_string(stable_told_[p]) + " to " + std::to_string(stable[p]));
    Require(!all_ended || stable[p] == partition.durable_end(), name + "a transaction is open that nobody knows");
    for (log::Offset next = partition.start_offset(); next < stable[p];) {
      const log::ReadResult read = partition.Read(next, kReadBytes, log::Isolation::kReadCommitted);
      Require(read.error == log::KafkaError::kNone && !read.bytes.empty(), name + "offset " + std::to_string(next) + " cannot be read");
      std::vector<std::string> values;
      CommittedIn(read, next, values);
      for (const std::string& value : values) Require(++shown[value] == 1, name + value + " is there twice");
      next = EndOf(read.bytes);
    }
  }
  for (const auto& transaction : transactions_) {
    if (!transaction->committed && !transaction->seen) continue;
    for (const TransactionHistory::Value& value : transaction->values) {
      Require(shown.contains(value.text) || (!all_ended && value.told_offset >= stable[value.partition]),
              value.text + " is missing, but its transaction has committed");
    }
  }
}

bool History::AllAcknowledged() const {
  for (const auto& [partition, list] : producers_) {
    for (const auto& producer : list) {
      if (producer->acknowledged < producer->batches.size()) return false;
    }
  }
  return true;
}

size_t History::acknowledged() const {
  size_t count = 0;
  for (const auto& [partition, list] : producers_) {
    for (const auto& producer : list) count += producer->acknowledged;
  }
  return count;
}

size_t History::committed() const {
  return static_cast<size_t>(std::ranges::count_if(transactions_, [](const auto& transaction) { return transaction->committed; }));
}

uint64_t History::Digest() const {
  uint64_t hash = 0;
  for (const auto& [partition, list] : producers_) {
    for (const auto& producer : list) {
      for (const auto& batch : producer->batches) hash = CombineHash(hash, static_cast<uint64_t>(batch.told_offset));
    }
  }
  for (const auto& [partition, commits] : commits_) {
    for (log::Offset offset : commits.accepted) hash = CombineHash(hash, static_cast<uint64_t>(offset));
  }
  for (const auto& transaction : transactions_) {
    hash = CombineHash(hash, (transaction->committed ? 2u : 0u) + (transaction->seen ? 1u : 0u));
    for (const TransactionHistory::Value& value : transaction->values) hash = CombineHash(hash, static_cast<uint64_t>(value.told_offset));
  }
  return hash;
}

}  // namespace kappa::sim
