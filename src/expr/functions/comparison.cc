// The six comparison operators of every type.
#include <fmt/format.h>

#include "base/int128.h"
#include "data/array.h"
#include "data/datetime.h"
#include "data/json.h"
#include "data/numeric.h"
#include "data/record.h"
#include "expr/functions/register.h"
#include "expr/loops.h"

namespace kappa::expr {
namespace {

using data::StringView;

// Orders in which every pair of values is comparable: floats with NaN equal to itself and above all else.
template <typename T> struct Plain {
  static bool Equal(const T& a, const T& b) { return a == b; }
  static bool Less(const T& a, const T& b) { return a < b; }
};
template <typename T> struct Float {
  static bool Equal(T a, T b) { return (a == b) | ((a != a) & (b != b)); }
  static bool Less(T a, T b) { return (a < b) | ((b != b) & (a == a)); }
};

/// Bytes in order; the zero-padded prefixes in the views decide most rows.
struct TextOrder {
  static bool Equal(const StringView& a, const StringView& b) { return a == b; }
  static bool Less(const StringView& a, const StringView& b) {
    const uint32_t x = Prefix(a), y = Prefix(b);
    return x != y ? x < y : a.view() < b.view();
  }
  static uint32_t Prefix(const StringView& view) {
    uint32_t prefix;
    std::memcpy(&prefix, reinterpret_cast<const char*>(&view) + 4, sizeof prefix);
    return __builtin_bswap32(prefix);
  }
};
/// Bytes of numerics. Those of ten bytes, which lie inside the view, compare as 64-bit coefficients brought to one scale.
struct NumericOrder {
  static bool Equal(const StringView& a, const StringView& b) {
    int128_t x, y;
    return Align(a, b, x, y) ? x == y : data::CompareNumericBytes(a.view(), b.view()) == 0;
  }
  static bool Less(const StringView& a, const StringView& b) {
    int128_t x, y;
    return Align(a, b, x, y) ? x < y : data::CompareNumericBytes(a.view(), b.view()) < 0;
  }

 private:
  static bool Align(const StringView& a, const StringView& b, int128_t& x, int128_t& y) {
    static constexpr int64_t kPowersOfTen[] = {1,
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
    if (a.size() != 10 || b.size() != 10) return false;
    const int distance = Scale(a) - Scale(b);
    if (distance < -18 || distance > 18) return false;
    x = Coefficient(a);
    y = Coefficient(b);
    if (distance < 0) x *= kPowersOfTen[-distance];
    if (distance > 0) y *= kPowersOfTen[distance];
    return true;
  }
  static int Scale(const StringView& view) {
    uint16_t head;
    std::memcpy(&head, reinterpret_cast<const char*>(&view) + 4, sizeof head);
    return head;
  }
  static int64_t Coefficient(const StringView& view) {
    int64_t coefficient;
    std::memcpy(&coefficient, reinterpret_cast<const char*>(&view) + 6, sizeof coefficient);
    return coefficient;
  }
};
struct JsonOrder {
  static bool Equal(const StringView& a, const StringView& b) { return data::CompareJson(a.view(), b.view()) == 0; }
  static bool Less(const StringView& a, const StringView& b) { return data::CompareJson(a.view(), b.view()) < 0; }
};
struct ArrayOrder {
  static bool Equal(const StringView& a, const StringView& b) { return data::CompareArrays(a.view(), b.view()) == 0; }
  static bool Less(const StringView& a, const StringView& b) { return data::CompareArrays(a.view(), b.view()) < 0; }
};
struct RecordOrder {
  static bool Equal(const StringView& a, const StringView& b) { return data::CompareRecords(a.view(), b.view()) == 0; }
  static bool Less(const StringView& a, const StringView& b) { return data::CompareRecords(a.view(), b.view()) < 0; }
};
struct IntervalOrder {
  static bool Equal(const data::Interval& a, const data::Interval& b) { return data::Compare(a, b) == 0; }
  static bool Less(const data::Interval& a, const data::Interval& b) { return data::Compare(a, b) < 0; }
};

/// Registers = <> < <= > >= with `Order` after converting both sides to C.
template <typename Order, typename C, typename A, typename B> void RegisterOrder(Registry& registry, std::string_view types) {
  const std::string signature = fmt::format("{} -> bool", types);
  auto add = [&](std::string_view name, Kernel kernel, std::string_view description) {
    registry.Operator(name, signature, std::move(kernel), description).Infallible();
  };
  add(
      "=",
      [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return Order::Equal(C(a), C(b)); }); },
      "equal");
  add(
      "<>",
      [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return !Order::Equal(C(a), C(b)); }); },
      "not equal");
  add(
      "<",
      [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return Order::Less(C(a), C(b)); }); },
      "less than");
  add(
      ">",
      [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return Order::Less(C(b), C(a)); }); },
      "greater than");
  add(
      "<=",
      [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return !Order::Less(C(b), C(a)); }); },
      "less than or equal");
  add(
      ">=",
      [](KernelCall& call) { return PureBinary<uint8_t, A, B>(call, [](const A& a, const B& b) -> uint8_t { return !Order::Less(C(a), C(b)); }); },
      "greater than or equal");
}

template <typename Order, typename T> void RegisterSame(Registry& registry, std::string_view type) {
  RegisterOrder<Order, const T&, T, T>(registry, fmt::format("{0}, {0}", type));
}

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
  RegisterSame<Plain<int64_t>, int64_t>(registry, "time");
  RegisterSame<Plain<int64_t>, int64_t>(registry, "timestamp");
  RegisterSame<Plain<int64_t>, int64_t>(registry, "timestamptz");
  RegisterSame<TextOrder, StringView>(registry, "text");
  RegisterSame<TextOrder, StringView>(registry, "bytea");
  RegisterSame<TextOrder, StringView>(registry, "uuid");
  RegisterSame<NumericOrder, StringView>(registry, "numeric");
  RegisterSame<JsonOrder, StringView>(registry, "jsonb");
  RegisterSame<ArrayOrder, StringView>(registry, "anyarray");
  RegisterSame<RecordOrder, StringView>(registry, "record");
  RegisterSame<IntervalOrder, data::Interval>(registry, "interval");
}

}  // namespace kappa::expr
