// Selecting the rows where a predicate holds.
#include <numeric>

#include "expr/node.h"

namespace kappa::expr {
namespace {

/// Appends the positions of ones among `count` bytes of 0 and 1, eight at a time.
void AppendTrue(const uint8_t* values, int64_t count, std::vector<int32_t>& out) {
  out.resize(static_cast<size_t>(count));
  size_t size = 0;
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t word;
    std::memcpy(&word, values + i, 8);
    if (word == 0) continue;
    for (int64_t k = i; k < i + 8; ++k) {
      out[size] = static_cast<int32_t>(k);
      size += values[k];
    }
  }
  for (; i < count; ++i) {
    out[size] = static_cast<int32_t>(i);
    size += values[i];
  }
  out.resize(size);
}

}  // namespace

Result<std::vector<int32_t>> SelectTrue(const Expression& predicate, const data::Batch& batch, EvalContext& context) {
  std::vector<int32_t> rows;
  if (batch.rows == 0) return rows;
  if (predicate.is_row_constant()) {
    KAPPA_ASSIGN_OR_RETURN(Argument value, Rows(batch).EvaluateArgument(predicate, context));
    if (!value.IsNull(0) && value.Get<uint8_t>(0) != 0) {
      rows.resize(static_cast<size_t>(batch.rows));
      std::iota(rows.begin(), rows.end(), 0);
    }
    return rows;
  }
  const bool conjunction = predicate.kind() == Expression::Kind::kAnd;
  const Expression& first = conjunction ? *predicate.children()[0] : predicate;
  KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr column, first.Evaluate(batch, context));
  AppendTrue(column->data<uint8_t>(), batch.rows, rows);  // the value under a NULL is 0
  if (!conjunction) return rows;
  for (size_t k = 1; k < predicate.children().size() && !rows.empty(); ++k) {
    const Expression& child = *predicate.children()[k];
    // Copying the columns of many rows costs more than computing a few rows too many.
    const bool whole = static_cast<int64_t>(rows.size()) == batch.rows || (CannotFail(child) && static_cast<int64_t>(rows.size()) * 4 > batch.rows);
    if (whole) {
      KAPPA_ASSIGN_OR_RETURN(column, child.Evaluate(batch, context));
    } else {
      KAPPA_ASSIGN_OR_RETURN(column, child.Evaluate(batch, rows, context));
    }
    const uint8_t* values = column->data<uint8_t>();
    size_t size = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const int32_t row = rows[i];
      rows[size] = row;
      size += values[whole ? static_cast<size_t>(row) : i];
    }
    rows.resize(size);
  }
  return rows;
}

}  // namespace kappa::expr
