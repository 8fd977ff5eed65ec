// CheckpointStore: named arenas and a meta record on disk, in RocksDB. A checkpoint becomes visible whole or not at all.
// docs/formats/checkpoint.md.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "state/arena.h"

namespace kappa::state {

/// One folder. Threads: any, one call at a time is running (calls lock).
/// State can always be rebuilt from the log: when Open or a load fails with data_corrupted, delete the folder and replay.
class CheckpointStore {
 public:
  /// Opens or makes the folder. Fails with io_error, and with data_corrupted for a damaged or newer store.
  static Result<std::unique_ptr<CheckpointStore>> Open(const std::string& folder);
  ~CheckpointStore();
  CheckpointStore(const CheckpointStore&) = delete;
  CheckpointStore& operator=(const CheckpointStore&) = delete;

  struct Part {
    std::string name;
    Arena::Delta delta;
  };
  /// Writes the changed pages of the parts and the new meta bytes in one atomic, durable step. Arenas that are not named
  /// stay as they were. The first delta of an arena must hold all of its pages (it does when it comes from TakeDelta).
  /// After a failure the deltas are lost to the caller's arenas: write full pictures next (FullDelta) or give up.
  Status Write(std::string_view meta, std::span<const Part> parts);
  /// The meta bytes of the last checkpoint; nullopt when there is none.
  Result<std::optional<std::string>> LoadMeta();
  /// Loads the arena's pages; false when the checkpoint has no arena of this name (the arena is left as it is).
  Result<bool> LoadArena(std::string_view name, Arena& arena);
  /// Names of the stored arenas that begin with `prefix`, sorted.
  std::vector<std::string> Names(std::string_view prefix) const;
  /// Forgets the arenas whose names begin with `prefix`; durable at return.
  Status Drop(std::string_view prefix);
  /// Bytes on disk.
  uint64_t disk_bytes() const;
  /// Bytes of RocksDB's memtables, blocks and indexes in memory.
  uint64_t memory_bytes() const;

 private:
  struct Impl;
  explicit CheckpointStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The delta that names every page: for a new store, or after a failed write.
Arena::Delta FullDelta(Arena& arena);

}  // namespace kappa::state
