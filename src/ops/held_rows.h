// Rows that wait in columns for a flush. Columns are no pages and cannot spill: what all operators of the process hold so has a bound.
#pragma once

#include <span>
#include <vector>

#include "ops/operator.h"

namespace kappa::ops {

/// Memory of the columns' values and of the strings that they refer to, each as often as it is there; columns that are codes of a
/// dictionary stay so.
int64_t BytesWithStrings(std::span<const data::ColumnPtr> columns);

/// The batches that an operator holds.
class HeldRows {
 public:
  HeldRows() = default;
  ~HeldRows() { Clear(); }
  HeldRows(const HeldRows&) = delete;
  HeldRows& operator=(const HeldRows&) = delete;

  void Add(data::ChangeBatch batch);
  void Clear() { (void)Take(); }
  /// All of them, held no longer.
  std::vector<data::ChangeBatch> Take();
  /// One of them, which is empty afterwards.
  data::ChangeBatch Take(size_t i);
  /// As one batch, held no longer: joined as they are, or their sum.
  data::ChangeBatch TakeSum(bool append_only);

  std::span<const data::ChangeBatch> batches() const { return batches_; }
  bool empty() const { return batches_.empty(); }
  int64_t rows() const { return rows_; }
  int64_t bytes() const { return bytes_; }

  /// All of the process hold more than a quarter of the bound of state memory: rows should go to pages, which may spill.
  static bool TooMany();

 private:
  std::vector<data::ChangeBatch> batches_;
  std::vector<int64_t> batch_bytes_;  // as they were added: columns may be laid out since
  int64_t rows_ = 0, bytes_ = 0;
};

/// In the middle of a run, brings what is held into an operator that keeps it in pages; `append_only`: no row deletes another.
Status HandOver(HeldRows& rows, int port, bool append_only, Operator& lasting, const EpochContext& epoch, Output& out);

}  // namespace kappa::ops
