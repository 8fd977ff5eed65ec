// What the tests of the log share: a scratch folder, batches, and waiting for durability without sleeping.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "io/clock.h"
#include "io/folder.h"
#include "log/log.h"
#include "log/record_batch.h"

namespace kappa::log {

/// A folder of its own for each test, removed at the end. In memory where the machine has /dev/shm: a killed process leaves the
/// same there as on a disk, quicker. kDisk is for tests that want syncs to take time.
class ScratchFolder {
 public:
  enum Where { kMemory, kDisk };
  explicit ScratchFolder(Where where = kMemory) {
    const char* base = std::getenv("TMPDIR");
    if (base == nullptr) base = where == kMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    path_ = std::string(base) + "/kappa_log_test_XXXXXX";
    KAPPA_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~ScratchFolder() { [[maybe_unused]] Status removed = io::RemoveTree(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string OneBatch(const std::vector<std::string>& values, int64_t timestamp_ms = 1000, int codec = 0, BatchProducer producer = {}) {
  BatchBuilder builder;
  for (const std::string& value : values) builder.Add(timestamp_ms, "key", value);
  return builder.Finish(codec, producer);
}

/// Appends and waits until the records are durable; the callback's error replaces the result's.
inline AppendResult AppendDurably(Partition& partition, std::string_view batches) {
  std::mutex mutex;
  std::condition_variable done;
  bool answered = false;
  KafkaError error = KafkaError::kNone;
  AppendResult result = partition.Append(batches, [&](KafkaError e) {
    std::lock_guard lock(mutex);
    error = e;
    answered = true;
    done.notify_all();
  });
  if (result.error != KafkaError::kNone) return result;
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return answered; });
  result.error = error;
  return result;
}

/// Ends a transaction and waits until its marker is durable.
inline AppendResult EndDurably(Partition& partition, int64_t id, int16_t epoch, bool commit) {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  AppendResult result = partition.EndTransaction(id, epoch, commit, [&](KafkaError) {
    std::lock_guard lock(mutex);
    done = true;
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  if (result.error == KafkaError::kNone) changed.wait(lock, [&] { return done; });
  return result;
}

/// What readers of committed records see from `from` on.
inline std::vector<std::string> CommittedValues(const Partition& partition, Offset from = 0, size_t max_bytes = 1 << 20) {
  std::vector<std::string> values;
  std::vector<Record> records;
  std::string storage;
  while (from < partition.last_stable_offset()) {
    const ReadResult result = partition.Read(from, max_bytes, Isolation::kReadCommitted);
    EXPECT_EQ(result.error, KafkaError::kNone) << "at offset " << from;
    if (result.error != KafkaError::kNone || result.bytes.empty()) return values;
    for (std::string_view rest = result.bytes; !rest.empty();) {
      const BatchHeader header = *ParseBatchHeader(rest);
      records.clear();
      EXPECT_TRUE(ParseRecords(header, *RecordsSection(rest, 64 << 20, storage), records).ok());
      for (const Record& record : records) {
        if (record.offset >= from && !result.PassesOver(header)) values.emplace_back(record.value.value_or("(null)"));
      }
      from = header.last_offset() + 1;
      rest.remove_prefix(header.total_bytes());
    }
  }
  return values;
}

/// All values from `from` on, through Read; stops (with a test failure) at an error.
inline std::vector<std::string> ReadValues(const Partition& partition, Offset from = 0, size_t max_bytes = 1 << 20) {
  std::vector<std::string> values;
  std::string storage;
  while (from < partition.durable_end()) {
    ReadResult result = partition.Read(from, max_bytes);
    EXPECT_EQ(result.error, KafkaError::kNone) << "at offset " << from;
    if (result.error != KafkaError::kNone || result.bytes.empty()) return values;
    std::string_view rest = result.bytes;
    while (!rest.empty()) {
      auto header = ParseBatchHeader(rest);
      EXPECT_TRUE(header.ok());
      auto section = RecordsSection(rest, 64 << 20, storage);
      EXPECT_TRUE(section.ok());
      std::vector<Record> records;
      EXPECT_TRUE(ParseRecords(*header, *section, records).ok());
      for (const Record& record : records) {
        if (record.offset < from) continue;
        EXPECT_EQ(record.offset, from);
        values.emplace_back(record.value.value_or("(null)"));
        ++from;
      }
      rest.remove_prefix(header->total_bytes());
    }
  }
  return values;
}

inline std::unique_ptr<Log> OpenLog(const std::string& folder, io::Clock& clock = io::RealClock(), LogOptions options = {}) {
  auto log = Log::Open(folder, options, clock);
  EXPECT_TRUE(log.ok()) << log.status().ToString();
  return log.ok() ? std::move(*log) : nullptr;
}

inline Partition& CreateOne(Log& log, const std::string& name, TopicConfig config = {}) {
  auto topic = log.CreateTopic(name, config);
  KAPPA_CHECK(topic.ok());
  return (*topic)->partition(0);
}

}  // namespace kappa::log
