// Sorting: by eight bytes of the first column that order like its values (behind what all of them begin with), then by the values.
#include "ops/sort_order.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "data/compare.h"

namespace kappa::ops {
namespace {

constexpr uint64_t kSignBit = 1ULL << 63;

uint64_t FloatPrefix(double value) {
  if (std::isnan(value)) return UINT64_MAX;
  if (value == 0) return kSignBit;
  auto bits = std::bit_cast<uint64_t>(value);
  return (bits & kSignBit) != 0 ? ~bits : bits | kSignBit;
}

bool ComparesBytes(data::TypeId id) {
  using data::TypeId;
  return id == TypeId::kText || id == TypeId::kBytea || id == TypeId::kEnum || id == TypeId::kUuid;
}

/// How many bytes all values begin with alike: names are often numbered.
size_t CommonBytes(const data::Column& column, std::span<const int32_t> rows) {
  if (!ComparesBytes(column.type().id)) return 0;
  std::optional<std::string_view> common;
  for (const int32_t row : rows) {
    if (column.IsNull(row)) continue;
    const std::string_view bytes = column.bytes(row);
    if (!common) common = bytes;
    if (bytes.starts_with(*common)) continue;
    const auto differ = std::mismatch(bytes.begin(), bytes.end(), common->begin(), common->end()).first;
    common = common->substr(0, static_cast<size_t>(differ - bytes.begin()));
    if (common->empty()) break;
  }
  return common ? common->size() : 0;
}

/// If a < b then Prefix(a) <= Prefix(b). All values begin with the same `common` bytes.
uint64_t Prefix(const data::Column& column, int64_t row, size_t common) {
  using data::TypeId;
  switch (column.type().id) {
    case TypeId::kInt2: return static_cast<uint64_t>(static_cast<int64_t>(column.data<int16_t>()[row])) ^ kSignBit;
    case TypeId::kInt4:
    case TypeId::kDate: return static_cast<uint64_t>(static_cast<int64_t>(column.data<int32_t>()[row])) ^ kSignBit;
    case TypeId::kInt8:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return static_cast<uint64_t>(column.data<int64_t>()[row]) ^ kSignBit;
    case TypeId::kFloat4: return FloatPrefix(column.data<float>()[row]);
    case TypeId::kFloat8: return FloatPrefix(column.data<double>()[row]);
    case TypeId::kText:
    case TypeId::kBytea:
    case TypeId::kEnum:
    case TypeId::kUuid: {
      const std::string_view bytes = column.bytes(row).substr(common);
      uint64_t prefix = 0;
      std::memcpy(&prefix, bytes.data(), std::min<size_t>(bytes.size(), 8));
      return __builtin_bswap64(prefix);
    }
    default: return 0;
  }
}

int CompareRows(const SortColumn& by, data::RowComparator compare, int32_t a, int32_t b) {
  bool null_a = by.column->IsNull(a), null_b = by.column->IsNull(b);
  if (null_a || null_b) return null_a == null_b ? 0 : null_a == by.nulls_first ? -1 : 1;
  int order = compare(*by.column, a, *by.column, b);
  return by.descending ? -order : order;
}

}  // namespace

Result<std::vector<SortColumn>> SortColumns(std::span<const plan::SortKey> keys, const data::Batch& batch, expr::EvalContext& context) {
  std::vector<SortColumn> columns;
  columns.reserve(keys.size());
  for (const plan::SortKey& key : keys) {
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr column, key.expression->Evaluate(batch, context));
    columns.push_back({std::move(column), key.descending, key.nulls_first});
  }
  return columns;
}

int CompareSorted(std::span<const SortColumn> columns, int32_t a, int32_t b) {
  for (const SortColumn& by : columns)
    if (const int order = CompareRows(by, data::RowComparatorFor(by.column->type()), a, b); order != 0) return order;
  return 0;
}

void SortRows(std::span<const SortColumn> columns, std::vector<int32_t>& rows) {
  if (columns.empty()) return;
  struct Item {
    uint64_t prefix;
    uint32_t position;  // keeps the sort stable
    int32_t row;
    uint8_t group;      // 0 NULLs that come first, 1 values, 2 NULLs that come last
  };
  std::vector<Item> items(rows.size());
  const SortColumn& first = columns[0];
  std::vector<data::RowComparator> comparators;
  for (const SortColumn& by : columns) comparators.push_back(data::RowComparatorFor(by.column->type()));
  const size_t common = CommonBytes(*first.column, rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    bool null = first.column->IsNull(rows[i]);
    uint64_t prefix = null ? 0 : Prefix(*first.column, rows[i], common);
    items[i] = {first.descending ? ~prefix : prefix, static_cast<uint32_t>(i), rows[i], static_cast<uint8_t>(null ? (first.nulls_first ? 0 : 2) : 1)};
  }
  std::sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
    if (a.group != b.group) return a.group < b.group;
    if (a.prefix != b.prefix && a.group == 1) return a.prefix < b.prefix;
    for (size_t c = 0; c < columns.size(); ++c) {
      if (int order = CompareRows(columns[c], comparators[c], a.row, b.row); order != 0) return order < 0;
    }
    return a.position < b.position;
  });
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = items[i].row;
}

}  // namespace kappa::ops
