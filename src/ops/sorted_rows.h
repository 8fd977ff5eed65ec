// SortedRows: changes of any number summed up and put into order, in memory or by sorted runs in pages that are merged.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ops/view_store.h"
#include "state/arena.h"

namespace kappa::ops {

/// Input        change batches; the sum of a row's weights is never below zero at the end.
/// State        rows as bytes up to a sixteenth of the bound of state memory; more are sorted, summed up, and go to pages, which may spill.
/// Cost         an order key and a comparison of it log(rows) times; what went to pages is written once and read once, a page of each run at
///              a time.
/// Threads      one at a time.
class SortedRows {
 public:
  explicit SortedRows(data::Schema schema) : schema_(std::move(schema)) {}

  /// Fails with disk_full.
  Status Add(const data::ChangeBatch& changes);
  bool empty() const { return entries_.empty() && runs_.empty(); }
  int64_t row_count() const { return row_count_; }  // with multiplicity
  const Digest& digest() const { return digest_; }
  /// Gives all rows in ascending order of all columns (NULLs last), then of their bytes, and holds none afterwards; a row of weight n comes n
  /// times. Fails with internal_error for a weight below zero, and as `consume` does.
  Status Take(const std::function<Status(data::Batch)>& consume);

 private:
  struct Entry {
    uint64_t prefix;   // OrderPrefix of its bytes
    size_t offset;     // in bytes_: the order key, then the row
    uint32_t order_size, size;
    int64_t weight;
  };
  struct Head;
  class Run;
  class Giver;

  std::string_view Bytes(const Entry& entry) const { return {bytes_.data() + entry.offset, entry.size}; }
  Status VisitSorted(const std::function<Status(const Entry& row, int64_t weight)>& visit);
  Status StoreRun();
  Status Merge(Giver& giver) const;

  data::Schema schema_;
  std::string bytes_;
  std::vector<Entry> entries_;
  state::Arena arena_;
  std::vector<std::vector<state::Ref>> runs_;  // blobs of records, in order
  int64_t row_count_ = 0;
  Digest digest_;
};

}  // namespace kappa::ops
