// The canonical form of values: one representative for all values that SQL calls equal.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/int128.h"
#include "data/array.h"
#include "data/json.h"
#include "data/numeric_bytes.h"
#include "data/record.h"
#include "data/row_key.h"

namespace kappa::data {
namespace {

template <typename T> T CanonicalFloat(T x) { return std::isnan(x) ? std::numeric_limits<T>::quiet_NaN() : x + T{0}; }  // -0 + 0 is 0

template <typename T> ColumnPtr CanonicalFloats(const ColumnPtr& column) {
  auto values = column->values<T>();
  auto canonical = [](T x) {
    T y = CanonicalFloat(x);
    return std::memcmp(&x, &y, sizeof x) == 0;
  };
  if (std::all_of(values.begin(), values.end(), canonical)) return column;
  auto result = std::make_shared<Column>(column->type(), column->size(), Column::Uninitialized{});
  std::transform(values.begin(), values.end(), result->template mutable_data<T>(), CanonicalFloat<T>);
  result->MergeNulls(*column);
  return result;
}

// A month counts 30 days and a day 24 hours, as in interval's equality. All goes into days and the time of day; only spans
// beyond two thousand million days keep months.
Interval CanonicalInterval(const Interval& interval) {
  constexpr int128_t kDay = 86'400'000'000;
  int128_t span = interval.micros + kDay * (int128_t{interval.days} + int128_t{interval.months} * 30);
  int128_t days = span / kDay;
  Interval out;
  out.micros = static_cast<int64_t>(span % kDay);
  if (days != static_cast<int32_t>(days)) {
    int128_t months = std::clamp<int128_t>(days / 30, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
    out.months = static_cast<int32_t>(months);
    days -= months * 30;
  }
  out.days = static_cast<int32_t>(days);
  return out;
}

ColumnPtr CanonicalIntervals(const ColumnPtr& column) {
  auto result = std::make_shared<Column>(column->type(), column->size(), Column::Uninitialized{});
  Interval* out = result->mutable_data<Interval>();
  bool change = false;
  for (const Interval& interval : column->values<Interval>()) {
    *out = CanonicalInterval(interval);
    change |= *out != interval;
    ++out;
  }
  if (!change) return column;
  result->MergeNulls(*column);
  return result;
}

// Replaces the values for which `is_canonical` fails by what `append` writes.
template <typename IsCanonical, typename AppendCanonical>
ColumnPtr CanonicalBytes(const ColumnPtr& column, IsCanonical is_canonical, AppendCanonical append) {
  int64_t row = 0;
  while (row < column->size() && (column->IsNull(row) || is_canonical(column->bytes(row)))) ++row;
  if (row == column->size()) return column;
  ColumnBuilder builder(column->type(), column->size());
  builder.ShareKeepalives(*column);
  std::string scratch;
  for (int64_t i = 0; i < column->size(); ++i) {
    if (column->IsNull(i)) {
      builder.AppendNull();
    } else if (is_canonical(column->bytes(i))) {
      builder.AppendBorrowed(column->data<StringView>()[i]);
    } else {
      scratch.clear();
      append(column->bytes(i), scratch);
      builder.AppendBytes(scratch);
    }
  }
  return builder.Finish();
}

}  // namespace

ColumnPtr CanonicalColumn(const ColumnPtr& column) {
  switch (column->type().id) {
    case TypeId::kFloat4: return CanonicalFloats<float>(column);
    case TypeId::kFloat8: return CanonicalFloats<double>(column);
    case TypeId::kInterval: return CanonicalIntervals(column);
    case TypeId::kNumeric: return CanonicalBytes(column, IsCanonicalNumeric, AppendCanonicalNumeric);
    case TypeId::kJsonb: return CanonicalBytes(column, IsCanonicalJson, AppendCanonicalJson);
    case TypeId::kArray: return CanonicalBytes(column, IsCanonicalArray, AppendCanonicalArray);
    case TypeId::kRecord: return CanonicalBytes(column, IsCanonicalRecord, AppendCanonicalRecord);
    default: return column;
  }
}

}  // namespace kappa::data
