// One process per data folder: flock on DIR/LOCK, which also names the process that holds it.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"

namespace kappa::io {

class Disk;

/// Held from Take until destruction; the kernel releases it when the process dies, however it dies.
class FolderLock {
 public:
  /// Fails with object_in_use, naming the folder and the pid of the holder. The folder must exist.
  static Result<std::unique_ptr<FolderLock>> Take(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  FolderLock(Disk& disk, int fd) : disk_(disk), fd_(fd) {}
  Disk& disk_;
  const int fd_;
};

}  // namespace kappa::io
