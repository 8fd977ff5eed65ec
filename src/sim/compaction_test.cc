// Goal: wherever a process dies in the middle of compaction, and whatever a power cut then takes, the last record of each key is there.
// Method: one history of appends, compactions, deletions and reopenings, repeated with a death at its first call of the disk, at its second, and so on.
#include <gtest/gtest.h>

#include <map>

#include "io/disk.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "sim/simulation.h"

namespace kappa::sim {
namespace {

constexpr int kKeys = 6;
constexpr int kBatches = 90;

/// What the process was told: per key the newest acknowledged value, and those that were sent behind it.
struct Told {
  std::map<std::string, int> acknowledged, sent;
  log::Offset end = 0;
};

void Check(log::Partition& partition, const Told& told, uint64_t call) {
  std::map<std::string, int> found;
  ASSERT_GE(partition.durable_end(), told.end) << "died at call " << call;
  std::vector<log::Record> records;
  for (log::Offset next = partition.start_offset(); next < partition.durable_end();) {
    const log::ReadResult read = partition.Read(next, 1 << 20);
    ASSERT_EQ(read.error, log::KafkaError::kNone) << "died at call " << call << ", offset " << next;
    ASSERT_FALSE(read.bytes.empty());
    for (std::string_view rest = read.bytes; !rest.empty();) {
      const log::BatchHeader header = *log::ParseBatchHeader(rest);
      std::string storage;
      records.clear();
      ASSERT_TRUE(log::ParseRecords(header, *log::RecordsSection(rest, 1 << 20, storage), records).ok());
      for (const log::Record& record : records) {
        int& value = found[std::string(*record.key)];
        const int read_value = std::stoi(std::string(record.value->substr(0, record.value->find(' '))));
        ASSERT_GT(read_value, value) << "died at call " << call << ", key " << *record.key;
        value = read_value;
      }
      next = header.last_offset() + 1;
      rest.remove_prefix(header.total_bytes());
    }
  }
  for (const auto& [key, value] : told.acknowledged) {
    ASSERT_GE(found[key], value) << "died at call " << call << ", key " << key;
    ASSERT_LE(found[key], told.sent.at(key)) << "died at call " << call << ", key " << key;
  }
  ASSERT_TRUE(partition.Verify().ok()) << "died at call " << call;
}

/// Opens the log, checks it, appends `batches`, compacting now and then, and closes it.
void Live(io::Clock& clock, int batches, Told& told, uint64_t call) {
  auto log = log::Log::Open(std::string(kMountedAt) + "/log", {.sync_threads = 0}, clock);
  ASSERT_TRUE(log.ok()) << "died at call " << call << ": " << log.status().ToString();
  auto topic = (*log)->FindTopic(kTopic);
  if (topic == nullptr) {
    topic = *(*log)->CreateTopic(kTopic, {.segment_bytes = 300 << 10, .delete_old = false, .compact = true, .min_cleanable_dirty_ratio = 0});
  }
  log::Partition& partition = topic->partition(0);
  Check(partition, told, call);
  for (int i = 0; i < batches; ++i) {
    const std::string key = "k" + std::to_string(i * 7 % kKeys);
    const int value = ++told.sent[key];
    log::BatchBuilder batch;
    batch.Add(1000, key, std::to_string(value) + " " + std::string(30'000, '.'));
    const log::AppendResult appended = partition.Append(batch.Finish(), [&](log::KafkaError error) {
      if (error == log::KafkaError::kNone) told.acknowledged[key] = value;
    });
    ASSERT_EQ(appended.error, log::KafkaError::kNone);
    while ((*log)->CommitOne()) {}
    told.end = std::max(told.end, appended.next_offset);
    if (i % 30 == 20) {
      (*log)->AllowCompaction([](const log::Partition& p) { return p.end_offset(); });
      while ((*log)->CompactOne()) {}
      Check(partition, told, call);
    }
    if (i == 70) { ASSERT_TRUE(partition.DeleteBefore(10).ok()); }
  }
  (*log)->Close();
}

TEST(CompactionTest, ADeathAtAnyCallLosesNoKey) {
  uint64_t calls = UINT64_MAX;
  for (uint64_t call = 1; call <= calls && !testing::Test::HasFatalFailure(); ++call) {
    Random random(call);
    SimulatedDisk disk(kMountedAt, random);
    io::MountDisk mounted(kMountedAt, disk);
    io::ManualClock clock(1'767'225'600'000'000);
    disk.dies_at_call = disk.calls() + call;
    Told told;
    bool died = false;
    try {
      Live(clock, kBatches, told, call);
    } catch (const SimulatedCrash&) { died = true; }
    if (!died) calls = call;
    if (call % 3 == 0) disk.CutPower();
    else disk.KillProcess();
    disk.BeginProcess();
    disk.dies_at_call = call % 5 == 0 ? disk.calls() + 1 + call % 40 : 0;  // also in the middle of the recovery
    try {
      Live(clock, 25, told, call);
    } catch (const SimulatedCrash&) {}
    disk.CutPower();
    disk.BeginProcess();
    disk.dies_at_call = 0;
    Live(clock, 3, told, call);
  }
  EXPECT_GT(calls, 300u);
}

}  // namespace
}  // namespace kappa::sim
