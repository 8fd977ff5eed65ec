// Operators and functions of numeric.
#include "data/numeric.h"

#include "expr/functions/failures.h"
#include "expr/functions/numeric_rows.h"
#include "expr/functions/numeric_views.h"
#include "expr/functions/register.h"

namespace kappa::expr {
namespace {

using data::Numeric;

constexpr int128_t kPowersOfTen[] = {1,
                                     10,
                                     100,
                                     1000,
                                     10000,
                                     100000,
                                     1000000,
                                     10000000,
                                     100000000,
                                     1000000000,
                                     10000000000,
                                     100000000000,
                                     1000000000000,
                                     10000000000000,
                                     100000000000000,
                                     1000000000000000,
                                     10000000000000000,
                                     100000000000000000,
                                     1000000000000000000};

// Small operands (coefficients of 128 bits) are added and multiplied without making Numerics; false when that overflows.

bool AddSmall(int128_t a, int a_scale, int128_t b, int b_scale, int128_t& sum, int& scale) {
  if (a_scale != b_scale) {
    const int distance = a_scale < b_scale ? b_scale - a_scale : a_scale - b_scale;
    if (distance > 18) return false;
    int128_t& narrower = a_scale < b_scale ? a : b;
    if (__builtin_mul_overflow(narrower, kPowersOfTen[distance], &narrower)) return false;
  }
  scale = std::max(a_scale, b_scale);
  return !__builtin_add_overflow(a, b, &sum);
}

struct SmallAdd {
  static bool Apply(int128_t a, int a_scale, int128_t b, int b_scale, int128_t& out, int& scale) {
    return AddSmall(a, a_scale, b, b_scale, out, scale);
  }
  static Result<Numeric> Slow(const Numeric& a, const Numeric& b) { return data::Add(a, b); }
};
struct SmallSubtract {
  static bool Apply(int128_t a, int a_scale, int128_t b, int b_scale, int128_t& out, int& scale) {
    int128_t negated;
    return !__builtin_sub_overflow(int128_t{0}, b, &negated) && AddSmall(a, a_scale, negated, b_scale, out, scale);
  }
  static Result<Numeric> Slow(const Numeric& a, const Numeric& b) { return data::Subtract(a, b); }
};
struct SmallMultiply {
  static bool Apply(int128_t a, int a_scale, int128_t b, int b_scale, int128_t& out, int& scale) {
    scale = a_scale + b_scale;
    return scale <= 1000 && !__builtin_mul_overflow(a, b, &out);
  }
  static Result<Numeric> Slow(const Numeric& a, const Numeric& b) { return data::Multiply(a, b); }
};

template <typename Op> Result<data::ColumnPtr> SmallBinary(KernelCall& call) {
  auto out = MakeOutput(call);
  data::StringView* values = out->mutable_data<data::StringView>();
  ViewHeap heap;
  const bool nulls = call.HasNulls();
  const Argument& left = call.arguments[0];
  const Argument& right = call.arguments[1];
  for (int64_t row = 0; row < call.rows; ++row) {
    if (nulls && call.AnyNull(row)) {
      values[row] = data::StringView();
      continue;
    }
    const std::string_view a = left.bytes(row), b = right.bytes(row);
    int128_t x, y, result;
    int x_scale, y_scale, scale;
    if (data::DecodeSmallNumeric(a, x, x_scale) && data::DecodeSmallNumeric(b, y, y_scale) && Op::Apply(x, x_scale, y, y_scale, result, scale))
        [[likely]] {
      const auto narrow = static_cast<int64_t>(result);
      values[row] = narrow == result ? NarrowNumeric(narrow, scale) : heap.Store(data::EncodeSmallNumeric(result, scale).view());
      continue;
    }
    auto slow = Op::Slow(Numeric::FromBytes(a), Numeric::FromBytes(b));
    if (slow.ok()) {
      values[row] = heap.Store(slow->ToBytes());
    } else {
      if (!call.Tolerate(slow.error())) return slow.error();
      out->SetNull(row);
    }
  }
  heap.KeepAlive(*out);
  FinishNulls(call, *out);
  return data::ColumnPtr(std::move(out));
}

Kernel Unary(Numeric (*function)(const Numeric&)) {
  return Rowwise([function](Numeric a) { return function(a); });
}
Kernel Fallible(Result<Numeric> (*function)(const Numeric&)) {
  return Rowwise([function](Numeric a) { return function(a); });
}
Kernel Binary(Result<Numeric> (*function)(const Numeric&, const Numeric&)) {
  return Rowwise([function](Numeric a, Numeric b) { return function(a, b); });
}

/// The smallest scale that shows the value in full.
int MinScale(const Numeric& value) { return value.Canonical().scale(); }

/// Greatest common divisor by Euclid, exact for any size.
Result<Numeric> Gcd(const Numeric& a, const Numeric& b) {
  if (!a.is_finite() || !b.is_finite()) return Numeric::Nan();
  const int scale = std::max(a.scale(), b.scale());
  Numeric x = a.Abs(), y = b.Abs();
  while (!y.is_zero()) {
    KAPPA_ASSIGN_OR_RETURN(Numeric rest, data::Modulo(x, y));
    x = std::move(y);
    y = std::move(rest);
  }
  return x.Round(scale);
}

}  // namespace

void RegisterNumeric(Registry& registry) {
  registry.Operator("+", "numeric, numeric -> numeric", SmallBinary<SmallAdd>, "sum");
  registry.Operator("-", "numeric, numeric -> numeric", SmallBinary<SmallSubtract>, "difference");
  registry.Operator("*", "numeric, numeric -> numeric", SmallBinary<SmallMultiply>, "product");
  registry.Operator("/", "numeric, numeric -> numeric", Binary(data::Divide), "quotient");
  registry.Operator("%", "numeric, numeric -> numeric", Binary(data::Modulo), "remainder, with the sign of the dividend");
  registry.Operator("^", "numeric, numeric -> numeric", Binary(data::Power), "power");
  registry.Operator("+", "numeric -> numeric", Unary([](const Numeric& a) { return a; }), "the same number");
  registry.Operator("-", "numeric -> numeric", Unary([](const Numeric& a) { return a.Negate(); }), "negated number");
  registry.Operator("@", "numeric -> numeric", Unary([](const Numeric& a) { return a.Abs(); }), "absolute value");
  registry.Function("abs", "numeric -> numeric", Unary([](const Numeric& a) { return a.Abs(); }), "absolute value");
  for (std::string_view name : {"ceil", "ceiling"}) {
    registry.Function(name, "numeric -> numeric", Fallible([](const Numeric& a) { return a.Ceiling(); }), "nearest integer not below");
  }
  registry.Function("floor", "numeric -> numeric", Fallible([](const Numeric& a) { return a.Floor(); }), "nearest integer not above");
  registry.Function("round", "numeric -> numeric", Fallible([](const Numeric& a) { return a.Round(0); }), "nearest integer, ties away from zero");
  registry.Function("round", "numeric, int4 -> numeric", Rowwise([](Numeric a, int32_t scale) { return a.Round(scale); }),
                    "rounded to so many decimals, ties away from zero");
  registry.Function("trunc", "numeric -> numeric", Fallible([](const Numeric& a) { return a.Truncate(0); }), "integer part");
  registry.Function("trunc", "numeric, int4 -> numeric", Rowwise([](Numeric a, int32_t scale) { return a.Truncate(scale); }),
                    "cut to so many decimals");
  registry.Function("sqrt", "numeric -> numeric", Fallible(data::Sqrt), "square root");
  registry.Function("exp", "numeric -> numeric", Fallible(data::Exp), "e to the power");
  registry.Function("ln", "numeric -> numeric", Fallible(data::Ln), "natural logarithm");
  for (std::string_view name : {"log", "log10"}) {
    registry.Function(name, "numeric -> numeric", Fallible([](const Numeric& a) { return data::Log(Numeric(10), a); }), "logarithm to base 10");
  }
  registry.Function("log", "numeric, numeric -> numeric", Binary(data::Log), "logarithm of the second argument to the base of the first");
  for (std::string_view name : {"power", "pow"}) registry.Function(name, "numeric, numeric -> numeric", Binary(data::Power), "power");
  registry.Function("mod", "numeric, numeric -> numeric", Binary(data::Modulo), "remainder, with the sign of the dividend");
  registry.Function("div", "numeric, numeric -> numeric", Binary(data::DivideTruncated), "quotient, truncated towards zero");
  registry.Function("gcd", "numeric, numeric -> numeric", Binary(Gcd), "greatest common divisor");
  registry.Function("factorial", "int8 -> numeric", Rowwise([](int64_t n) -> Result<Numeric> {
                      if (n < 0) return Error(sqlstate::kNumericValueOutOfRange, "factorial of a negative number is undefined");
                      if (n > 32177) return Error(sqlstate::kNumericValueOutOfRange, "value overflows numeric format");
                      Numeric product(1);
                      for (int64_t i = 2; i <= n; ++i) { KAPPA_ASSIGN_OR_RETURN(product, data::Multiply(product, Numeric(i))); }
                      return product;
                    }),
                    "factorial");
  registry.Function("sign", "numeric -> numeric", Unary([](const Numeric& a) { return a.is_nan() ? a : Numeric(a.sign()); }), "-1, 0 or 1");
  registry.Function("scale", "numeric -> int4", Rowwise([](Numeric a) -> std::optional<int32_t> {
                      if (!a.is_finite()) return std::nullopt;
                      return a.scale();
                    }),
                    "decimals that are shown");
  registry.Function("min_scale", "numeric -> int4", Rowwise([](Numeric a) -> std::optional<int32_t> {
                      if (!a.is_finite()) return std::nullopt;
                      return MinScale(a);
                    }),
                    "decimals that are needed");
  registry.Function("trim_scale", "numeric -> numeric", Unary([](const Numeric& a) { return a.Canonical(); }), "without trailing zeros");
}

}  // namespace kappa::expr
