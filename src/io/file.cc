// POSIX calls behind File, with EINTR, short transfers and failpoints handled.
#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "io/failpoint.h"

namespace kappa::io {
namespace {

constexpr size_t kPiecesMax = 1024;  // IOV_MAX on Linux

const char* StateOf(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return sqlstate::kDiskFull;
    case ENOENT: return sqlstate::kUndefinedFile;
    case EMFILE:
    case ENFILE: return sqlstate::kInsufficientResources;
    default: return sqlstate::kIoError;
  }
}

}  // namespace

Error FileError(std::string_view what, const std::string& path, int error_number) {
  char text[128];
  std::string message = "could not " + std::string(what) + " \"" + path + "\": " + strerror_r(error_number, text, sizeof text);
  return Error(StateOf(error_number), std::move(message));
}

Result<File> File::Open(std::string path, Mode mode) {
  int flags = O_CLOEXEC | (mode == Mode::kRead ? O_RDONLY : O_RDWR);
  if (mode == Mode::kCreate) {
    flags |= O_CREAT | O_EXCL;
    if (int error = Failpoint("create")) return FileError("create file", path, error);
  } else if (int error = Failpoint("open")) {
    return FileError("open file", path, error);
  }
  int fd;
  do fd = ::open(path.c_str(), flags, 0640);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) return FileError(mode == Mode::kCreate ? "create file" : "open file", path, errno);
  return File(fd, std::move(path));
}

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}

void File::Close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<size_t> File::ReadAt(uint64_t position, char* into, size_t bytes) const {
  if (int error = Failpoint("read")) return FileError("read file", path_, error);
  size_t done = 0;
  while (done < bytes) {
    ssize_t got = ::pread(fd_, into + done, bytes - done, static_cast<off_t>(position + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read file", path_, errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

Status File::ReadExactlyAt(uint64_t position, char* into, size_t bytes) const {
  KAPPA_ASSIGN_OR_RETURN(size_t got, ReadAt(position, into, bytes));
  if (got == bytes) return {};
  return Error(sqlstate::kDataCorrupted, "file \"" + path_ + "\" ends too early")
      .Detail("Wanted " + std::to_string(bytes) + " bytes at position " + std::to_string(position) + ", got " + std::to_string(got) + ".");
}

Status File::WriteAt(uint64_t position, std::string_view bytes) {
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  return WriteAt(position, {&piece, 1});
}

Status File::WriteAt(uint64_t position, std::span<iovec> pieces, std::string_view failpoint) {
  if (int error = Failpoint(failpoint)) {
    // A disk that fills up takes a part first; so does this fault.
    if (error == ENOSPC && !pieces.empty()) {
      size_t count = std::min(kPiecesMax, std::max<size_t>(1, pieces.size() - 1));
      [[maybe_unused]] ssize_t part = ::pwritev(fd_, pieces.data(), static_cast<int>(count), static_cast<off_t>(position));
    }
    return FileError("write file", path_, error);
  }
  while (!pieces.empty()) {
    ssize_t put = ::pwritev(fd_, pieces.data(), static_cast<int>(std::min(pieces.size(), kPiecesMax)), static_cast<off_t>(position));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return FileError("write file", path_, errno);
    auto left = static_cast<size_t>(put);
    position += left;
    while (!pieces.empty() && left >= pieces[0].iov_len) {
      left -= pieces[0].iov_len;
      pieces = pieces.subspan(1);
    }
    if (pieces.empty()) break;
    if (put == 0) return FileError("write file", path_, ENOSPC);
    pieces[0].iov_base = static_cast<char*>(pieces[0].iov_base) + left;
    pieces[0].iov_len -= left;
  }
  return {};
}

Status File::Sync(std::string_view failpoint) {
  if (int error = Failpoint(failpoint)) return error == kFailpointSkip ? Status() : FileError("fsync file", path_, error);
  if (::fdatasync(fd_) != 0) return FileError("fsync file", path_, errno);
  return {};
}

Status File::Truncate(uint64_t bytes) {
  if (int error = Failpoint("truncate")) return FileError("truncate file", path_, error);
  while (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) {
    if (errno != EINTR) return FileError("truncate file", path_, errno);
  }
  return {};
}

bool File::Preallocate(uint64_t position, uint64_t bytes) {
  return ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(position), static_cast<off_t>(bytes)) == 0;
}

Result<uint64_t> File::Size() const {
  if (int error = Failpoint("size")) return FileError("stat file", path_, error);
  struct stat info;
  if (::fstat(fd_, &info) != 0) return FileError("stat file", path_, errno);
  return static_cast<uint64_t>(info.st_size);
}

void AbortOnSyncFailure(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr,
               "kappa: PANIC: %s\n"
               "kappa: what was written since the last sync may be lost; ending now, nothing more is acknowledged. "
               "Check the disk, then start again: everything acknowledged before is kept.\n",
               status.ToString().c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace kappa::io
