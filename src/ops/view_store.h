// ViewStore: the rows of one view version (or table), as a multiset with its digest. Readers take snapshots.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/int128.h"
#include "data/batch.h"
#include "data/row_key.h"
#include "state/arena.h"

namespace kappa::ops {

/// Order-independent 128-bit multiset hash: the sum of weight * H(row) over all rows, modulo 2^128.
struct Digest {
  uint128_t sum = 0;
  void Add(Hash128 hash, int64_t weight);
  friend bool operator==(const Digest&, const Digest&) = default;
  std::string ToString() const;  // 32 hex digits
};

/// The digest of the batch's rows with their weights.
Digest DigestOf(const data::ChangeBatch& rows);

class ViewStore;

/// Rows as of one epoch. Any thread; pins memory until destroyed.
class ViewSnapshot {
 public:
  int64_t row_count() const { return row_count_; }  // with multiplicity
  Digest digest() const { return digest_; }
  /// Calls `consume` with batches of at most `batch_rows` rows (a row of weight n appears n times) until it returns false.
  void Scan(std::span<const int> columns, int64_t batch_rows, const std::function<bool(data::Batch)>& consume) const;
  /// The rows whose indexed columns (ViewStore's `index_columns`) equal this canonical key (RowKeys over them).
  data::Batch Lookup(std::string_view key, std::span<const int> columns) const;
  const std::vector<int>& index_columns() const;

 private:
  friend class ViewStore;
  struct Impl;
  std::shared_ptr<const Impl> impl_;
  int64_t row_count_ = 0;
  Digest digest_;
};

/// Input        the version's change batches, once per epoch.
/// State        one entry per distinct row: count and row bytes; a hash index by whole row, and one by `index_columns`.
/// Threads      Apply by one thread at a time; Snapshot from the same thread (its result may go anywhere).
class ViewStore {
 public:
  /// `index_columns`: the columns that point reads use (a view's group keys, a table's primary key); may be empty.
  ViewStore(data::Schema schema, std::vector<int> index_columns);
  ~ViewStore();
  /// All changes of an epoch at once. Fails with internal_error when a row's count would go below zero: the law would be broken.
  Status Apply(std::span<const data::ChangeBatch> changes);
  Status Apply(const data::ChangeBatch& changes) { return Apply(std::span(&changes, 1)); }
  ViewSnapshot Snapshot();
  int64_t row_count() const;
  Digest digest() const;
  uint64_t memory_bytes() const;
  const data::Schema& schema() const;
  void VisitState(const std::function<void(std::string_view name, state::Arena&)>& visit);
  Status OnRestored();
  void Clear();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kappa::ops
