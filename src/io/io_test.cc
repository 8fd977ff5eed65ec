// Files, folders, lock, failpoints.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "io/failpoint.h"
#include "io/file.h"
#include "io/folder.h"
#include "io/folder_lock.h"

namespace kappa::io {
namespace {

class IoTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_.data()), nullptr); }
  void TearDown() override {
    EXPECT_TRUE(SetFailpoints("").ok());
    EXPECT_TRUE(RemoveTree(folder_).ok());
    EXPECT_FALSE(Exists(folder_));
  }
  std::string In(const std::string& name) const { return folder_ + "/" + name; }

  std::string folder_ = "/tmp/kappa_io_test_XXXXXX";
};

TEST_F(IoTest, FilesAreWrittenAndReadAtPositions) {
  auto file = File::Open(In("f"), File::Mode::kCreate);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->WriteAt(0, "hello").ok());
  std::string a = "AB", b = "CDE";
  iovec pieces[] = {{a.data(), a.size()}, {nullptr, 0}, {b.data(), b.size()}};
  ASSERT_TRUE(file->WriteAt(3, pieces).ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(*ReadWholeFile(In("f")), "helABCDE");
  char bytes[10];
  EXPECT_EQ(*file->ReadAt(6, bytes, 10), 2u);
  EXPECT_TRUE(file->ReadExactlyAt(6, bytes, 3).error().Is(sqlstate::kDataCorrupted));
  ASSERT_TRUE(file->Truncate(2).ok());
  EXPECT_EQ(*file->Size(), 2u);
  file->Preallocate(2, 1 << 20);
  EXPECT_EQ(*file->Size(), 2u);
}

TEST_F(IoTest, ErrorsNameTheFileAndCarryAState) {
  EXPECT_TRUE(File::Open(In("none"), File::Mode::kRead).error().Is(sqlstate::kUndefinedFile));
  EXPECT_EQ(File::Open("/none/x", File::Mode::kRead).error().message(), "could not open file \"/none/x\": No such file or directory");
  ASSERT_TRUE(WriteFileAtomically(In("f"), "x").ok());
  EXPECT_TRUE(File::Open(In("f"), File::Mode::kCreate).error().Is(sqlstate::kIoError));
  EXPECT_TRUE(FileError("write file", "f", ENOSPC).Is(sqlstate::kDiskFull));
  EXPECT_TRUE(ReadWholeFile(In("f"), 0).error().Is(sqlstate::kProgramLimitExceeded));
}

TEST_F(IoTest, AtomicWriteLeavesOldOrNew) {
  ASSERT_TRUE(WriteFileAtomically(In("f"), "old").ok());
  for (const char* point : {"create:1:enospc", "write:1:enospc", "file_sync:1:error", "rename:1:error"}) {
    ASSERT_TRUE(SetFailpoints(point).ok());
    EXPECT_FALSE(WriteFileAtomically(In("f"), "new").ok()) << point;
    EXPECT_EQ(*ReadWholeFile(In("f")), "old") << point;
  }
  ASSERT_TRUE(SetFailpoints("").ok());
  ASSERT_TRUE(WriteFileAtomically(In("f"), "new").ok());
  EXPECT_EQ(*ReadWholeFile(In("f")), "new");
  EXPECT_EQ(ListFolder(folder_)->size(), 1u);
}

TEST_F(IoTest, FoldersAreMadeListedAndRemoved) {
  ASSERT_TRUE(CreateFolders(In("a/b/c")).ok());
  ASSERT_TRUE(CreateFolders(In("a/b/c")).ok());
  ASSERT_TRUE(DurableCreate(In("a/b/f"), "x").ok());
  EXPECT_FALSE(CreateFolders(In("a/b/f")).ok());
  EXPECT_EQ(*ListFolder(In("a/b")), (std::vector<std::string>{"c", "f"}));
  ASSERT_TRUE(DurableRename(In("a/b/f"), In("a/g")).ok());
  ASSERT_TRUE(DurableUnlink(In("a/g")).ok());
  ASSERT_TRUE(DurableUnlink(In("a/g")).ok());
  ASSERT_EQ(symlink("/tmp", In("a/link").c_str()), 0);
  ASSERT_TRUE(RemoveTree(In("a")).ok());  // the link goes, not what it points to
  EXPECT_TRUE(Exists("/tmp"));
  EXPECT_TRUE(RemoveTree(In("a")).ok());
  EXPECT_GT(*FreeBytes(folder_), 0u);
}

TEST_F(IoTest, LockNamesItsHolder) {
  auto lock = FolderLock::Take(folder_);
  ASSERT_TRUE(lock.ok());
  auto second = FolderLock::Take(folder_);
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(second.error().Is(sqlstate::kObjectInUse));
  EXPECT_EQ(second.error().message(), "data folder \"" + folder_ + "\" is in use by process " + std::to_string(getpid()));
  lock->reset();
  EXPECT_TRUE(FolderLock::Take(folder_).ok());
}

TEST_F(IoTest, FailpointsCountPassings) {
  ASSERT_TRUE(SetFailpoints("a:2:error,b:3+:enospc").ok());
  EXPECT_EQ(Failpoint("a"), 0);
  EXPECT_EQ(Failpoint("a"), EIO);
  EXPECT_EQ(Failpoint("a"), 0);
  EXPECT_EQ(Failpoint("b"), 0);
  EXPECT_EQ(Failpoint("b"), 0);
  EXPECT_EQ(Failpoint("b"), ENOSPC);
  EXPECT_EQ(Failpoint("b"), ENOSPC);
  EXPECT_EQ(Failpoint("other"), 0);
  for (const char* bad : {"a", "a:1", "a:0:error", "a:x:error", "a:1:explode", "a:1:", ":1:error"}) {
    EXPECT_TRUE(SetFailpoints(bad).error().Is(sqlstate::kInvalidParameterValue)) << bad;
  }
  ASSERT_TRUE(SetFailpoints("").ok());
  EXPECT_EQ(Failpoint("b"), 0);
}

// A skipped sync claims success, so that tests of power cuts can be shown to notice; nothing else may be skipped.
TEST_F(IoTest, SkippedSyncsClaimSuccess) {
  ASSERT_TRUE(SetFailpoints("sync:1+:skip,dir_sync:1+:skip,write:2:skip,sync:1:delay").ok());
  auto file = DurableCreate(In("f"), "x");
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_FALSE(file->WriteAt(0, "y").ok());
  ASSERT_TRUE(SetFailpoints("").ok());
}

TEST_F(IoTest, FailedSyncEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(AbortOnSyncFailure(FileError("fsync file", "x.seg", EIO)), "PANIC: could not fsync file \"x.seg\": Input/output error");
  AbortOnSyncFailure(Status());
}

}  // namespace
}  // namespace kappa::io
