// Kernels: the loops behind operators, functions and casts. A kernel maps whole argument columns to a result column.
#pragma once

#include <functional>
#include <vector>

#include "expr/expression.h"

namespace kappa::expr {

/// An argument of a kernel: a column with one row for each result row, or with one row that stands for all of them.
struct Argument {
  data::ColumnPtr column;
  bool constant = false;

  int64_t At(int64_t row) const { return constant ? 0 : row; }
  bool IsNull(int64_t row) const { return column->IsNull(At(row)); }
  template <typename T> T Get(int64_t row) const { return column->data<T>()[At(row)]; }
  std::string_view bytes(int64_t row) const { return column->bytes(At(row)); }
  data::TypeId id() const { return column->type().id; }
};

/// One invocation of a kernel. Not all arguments are constant unless rows == 1.
struct KernelCall {
  std::vector<Argument> arguments;
  int64_t rows = 0;
  data::Type type;  // of the result
  EvalContext& context;

  /// Notes the failure of a row: false when the evaluation must stop with this error, true when the row becomes NULL.
  bool Tolerate(const Error& error) const {
    if (context.fail_on_error) return false;
    if (context.errors++ == 0) context.first_error = error.message();
    return true;
  }
  /// True when an argument of this row is NULL.
  bool AnyNull(int64_t row) const {
    for (const Argument& argument : arguments) {
      if (argument.IsNull(row)) return true;
    }
    return false;
  }
  bool HasNulls() const {
    for (const Argument& argument : arguments) {
      if (argument.column->has_nulls()) return true;
    }
    return false;
  }
};

using Kernel = std::function<Result<data::ColumnPtr>(KernelCall&)>;

/// Adds the NULLs of the call's column arguments to `out`, and zeroes the values under them.
void FinishNulls(const KernelCall& call, data::Column& out);
/// A column whose values the kernel will all write.
inline std::shared_ptr<data::Column> MakeOutput(const KernelCall& call) {
  return std::make_shared<data::Column>(call.type, call.rows, data::Column::Uninitialized{});
}

}  // namespace kappa::expr
