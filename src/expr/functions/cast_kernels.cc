// The kernels of casts. Numbers have their own loops; what is left goes through PostgreSQL's text form.
#include "expr/functions/cast_kernels.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "data/array.h"
#include "data/datetime.h"
#include "data/enum_type.h"
#include "expr/cast.h"
#include "expr/functions/arrays.h"
#include "expr/functions/failures.h"
#include "expr/functions/json_value.h"
#include "expr/functions/numeric_rows.h"
#include "expr/functions/numeric_views.h"
#include "expr/functions/reg_types.h"
#include "expr/functions/session_zone.h"
#include "expr/loops.h"
#include "expr/rowwise.h"

namespace kappa::expr {

using data::ColumnPtr;
using data::Numeric;
using data::Type;
using data::TypeId;

namespace {

template <typename To, typename From> Result<To> Convert(From from) {
  if constexpr (std::is_same_v<To, From>) {
    return from;
  } else if constexpr (std::is_integral_v<To> && std::is_integral_v<From>) {
    const To to = static_cast<To>(from);
    if (static_cast<From>(to) != from) return OutOfRange<To>();
    return to;
  } else if constexpr (std::is_integral_v<To>) {
    // Half to even, as rint() does; the upper bound itself is not representable.
    const From rounded = std::rint(from);
    constexpr auto kLow = static_cast<double>(std::numeric_limits<To>::min());
    if (!(static_cast<double>(rounded) >= kLow && static_cast<double>(rounded) < -kLow)) return OutOfRange<To>();
    return static_cast<To>(rounded);
  } else if constexpr (std::is_integral_v<From>) {
    return static_cast<To>(from);
  } else {
    const To to = static_cast<To>(from);
    if (std::isinf(to) && !std::isinf(from)) return FloatOverflow();
    if (to == 0 && from != 0) return FloatUnderflow();
    return to;
  }
}

/// True when no value of From can fail to become To.
template <typename To, typename From> constexpr bool kAlwaysFits =
    std::is_integral_v<From> ? (!std::is_integral_v<To> || sizeof(To) >= sizeof(From)) : (!std::is_integral_v<To> && sizeof(To) >= sizeof(From));

template <typename To, typename From> Kernel Make() {
  if constexpr (kAlwaysFits<To, From>) {
    return [](KernelCall& call) { return PureUnary<To, From>(call, [](From from) { return static_cast<To>(from); }); };
  } else {
    return Rowwise([](From from) { return Convert<To, From>(from); });
  }
}

template <typename From> Kernel MakeFrom(TypeId to) {
  switch (to) {
    case TypeId::kInt2: return Make<int16_t, From>();
    case TypeId::kInt4: return Make<int32_t, From>();
    case TypeId::kInt8: return Make<int64_t, From>();
    case TypeId::kFloat4: return Make<float, From>();
    case TypeId::kFloat8: return Make<double, From>();
    default: return nullptr;
  }
}

Error OidOutOfRange() { return Error(sqlstate::kNumericValueOutOfRange, "OID out of range"); }

/// Text of any type. Booleans are spelled out, unlike in output.
Result<ColumnPtr> ToTextKernel(KernelCall& call) {
  const data::Column& input = *call.arguments[0].column;
  data::ColumnBuilder builder(call.type, call.rows);
  std::string text;
  for (int64_t row = 0; row < call.rows; ++row) {
    if (input.IsNull(row)) {
      builder.AppendNull();
      continue;
    }
    text.clear();
    if (input.type().id == TypeId::kBool) text = input.data<uint8_t>()[row] != 0 ? "true" : "false";
    else data::AppendText(input, row, call.context.text, text);
    builder.AppendBytes(text);
  }
  return builder.Finish();
}

/// Any type from text, by its input function.
Result<ColumnPtr> FromTextKernel(KernelCall& call, bool through_text) {
  const data::Column& input = *call.arguments[0].column;
  data::ColumnBuilder builder(call.type, call.rows);
  std::string text;
  for (int64_t row = 0; row < call.rows; ++row) {
    if (input.IsNull(row)) {
      builder.AppendNull();
      continue;
    }
    text.clear();
    if (through_text) data::AppendText(input, row, call.context.text, text);
    else text = input.bytes(row);
    auto value = data::FromText(text, call.type, call.context.text);
    if (!value.ok()) {
      if (!call.Tolerate(value.error())) return value.error();
      builder.AppendNull();
      continue;
    }
    data::AppendValue(builder, *value);
  }
  return builder.Finish();
}

/// varchar(n): counts characters. An explicit cast truncates, an assignment may cut spaces only.
Kernel VarcharKernel(int32_t length, bool is_explicit) {
  return Rowwise([length, is_explicit](std::string_view text) -> Result<std::string_view> {
    int32_t characters = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      if ((static_cast<uint8_t>(text[i]) & 0xC0) == 0x80) continue;
      if (++characters > length) {
        if (!is_explicit && text.find_first_not_of(' ', i) != std::string_view::npos) {
          return Error(sqlstate::kStringDataRightTruncation, fmt::format("value too long for type character varying({})", length));
        }
        return text.substr(0, i);
      }
    }
    return text;
  });
}

template <typename T> Kernel IntegerToNumeric() {
  return [](KernelCall& call) -> Result<ColumnPtr> {
    const data::Column& input = *call.arguments[0].column;
    auto out = MakeOutput(call);
    auto* values = out->mutable_data<data::StringView>();
    const T* integers = input.data<T>();
    for (int64_t row = 0; row < call.rows; ++row) values[row] = NarrowNumeric(integers[row], 0);
    FinishNulls(call, *out);
    return ColumnPtr(std::move(out));
  };
}

/// Numerics of 64 bits whose coefficient a double holds, as most are, without a call for each; null where there are others.
ColumnPtr NarrowNumericToDouble(KernelCall& call) {
  static constexpr double kPowers[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};  // exact, all of them
  constexpr int64_t kExactMax = int64_t{1} << 53;
  const data::Column& input = *call.arguments[0].column;
  auto out = MakeOutput(call);
  auto* doubles = out->mutable_data<double>();
  if (input.is_scaled()) {
    if (input.scale() >= static_cast<int>(std::size(kPowers))) return nullptr;
    const double power = kPowers[input.scale()];
    bool exact = true;
    for (int64_t row = 0; row < call.rows; ++row) {
      const int64_t coefficient = input.coefficients()[static_cast<size_t>(row)];
      exact = exact && coefficient <= kExactMax && coefficient >= -kExactMax;
      doubles[row] = static_cast<double>(coefficient) / power;
    }
    if (!exact) return nullptr;
    FinishNulls(call, *out);
    return out;
  }
  const auto* values = input.data<data::StringView>();
  for (int64_t row = 0; row < call.rows; ++row) {
    int128_t coefficient;
    int scale;
    const bool small = data::DecodeSmallNumeric(values[row], coefficient, scale);  // the value under a NULL is 0
    if (!small || scale >= static_cast<int>(std::size(kPowers)) || coefficient > kExactMax || coefficient < -kExactMax) return nullptr;
    doubles[row] = static_cast<double>(static_cast<int64_t>(coefficient)) / kPowers[scale];  // of two exact numbers: rounded once
  }
  FinishNulls(call, *out);
  return out;
}

Kernel NumericToDouble() {
  return [any = Rowwise([](Numeric value) { return value.ToDouble(); })](KernelCall& call) -> Result<ColumnPtr> {
    if (ColumnPtr narrow = NarrowNumericToDouble(call)) return narrow;
    return any(call);
  };
}

/// Conversions of times that need the session's zone.
template <typename T, typename F> Kernel InZone(F function) {
  return [function](KernelCall& call) -> Result<ColumnPtr> {
    KAPPA_ASSIGN_OR_RETURN(const data::TimeZone zone, SessionZone(call.context));
    return Rowwise([&zone, function](T value) { return function(value, zone); })(call);
  };
}

Kernel Then(Kernel first, Type between, Kernel second) {
  return [first = std::move(first), between, second = std::move(second)](KernelCall& call) -> Result<ColumnPtr> {
    KernelCall inner{call.arguments, call.rows, between, call.context};
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr column, first(inner));
    KernelCall outer{{{std::move(column), false}}, call.rows, call.type, call.context};
    return second(outer);
  };
}

Result<ColumnPtr> Retype(KernelCall& call) {
  auto out = std::make_shared<data::Column>(call.type, call.rows, data::Column::Uninitialized{});
  const data::Column& input = *call.arguments[0].column;
  std::memcpy(out->mutable_data<uint8_t>(), input.data<uint8_t>(), static_cast<size_t>(call.rows * call.type.width()));
  out->ShareKeepalives(input);
  FinishNulls(call, *out);
  return ColumnPtr(std::move(out));
}

}  // namespace

Kernel NumericCastKernel(const Type& from, const Type& to) {
  if (to.id == TypeId::kOid && IsInteger(from.id)) {
    if (from.id == TypeId::kInt8) {
      return Rowwise([](int64_t value) -> Result<int64_t> {
        if (value < 0 || value > 0xFFFFFFFFLL) return OidOutOfRange();
        return value;
      });
    }
    // int2 and int4 wrap, as in PostgreSQL.
    if (from.id == TypeId::kInt2) return Rowwise([](int16_t value) { return static_cast<int64_t>(static_cast<uint32_t>(value)); });
    return Rowwise([](int32_t value) { return static_cast<int64_t>(static_cast<uint32_t>(value)); });
  }
  switch (from.id) {
    case TypeId::kInt2: return MakeFrom<int16_t>(to.id);
    case TypeId::kInt4:
      if (to.id == TypeId::kBool) return Rowwise([](int32_t value) { return value != 0; });
      return MakeFrom<int32_t>(to.id);
    case TypeId::kInt8: return MakeFrom<int64_t>(to.id);
    case TypeId::kFloat4: return MakeFrom<float>(to.id);
    case TypeId::kFloat8: return MakeFrom<double>(to.id);
    case TypeId::kBool:
      if (to.id == TypeId::kInt4) return Rowwise([](bool value) { return static_cast<int32_t>(value); });
      return nullptr;
    case TypeId::kOid:
      if (to.id == TypeId::kInt8) return Rowwise([](int64_t value) { return value; });
      if (to.id == TypeId::kInt4) return Rowwise([](int64_t value) { return static_cast<int32_t>(value); });
      return nullptr;
    default: return nullptr;
  }
}

namespace {

/// The time of day of a wall clock; NULL of infinity.
struct ClockOfTimestamp {
  std::optional<int64_t> operator()(int64_t time) const {
    return data::IsFinite(time) ? std::optional(data::FloorMod(time, data::kMicrosPerDay)) : std::nullopt;
  }
};
constexpr ClockOfTimestamp ClockOf;

/// Conversions that PostgreSQL has functions for, without the modifier; null when only text is left.
Kernel DirectKernel(const Type& from, const Type& to) {
  if (Kernel kernel = NumericCastKernel(from, to)) return kernel;
  if (to.id == TypeId::kNumeric) {
    switch (from.id) {
      case TypeId::kInt2: return IntegerToNumeric<int16_t>();
      case TypeId::kInt4: return IntegerToNumeric<int32_t>();
      case TypeId::kInt8: return IntegerToNumeric<int64_t>();
      case TypeId::kFloat4: return Rowwise([](float value) { return Numeric::FromFloat(value); });
      case TypeId::kFloat8: return Rowwise([](double value) { return Numeric::FromDouble(value); });
      default: break;
    }
  }
  switch (from.id) {
    case TypeId::kNumeric:
      if (to.id == TypeId::kInt2) return Rowwise([](Numeric value) { return value.ToInt2(); });
      if (to.id == TypeId::kInt4) return Rowwise([](Numeric value) { return value.ToInt4(); });
      if (to.id == TypeId::kInt8) return Rowwise([](Numeric value) { return value.ToInt8(); });
      if (to.id == TypeId::kFloat4) return Rowwise([](Numeric value) { return value.ToFloat(); });
      if (to.id == TypeId::kFloat8) return NumericToDouble();
      break;
    case TypeId::kDate:
      if (to.id == TypeId::kTimestamp) return Rowwise([](int32_t date) { return data::DateToTimestamp(date); });
      if (to.id == TypeId::kTimestamptz) {
        return InZone<int32_t>([](int32_t date, const data::TimeZone& zone) { return data::DateToTimestamptz(date, zone); });
      }
      break;
    case TypeId::kTimestamp:
      if (to.id == TypeId::kDate) return Rowwise([](int64_t time) { return data::TimestampToDate(time); });
      if (to.id == TypeId::kTime) return Rowwise(ClockOf);
      if (to.id == TypeId::kTimestamptz) {
        return InZone<int64_t>([](int64_t time, const data::TimeZone& zone) { return data::TimestampToTimestamptz(time, zone); });
      }
      break;
    case TypeId::kTime:
      if (to.id == TypeId::kInterval) return Rowwise([](int64_t time) { return data::Interval{time, 0, 0}; });
      break;
    case TypeId::kInterval:
      if (to.id == TypeId::kTime) return Rowwise([](data::Interval interval) { return data::FloorMod(interval.micros, data::kMicrosPerDay); });
      break;
    case TypeId::kTimestamptz:
      if (to.id == TypeId::kTime) {
        return InZone<int64_t>([](int64_t time, const data::TimeZone& zone) -> Result<std::optional<int64_t>> {
          KAPPA_ASSIGN_OR_RETURN(const int64_t local, data::TimestamptzToTimestamp(time, zone));
          return ClockOf(local);
        });
      }
      if (to.id == TypeId::kTimestamp) {
        return InZone<int64_t>([](int64_t time, const data::TimeZone& zone) { return data::TimestamptzToTimestamp(time, zone); });
      }
      if (to.id == TypeId::kDate) {
        return InZone<int64_t>([](int64_t time, const data::TimeZone& zone) -> Result<int32_t> {
          KAPPA_ASSIGN_OR_RETURN(const int64_t local, data::TimestamptzToTimestamp(time, zone));
          return data::TimestampToDate(local);
        });
      }
      break;
    case TypeId::kJsonb: return JsonScalarCastKernel(to);
    default: break;
  }
  return nullptr;
}

/// A value with a 64-bit coefficient rounded to numeric(precision, scale); false where that is not the common case.
inline bool RoundNarrow(std::string_view bytes, int precision, int scale, data::StringView& out) {
  static constexpr int64_t kPowers[] = {1,
                                        10,
                                        100,
                                        1'000,
                                        10'000,
                                        100'000,
                                        1'000'000,
                                        10'000'000,
                                        100'000'000,
                                        1'000'000'000,
                                        10'000'000'000,
                                        100'000'000'000,
                                        1'000'000'000'000,
                                        10'000'000'000'000,
                                        100'000'000'000'000,
                                        1'000'000'000'000'000,
                                        10'000'000'000'000'000,
                                        100'000'000'000'000'000,
                                        1'000'000'000'000'000'000};
  constexpr int kPowerMax = 18;
  if (bytes.size() != 10) return false;
  int128_t wide;
  int has = 0;
  if (!data::DecodeSmallNumeric(bytes, wide, has)) return false;
  auto value = static_cast<int64_t>(wide);
  if (scale < 0 || std::abs(has - scale) > kPowerMax) return false;
  if (has < scale && __builtin_mul_overflow(value, kPowers[scale - has], &value)) return false;
  if (has > scale) {  // halves away from zero
    const int64_t power = kPowers[has - scale], rest = value % power;
    value /= power;
    if (rest >= power - rest && rest > 0) ++value;
    if (-rest >= power + rest && rest < 0) --value;
  }
  if (precision <= kPowerMax && (value >= kPowers[precision] || value <= -kPowers[precision])) return false;  // an error
  out = NarrowNumeric(value, scale);
  return true;
}

Kernel NumericModifier(int32_t modifier) {
  return [modifier, precision = data::NumericPrecision(modifier), scale = data::NumericScale(modifier)](KernelCall& call) -> Result<ColumnPtr> {
    auto out = MakeOutput(call);
    auto* values = out->mutable_data<data::StringView>();
    const Argument& argument = call.arguments[0];
    const bool nulls = call.HasNulls();
    ViewHeap heap;
    for (int64_t row = 0; row < call.rows; ++row) {
      if (nulls && call.AnyNull(row)) {
        values[row] = data::StringView();
        continue;
      }
      const std::string_view bytes = argument.bytes(row);
      if (RoundNarrow(bytes, precision, scale, values[row])) [[likely]]
        continue;
      const Result<Numeric> rounded = Numeric::FromBytes(bytes).ApplyModifier(modifier);
      if (rounded.ok()) {
        values[row] = heap.Store(rounded->ToBytes());
        continue;
      }
      if (!call.Tolerate(rounded.error())) return rounded.error();
      values[row] = data::StringView();
      out->SetNull(row);
    }
    heap.KeepAlive(*out);
    FinishNulls(call, *out);
    return ColumnPtr(std::move(out));
  };
}

/// Applies the modifier to values that already have the type; null when there is nothing to do.
Kernel ModifierKernel(const Type& to) {
  if (to.modifier < 0) return nullptr;
  const int32_t modifier = to.modifier;
  switch (to.id) {
    case TypeId::kNumeric: return NumericModifier(modifier);
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return Rowwise([modifier](int64_t time) { return data::RoundTimestamp(time, modifier); });
    case TypeId::kInterval: return Rowwise([modifier](data::Interval interval) { return data::ApplyIntervalModifier(interval, modifier); });
    default: return nullptr;
  }
}

/// Elements of all arrays are cast as one column.
Kernel ArrayKernel(const Type& from, const Type& to, bool is_explicit) {
  Type element(to.element);
  element.modifier = to.modifier;
  const Kernel cast = CastKernel(data::ElementType(from), element, is_explicit);
  return [cast, element](KernelCall& call) -> Result<ColumnPtr> {
    const data::Column& arrays = *call.arguments[0].column;
    std::vector<int32_t> parents;
    KernelCall inner{{{data::Unnest(arrays, parents), false}}, static_cast<int64_t>(parents.size()), element, call.context};
    KAPPA_ASSIGN_OR_RETURN(const ColumnPtr elements, cast(inner));
    data::ColumnBuilder builder(call.type, call.rows);
    int64_t at = 0;
    for (int64_t row = 0; row < call.rows; ++row) {
      if (arrays.IsNull(row)) {
        builder.AppendNull();
        continue;
      }
      const data::ArrayView array(arrays.bytes(row));
      data::ArrayBuilder packed(element.id);
      for (int32_t i = 0; i < array.size(); ++i) packed.AppendFrom(*elements, at++);
      builder.AppendBytes(packed.Finish(LengthsOf(array)));
    }
    return builder.Finish();
  };
}

/// Integers as they usually are written; anything else is left to the input function.
template <typename T> Kernel IntegerFromText() {
  return [](KernelCall& call) -> Result<ColumnPtr> {
    const data::Column& input = *call.arguments[0].column;
    auto out = std::make_shared<data::Column>(call.type, call.rows);
    for (int64_t row = 0; row < call.rows; ++row) {
      if (input.IsNull(row)) {
        out->SetNull(row);
        continue;
      }
      const std::string_view text = input.bytes(row);
      T value{};
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size()) {
        auto slow = data::FromText(text, call.type);
        if (!slow.ok()) {
          if (!call.Tolerate(slow.error())) return slow.error();
          out->SetNull(row);
          continue;
        }
        value = slow->template As<T>();
      }
      out->template mutable_data<T>()[row] = value;
    }
    return ColumnPtr(std::move(out));
  };
}

}  // namespace

Kernel CastKernel(const Type& from, const Type& to, bool is_explicit) {
  if (IsRegType(from) && to.id == TypeId::kText) return RegTextKernel(from);
  if (from.Same(to) && from.id == TypeId::kOid) return Retype;
  if (to.id == TypeId::kText) {
    Kernel text = from.id == TypeId::kText || from.id == TypeId::kUnknown ? Kernel(Retype) : Kernel(ToTextKernel);
    if (to.modifier < 0) return text;
    Kernel limit = VarcharKernel(to.modifier - 4, is_explicit);
    return from.id == TypeId::kText ? limit : Then(std::move(text), TypeId::kText, std::move(limit));
  }
  if (from.id == TypeId::kText || from.id == TypeId::kUnknown) {
    switch (to.id) {
      case TypeId::kInt2: return IntegerFromText<int16_t>();
      case TypeId::kInt4: return IntegerFromText<int32_t>();
      case TypeId::kInt8: return IntegerFromText<int64_t>();
      default: return [](KernelCall& call) { return FromTextKernel(call, false); };
    }
  }
  Kernel modifier = ModifierKernel(to);
  if (from.Same(to) && !to.is_array()) return modifier ? modifier : Kernel(Retype);
  if (from.is_array() && to.is_array()) return ArrayKernel(from, to, is_explicit);
  if (Kernel direct = DirectKernel(from, to)) return modifier ? Then(std::move(direct), to.WithoutModifier(), std::move(modifier)) : direct;
  return [](KernelCall& call) { return FromTextKernel(call, true); };
}

}  // namespace kappa::expr
