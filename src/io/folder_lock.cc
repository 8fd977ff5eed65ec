// flock(2) with the holder's pid in the file.
#include "io/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "io/file.h"

namespace kappa::io {
namespace {

/// The pid written in the lock file, as text; empty when it holds none.
std::string HolderOf(int fd) {
  char text[24];
  ssize_t got = ::pread(fd, text, sizeof text, 0);
  std::string pid;
  for (ssize_t at = 0; at < got && text[at] >= '0' && text[at] <= '9'; ++at) pid.push_back(text[at]);
  return pid;
}

}  // namespace

Result<std::unique_ptr<FolderLock>> FolderLock::Take(const std::string& folder) {
  std::string path = folder + "/LOCK";
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return FileError("open lock file", path, errno);
  std::unique_ptr<FolderLock> lock(new FolderLock(fd));
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return FileError("lock file", path, errno);
    std::string pid = HolderOf(fd);
    return Error(sqlstate::kObjectInUse, "data folder \"" + folder + "\" is in use" + (pid.empty() ? "" : " by process " + pid))
        .Hint("Stop that process, or choose another data folder.");
  }
  std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    if (errno != ENOSPC && errno != EDQUOT) return FileError("write lock file", path, errno);  // a full disk must not prevent a start
  }
  return lock;
}

FolderLock::~FolderLock() { ::close(fd_); }

}  // namespace kappa::io
