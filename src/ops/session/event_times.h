// The times of a batch that a session can hold.
#pragma once

#include <vector>

#include "data/batch.h"
#include "expr/expression.h"

namespace kappa::ops {

/// The rows with a weight whose time is neither NULL nor infinite. A time so near to the ends of time that the end of a session
/// cannot be told fails, or is counted and left out.
inline Result<std::vector<int32_t>> RowsWithTime(const data::ChangeBatch& batch, const data::Column& time, int64_t gap_us,
                                                 expr::EvalContext& context) {
  std::vector<int32_t> rows;
  rows.reserve(static_cast<size_t>(batch.rows));
  const auto* times = time.data<int64_t>();
  for (int64_t i = 0; i < batch.rows; ++i) {
    if (time.IsNull(i) || times[i] == INT64_MIN || times[i] == INT64_MAX || batch.weight(i) == 0) continue;
    if (times[i] > INT64_MAX - 1 - gap_us || times[i] < INT64_MIN + 1 + gap_us) {
      Error error(sqlstate::kDatetimeFieldOverflow, "timestamp out of range");
      if (context.fail_on_error) return error;
      if (context.errors++ == 0) context.first_error = error.message();
      continue;
    }
    rows.push_back(static_cast<int32_t>(i));
  }
  return rows;
}

inline data::ColumnPtr TimesColumn(const data::Type& type, const std::vector<int64_t>& times) {
  auto column = std::make_shared<data::Column>(type, static_cast<int64_t>(times.size()));
  std::copy(times.begin(), times.end(), column->mutable_data<int64_t>());
  return column;
}

}  // namespace kappa::ops
