// Processes that die or meet a failing disk: kill -9, named failpoints, a full disk, a failed fsync.
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <random>

#include "io/failpoint.h"
#include "log/log_testing.h"

namespace kappa::log {
namespace {

const TopicConfig kSmall{.segment_bytes = 16 << 10};

/// Appends numbered batches to topic "t" from a child process, which reports every acknowledged number through a pipe. Ends when the child
/// dies, or is killed after `kill_after` acknowledgements.
class Child {
 public:
  Child(const std::string& folder, const std::string& failpoints, int first, int kill_after) {
    int ends[2];
    KAPPA_CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    KAPPA_CHECK(pid >= 0);
    if (pid == 0) {
      close(ends[0]);
      Run(folder, failpoints, first, ends[1]);
    }
    close(ends[1]);
    int32_t number;
    while (read(ends[0], &number, sizeof number) == static_cast<ssize_t>(sizeof number)) {
      acked.push_back(number);
      if (static_cast<int>(acked.size()) == kill_after) kill(pid, SIGKILL);
    }
    close(ends[0]);
    waitpid(pid, &status, 0);
  }

  std::vector<int32_t> acked;
  int status = 0;

 private:
  static constexpr int kInFlightMax = 4;

  [[noreturn]] static void Run(const std::string& folder, const std::string& failpoints, int first, int report) {
    if (!io::SetFailpoints(failpoints).ok()) _exit(3);
    if (!freopen("/dev/null", "w", stderr)) _exit(3);
    auto log = Log::Open(folder, {}, io::RealClock());
    if (!log.ok()) _exit(4);
    auto topic = (*log)->FindTopic("t");
    if (topic == nullptr) {
      auto created = (*log)->CreateTopic("t", kSmall);
      if (!created.ok()) _exit(5);
      topic = *created;
    }
    std::mutex mutex;
    std::condition_variable answered;
    int in_flight = 0;
    for (int32_t number = first; number < first + 2000; ++number) {
      std::unique_lock lock(mutex);
      answered.wait(lock, [&] { return in_flight < kInFlightMax; });
      ++in_flight;
      lock.unlock();
      AppendResult result =
          topic->partition(0).Append(OneBatch({std::to_string(number), std::string(number % 7 * 100, 'x')}), [&, number](KafkaError error) {
            if (error == KafkaError::kNone && write(report, &number, sizeof number) != static_cast<ssize_t>(sizeof number)) _exit(6);
            std::lock_guard done(mutex);
            --in_flight;
            answered.notify_one();
          });
      if (result.error != KafkaError::kNone) _exit(7);
    }
    log->reset();
    _exit(0);
  }
};

/// Numbers of the records in topic "t"; each must be followed by its filler.
std::vector<int32_t> NumbersIn(const std::string& folder) {
  std::vector<int32_t> numbers;
  auto log = OpenLog(folder);
  if (log == nullptr) return numbers;
  auto topic = log->FindTopic("t");
  if (topic == nullptr) return numbers;
  std::vector<std::string> values = ReadValues(topic->partition(0));
  EXPECT_EQ(values.size() % 2, 0u);
  for (size_t i = 0; i + 1 < values.size(); i += 2) {
    numbers.push_back(std::stoi(values[i]));
    EXPECT_EQ(values[i + 1], std::string(static_cast<size_t>(numbers.back() % 7 * 100), 'x'));
  }
  EXPECT_TRUE(topic->partition(0).Verify().ok());
  return numbers;
}

/// Every acknowledged number is there, once, in order.
void ExpectContains(const std::vector<int32_t>& present, const std::vector<int32_t>& acked) {
  ASSERT_TRUE(std::is_sorted(present.begin(), present.end()));
  ASSERT_EQ(std::adjacent_find(present.begin(), present.end()), present.end());
  ASSERT_TRUE(std::includes(present.begin(), present.end(), acked.begin(), acked.end()));
}

TEST(CrashTest, KilledProcessLosesNoAcknowledgedRecord) {
  ScratchFolder folder(ScratchFolder::kDisk);
  std::mt19937 random(5);
  std::vector<int32_t> acked;
  for (int run = 0; run < 6; ++run) {
    Child child(folder.path(), "", run * 10'000, static_cast<int>(1 + random() % 100));
    EXPECT_TRUE(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGKILL);
    acked.insert(acked.end(), child.acked.begin(), child.acked.end());
    ExpectContains(NumbersIn(folder.path()), acked);
  }
}

// The process dies at every named place, at several passings, in the middle of appends, rolls, topic creation and recovery.
TEST(CrashTest, DyingAtAnyFailpointLosesNoAcknowledgedRecord) {
  for (const char* point : {"create", "write", "append_write", "sync", "file_sync", "rename", "dir_sync", "unlink"}) {
    for (int nth : {1, 2, 3, 5, 8, 13, 21, 34}) {
      ScratchFolder folder;
      Child child(folder.path(), std::string(point) + ":" + std::to_string(nth) + ":abort", 0, 500);
      ExpectContains(NumbersIn(folder.path()), child.acked);
      // Once more on what the crash left, so that it strikes during recovery too.
      Child second(folder.path(), std::string(point) + ":" + std::to_string(nth / 2 + 1) + ":abort", 10'000, 50);
      child.acked.insert(child.acked.end(), second.acked.begin(), second.acked.end());
      ExpectContains(NumbersIn(folder.path()), child.acked);
    }
  }
}

TEST(CrashTest, FailedSyncEndsTheProcessAndAcknowledgesNothingMore) {
  for (int nth : {1, 2, 7, 11, 30}) {
    ScratchFolder folder;
    { CreateOne(*OpenLog(folder.path()), "t", kSmall); }
    Child child(folder.path(), "sync:" + std::to_string(nth) + ":error", 0, 2000);
    EXPECT_TRUE(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT) << nth;
    ExpectContains(NumbersIn(folder.path()), child.acked);
  }
}

// While the disk is full appends are refused and leave nothing; reads go on; when space returns so do appends.
TEST(CrashTest, AFullDiskRefusesAppendsUntilSpaceReturns) {
  ScratchFolder folder;
  {
    auto log = OpenLog(folder.path());
    Partition& partition = CreateOne(*log, "t", kSmall);
    auto fill = [&](int from, int count) {
      for (int i = from; i < from + count; ++i) {
        ASSERT_EQ(AppendDurably(partition, OneBatch({std::to_string(i), std::string(i % 7 * 100, 'x')})).error, KafkaError::kNone);
      }
    };
    fill(0, 20);
    const Offset end = partition.end_offset();
    ASSERT_TRUE(io::SetFailpoints("append_write:1+:enospc,create:1+:enospc").ok());
    for (int i = 0; i < 3; ++i) {
      AppendResult result = partition.Append(OneBatch({"refused"}), [](KafkaError) { FAIL() << "must not be answered twice"; });
      EXPECT_EQ(result.error, KafkaError::kKafkaStorageError);
      EXPECT_EQ(result.message, "no space left on device");
    }
    EXPECT_EQ(partition.end_offset(), end);
    EXPECT_EQ(static_cast<Offset>(ReadValues(partition).size()), end);
    ASSERT_TRUE(io::SetFailpoints("").ok());
    fill(20, 60);
    // Now at the moment of a roll.
    ASSERT_TRUE(io::SetFailpoints("create:1+:enospc").ok());
    int refused = 0;
    for (int i = 80; refused == 0 && i < 200; ++i) {
      refused += AppendDurably(partition, OneBatch({std::to_string(i), std::string(i % 7 * 100, 'x')})).error != KafkaError::kNone;
    }
    EXPECT_EQ(refused, 1);
    ASSERT_TRUE(io::SetFailpoints("").ok());
    fill(200, 60);
  }
  ExpectContains(NumbersIn(folder.path()), {0, 19, 20, 79, 80, 200, 259});
}

// The same with a real limit: the largest file that the process may write.
TEST(CrashTest, AFileSizeLimitRefusesAppends) {
  ScratchFolder folder;
  auto log = OpenLog(folder.path());
  Partition& partition = CreateOne(*log, "t");
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit low{100'000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  std::string batch = OneBatch({std::string(9000, 'x')});
  int stored = 0;
  AppendResult result;
  while ((result = AppendDurably(partition, batch)).error == KafkaError::kNone && stored < 100) ++stored;
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(result.error, KafkaError::kKafkaStorageError);
  EXPECT_EQ(result.message, "no space left on device");
  EXPECT_GT(stored, 5);
  EXPECT_LT(stored, 100);
  EXPECT_EQ(AppendDurably(partition, batch).base_offset, stored);
  EXPECT_TRUE(partition.Verify().ok());
}

// And on a file system that is really full.
TEST(CrashTest, AFullFileSystemRefusesAppends) {
  ScratchFolder folder;
  std::string mounted = folder.path() + "/small";
  ASSERT_TRUE(io::CreateFolders(mounted).ok());
  if (mount("tmpfs", mounted.c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "may not mount a small tmpfs";
  {
    auto log = OpenLog(mounted);
    Partition& partition = CreateOne(*log, "t", {.segment_bytes = 100'000});
    std::string batch = OneBatch({std::string(9000, 'x')});
    int stored = 0;
    while (AppendDurably(partition, batch).error == KafkaError::kNone && stored < 1000) ++stored;
    EXPECT_GT(stored, 20);
    EXPECT_LT(stored, 1000);
    EXPECT_EQ(static_cast<int>(ReadValues(partition).size()), stored);
    ASSERT_TRUE(partition.DeleteBefore(stored / 2).ok());  // room again
    EXPECT_EQ(AppendDurably(partition, batch).base_offset, stored);
    EXPECT_TRUE(partition.Verify().ok());
  }
  {
    auto log = OpenLog(mounted);
    EXPECT_TRUE(log->FindTopic("t")->partition(0).Verify().ok());
  }
  umount(mounted.c_str());
}

// A log on a disk without a single free block can still be opened and read.
TEST(CrashTest, AFullFileSystemCanBeOpened) {
  ScratchFolder folder;
  Child child(folder.path(), "", 0, 50);
  ASSERT_TRUE(io::SetFailpoints("create:1+:enospc,append_write:1+:enospc").ok());
  {
    auto log = OpenLog(folder.path());
    ASSERT_NE(log, nullptr);
    EXPECT_GE(ReadValues(log->FindTopic("t")->partition(0)).size(), 100u);
  }
  ASSERT_TRUE(io::SetFailpoints("").ok());
  ExpectContains(NumbersIn(folder.path()), child.acked);
}

}  // namespace
}  // namespace kappa::log
