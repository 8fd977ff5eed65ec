// How the catalog is stored: a log of changes in the system topic "__catalog". Each change holds one whole object, or says
// that it is gone; the newest change of an object counts. Layout: docs/formats/catalog.md.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include "catalog/catalog.h"
#include "log/log.h"

namespace kappa::catalog {

/// A change: the object's new value, or its removal.
struct Dropped {
  enum class Kind : uint8_t { kStream = 1, kTable = 2, kView = 3, kType = 4, kDomain = 5 } kind = Kind::kStream;
  uint32_t id = 0;
  std::string name;
};
using Change = std::variant<Stream, Table, View, Dropped, NamedType, Domain>;

std::string EncodeChange(const Change& change);
/// Fails with data_corrupted, or feature_not_supported for a newer format.
Result<Change> DecodeChange(std::string_view bytes);
/// The snapshot with the change applied.
Snapshot Apply(const Snapshot& snapshot, const Change& change);

/// Threads: snapshot() any; Commit one at a time.
class CatalogLog {
 public:
  /// Reads all changes from the log, or makes the topic.
  static Result<std::unique_ptr<CatalogLog>> Open(log::Log& log);
  SnapshotPtr snapshot() const;
  /// Makes the changes durable, in order and in one batch, then visible.
  Status Commit(const std::vector<Change>& changes);
  /// A catalog id that was never used.
  uint32_t NextId() { return next_id_++; }

 private:
  explicit CatalogLog(std::shared_ptr<log::Topic> topic) : topic_(std::move(topic)) {}
  void NoteId(uint32_t id) { next_id_ = std::max(next_id_, id + 1); }

  std::shared_ptr<log::Topic> topic_;
  mutable std::mutex mutex_;
  SnapshotPtr snapshot_ = std::make_shared<Snapshot>();
  uint32_t next_id_ = 1;
};

}  // namespace kappa::catalog
