// The machine's own disk, and where another is mounted.
#include "io/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/check.h"
#include "io/file.h"

namespace kappa::io {
namespace {

/// The errno of a call that gives -1 when it failed; repeated while a signal interrupts it.
template <typename Call> int ErrnoOf(Call call) {
  while (call() < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

Status RemoveContents(int folder_fd, const std::string& folder);

Status RemoveEntry(int folder_fd, const std::string& folder, const char* name) {
  struct stat info;
  if (::fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? Status() : FileError("stat", folder, errno);
  if (!S_ISDIR(info.st_mode)) {
    if (::unlinkat(folder_fd, name, 0) != 0 && errno != ENOENT) return FileError("remove file", folder + "/" + name, errno);
    return {};
  }
  int fd = ::openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return FileError("open folder", folder + "/" + name, errno);
  KAPPA_RETURN_IF_ERROR(RemoveContents(fd, folder + "/" + name));
  if (::unlinkat(folder_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT) return FileError("remove folder", folder + "/" + name, errno);
  return {};
}

/// Takes over `folder_fd`.
Status RemoveContents(int folder_fd, const std::string& folder) {
  std::unique_ptr<DIR, CloseDir> dir(::fdopendir(folder_fd));
  if (dir == nullptr) {
    ::close(folder_fd);
    return FileError("open folder", folder, errno);
  }
  while (dirent* entry = ::readdir(dir.get())) {
    std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    KAPPA_RETURN_IF_ERROR(RemoveEntry(::dirfd(dir.get()), folder, entry->d_name));
  }
  return {};
}

class RealDisk final : public Disk {
 public:
  int Open(const std::string& path, int flags, int& descriptor) override {
    return ErrnoOf([&] { return descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0640); });
  }
  void Close(int descriptor) override { ::close(descriptor); }
  int Read(int descriptor, uint64_t position, char* into, size_t bytes, size_t& got) override {
    return ErrnoOf([&] {
      ssize_t read = ::pread(descriptor, into, bytes, static_cast<off_t>(position));
      got = read < 0 ? 0 : static_cast<size_t>(read);
      return read;
    });
  }
  int Write(int descriptor, uint64_t position, const iovec* pieces, int count, size_t& put) override {
    return ErrnoOf([&] {
      ssize_t written = ::pwritev(descriptor, pieces, count, static_cast<off_t>(position));
      put = written < 0 ? 0 : static_cast<size_t>(written);
      return written;
    });
  }
  // Not repeated: after a failure, of whatever kind, the kernel may believe the pages to be clean.
  int Sync(int descriptor) override { return ::fdatasync(descriptor) == 0 ? 0 : errno; }
  int Truncate(int descriptor, uint64_t bytes) override {
    return ErrnoOf([&] { return ::ftruncate(descriptor, static_cast<off_t>(bytes)); });
  }
  int Preallocate(int descriptor, uint64_t position, uint64_t bytes) override {
    return ::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(position), static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  }
  int Size(int descriptor, uint64_t& bytes) override {
    struct stat info;
    if (::fstat(descriptor, &info) != 0) return errno;
    bytes = static_cast<uint64_t>(info.st_size);
    return 0;
  }

  int SendTo(int socket, int descriptor, uint64_t position, size_t bytes, size_t& sent) override {
    return ErrnoOf([&] {
      auto at = static_cast<off_t>(position);
      const ssize_t taken = ::sendfile(socket, descriptor, &at, bytes);
      sent = taken < 0 ? 0 : static_cast<size_t>(taken);
      return taken;
    });
  }
  void DropFromCache(int descriptor, uint64_t position, uint64_t bytes) override {
    ::posix_fadvise(descriptor, static_cast<off_t>(position), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
  }

  int Rename(const std::string& from, const std::string& to) override { return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno; }
  int Unlink(const std::string& path) override { return ::unlink(path.c_str()) == 0 ? 0 : errno; }
  int MakeFolder(const std::string& path) override { return ::mkdir(path.c_str(), 0750) == 0 ? 0 : errno; }
  int SyncFolder(const std::string& path) override {
    int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    return error;
  }
  int List(const std::string& folder, std::vector<std::string>& names) override {
    std::unique_ptr<DIR, CloseDir> dir(::opendir(folder.c_str()));
    if (dir == nullptr) return errno;
    errno = 0;
    while (dirent* entry = ::readdir(dir.get())) {
      std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    return errno;
  }
  Status RemoveTree(const std::string& folder) override {
    int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return FileError("open folder", folder, errno);
    KAPPA_RETURN_IF_ERROR(RemoveContents(fd, folder));
    if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) return FileError("remove folder", folder, errno);
    return {};
  }
  Kind KindOf(const std::string& path, bool follow) override {
    struct stat info;
    if ((follow ? ::stat : ::lstat)(path.c_str(), &info) != 0) return Kind::kMissing;
    return S_ISDIR(info.st_mode) ? Kind::kFolder : S_ISREG(info.st_mode) ? Kind::kFile : Kind::kOther;
  }
  int FreeBytes(const std::string& path, uint64_t& bytes) override {
    struct statvfs info;
    if (::statvfs(path.c_str(), &info) != 0) return errno;
    bytes = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
    return 0;
  }

  int Lock(int descriptor) override {
    return ErrnoOf([&] { return ::flock(descriptor, LOCK_EX | LOCK_NB); });
  }
  int ProcessId() const override { return ::getpid(); }
  void EndProcess(const Status& failed) override {
    std::fprintf(stderr,
                 "kappa: PANIC: %s\n"
                 "kappa: what was written since the last sync may be lost; ending now, nothing more is acknowledged. "
                 "Check the disk, then start again: everything acknowledged before is kept.\n",
                 failed.ToString().c_str());
    std::fflush(stderr);
    std::abort();
  }
};

std::string mounted_folder;
Disk* mounted_disk = nullptr;

Disk& Real() {
  static RealDisk real;
  return real;
}

}  // namespace

Disk& DiskOf(std::string_view path) {
  if (mounted_disk != nullptr && path.starts_with(mounted_folder)) [[unlikely]]
    return *mounted_disk;
  return Real();
}

Disk& DiskOfProcess() { return mounted_disk != nullptr ? *mounted_disk : Real(); }

MountDisk::MountDisk(std::string folder, Disk& disk) {
  KAPPA_CHECK(mounted_disk == nullptr && !folder.empty());
  mounted_folder = std::move(folder);
  mounted_disk = &disk;
}

MountDisk::~MountDisk() { mounted_disk = nullptr; }

}  // namespace kappa::io
