// Durable folder operations.
#include "io/folder.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include "io/disk.h"
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
    DiskOf(path).Unlink(path);
    return status.error();
  }
  return file;
}

Status Rename(const std::string& from, const std::string& to) {
  if (int error = Failpoint("rename")) return FileError("rename file", from, error);
  if (int error = DiskOf(to).Rename(from, to)) return FileError("rename file", from, error);
  return {};
}

}  // namespace

Status SyncDirectory(const std::string& folder) {
  if (int error = Failpoint("dir_sync")) return error == kFailpointSkip ? Status() : FileError("fsync folder", folder, error);
  if (int error = DiskOf(folder).SyncFolder(folder)) return FileError("fsync folder", folder, error);
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
  if (int error = DiskOf(path).Unlink(path)) return error == ENOENT ? Status() : FileError("remove file", path, error);
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
  DiskOf(temporary).Unlink(temporary);
  KAPPA_RETURN_IF_ERROR(CreateWith(temporary, bytes, true));
  return DurableRename(temporary, path);
}

Status ReplaceFile(const std::string& path, std::string_view bytes) {
  std::string temporary = path + ".tmp";
  DiskOf(temporary).Unlink(temporary);
  KAPPA_RETURN_IF_ERROR(CreateWith(temporary, bytes, false));
  return Rename(temporary, path);
}

Status CreateFolders(const std::string& folder) {
  if (int error = Failpoint("mkdir")) return FileError("create folder", folder, error);
  Disk& disk = DiskOf(folder);
  int error = disk.MakeFolder(folder);
  if (error == ENOENT && ParentOf(folder) != folder) {
    KAPPA_RETURN_IF_ERROR(CreateFolders(ParentOf(folder)));
    error = disk.MakeFolder(folder);
  }
  if (error == EEXIST && disk.KindOf(folder, true) != Disk::Kind::kFolder) error = ENOTDIR;
  if (error != 0 && error != EEXIST) return FileError("create folder", folder, error);
  // Who made a folder that is there already, or one above it, may have died before the sync.
  KAPPA_RETURN_IF_ERROR(SyncDirectory(ParentOf(folder)));
  for (std::string above = ParentOf(folder); ParentOf(above) != above && &DiskOf(ParentOf(above)) == &disk; above = ParentOf(above)) {
    if (int failed = disk.SyncFolder(ParentOf(above)); failed == EIO)
      return FileError("fsync folder", ParentOf(above), failed);  // not ours: may be forbidden
  }
  return {};
}

Status RemoveTree(const std::string& folder) {
  if (int error = Failpoint("unlink")) return FileError("remove folder", folder, error);
  Disk& disk = DiskOf(folder);
  if (disk.KindOf(folder, false) == Disk::Kind::kMissing) return {};
  KAPPA_RETURN_IF_ERROR(disk.RemoveTree(folder));
  return SyncDirectory(ParentOf(folder));
}

Result<std::vector<std::string>> ListFolder(const std::string& folder) {
  if (int error = Failpoint("list")) return FileError("list folder", folder, error);
  std::vector<std::string> names;
  if (int error = DiskOf(folder).List(folder, names)) return FileError("list folder", folder, error);
  std::sort(names.begin(), names.end());
  return names;
}

bool Exists(const std::string& path) { return DiskOf(path).KindOf(path, false) != Disk::Kind::kMissing; }

Result<uint64_t> FreeBytes(const std::string& path) {
  uint64_t bytes;
  if (int error = DiskOf(path).FreeBytes(path, bytes)) return FileError("stat file system of", path, error);
  return bytes;
}

uint64_t RaiseOpenFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  rlimit raised{limit.rlim_max, limit.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur;
}

}  // namespace kappa::io
