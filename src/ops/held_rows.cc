#include "ops/held_rows.h"

#include <atomic>

#include "ops/consolidate.h"
#include "state/memory.h"

namespace kappa::ops {
namespace {

std::atomic<int64_t> held_by_all = 0;  // bytes

int64_t BytesOf(const data::ChangeBatch& batch) { return (batch.weights ? batch.rows * 8 : 0) + BytesWithStrings(batch.columns); }

}  // namespace

int64_t BytesWithStrings(std::span<const data::ColumnPtr> columns) {
  int64_t bytes = 0;
  for (const data::ColumnPtr& column : columns) {
    bytes += column->memory_bytes();
    if (!column->type().is_variable() || column->is_scaled()) continue;
    const auto outside = [](const data::StringView& view) { return view.is_inline() ? 0 : int64_t{view.size()}; };
    if (column->is_coded()) {
      const data::StringView* dictionary = column->dictionary()->data<data::StringView>();
      const std::span<const int32_t> codes = column->codes();
      for (size_t i = 0; i < codes.size(); ++i) bytes += column->IsNull(static_cast<int64_t>(i)) ? 0 : outside(dictionary[codes[i]]);
    } else {
      for (const data::StringView& view : column->values<data::StringView>()) bytes += outside(view);
    }
  }
  return bytes;
}

void HeldRows::Add(data::ChangeBatch batch) {
  const int64_t bytes = BytesOf(batch);
  bytes_ += bytes;
  held_by_all += bytes;
  rows_ += batch.rows;
  batch_bytes_.push_back(bytes);
  batches_.push_back(std::move(batch));
}

std::vector<data::ChangeBatch> HeldRows::Take() {
  held_by_all -= bytes_;
  rows_ = bytes_ = 0;
  batch_bytes_.clear();
  return std::exchange(batches_, {});
}

data::ChangeBatch HeldRows::Take(size_t i) {
  data::ChangeBatch batch = std::exchange(batches_[i], {});
  const int64_t bytes = std::exchange(batch_bytes_[i], 0);
  bytes_ -= bytes;
  held_by_all -= bytes;
  rows_ -= batch.rows;
  return batch;
}

data::ChangeBatch HeldRows::TakeSum(bool append_only) {
  std::vector<data::ChangeBatch> batches = Take();
  if (!append_only) return Consolidate(batches);
  return batches.size() == 1 ? std::move(batches[0]) : data::Concatenate(batches);
}

bool HeldRows::TooMany() {
  const uint64_t limit = state::GetMemoryUse().limit_bytes;
  return limit > 0 && held_by_all.load(std::memory_order_relaxed) > static_cast<int64_t>(limit / 4);
}

Status HandOver(HeldRows& rows, int port, bool append_only, Operator& lasting, const EpochContext& epoch, Output& out) {
  constexpr size_t kBatches = 64;  // that are brought into pages at once; only their sum says what rows are there where some delete others
  const size_t count = rows.batches().size();
  for (size_t i = 0; i < count; ++i) {
    KAPPA_RETURN_IF_ERROR(lasting.OnBatch(port, rows.Take(i), out));
    if (append_only && i % kBatches == kBatches - 1) KAPPA_RETURN_IF_ERROR(lasting.OnEpochEnd(epoch, out));
  }
  rows.Clear();
  return lasting.OnEpochEnd(epoch, out);
}

}  // namespace kappa::ops
