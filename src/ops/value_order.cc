// The order of SQL values, type by type.
#include "ops/value_order.h"

#include <cmath>

#include "base/int128.h"
#include "data/numeric.h"

namespace kappa::ops {
namespace {

template <typename T> T Load(std::string_view bytes) {
  KAPPA_DCHECK(bytes.size() == sizeof(T));
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}
template <typename T> int CompareFixed(std::string_view a, std::string_view b) {
  T x = Load<T>(a), y = Load<T>(b);
  return x < y ? -1 : x > y ? 1 : 0;
}
template <typename T> int CompareFloat(std::string_view a, std::string_view b) {
  T x = Load<T>(a), y = Load<T>(b);
  if (std::isnan(x) || std::isnan(y)) return static_cast<int>(std::isnan(x)) - static_cast<int>(std::isnan(y));
  return x < y ? -1 : x > y ? 1 : 0;
}
/// PostgreSQL's: a month is 30 days, a day 24 hours.
int CompareIntervals(const data::Interval& a, const data::Interval& b) {
  auto span = [](const data::Interval& i) {
    return static_cast<int128_t>(i.micros) + (static_cast<int128_t>(i.months) * 30 + i.days) * 86'400'000'000;
  };
  int128_t x = span(a), y = span(b);
  return x < y ? -1 : x > y ? 1 : 0;
}

}  // namespace

int CompareValues(const data::Type& type, std::string_view a, std::string_view b) {
  using data::TypeId;
  switch (type.id) {
    case TypeId::kBool: return CompareFixed<uint8_t>(a, b);
    case TypeId::kInt2: return CompareFixed<int16_t>(a, b);
    case TypeId::kInt4:
    case TypeId::kDate: return CompareFixed<int32_t>(a, b);
    case TypeId::kInt8:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return CompareFixed<int64_t>(a, b);
    case TypeId::kOid: return CompareFixed<int64_t>(a, b);
    case TypeId::kFloat4: return CompareFloat<float>(a, b);
    case TypeId::kFloat8: return CompareFloat<double>(a, b);
    case TypeId::kNumeric: return data::CompareNumericBytes(a, b);
    case TypeId::kInterval: return CompareIntervals(Load<data::Interval>(a), Load<data::Interval>(b));
    default: return a.compare(b);
  }
}

}  // namespace kappa::ops
