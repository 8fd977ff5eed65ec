// Arithmetic of integers and floats, and bit operations.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "expr/functions/failures.h"
#include "expr/functions/register.h"
#include "expr/loops.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

template <typename T> struct Wider {
  using type = int64_t;
};
template <> struct Wider<int16_t> {
  using type = int32_t;
};

/// + - * of int2 and int4 are computed in the next wider type and compared with what was stored.
template <typename T, typename Wide> inline T Narrow(Wide wide, uint64_t& bad) {
  const T narrow = static_cast<T>(wide);
  bad |= static_cast<uint64_t>(wide != static_cast<Wide>(narrow));
  return narrow;
}

template <typename T> struct Add {
  static T Apply(T a, T b, uint64_t& bad) {
    if constexpr (sizeof(T) < 8) {
      using Wide = typename Wider<T>::type;
      return Narrow<T>(static_cast<Wide>(static_cast<Wide>(a) + b), bad);
    } else {
      const auto sum = static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
      bad |= static_cast<uint64_t>((a ^ sum) & (b ^ sum)) >> 63;
      return sum;
    }
  }
  static Error Failure(T, T) { return OutOfRange<T>(); }
};

template <typename T> struct Subtract {
  static T Apply(T a, T b, uint64_t& bad) {
    if constexpr (sizeof(T) < 8) {
      using Wide = typename Wider<T>::type;
      return Narrow<T>(static_cast<Wide>(static_cast<Wide>(a) - b), bad);
    } else {
      const auto difference = static_cast<T>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
      bad |= static_cast<uint64_t>((a ^ b) & (a ^ difference)) >> 63;
      return difference;
    }
  }
  static Error Failure(T, T) { return OutOfRange<T>(); }
};

template <typename T> struct Multiply {
  static T Apply(T a, T b, uint64_t& bad) {
    if constexpr (sizeof(T) < 8) {
      using Wide = typename Wider<T>::type;
      return Narrow<T>(static_cast<Wide>(static_cast<Wide>(a) * b), bad);
    } else {
      T product;
      bad |= static_cast<uint64_t>(__builtin_mul_overflow(a, b, &product));
      return product;
    }
  }
  static Error Failure(T, T) { return OutOfRange<T>(); }
};

template <typename T> struct Divide {
  static T Apply(T a, T b, uint64_t& bad) {
    if (b == 0 || (b == -1 && a == std::numeric_limits<T>::min())) [[unlikely]] {
      bad = 1;
      return 0;
    }
    return static_cast<T>(a / b);
  }
  static Error Failure(T, T b) { return b == 0 ? DivisionByZero() : OutOfRange<T>(); }
};

template <typename T> struct Modulo {
  static T Apply(T a, T b, uint64_t& bad) {
    if (b == 0) [[unlikely]] {
      bad = 1;
      return 0;
    }
    return b == -1 ? T{0} : static_cast<T>(a % b);
  }
  static Error Failure(T, T) { return DivisionByZero(); }
};

// Floats: an infinite result of finite arguments and a zero product of non-zero ones are errors, as in PostgreSQL.

template <typename R> Error FloatFailure(R result) { return result == 0 ? FloatUnderflow() : FloatOverflow(); }

template <typename R, typename A, typename B> inline uint64_t FloatOverflows(R result, A a, B b) {
  constexpr R kInfinity = std::numeric_limits<R>::infinity();
  const auto is_finite = [](R value) { return static_cast<uint64_t>(std::fabs(value) != kInfinity); };
  return (is_finite(result) ^ 1) & is_finite(static_cast<R>(a)) & is_finite(static_cast<R>(b));
}

template <typename R, typename A, typename B> struct FloatAdd {
  static R Apply(A a, B b, uint64_t& bad) {
    const R result = static_cast<R>(a) + static_cast<R>(b);
    bad |= FloatOverflows(result, a, b);
    return result;
  }
  static Error Failure(A, B) { return FloatOverflow(); }
};
template <typename R, typename A, typename B> struct FloatSubtract {
  static R Apply(A a, B b, uint64_t& bad) {
    const R result = static_cast<R>(a) - static_cast<R>(b);
    bad |= FloatOverflows(result, a, b);
    return result;
  }
  static Error Failure(A, B) { return FloatOverflow(); }
};
template <typename R, typename A, typename B> struct FloatMultiply {
  static R Apply(A a, B b, uint64_t& bad) {
    const R result = static_cast<R>(a) * static_cast<R>(b);
    bad |= FloatOverflows(result, a, b) | static_cast<uint64_t>((result == 0) & (a != 0) & (b != 0));
    return result;
  }
  static Error Failure(A a, B b) { return FloatFailure(static_cast<R>(a) * static_cast<R>(b)); }
};
template <typename R, typename A, typename B> struct FloatDivide {
  static R Apply(A a, B b, uint64_t& bad) {
    const R result = static_cast<R>(a) / static_cast<R>(b);
    const bool infinite = std::fabs(static_cast<R>(b)) == std::numeric_limits<R>::infinity();
    bad |= FloatOverflows(result, a, b) | static_cast<uint64_t>((b == 0) & (a == a)) | static_cast<uint64_t>((result == 0) & (a != 0) & !infinite);
    return result;
  }
  static Error Failure(A a, B b) { return b == 0 ? DivisionByZero() : FloatFailure(static_cast<R>(a) / static_cast<R>(b)); }
};

template <typename T> void RegisterInteger(Registry& registry, std::string_view type) {
  const std::string binary = fmt::format("{0}, {0} -> {0}", type);
  const std::string unary = fmt::format("{0} -> {0}", type);
  registry.Operator("+", binary, CheckedBinary<Add<T>, T, T, T>, "sum");
  registry.Operator("-", binary, CheckedBinary<Subtract<T>, T, T, T>, "difference");
  registry.Operator("*", binary, CheckedBinary<Multiply<T>, T, T, T>, "product");
  registry.Operator("/", binary, CheckedBinary<Divide<T>, T, T, T>, "quotient, truncated towards zero");
  registry.Operator("%", binary, CheckedBinary<Modulo<T>, T, T, T>, "remainder, with the sign of the dividend");
  registry.Function("mod", binary, CheckedBinary<Modulo<T>, T, T, T>, "remainder, with the sign of the dividend");
  registry
      .Operator(
          "&", binary, [](KernelCall& call) { return PureBinary<T, T, T>(call, [](T a, T b) { return static_cast<T>(a & b); }); }, "bitwise and")
      .Infallible();
  registry
      .Operator(
          "|", binary, [](KernelCall& call) { return PureBinary<T, T, T>(call, [](T a, T b) { return static_cast<T>(a | b); }); }, "bitwise or")
      .Infallible();
  registry
      .Operator(
          "#", binary, [](KernelCall& call) { return PureBinary<T, T, T>(call, [](T a, T b) { return static_cast<T>(a ^ b); }); },
          "bitwise exclusive or")
      .Infallible();
  registry.Operator(
              "~", unary, [](KernelCall& call) { return PureUnary<T, T>(call, [](T a) { return static_cast<T>(~a); }); }, "bitwise not")
      .Infallible();
  // Shift counts wrap at the width of the machine word that PostgreSQL computes in.
  constexpr int kMask = sizeof(T) == 8 ? 63 : 31;
  using Word = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
  const std::string shift = fmt::format("{0}, int4 -> {0}", type);
  registry
      .Operator(
          "<<", shift,
          [](KernelCall& call) {
            return PureBinary<T, T, int32_t>(call, [](T a, int32_t b) { return static_cast<T>(static_cast<Word>(a) << (b & kMask)); });
          },
          "shift left")
      .Infallible();
  registry
      .Operator(
          ">>", shift,
          [](KernelCall& call) {
            return PureBinary<T, T, int32_t>(call, [](T a, int32_t b) { return static_cast<T>(static_cast<Word>(a) >> (b & kMask)); });
          },
          "shift right")
      .Infallible();
  registry.Operator("+", unary, Rowwise([](T a) { return a; }), "the same number").Infallible();
  registry.Operator("-", unary, Rowwise([](T a) -> Result<T> {
                      if (a == std::numeric_limits<T>::min()) return OutOfRange<T>();
                      return static_cast<T>(-a);
                    }),
                    "negated number");
  const auto absolute = Rowwise([](T a) -> Result<T> {
    if (a == std::numeric_limits<T>::min()) return OutOfRange<T>();
    return static_cast<T>(a < 0 ? -a : a);
  });
  registry.Function("abs", unary, absolute, "absolute value");
  registry.Operator("@", unary, absolute, "absolute value");
}

template <typename R, typename A, typename B> void RegisterFloatBinary(Registry& registry, std::string_view types) {
  registry.Operator("+", types, CheckedBinary<FloatAdd<R, A, B>, R, A, B>, "sum");
  registry.Operator("-", types, CheckedBinary<FloatSubtract<R, A, B>, R, A, B>, "difference");
  registry.Operator("*", types, CheckedBinary<FloatMultiply<R, A, B>, R, A, B>, "product");
  registry.Operator("/", types, CheckedBinary<FloatDivide<R, A, B>, R, A, B>, "quotient");
}

template <typename T> void RegisterFloat(Registry& registry, std::string_view type) {
  const std::string unary = fmt::format("{0} -> {0}", type);
  RegisterFloatBinary<T, T, T>(registry, fmt::format("{0}, {0} -> {0}", type));
  registry.Operator("+", unary, Rowwise([](T a) { return a; }), "the same number").Infallible();
  registry.Operator("-", unary, [](KernelCall& call) { return PureUnary<T, T>(call, [](T a) { return -a; }); }, "negated number").Infallible();
  registry.Operator(
              "@", unary, [](KernelCall& call) { return PureUnary<T, T>(call, [](T a) { return std::fabs(a); }); }, "absolute value")
      .Infallible();
  registry.Function(
              "abs", unary, [](KernelCall& call) { return PureUnary<T, T>(call, [](T a) { return std::fabs(a); }); }, "absolute value")
      .Infallible();
}

}  // namespace

void RegisterArithmetic(Registry& registry) {
  RegisterInteger<int16_t>(registry, "int2");
  RegisterInteger<int32_t>(registry, "int4");
  RegisterInteger<int64_t>(registry, "int8");
  RegisterFloat<float>(registry, "float4");
  RegisterFloat<double>(registry, "float8");
  RegisterFloatBinary<double, float, double>(registry, "float4, float8 -> float8");
  RegisterFloatBinary<double, double, float>(registry, "float8, float4 -> float8");
}

}  // namespace kappa::expr
