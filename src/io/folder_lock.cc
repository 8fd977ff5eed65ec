// flock(2) with the holder's pid in the file.
#include "io/folder_lock.h"

#include <fcntl.h>

#include <cerrno>

#include "io/disk.h"
#include "io/file.h"

namespace kappa::io {
namespace {

/// The pid written in the lock file, as text; empty when it holds none.
std::string HolderOf(Disk& disk, int fd) {
  char text[24];
  size_t got = 0;
  std::string pid;
  if (disk.Read(fd, 0, text, sizeof text, got) != 0) return pid;
  for (size_t at = 0; at < got && text[at] >= '0' && text[at] <= '9'; ++at) pid.push_back(text[at]);
  return pid;
}

}  // namespace

Result<std::unique_ptr<FolderLock>> FolderLock::Take(const std::string& folder) {
  std::string path = folder + "/LOCK";
  Disk& disk = DiskOf(path);
  int fd;
  if (int error = disk.Open(path, O_RDWR | O_CREAT, fd)) return FileError("open lock file", path, error);
  std::unique_ptr<FolderLock> lock(new FolderLock(disk, fd));
  if (int error = disk.Lock(fd)) {
    if (error != EWOULDBLOCK) return FileError("lock file", path, error);
    std::string pid = HolderOf(disk, fd);
    return Error(sqlstate::kObjectInUse, "data folder \"" + folder + "\" is in use" + (pid.empty() ? "" : " by process " + pid))
        .Hint("Stop that process, or choose another data folder.");
  }
  std::string pid = std::to_string(disk.ProcessId()) + "\n";
  iovec piece{pid.data(), pid.size()};
  size_t put = 0;
  int error = disk.Truncate(fd, 0);
  if (error == 0) error = disk.Write(fd, 0, &piece, 1, put);
  if (error != 0 && error != ENOSPC && error != EDQUOT) return FileError("write lock file", path, error);  // a full disk must not prevent a start
  return lock;
}

FolderLock::~FolderLock() { disk_.Close(fd_); }

}  // namespace kappa::io
