// Loops over plain arrays for the hot binary kernels: column with column, column with constant, constant with column.
#pragma once

#include <optional>

#include "expr/kernel.h"

namespace kappa::expr {

/// Calls body(i) for 0..count-1. The inner loop has a fixed trip count so that the compiler vectorizes it at -O2 too.
template <typename Body> inline void ForEachRow(int64_t count, Body body) {
  constexpr int64_t kBlock = 64;
  int64_t row = 0;
  for (; row + kBlock <= count; row += kBlock) {
#ifndef __clang__
#pragma GCC ivdep
#endif
    for (int64_t i = 0; i < kBlock; ++i) body(row + i);
  }
  for (; row < count; ++row) body(row);
}

/// out[i] = apply(a[i], b[i]) with each side a column or a constant.
template <typename R, typename A, typename B, typename Apply> inline void BinaryLoop(const KernelCall& call, R* __restrict out, Apply apply) {
  const A* __restrict a = call.arguments[0].column->data<A>();
  const B* __restrict b = call.arguments[1].column->data<B>();
  if (call.arguments[0].constant) {
    const A left = a[0];
    ForEachRow(call.rows, [&](int64_t i) { out[i] = apply(left, b[i]); });
  } else if (call.arguments[1].constant) {
    const B right = b[0];
    ForEachRow(call.rows, [&](int64_t i) { out[i] = apply(a[i], right); });
  } else {
    ForEachRow(call.rows, [&](int64_t i) { out[i] = apply(a[i], b[i]); });
  }
}

/// A kernel whose rows may fail: Op::Apply(a, b, bad) computes and sets bits of `bad` when the row fails, without branches;
/// Op::Failure(a, b) then names the error. Values under NULLs are computed too, so failures are looked at again by row.
template <typename Op, typename R, typename A, typename B> Result<data::ColumnPtr> CheckedBinary(KernelCall& call) {
  auto out = MakeOutput(call);
  R* values = out->mutable_data<R>();
  uint64_t bad = 0;
  BinaryLoop<R, A, B>(call, values, [&bad](A a, B b) { return Op::Apply(a, b, bad); });
  if (bad != 0) [[unlikely]] {
    for (int64_t row = 0; row < call.rows; ++row) {
      if (call.AnyNull(row)) continue;
      const A a = call.arguments[0].Get<A>(row);
      const B b = call.arguments[1].Get<B>(row);
      bad = 0;
      static_cast<void>(Op::Apply(a, b, bad));
      if (bad == 0) continue;
      Error error = Op::Failure(a, b);
      if (!call.Tolerate(error)) return error;
      out->SetNull(row);
    }
  }
  FinishNulls(call, *out);
  return data::ColumnPtr(std::move(out));
}

/// A kernel whose rows cannot fail.
template <typename R, typename A, typename B, typename Apply> Result<data::ColumnPtr> PureBinary(KernelCall& call, Apply apply) {
  auto out = MakeOutput(call);
  BinaryLoop<R, A, B>(call, out->mutable_data<R>(), apply);
  FinishNulls(call, *out);
  return data::ColumnPtr(std::move(out));
}

template <typename R, typename A, typename Apply> Result<data::ColumnPtr> PureUnary(KernelCall& call, Apply apply) {
  auto out = MakeOutput(call);
  R* __restrict values = out->mutable_data<R>();
  const A* __restrict a = call.arguments[0].column->data<A>();
  ForEachRow(call.rows, [&](int64_t i) { values[i] = apply(a[i]); });
  FinishNulls(call, *out);
  return data::ColumnPtr(std::move(out));
}

}  // namespace kappa::expr
