// Durable folder operations.
#include "io/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "io/failpoint.h"

namespace kappa::io {
namespace {

std::string ParentOf(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return std::string(slash == 0 ? "/" : path.substr(0, slash));
}

Result<File> CreateWith(const std::string& path, std::string_view contents, bool sync) {
  KAPPA_ASSIGN_OR_RETURN(File file, File::Open(path, File::Mode::kCreate));
  Status status = file.WriteAt(0, contents);
  if (status.ok() && sync) status = file.Sync("file_sync");
  if (!status.ok()) {
    ::unlink(path.c_str());
    return status.error();
  }
  return file;
}

Status Rename(const std::string& from, const std::string& to) {
  if (int error = Failpoint("rename")) return FileError("rename file", from, error);
  if (::rename(from.c_str(), to.c_str()) != 0) return FileError("rename file", from, errno);
  return {};
}

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

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

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

}  // namespace

Status SyncDirectory(const std::string& folder) {
  if (int error = Failpoint("dir_sync")) return error == kFailpointSkip ? Status() : FileError("fsync folder", folder, error);
  int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("open folder", folder, errno);
  int result = ::fsync(fd);
  int error = errno;
  ::close(fd);
  if (result != 0) return FileError("fsync folder", folder, error);
  return {};
}

Result<File> DurableCreate(const std::string& path, std::string_view contents) {
  KAPPA_ASSIGN_OR_RETURN(File file, CreateWith(path, contents, true));
  KAPPA_RETURN_IF_ERROR(SyncDirectory(ParentOf(path)));
  return file;
}

Status DurableRename(const std::string& from, const std::string& to) {
  KAPPA_RETURN_IF_ERROR(Rename(from, to));
  KAPPA_RETURN_IF_ERROR(SyncDirectory(ParentOf(to)));
  if (ParentOf(from) != ParentOf(to)) KAPPA_RETURN_IF_ERROR(SyncDirectory(ParentOf(from)));
  return {};
}

Status DurableUnlink(const std::string& path) {
  if (int error = Failpoint("unlink")) return FileError("remove file", path, error);
  if (::unlink(path.c_str()) != 0) return errno == ENOENT ? Status() : FileError("remove file", path, errno);
  return SyncDirectory(ParentOf(path));
}

Result<std::string> ReadWholeFile(const std::string& path, uint64_t bytes_max) {
  KAPPA_ASSIGN_OR_RETURN(File file, File::Open(path, File::Mode::kRead));
  KAPPA_ASSIGN_OR_RETURN(uint64_t size, file.Size());
  if (size > bytes_max) {
    return Error(sqlstate::kProgramLimitExceeded, "file \"" + path + "\" is too large")
        .Detail("It has " + std::to_string(size) + " bytes; at most " + std::to_string(bytes_max) + " are read.");
  }
  std::string bytes(size, '\0');
  KAPPA_ASSIGN_OR_RETURN(size_t got, file.ReadAt(0, bytes.data(), bytes.size()));
  bytes.resize(got);
  return bytes;
}

Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  std::string temporary = path + ".tmp";
  ::unlink(temporary.c_str());
  KAPPA_RETURN_IF_ERROR(CreateWith(temporary, bytes, true));
  return DurableRename(temporary, path);
}

Status ReplaceFile(const std::string& path, std::string_view bytes) {
  std::string temporary = path + ".tmp";
  ::unlink(temporary.c_str());
  KAPPA_RETURN_IF_ERROR(CreateWith(temporary, bytes, false));
  return Rename(temporary, path);
}

Status CreateFolders(const std::string& folder) {
  if (int error = Failpoint("mkdir")) return FileError("create folder", folder, error);
  if (::mkdir(folder.c_str(), 0750) == 0) return SyncDirectory(ParentOf(folder));
  if (errno == EEXIST) {
    struct stat info;
    if (::stat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return FileError("create folder", folder, ENOTDIR);
  }
  if (errno != ENOENT || ParentOf(folder) == folder) return FileError("create folder", folder, errno);
  KAPPA_RETURN_IF_ERROR(CreateFolders(ParentOf(folder)));
  if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST) return FileError("create folder", folder, errno);
  return SyncDirectory(ParentOf(folder));
}

Status RemoveTree(const std::string& folder) {
  if (int error = Failpoint("unlink")) return FileError("remove folder", folder, error);
  int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? Status() : FileError("open folder", folder, errno);
  KAPPA_RETURN_IF_ERROR(RemoveContents(fd, folder));
  if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) return FileError("remove folder", folder, errno);
  return SyncDirectory(ParentOf(folder));
}

Result<std::vector<std::string>> ListFolder(const std::string& folder) {
  if (int error = Failpoint("list")) return FileError("list folder", folder, error);
  std::unique_ptr<DIR, CloseDir> dir(::opendir(folder.c_str()));
  if (dir == nullptr) return FileError("open folder", folder, errno);
  std::vector<std::string> names;
  errno = 0;
  while (dirent* entry = ::readdir(dir.get())) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return FileError("read folder", folder, errno);
  std::sort(names.begin(), names.end());
  return names;
}

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

Result<uint64_t> FreeBytes(const std::string& path) {
  struct statvfs info;
  if (::statvfs(path.c_str(), &info) != 0) return FileError("stat file system of", path, errno);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

uint64_t RaiseOpenFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  rlimit raised{limit.rlim_max, limit.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur;
}

}  // namespace kappa::io
