// Folders and whole files, durably: a name exists (or is gone) after a power cut only if its folder was fsynced too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/file.h"

namespace kappa::io {

/// fsync of the folder itself: makes creations, renames and removals in it durable.
Status SyncDirectory(const std::string& folder);
/// Creates a file that must not exist, with these contents; file and name are durable on return.
Result<File> DurableCreate(const std::string& path, std::string_view contents);
/// rename(2), then fsync of both folders. Replaces a file at `to`.
Status DurableRename(const std::string& from, const std::string& to);
/// Removes a file; a missing one is not an error.
Status DurableUnlink(const std::string& path);

/// Fails with program_limit_exceeded when the file is larger than `bytes_max`.
Result<std::string> ReadWholeFile(const std::string& path, uint64_t bytes_max = 1ull << 30);
/// Writes PATH.tmp, fsyncs, renames to `path`, fsyncs the folder: a reader sees the old or the new contents, whole.
Status WriteFileAtomically(const std::string& path, std::string_view bytes);
/// The same without any fsync: for files that can be rebuilt and carry a checksum.
Status ReplaceFile(const std::string& path, std::string_view bytes);

/// mkdir -p, durable.
Status CreateFolders(const std::string& folder);
/// rm -r; a missing folder is not an error. Follows no symbolic links. The removal of `folder` itself is durable.
Status RemoveTree(const std::string& folder);
/// Names in a folder (no "." and ".."), sorted.
Result<std::vector<std::string>> ListFolder(const std::string& folder);
bool Exists(const std::string& path);
/// Bytes that an unprivileged process can still write on the file system of `path`.
Result<uint64_t> FreeBytes(const std::string& path);

/// Lets this process open as many files as the hard limit permits; returns the limit now in force.
uint64_t RaiseOpenFileLimit();

}  // namespace kappa::io
