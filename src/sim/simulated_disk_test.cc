// Goal: the simulated disk forgets what a real one may, and the log builds on nothing that can be forgotten.
// Method: files and folders by io's own functions; a log that dies at each call of its life, and again, before the power goes.
#include "sim/simulated_disk.h"

#include <gtest/gtest.h>

#include <map>

#include "io/clock.h"
#include "io/folder.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "sim/simulation.h"

namespace kappa::sim {
namespace {

std::string In(const std::string& name) { return std::string(kMountedAt) + "/" + name; }

class SimulatedDiskTest : public testing::Test {
 protected:
  Random random_{1};
  SimulatedDisk disk_{kMountedAt, random_};
  io::MountDisk mounted_{kMountedAt, disk_};
};

TEST_F(SimulatedDiskTest, DurableFilesSurviveAPowerCut) {
  ASSERT_TRUE(io::CreateFolders(In("a/b")).ok());
  ASSERT_TRUE(io::WriteFileAtomically(In("a/b/f"), "durable").ok());
  ASSERT_TRUE(io::DurableCreate(In("a/g"), std::string(5000, 'x')).ok());
  disk_.CutPower();
  disk_.BeginProcess();
  EXPECT_EQ(*io::ReadWholeFile(In("a/b/f")), "durable");
  EXPECT_EQ(*io::ReadWholeFile(In("a/g")), std::string(5000, 'x'));
}

TEST_F(SimulatedDiskTest, WhatWasNotSyncedIsLostInSomeRuns) {
  int whole = 0, parts = 0, none = 0, renamed = 0;
  for (int run = 0; run < 200; ++run) {
    const std::string folder = In(std::to_string(run));
    ASSERT_TRUE(io::CreateFolders(folder).ok());
    auto file = io::DurableCreate(folder + "/f", "");
    ASSERT_TRUE(file->WriteAt(0, std::string(5000, 'x')).ok());
    ASSERT_TRUE(io::ReplaceFile(folder + "/g", "unsynced").ok());
    disk_.CutPower();
    disk_.BeginProcess();
    const std::string bytes = *io::ReadWholeFile(folder + "/f");
    whole += bytes == std::string(5000, 'x');
    none += bytes.empty();
    parts += !bytes.empty() && bytes != std::string(5000, 'x');
    renamed += io::Exists(folder + "/g");
  }
  EXPECT_GT(whole, 5);
  EXPECT_GT(parts, 5);
  EXPECT_GT(none, 5);
  EXPECT_GT(renamed, 10);
  EXPECT_LT(renamed, 190);
}

// Behind the newest records, as many as the log was told, the page cache is given back; of all partitions together.
TEST_F(SimulatedDiskTest, TheLogKeepsItsNewestRecordsInThePageCache) {
  for (const auto& [kept, dropped] : std::map<uint64_t, uint64_t>{{0, 0}, {100 << 20, 0}, {3 << 20, 13 << 20}}) {
    const std::string folder = In("log" + std::to_string(kept));
    const uint64_t before = disk_.dropped_bytes();
    auto log = log::Log::Open(folder, {.sync_threads = 0, .page_cache_bytes = kept}, io::RealClock());
    ASSERT_TRUE(log.ok()) << log.status().ToString();
    auto topic = (*log)->CreateTopic("t", {.partitions = 2});
    ASSERT_TRUE(topic.ok());
    for (int i = 0; i < 32; ++i) {
      log::BatchBuilder batch;
      batch.Add(1000, "key", std::string(512 << 10, 'x'));
      ASSERT_EQ((*topic)->partition(i % 2).Append(batch.Finish(), nullptr).error, log::KafkaError::kNone);
      while ((*log)->CommitOne()) {}
    }
    EXPECT_NEAR(static_cast<double>(disk_.dropped_bytes() - before), static_cast<double>(dropped), 2 << 20) << kept;
  }
}

TEST_F(SimulatedDiskTest, AKilledProcessLosesNothingThatItWrote) {
  ASSERT_TRUE(io::ReplaceFile(In("f"), "unsynced").ok());
  disk_.KillProcess();
  disk_.BeginProcess();
  EXPECT_EQ(*io::ReadWholeFile(In("f")), "unsynced");
}

// The pages that a failed sync left clean are not written by the next one that succeeds.
TEST_F(SimulatedDiskTest, AFailedSyncForgets) {
  auto file = io::DurableCreate(In("f"), "");
  ASSERT_TRUE(file->WriteAt(0, "lost").ok());
  disk_.faults.sync_fails = 1;
  EXPECT_FALSE(file->Sync().ok());
  disk_.faults.sync_fails = 0;
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(*io::ReadWholeFile(In("f")), "lost");
  disk_.CutPower();
  disk_.BeginProcess();
  EXPECT_NE(*io::ReadWholeFile(In("f")), "lost");
}

std::string Numbered(int number) {
  log::BatchBuilder builder;
  builder.Add(1000, std::nullopt, std::to_string(number) + std::string(1500, 'x'));
  return builder.Finish();
}

// One life of a process: opens, makes the topic, appends and deletes. How many records were acknowledged, -1 when it died.
int Live(io::Clock& clock, int records, bool& made) {
  auto log = log::Log::Open(In("log"), {.sync_threads = 0}, clock);
  EXPECT_TRUE(log.ok()) << log.status().ToString();
  if (!log.ok()) return -1;
  auto topic = (*log)->FindTopic("t");
  EXPECT_TRUE(topic != nullptr || !made) << "the topic is gone";
  if (topic == nullptr) topic = *(*log)->CreateTopic("t", {.segment_bytes = 16 << 10});
  made = true;
  int acknowledged = 0;
  for (int i = 0; i < records; ++i) {
    topic->partition(0).Append(Numbered(i), [&](log::KafkaError error) { acknowledged += error == log::KafkaError::kNone; });
    (*log)->CommitOne();
  }
  EXPECT_EQ(topic->partition(0).durable_end(), topic->partition(0).end_offset());
  (void)topic->partition(0).DeleteBefore(topic->partition(0).durable_end() - 5);
  const auto end = static_cast<int>(topic->partition(0).durable_end());
  (*log)->Close();
  return end;
}

// A process dies at some call, between a rename and the sync of its folder, say. The next one sees the new name, works on it, acknowledges
// records; then the power goes. All must still be there: what was found has to be made durable before anything is built on it.
TEST(NamesTest, WhatADeadProcessLeftIsMadeDurableBeforeItIsUsed) {
  for (uint64_t call = 1; call < 400; ++call) {
    Random random(call);
    SimulatedDisk disk(kMountedAt, random);
    io::MountDisk mounted(kMountedAt, disk);
    io::ManualClock clock(1'767'225'600'000'000);
    bool made = false;
    disk.dies_at_call = call;
    int end = 0;
    try {
      end = Live(clock, 25, made);
    } catch (const SimulatedCrash&) {}
    disk.KillProcess();
    disk.BeginProcess();
    disk.dies_at_call = 0;
    end = Live(clock, 3, made);
    disk.CutPower();
    disk.BeginProcess();
    EXPECT_GE(Live(clock, 0, made), end) << "died at call " << call;
  }
}

}  // namespace
}  // namespace kappa::sim
