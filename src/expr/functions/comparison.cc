// The six comparison operators of every type.
#include <fmt/format.h>

#include "data/array.h"
#include "data/datetime.h"
#include "data/json.h"
#include "data/numeric.h"
#include "expr/functions/register.h"
#include "expr/loops.h"

namespace kappa::expr {
namespace {

using data::StringView;

// Orders in which every pair of values is comparable: floats with NaN equal to itself and above all else.
template <typename T>
struct Plain {
  static bool Equal(const T& a, const T& b) { return a == b; }
  static bool Less(const T& a, const T& b) { return a < b; }
};
template <typename T>
struct Float {
  static bool Equal(T a, T b) { return (a == b) | ((a != a) & (b != b)); }
  static bool Less(T a, T b) { return (a < b) | ((b != b) & (a == a)); }
};

/// Bytes of numerics.
struct NumericOrder {
  static bool Equal(const StringView& a, const StringView& b) { return data::CompareNumericBytes(a.view(), b.view()) == 0; }
  static bool Less(const StringView& a, const StringView& b) { return data::CompareNumericBytes(a.view(), b.view()) < 0; }
};
struct JsonOrder {
  static bool Equal(const StringView& a, const StringView& b) { return data::CompareJson(a.view(), b.view()) == 0; }
  static bool Less(const StringView& a, const StringView& b) { return data::CompareJson(a.view(), b.view()) < 0; }
};
struct ArrayOrder {
  static bool Equal(const StringView& a, const StringView& b) { return data::CompareArrays(a.view(), b.view()) == 0; }
  static bool Less(const StringView& a, const StringView& b) { return data::CompareArrays(a.view(), b.view()) < 0; }
};
struct IntervalOrder {
  static bool Equal(const data::Interval& a, const data::Interval& b) { return data::Compare(a, b) == 0; }
  static bool Less(const data::Interval& a, const data::Interval& b) { return data::Compare(a, b) < 0; }
};

/// Registers = <> < <= > >= with `Order` after converting both sides to C.
template <typename Order, typename C, typename A, typename B>
void RegisterOrder(Registry& registry, std::string_view types) {
  const std::string signature = fmt::format("{} -> bool", types);
  auto add = [&](std::string_view name, Kernel kernel, std::string_view description) {
    registry.Operator(name, signature, std::move(kernel), description).Infallible();
  };
  add("=", [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return Order::Equal(C(a), C(b)); }); }, "equal");
  add("<>", [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return !Order::Equal(C(a), C(b)); }); }, "not equal");
  add("<", [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return Order::Less(C(a), C(b)); }); }, "less than");
  add(">", [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return Order::Less(C(b), C(a)); }); }, "greater than");
  add("<=", [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return !Order::Less(C(b), C(a)); }); }, "less than or equal");
  add(">=", [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return !Order::Less(C(a), C(b)); }); }, "greater than or equal");
}

template <typename Order, typename T>
void RegisterSame(Registry& registry, std::string_view type) { RegisterOrder<Order, const T&, T, T>(registry, fmt::format("{0}, {0}", type)); }

}  // namespace

void RegisterComparisons(Registry& registry) {
  RegisterSame<Plain<uint8_t>, uint8_t>(registry, "bool");
  RegisterSame<Plain<int16_t>, int16_t>(registry, "int2");
  RegisterSame<Plain<int32_t>, int32_t>(registry, "int4");
  RegisterSame<Plain<int64_t>, int64_t>(registry, "int8");
  RegisterSame<Plain<int64_t>, int64_t>(registry, "oid");
  RegisterSame<Float<float>, float>(registry, "float4");
  RegisterSame<Float<double>, double>(registry, "float8");
  RegisterOrder<Float<double>, double, float, double>(registry, "float4, float8");
  RegisterOrder<Float<double>, double, double, float>(registry, "float8, float4");
  RegisterSame<Plain<int32_t>, int32_t>(registry, "date");
  RegisterSame<Plain<int64_t>, int64_t>(registry, "timestamp");
  RegisterSame<Plain<int64_t>, int64_t>(registry, "timestamptz");
  RegisterSame<Plain<StringView>, StringView>(registry, "text");
  RegisterSame<Plain<StringView>, StringView>(registry, "bytea");
  RegisterSame<Plain<StringView>, StringView>(registry, "uuid");
  RegisterSame<NumericOrder, StringView>(registry, "numeric");
  RegisterSame<JsonOrder, StringView>(registry, "jsonb");
  RegisterSame<ArrayOrder, StringView>(registry, "anyarray");
  RegisterSame<IntervalOrder, data::Interval>(registry, "interval");
}

}  // namespace kappa::expr
