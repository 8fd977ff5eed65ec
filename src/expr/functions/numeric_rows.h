// Lets rowwise lambdas take and give data::Numeric.
#pragma once

#include "data/numeric.h"
#include "expr/rowwise.h"

namespace kappa::expr::rowwise {

template <> struct Reader<data::Numeric> {
  static data::Numeric Read(const Argument& argument, int64_t row) { return data::Numeric::FromBytes(argument.bytes(row)); }
};

template <> class Sink<data::Numeric> {
 public:
  explicit Sink(const KernelCall& call) : builder_(call.type, call.rows) {}
  void Put(int64_t, const data::Numeric& value) { value.AppendTo(builder_); }
  void PutNull(int64_t) { builder_.AppendNull(); }
  data::ColumnPtr Finish(const KernelCall&) { return builder_.Finish(); }

 private:
  data::ColumnBuilder builder_;
};

}  // namespace kappa::expr::rowwise
