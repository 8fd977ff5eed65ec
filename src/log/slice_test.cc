// Goal: what is passed on from the file is what was appended, and was checked by this process before it goes out.
// Method: a log of small batches, read through slices and through copies; reopened, damaged, compacted, held back by a transaction.
#include <gtest/gtest.h>

#include <set>

#include "io/file.h"
#include "log/log_testing.h"

namespace kappa::log {
namespace {

constexpr int kBatches = 100;
constexpr size_t kBatchBytes = 5000;

std::string BatchNumber(int i, BatchProducer producer = {}) {
  return OneBatch({std::to_string(i) + std::string(kBatchBytes, 'x')}, 1000, 0, producer);
}

std::string BytesOf(const ReadResult& read) {
  if (read.slice.bytes == 0) return read.bytes;
  EXPECT_TRUE(read.bytes.empty());
  std::string bytes(read.slice.bytes, '\0');
  EXPECT_TRUE(read.slice.file->ReadExactlyAt(read.slice.position, bytes.data(), bytes.size()).ok());
  return bytes;
}

/// All batches through ReadForSending, one read behind the other; `slices` counts those that told of a part of a file.
std::string SendAll(const Partition& partition, size_t max_bytes, int& slices) {
  std::string all;
  for (Offset from = 0; from < partition.durable_end();) {
    const ReadResult read = partition.ReadForSending(from, max_bytes, Isolation::kReadUncommitted);
    EXPECT_EQ(read.error, KafkaError::kNone) << from;
    slices += read.slice.bytes > 0;
    const std::string bytes = BytesOf(read);
    if (bytes.empty()) return all;
    EXPECT_TRUE(bytes.size() <= max_bytes || read.slice.bytes == 0);
    for (std::string_view rest = bytes; !rest.empty();) {
      const auto header = ParseBatchHeader(rest);
      EXPECT_TRUE(header.ok() && header->base_offset == from) << from;
      if (!header.ok()) return all;
      from = header->last_offset() + 1;
      rest.remove_prefix(header->total_bytes());
    }
    all += bytes;
  }
  return all;
}

TEST(SliceTest, SlicesAreTheBatches) {
  ScratchFolder folder;
  std::string appended;
  {
    auto log = OpenLog(folder.path());
    Partition& partition = CreateOne(*log, "t", {.segment_bytes = 300'000});
    for (int i = 0; i < kBatches; ++i) AppendDurably(partition, BatchNumber(i));
    appended = partition.Read(0, 100 << 20).bytes + partition.Read(partition.segments()[1].base, 100 << 20).bytes;
    int slices = 0;
    EXPECT_EQ(SendAll(partition, 100 << 20, slices), appended);
    EXPECT_EQ(slices, 2) << "one for each segment; what the index does not reach is copied";
    EXPECT_EQ(SendAll(partition, 100'000, slices), appended);
    EXPECT_EQ(partition.ReadForSending(0, 50'000, Isolation::kReadUncommitted).slice.bytes, 0u) << "little is copied";
    ASSERT_EQ(partition.segments().size(), 2u);
  }
  auto log = OpenLog(folder.path());
  const Partition& partition = log->FindTopic("t")->partition(0);
  int slices = 0;
  EXPECT_EQ(SendAll(partition, 100 << 20, slices), appended);
  EXPECT_EQ(slices, 0) << "nobody has checked it yet";
  EXPECT_EQ(SendAll(partition, 100 << 20, slices), appended);
  EXPECT_EQ(slices, 2);
}

TEST(SliceTest, DamageIsFoundBeforeItIsPassedOn) {
  ScratchFolder folder;
  {
    auto log = OpenLog(folder.path());
    Partition& partition = CreateOne(*log, "t", {.segment_bytes = 300'000});
    for (int i = 0; i < kBatches; ++i) AppendDurably(partition, BatchNumber(i));
  }
  {
    auto file = io::File::Open(folder.path() + "/topics/t/0/00000000000000000000.seg", io::File::Mode::kReadWrite);
    ASSERT_TRUE(file.ok() && file->WriteAt(12'288 + 100, "?").ok());
  }
  auto log = OpenLog(folder.path());
  const Partition& partition = log->FindTopic("t")->partition(0);
  for (int turn = 0; turn < 2; ++turn) {
    const ReadResult read = partition.ReadForSending(0, 1 << 20, Isolation::kReadUncommitted);
    EXPECT_EQ(read.error, KafkaError::kCorruptMessage);
    EXPECT_EQ(read.slice.bytes, 0u);
  }
}

TEST(SliceTest, ReadersOfCommittedRecordsGetNoUndecidedOnes) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t");
  for (int i = 0; i < kBatches / 2; ++i) AppendDurably(partition, BatchNumber(i));
  ASSERT_EQ(partition.BeginTransaction(7, 0), KafkaError::kNone);
  for (int i = 0; i < kBatches / 2; ++i) AppendDurably(partition, BatchNumber(i, {.id = 7, .epoch = 0, .base_sequence = i, .transactional = true}));
  const size_t decided = BytesOf(partition.ReadForSending(0, 100 << 20, Isolation::kReadCommitted)).size();
  EXPECT_LE(decided, kBatches / 2 * BatchNumber(10).size());
  EXPECT_GT(decided, 0u);
  EndDurably(partition, 7, 0, /*commit=*/false);
  const ReadResult read = partition.ReadForSending(kBatches / 2 - 20, 100 << 20, Isolation::kReadCommitted);
  EXPECT_GT(read.slice.bytes, 0u);
  ASSERT_EQ(read.aborted.size(), 1u);
  EXPECT_EQ(read.aborted[0].first_offset, kBatches / 2);
}

}  // namespace
}  // namespace kappa::log
