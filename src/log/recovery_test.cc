// Opening after crashes and damage: what was acknowledged is there, or the log says that it is not. Never wrong data.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <random>

#include "base/crc32c.h"
#include "io/failpoint.h"
#include "log/log_testing.h"
#include "log/segment_format.h"

namespace kappa::log {
namespace {

namespace fs = std::filesystem;

std::string FolderOf(const std::string& folder) { return folder + "/topics/t/0"; }

/// Paths of the segment files, in order.
std::vector<std::string> Segments(const std::string& folder) {
  const std::vector<std::string> names = *io::ListFolder(FolderOf(folder));
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    if (name.ends_with(".seg")) paths.push_back(FolderOf(folder) + "/" + name);
  }
  return paths;
}

std::string Bytes(const std::string& path) { return *io::ReadWholeFile(path); }
void Put(const std::string& path, std::string_view bytes) { ASSERT_TRUE(io::ReplaceFile(path, bytes).ok()); }

/// The folder as a process killed at this moment leaves it: what was written is in the page cache.
void CopyAsIfKilled(const std::string& from, const std::string& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

/// Topic "t" with `batches` acknowledged batches of one record each, value "<number>....".
std::vector<std::string> Build(const std::string& folder, int batches, int64_t segment_bytes, bool close = true, const std::string& copy_to = "") {
  auto log = OpenLog(folder);
  Partition& partition = CreateOne(*log, "t", {.segment_bytes = segment_bytes});
  std::vector<std::string> values;
  for (int i = 0; i < batches; ++i) {
    values.push_back(std::to_string(i) + std::string(50, '.'));
    AppendResult result =
        i + 1 < batches ? partition.Append(OneBatch({values.back()}), nullptr) : AppendDurably(partition, OneBatch({values.back()}));
    EXPECT_EQ(result.error, KafkaError::kNone);
  }
  if (!close) CopyAsIfKilled(folder, copy_to);
  return values;
}

Status OpenStatus(const std::string& folder) { return Log::Open(folder, {}, io::RealClock()).status(); }

/// The bytes of a batch as the log would write it at `offset`.
std::string Written(std::string batch, Offset offset) {
  for (int i = 0; i < 8; ++i) batch[static_cast<size_t>(i)] = static_cast<char>(offset >> (56 - 8 * i));
  return batch;
}

class RecoveryTest : public ::testing::Test {
 protected:
  std::string In(const std::string& name) { return scratch_.path() + "/" + name; }
  ScratchFolder scratch_;
};

// A tail that was written but never synced is cut at every possible byte: all acknowledged records stay, and of the tail the
// batches that are whole. Then the log goes on at the right offset.
TEST_F(RecoveryTest, ATornTailIsCutAtAnyByte) {
  std::vector<std::string> acked = Build(In("a"), 5, 1 << 20, false, In("killed"));
  const std::string file = Bytes(Segments(In("killed"))[0]);
  std::string tail = Written(OneBatch({"five"}), 5) + Written(OneBatch({"six"}), 6);
  const size_t first = OneBatch({"five"}).size();
  for (size_t cut = 0; cut <= tail.size(); ++cut) {
    CopyAsIfKilled(In("killed"), In("b"));
    Put(Segments(In("b"))[0], file + tail.substr(0, cut));
    std::vector<std::string> expected = acked;
    if (cut >= first) expected.push_back("five");
    if (cut == tail.size()) expected.push_back("six");
    auto log = OpenLog(In("b"));
    ASSERT_NE(log, nullptr) << cut;
    Partition& partition = log->FindTopic("t")->partition(0);
    ASSERT_EQ(ReadValues(partition), expected) << cut;
    ASSERT_EQ(AppendDurably(partition, OneBatch({"next"})).base_offset, static_cast<Offset>(expected.size()));
    ASSERT_TRUE(partition.Verify().ok());
  }
}

// Garbage of any kind behind the mark: zeros (reserved blocks), noise, a batch from elsewhere, a batch with a flipped bit before a good one.
TEST_F(RecoveryTest, GarbageBehindTheMarkIsCut) {
  std::vector<std::string> acked = Build(In("a"), 5, 1 << 20, false, In("killed"));
  const std::string file = Bytes(Segments(In("killed"))[0]);
  std::string flipped = Written(OneBatch({"five"}), 5);
  flipped[70] ^= 1;
  std::string noise(5000, '\0');
  std::mt19937 random(1);
  for (char& c : noise) c = static_cast<char>(random());
  for (const std::string& tail :
       {std::string(10'000, '\0'), noise, Written(OneBatch({"x"}), 4), Written(OneBatch({"x"}), 6), flipped + Written(OneBatch({"six"}), 6)}) {
    CopyAsIfKilled(In("killed"), In("b"));
    Put(Segments(In("b"))[0], file + tail);
    auto log = OpenLog(In("b"));
    ASSERT_NE(log, nullptr);
    EXPECT_EQ(ReadValues(log->FindTopic("t")->partition(0)), acked);
  }
}

// The file cut anywhere below the mark: refused, naming the file.
TEST_F(RecoveryTest, ACutBelowTheMarkIsRefused) {
  Build(In("a"), 5, 1 << 20, false, In("killed"));
  const std::string file = Bytes(Segments(In("killed"))[0]);
  for (size_t cut = 0; cut < file.size(); cut += cut + 1 < kSegmentHeaderBytes ? 509 : 1) {
    CopyAsIfKilled(In("killed"), In("b"));
    const std::string path = Segments(In("b"))[0];
    Put(path, file.substr(0, cut));
    Status status = OpenStatus(In("b"));
    ASSERT_FALSE(status.ok()) << cut;
    EXPECT_TRUE(status.error().Is(sqlstate::kDataCorrupted)) << status.ToString();
    EXPECT_NE(status.error().message().find(path), std::string::npos);
    EXPECT_EQ(Bytes(path).size(), cut) << "a refused file must stay as it was";
  }
}

// Each byte of the records below the mark, one bit flipped: refused, naming file and offset.
TEST_F(RecoveryTest, DamageBelowTheMarkIsRefused) {
  Build(In("a"), 3, 1 << 20, false, In("killed"));
  const std::string file = Bytes(Segments(In("killed"))[0]);
  for (size_t at = kSegmentHeaderBytes; at < file.size(); ++at) {
    CopyAsIfKilled(In("killed"), In("b"));
    std::string bad = file;
    bad[at] ^= static_cast<char>(1 << at % 8);
    Put(Segments(In("b"))[0], bad);
    Status status = OpenStatus(In("b"));
    ASSERT_FALSE(status.ok()) << at;
    EXPECT_TRUE(status.error().Is(sqlstate::kDataCorrupted));
    EXPECT_NE(status.error().detail().find("offset "), std::string::npos) << status.ToString();
    EXPECT_FALSE(status.error().hint().empty());
  }
}

// One random bit anywhere in any file of a log of several segments: an error at open or at read, or the same data.
TEST_F(RecoveryTest, NoBitFlipGivesWrongData) {
  std::vector<std::string> acked = Build(In("a"), 600, 16 << 10);
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(In("a"))) {
    if (entry.is_regular_file() && entry.file_size() > 0 && entry.path().filename() != "LOCK") files.push_back(entry.path().string());
  }
  ASSERT_GT(files.size(), 8u);
  std::sort(files.begin(), files.end());
  std::mt19937 random(4711);
  int refused = 0, unreadable = 0, same = 0;
  for (int i = 0; i < 400; ++i) {
    const std::string path = files[random() % files.size()];
    const std::string good = Bytes(path);
    std::string bad = good;
    size_t bit = random() % (good.size() * 8);
    bad[bit / 8] ^= static_cast<char>(1 << bit % 8);
    Put(path, bad);
    auto log = Log::Open(In("a"), {}, io::RealClock());
    if (!log.ok()) {
      ++refused;
      EXPECT_FALSE(log.error().message().empty());
    } else {
      Partition& partition = (*log)->FindTopic("t")->partition(0);
      ASSERT_EQ(partition.durable_end(), 600);
      Offset from = 0;
      bool failed = false;
      while (from < 600 && !failed) {
        ReadResult read = partition.Read(from, 4000);
        failed = read.error != KafkaError::kNone;
        std::string_view rest = read.bytes;
        while (!rest.empty()) {
          auto header = ParseBatchHeader(rest);
          std::vector<Record> records;
          std::string storage;
          ASSERT_TRUE(ParseRecords(*header, *RecordsSection(rest, 1 << 20, storage), records).ok());
          ASSERT_EQ(records.size(), 1u);
          ASSERT_EQ(records[0].offset, from);
          ASSERT_EQ(records[0].value, acked[static_cast<size_t>(from)]);
          ++from;
          rest.remove_prefix(header->total_bytes());
        }
      }
      failed ? ++unreadable : ++same;
      if (failed) { EXPECT_FALSE(partition.Verify().ok()); }
    }
    log = Error(sqlstate::kInternalError, "closed");
    Put(path, good);
    // Opening may have rewritten index and producer files for the good; the segments are as before.
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(unreadable, 0);
  EXPECT_GT(same, 0);
}

// Any segment file missing is refused; one that belongs elsewhere too.
TEST_F(RecoveryTest, MissingAndForeignSegmentsAreRefused) {
  Build(In("a"), 600, 16 << 10);
  const size_t count = Segments(In("a")).size();
  ASSERT_GT(count, 3u);
  for (size_t i = 0; i < count; ++i) {
    CopyAsIfKilled(In("a"), In("b"));
    ASSERT_TRUE(io::DurableUnlink(Segments(In("b"))[i]).ok());
    Status status = OpenStatus(In("b"));
    ASSERT_FALSE(status.ok()) << i;
    EXPECT_TRUE(status.error().Is(sqlstate::kDataCorrupted)) << status.ToString();
  }
  CopyAsIfKilled(In("a"), In("b"));
  auto segments = Segments(In("b"));
  std::string other = Bytes(segments[1]);
  Put(segments[2], other);
  EXPECT_TRUE(OpenStatus(In("b")).error().Is(sqlstate::kDataCorrupted));
  {
    auto log = OpenLog(In("c"));
    ASSERT_TRUE(log->CreateTopic("t", {.partitions = 2}).ok());
  }
  Put(In("c") + "/topics/t/0/" + SegmentFileName(0, ".seg"), Bytes(In("c") + "/topics/t/1/" + SegmentFileName(0, ".seg")));
  Status status = OpenStatus(In("c"));
  EXPECT_TRUE(status.error().Is(sqlstate::kDataCorrupted));
  EXPECT_NE(status.error().detail().find("partition 1"), std::string::npos) << status.ToString();
}

TEST_F(RecoveryTest, SegmentOfANewerVersionIsRefused) {
  Build(In("a"), 1, 1 << 20);
  std::string path = Segments(In("a"))[0];
  std::string bytes = Bytes(path);
  bytes[8] = 3;
  uint32_t crc = Crc32c(std::string_view(bytes).substr(0, offsetof(SegmentHeader, crc32c)));
  std::memcpy(bytes.data() + offsetof(SegmentHeader, crc32c), &crc, 4);
  Put(path, bytes);
  EXPECT_TRUE(OpenStatus(In("a")).error().Is(sqlstate::kFeatureNotSupported));
}

// The newer mark lost (torn by a power cut): the older one still finds all records.
TEST_F(RecoveryTest, OneMarkIsEnough) {
  std::vector<std::string> acked = Build(In("a"), 20, 1 << 20);
  for (size_t page : {1, 2}) {
    CopyAsIfKilled(In("a"), In("b"));
    std::string path = Segments(In("b"))[0];
    std::string bytes = Bytes(path);
    bytes.replace(page * kPageBytes, kPageBytes, kPageBytes, '\xee');
    Put(path, bytes);
    EXPECT_EQ(ReadValues(OpenLog(In("b"))->FindTopic("t")->partition(0)), acked);
  }
}

// The crash came between making a segment and sealing the one before: simulated by taking back the seal.
TEST_F(RecoveryTest, AnUnsealedPredecessorIsSealedAtOpen) {
  std::vector<std::string> acked = Build(In("a"), 300, 16 << 10);
  auto segments = Segments(In("a"));
  std::string path = segments[segments.size() - 2];
  std::string bytes = Bytes(path);
  auto start = DecodeSegmentStart(bytes, path, "t", 0);
  ASSERT_TRUE(start.ok());
  ASSERT_EQ(start->mark.sealed, 1u);
  size_t page = kPageBytes * (1 + start->mark.sequence % 2);
  bytes.replace(page, 64, 64, '\0');
  Put(path, bytes);
  for (int run = 0; run < 2; ++run) EXPECT_EQ(ReadValues(OpenLog(In("a"))->FindTopic("t")->partition(0)), acked);
  EXPECT_EQ(DecodeSegmentStart(Bytes(path), path, "t", 0)->mark.sealed, 1u);
  // The same, but its tail is gone: that was durable.
  bytes.resize(bytes.size() - 10);
  Put(path, bytes);
  EXPECT_TRUE(OpenStatus(In("a")).error().Is(sqlstate::kDataCorrupted));
  EXPECT_EQ(Bytes(path).size(), bytes.size());
}

// Two batches in one append, the disk full in the middle of the second: neither may be found after a crash, they were refused.
TEST_F(RecoveryTest, ARefusedAppendLeavesNothingOnDisk) {
  auto log = OpenLog(In("a"));
  Partition& partition = CreateOne(*log, "t");
  AppendDurably(partition, OneBatch({"kept"}));
  ASSERT_TRUE(io::SetFailpoints("append_write:1:enospc").ok());
  EXPECT_EQ(partition.Append(OneBatch({"refused"}) + OneBatch({"refused too"}), nullptr).error, KafkaError::kKafkaStorageError);
  ASSERT_TRUE(io::SetFailpoints("").ok());
  CopyAsIfKilled(In("a"), In("b"));
  EXPECT_EQ(ReadValues(OpenLog(In("b"))->FindTopic("t")->partition(0)), std::vector<std::string>{"kept"});
}

TEST_F(RecoveryTest, LeftoversAreRemoved) {
  std::vector<std::string> acked = Build(In("a"), 3, 1 << 20);
  Put(FolderOf(In("a")) + "/" + SegmentFileName(99, ".seg") + ".tmp", "half");
  ASSERT_TRUE(io::CreateFolders(In("a") + "/staging/7/0").ok());
  auto log = OpenLog(In("a"));
  EXPECT_EQ(ReadValues(log->FindTopic("t")->partition(0)), acked);
  EXPECT_EQ(Segments(In("a")).size(), 1u);
  EXPECT_FALSE(io::Exists(FolderOf(In("a")) + "/" + SegmentFileName(99, ".seg") + ".tmp"));
  EXPECT_FALSE(io::Exists(In("a") + "/staging/7"));
}

}  // namespace
}  // namespace kappa::log
