// Kernels from plain C++ lambdas: one call for each row. Argument and result types of the SQL function are read off the
// lambda's signature, so that a function definition is the lambda and nothing else.
#pragma once

#include <optional>
#include <type_traits>

#include "expr/kernel.h"

namespace kappa::expr {
namespace rowwise {

/// Reads an argument: bool stands for SQL's boolean, std::string_view for the bytes of every variable-width type, otherwise
/// the physical type of data/type.h. Other files specialize it (Numeric in numeric_rows.h).
template <typename T> struct Reader {
  static T Read(const Argument& argument, int64_t row) { return argument.Get<T>(row); }
};
template <> struct Reader<bool> {
  static bool Read(const Argument& argument, int64_t row) { return argument.Get<uint8_t>(row) != 0; }
};
template <> struct Reader<std::string_view> {
  static std::string_view Read(const Argument& argument, int64_t row) { return argument.bytes(row); }
};
template <typename T> auto Read(const Argument& argument, int64_t row) { return Reader<std::remove_cvref_t<T>>::Read(argument, row); }

template <typename T> struct Unwrap {
  using type = T;
  static constexpr bool result = false, optional = false;
};
template <typename T> struct Unwrap<std::optional<T>> {
  using type = T;
  static constexpr bool result = false, optional = true;
};
template <typename T> struct Unwrap<Result<T>> {
  using type = T;
  static constexpr bool result = true, optional = false;
};
template <typename T> struct Unwrap<Result<std::optional<T>>> {
  using type = T;
  static constexpr bool result = true, optional = true;
};

/// Collects results: a plain array for fixed-width types, a builder for bytes.
template <typename T> class Sink {
  using Physical = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;

 public:
  explicit Sink(const KernelCall& call) : column_(std::make_shared<data::Column>(call.type, call.rows)) {}
  void Put(int64_t row, T value) { column_->template mutable_data<Physical>()[row] = static_cast<Physical>(value); }
  void PutNull(int64_t row) { column_->SetNull(row); }
  data::ColumnPtr Finish(const KernelCall&) { return column_; }

 private:
  std::shared_ptr<data::Column> column_;
};

template <> class Sink<std::string> {
 public:
  explicit Sink(const KernelCall& call) : builder_(call.type, call.rows) {}
  void Put(int64_t, const std::string& value) { builder_.AppendBytes(value); }
  void PutNull(int64_t) { builder_.AppendNull(); }
  data::ColumnPtr Finish(const KernelCall&) { return builder_.Finish(); }

 private:
  data::ColumnBuilder builder_;
};

/// A string_view result must be a part of one of the arguments: it is borrowed, not copied.
template <> class Sink<std::string_view> {
 public:
  explicit Sink(const KernelCall& call) : builder_(call.type, call.rows) {}
  void Put(int64_t, std::string_view value) { builder_.AppendBorrowed(data::StringView(value)); }
  void PutNull(int64_t) { builder_.AppendNull(); }
  data::ColumnPtr Finish(const KernelCall& call) {
    for (const Argument& argument : call.arguments) builder_.ShareKeepalives(*argument.column);
    return builder_.Finish();
  }

 private:
  data::ColumnBuilder builder_;
};

template <typename R, typename F, typename... A, size_t... I>
Result<data::ColumnPtr> Run(KernelCall& call, const F& function, std::index_sequence<I...>) {
  using Shape = Unwrap<R>;
  Sink<typename Shape::type> sink(call);
  const bool nulls = call.HasNulls();
  for (int64_t row = 0; row < call.rows; ++row) {
    if (nulls && call.AnyNull(row)) {
      sink.PutNull(row);
      continue;
    }
    auto invoke = [&] {
      if constexpr (std::is_invocable_v<F, EvalContext&, A...>) return function(call.context, Read<A>(call.arguments[I], row)...);
      else return function(Read<A>(call.arguments[I], row)...);
    };
    if constexpr (Shape::result) {
      auto result = invoke();
      if (!result.ok()) {
        if (!call.Tolerate(result.error())) return result.error();
        sink.PutNull(row);
      } else if constexpr (Shape::optional) {
        if (result->has_value()) sink.Put(row, **result);
        else sink.PutNull(row);
      } else {
        sink.Put(row, *result);
      }
    } else if constexpr (Shape::optional) {
      auto result = invoke();
      if (result.has_value()) sink.Put(row, *result);
      else sink.PutNull(row);
    } else {
      sink.Put(row, invoke());
    }
  }
  return sink.Finish(call);
}

template <typename F, typename R, typename... A> Kernel Make(F function, R (F::*)(A...) const) {
  return [function](KernelCall& call) -> Result<data::ColumnPtr> { return Run<R, F, A...>(call, function, std::index_sequence_for<A...>{}); };
}
template <typename F, typename R, typename... A> Kernel Make(F function, R (F::*)(EvalContext&, A...) const) {
  return [function](KernelCall& call) -> Result<data::ColumnPtr> { return Run<R, F, A...>(call, function, std::index_sequence_for<A...>{}); };
}

}  // namespace rowwise

/// A strict kernel from a lambda like `[](std::string_view s, int32_t n) -> Result<std::string>`: a row with a NULL argument
/// gives NULL without a call. Results may be T, std::optional<T> (nullopt is NULL), Result<T>, Result<std::optional<T>>; T as
/// in Read, or std::string. A first parameter EvalContext& receives the context.
template <typename F> Kernel Rowwise(F function) { return rowwise::Make(function, &F::operator()); }

/// A kernel of rows that sees NULL arguments: `body(call, row)` gives a Result<std::optional<T>>.
template <typename Body> Kernel ByRow(Body body) {
  using Shape = rowwise::Unwrap<std::invoke_result_t<Body, KernelCall&, int64_t>>;
  static_assert(Shape::result && Shape::optional);
  return [body](KernelCall& call) -> Result<data::ColumnPtr> {
    rowwise::Sink<typename Shape::type> sink(call);
    for (int64_t row = 0; row < call.rows; ++row) {
      auto result = body(call, row);
      if (!result.ok() && !call.Tolerate(result.error())) return result.error();
      if (result.ok() && result->has_value()) sink.Put(row, **result);
      else sink.PutNull(row);
    }
    return sink.Finish(call);
  };
}

}  // namespace kappa::expr
