// Files: the only way in which kappa's own files are read and written. Every error names the file and maps errno to a
// SQLSTATE: no space -> disk_full, missing -> undefined_file, no descriptors -> insufficient_resources, else io_error.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace kappa::io {

class Disk;

/// `could not write file "x": No space left on device`, with the SQLSTATE that fits `error_number`.
Error FileError(std::string_view what, const std::string& path, int error_number);

/// An open file. Reads and writes name their position, so one File may be used by many threads.
class File {
 public:
  enum class Mode { kRead, kReadWrite, kCreate };  // kCreate: read and write, must not exist yet

  static Result<File> Open(std::string path, Mode mode);
  File() = default;
  File(File&& other) noexcept : disk_(other.disk_), fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
  File& operator=(File&& other) noexcept;
  ~File() { Close(); }

  bool is_open() const { return fd_ >= 0; }
  const std::string& path() const { return path_; }
  /// Bytes read: fewer than asked only at the end of the file.
  Result<size_t> ReadAt(uint64_t position, char* into, size_t bytes) const;
  /// Fails with data_corrupted when the file ends before `bytes` were read.
  Status ReadExactlyAt(uint64_t position, char* into, size_t bytes) const;
  Status WriteAt(uint64_t position, std::string_view bytes);
  /// Writes the pieces one behind the other; they are consumed (changed). After an error a part may have been written.
  Status WriteAt(uint64_t position, std::span<iovec> pieces, std::string_view failpoint = "write");
  /// fdatasync. After a failure the unsynced contents are unknown: never retry, see AbortOnSyncFailure.
  Status Sync(std::string_view failpoint = "sync");
  Status Truncate(uint64_t bytes);
  /// Reserves disk blocks for [position, position + bytes) without changing the size. A hint: false when it could not.
  bool Preallocate(uint64_t position, uint64_t bytes);
  Result<uint64_t> Size() const;
  /// Gives the bytes to a socket without copying them: 0, or an errno, EAGAIN when a socket that does not block takes nothing now. `sent` may be
  /// less than was asked, and is 0 at the end of the file.
  int SendTo(int socket, uint64_t position, size_t bytes, size_t& sent) const;
  /// Lets the page cache forget [position, position + bytes), as far as it was synced. A hint.
  void DropFromCache(uint64_t position, uint64_t bytes) const;
  void Close();

 private:
  File(Disk& disk, int fd, std::string path) : disk_(&disk), fd_(fd), path_(std::move(path)) {}
  Disk* disk_ = nullptr;
  int fd_ = -1;
  std::string path_;
};

/// For files whose durability was promised: ends the process with a message when a sync failed. The kernel may have thrown
/// the dirty pages away, so a second fsync that succeeds would prove nothing; only a restart that re-reads the disk is safe.
void AbortOnSyncFailure(const Status& status);

}  // namespace kappa::io
