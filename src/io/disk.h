// Disk: the calls that io makes on files and folders, so that there can be another disk than the machine's own.
//
// Everything in io goes through the disk that DiskOf(path) gives. That is the real one, but for paths under the folder where a
// test has mounted its own (MountDisk): there whatever code opens a file is simulated, with nothing to hand down to it.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kappa::io {

/// POSIX in small. Calls return 0 or an errno, and never EINTR; what they give comes through the last parameter. Threads: any.
class Disk {
 public:
  enum class Kind { kMissing, kFile, kFolder, kOther };

  virtual ~Disk() = default;
  virtual int Open(const std::string& path, int flags, int& descriptor) = 0;
  virtual void Close(int descriptor) = 0;
  /// May read less than was asked before the end of the file; 0 bytes at it.
  virtual int Read(int descriptor, uint64_t position, char* into, size_t bytes, size_t& got) = 0;
  /// May write less than was asked.
  virtual int Write(int descriptor, uint64_t position, const iovec* pieces, int count, size_t& put) = 0;
  /// fdatasync.
  virtual int Sync(int descriptor) = 0;
  virtual int Truncate(int descriptor, uint64_t bytes) = 0;
  /// Reserves blocks without changing the size.
  virtual int Preallocate(int descriptor, uint64_t position, uint64_t bytes) = 0;
  virtual int Size(int descriptor, uint64_t& bytes) = 0;
  /// sendfile: to a socket, less than was asked when the socket takes no more (EAGAIN when it takes nothing), 0 bytes at the end of the file.
  virtual int SendTo(int socket, int descriptor, uint64_t position, size_t bytes, size_t& sent) = 0;
  /// Lets the memory go that keeps these bytes, as far as they are on the disk; a hint.
  virtual void DropFromCache(int descriptor, uint64_t position, uint64_t bytes) = 0;

  virtual int Rename(const std::string& from, const std::string& to) = 0;
  virtual int Unlink(const std::string& path) = 0;
  virtual int MakeFolder(const std::string& path) = 0;
  virtual int SyncFolder(const std::string& path) = 0;
  virtual int List(const std::string& folder, std::vector<std::string>& names) = 0;
  /// Removes a folder with all in it, following no symbolic links; what has been removed is not durable yet.
  virtual Status RemoveTree(const std::string& folder) = 0;
  /// Of the path itself; of what it points to when `follow`.
  virtual Kind KindOf(const std::string& path, bool follow) = 0;
  virtual int FreeBytes(const std::string& path, uint64_t& bytes) = 0;

  /// Locks an open file until it is closed, or gives EWOULDBLOCK.
  virtual int Lock(int descriptor) = 0;
  /// Of the process that uses the disk, to be written into lock files.
  virtual int ProcessId() const = 0;
  /// A promised sync has failed: ends the process with a message, or what is simulated of it. Does not return.
  virtual void EndProcess(const Status& failed) = 0;
};

/// The disk that serves `path`.
Disk& DiskOf(std::string_view path);
/// The mounted disk, else the real one.
Disk& DiskOfProcess();

/// Gives the paths that begin with `folder` to `disk` while this lives; one at a time, and before other threads use io.
class MountDisk {
 public:
  MountDisk(std::string folder, Disk& disk);
  ~MountDisk();
  MountDisk(const MountDisk&) = delete;
  MountDisk& operator=(const MountDisk&) = delete;
};

}  // namespace kappa::io
