// A disk's calls behind File, with short transfers and failpoints handled.
#include "io/file.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/disk.h"
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
  int flags = mode == Mode::kRead ? O_RDONLY : O_RDWR;
  if (mode == Mode::kCreate) {
    flags |= O_CREAT | O_EXCL;
    if (int error = Failpoint("create")) return FileError("create file", path, error);
  } else if (int error = Failpoint("open")) {
    return FileError("open file", path, error);
  }
  Disk& disk = DiskOf(path);
  int fd;
  if (int error = disk.Open(path, flags, fd)) return FileError(mode == Mode::kCreate ? "create file" : "open file", path, error);
  return File(disk, fd, std::move(path));
}

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    Close();
    disk_ = other.disk_;
    fd_ = std::exchange(other.fd_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}

void File::Close() {
  if (fd_ >= 0) disk_->Close(std::exchange(fd_, -1));
}

Result<size_t> File::ReadAt(uint64_t position, char* into, size_t bytes) const {
  if (int error = Failpoint("read")) return FileError("read file", path_, error);
  size_t done = 0;
  while (done < bytes) {
    size_t got;
    if (int error = disk_->Read(fd_, position + done, into + done, bytes - done, got)) return FileError("read file", path_, error);
    if (got == 0) break;
    done += got;
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
      size_t put;
      [[maybe_unused]] int part = disk_->Write(fd_, position, pieces.data(), static_cast<int>(count), put);
    }
    return FileError("write file", path_, error);
  }
  while (!pieces.empty()) {
    size_t put;
    const int count = static_cast<int>(std::min(pieces.size(), kPiecesMax));
    if (int error = disk_->Write(fd_, position, pieces.data(), count, put)) return FileError("write file", path_, error);
    size_t left = put;
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
  if (int error = disk_->Sync(fd_)) return FileError("fsync file", path_, error);
  return {};
}

Status File::Truncate(uint64_t bytes) {
  if (int error = Failpoint("truncate")) return FileError("truncate file", path_, error);
  if (int error = disk_->Truncate(fd_, bytes)) return FileError("truncate file", path_, error);
  return {};
}

bool File::Preallocate(uint64_t position, uint64_t bytes) { return disk_->Preallocate(fd_, position, bytes) == 0; }

Result<uint64_t> File::Size() const {
  if (int error = Failpoint("size")) return FileError("stat file", path_, error);
  uint64_t bytes;
  if (int error = disk_->Size(fd_, bytes)) return FileError("stat file", path_, error);
  return bytes;
}

int File::SendTo(int socket, uint64_t position, size_t bytes, size_t& sent) const {
  if (int error = Failpoint("read")) return error;
  return disk_->SendTo(socket, fd_, position, bytes, sent);
}

void File::DropFromCache(uint64_t position, uint64_t bytes) const { disk_->DropFromCache(fd_, position, bytes); }

void AbortOnSyncFailure(const Status& status) {
  if (status.ok() || Without("sync_failure_ends")) return;
  DiskOfProcess().EndProcess(status);
}

}  // namespace kappa::io
