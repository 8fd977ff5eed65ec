// Comparison of values, one function per type.
#include "data/compare.h"

#include <cmath>
#include <cstring>

#include "data/array.h"
#include "data/datetime.h"
#include "data/json.h"
#include "data/numeric_bytes.h"
#include "data/record.h"

namespace kappa::data {
namespace {

template <typename T> int CompareFixed(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) [[unlikely]]
      return static_cast<int>(std::isnan(a)) - static_cast<int>(std::isnan(b));
    return (a > b) - (a < b);
  } else if constexpr (std::is_same_v<T, Interval>) {
    return Compare(a, b);
  } else {
    return (a > b) - (a < b);
  }
}

int CompareText(std::string_view a, std::string_view b) {
  int order = a.compare(b);
  return (order > 0) - (order < 0);
}

template <typename T> int CompareColumns(const Column& a, int64_t i, const Column& b, int64_t j) {
  return CompareFixed(a.data<T>()[i], b.data<T>()[j]);
}
template <int (*kCompare)(std::string_view, std::string_view)> int CompareBytes(const Column& a, int64_t i, const Column& b, int64_t j) {
  return kCompare(a.bytes(i), b.bytes(j));
}
template <typename T> int CompareLoaded(std::string_view a, std::string_view b) {
  T x, y;
  std::memcpy(&x, a.data(), sizeof x);
  std::memcpy(&y, b.data(), sizeof y);
  return CompareFixed(x, y);
}

}  // namespace

RowComparator RowComparatorFor(Type type) {
  switch (type.id) {
    case TypeId::kBool: return CompareColumns<uint8_t>;
    case TypeId::kInt2: return CompareColumns<int16_t>;
    case TypeId::kInt4:
    case TypeId::kDate: return CompareColumns<int32_t>;
    case TypeId::kInt8:
    case TypeId::kOid:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return CompareColumns<int64_t>;
    case TypeId::kFloat4: return CompareColumns<float>;
    case TypeId::kFloat8: return CompareColumns<double>;
    case TypeId::kInterval: return CompareColumns<Interval>;
    case TypeId::kNumeric: return CompareBytes<CompareNumericBytes>;
    case TypeId::kJsonb: return CompareBytes<CompareJson>;
    case TypeId::kArray: return CompareBytes<CompareArrays>;
    case TypeId::kRecord: return CompareBytes<CompareRecords>;
    case TypeId::kUnknown:
    case TypeId::kText:
    case TypeId::kBytea:
    case TypeId::kUuid:
    case TypeId::kEnum: break;
  }
  return CompareBytes<CompareText>;
}

int CompareRows(const Column& a, int64_t i, const Column& b, int64_t j) { return RowComparatorFor(a.type())(a, i, b, j); }

int ComparePhysical(Type type, std::string_view a, std::string_view b) {
  switch (type.id) {
    case TypeId::kBool: return CompareLoaded<uint8_t>(a, b);
    case TypeId::kInt2: return CompareLoaded<int16_t>(a, b);
    case TypeId::kInt4:
    case TypeId::kDate: return CompareLoaded<int32_t>(a, b);
    case TypeId::kInt8:
    case TypeId::kOid:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return CompareLoaded<int64_t>(a, b);
    case TypeId::kFloat4: return CompareLoaded<float>(a, b);
    case TypeId::kFloat8: return CompareLoaded<double>(a, b);
    case TypeId::kInterval: return CompareLoaded<Interval>(a, b);
    case TypeId::kNumeric: return CompareNumericBytes(a, b);
    case TypeId::kJsonb: return CompareJson(a, b);
    case TypeId::kArray: return CompareArrays(a, b);
    case TypeId::kRecord: return CompareRecords(a, b);
    case TypeId::kUnknown:
    case TypeId::kText:
    case TypeId::kBytea:
    case TypeId::kUuid:
    case TypeId::kEnum: break;
  }
  return CompareText(a, b);
}

}  // namespace kappa::data
