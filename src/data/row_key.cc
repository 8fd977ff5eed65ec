// Encoding of rows as byte strings: one pass over the columns for the sizes, one to fill, one to hash.
#include "data/row_key.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "data/repeated_rows.h"

namespace kappa::data {
namespace {

constexpr size_t kLengthBytes = sizeof(uint32_t);

// Writes the non-NULL fixed-width values of one column at `ends`, advancing them.
template <int kWidth> void FillFixed(const Column& column, char* out, size_t* ends) {
  const char* values = column.data<char>();
  int64_t rows = column.size();
  if (!column.has_nulls()) {
    for (int64_t i = 0; i < rows; ++i) {
      char* to = out + ends[i];
      *to = 1;
      std::memcpy(to + 1, values + i * kWidth, kWidth);
      ends[i] += 1 + kWidth;
    }
    return;
  }
  for (int64_t i = 0; i < rows; ++i) {
    char* to = out + ends[i];
    if (column.IsNull(i)) {
      *to = 0;
      ends[i] += 1;
      continue;
    }
    *to = 1;
    std::memcpy(to + 1, values + i * kWidth, kWidth);
    ends[i] += 1 + kWidth;
  }
}

void FillVariable(const Column& column, char* out, size_t* ends) {
  const StringView* views = column.data<StringView>();
  for (int64_t i = 0; i < column.size(); ++i) {
    char* to = out + ends[i];
    if (column.IsNull(i)) {
      *to = 0;
      ends[i] += 1;
      continue;
    }
    uint32_t size = views[i].size();
    *to = 1;
    std::memcpy(to + 1, &size, kLengthBytes);
    std::memcpy(to + 1 + kLengthBytes, views[i].data(), size);
    ends[i] += 1 + kLengthBytes + size;
  }
}

void Fill(const Column& column, char* out, size_t* ends) {
  if (column.type().is_variable()) return FillVariable(column, out, ends);
  switch (column.type().width()) {
    case 1: return FillFixed<1>(column, out, ends);
    case 2: return FillFixed<2>(column, out, ends);
    case 4: return FillFixed<4>(column, out, ends);
    case 8: return FillFixed<8>(column, out, ends);
    default: return FillFixed<16>(column, out, ends);
  }
}

// Adds each row's size in this column to sizes[row].
void AddSizes(const Column& column, size_t* sizes) {
  int64_t rows = column.size();
  size_t overhead = 1 + (column.type().is_variable() ? kLengthBytes : static_cast<size_t>(column.type().width()));
  if (!column.type().is_variable()) {
    if (!column.has_nulls()) {
      for (int64_t i = 0; i < rows; ++i) sizes[i] += overhead;
    } else {
      for (int64_t i = 0; i < rows; ++i) sizes[i] += column.IsNull(i) ? 1 : overhead;
    }
    return;
  }
  const StringView* views = column.data<StringView>();
  for (int64_t i = 0; i < rows; ++i) sizes[i] += column.IsNull(i) ? 1 : overhead + views[i].size();
}

template <typename T> void AppendFixed(std::string_view& key, ColumnBuilder& builder) {
  KAPPA_CHECK(key.size() >= sizeof(T));
  T value;
  std::memcpy(&value, key.data(), sizeof value);
  key.remove_prefix(sizeof value);
  builder.Append(value);
}

}  // namespace

RowKeys::RowKeys(std::span<const ColumnPtr> columns, int64_t rows, bool canonical, bool hashed) {
  std::optional<RepeatedRows> repeated;
  if (hashed) repeated = FindRepeatedRows(columns, rows);
  if (!repeated) {
    Encode(columns, rows, canonical, hashed);
    return;
  }
  std::vector<ColumnPtr> firsts;
  for (const ColumnPtr& column : columns) firsts.push_back(Gather(*column, repeated->firsts));
  Encode(firsts, static_cast<int64_t>(repeated->firsts.size()), canonical, hashed);
  kinds_ = std::move(repeated->kinds);
}

void RowKeys::Encode(std::span<const ColumnPtr> columns, int64_t rows, bool canonical, bool hashed) {
  std::vector<ColumnPtr> converted;
  if (canonical) {
    converted.reserve(columns.size());
    for (const ColumnPtr& column : columns) converted.push_back(CanonicalColumn(column));
    columns = converted;
  }
  size_t count = static_cast<size_t>(rows);
  offsets_.resize(count + 1);
  // One shift of the array: sizes are summed up in offsets_[1..], so that offsets_[i + 1] first is the start and, after the
  // fill, the end of row i.
  size_t* sizes = offsets_.data() + 1;
  bool fixed = true;
  size_t fixed_size = 0;
  for (const ColumnPtr& column : columns) {
    KAPPA_CHECK(column->size() == rows);
    fixed &= !column->type().is_variable() && !column->has_nulls();
    fixed_size += 1 + static_cast<size_t>(column->type().width());
  }
  size_t total = 0;
  if (fixed) {
    for (size_t i = 0; i < count; ++i) sizes[i] = i * fixed_size;
    total = count * fixed_size;
  } else {
    for (const ColumnPtr& column : columns) AddSizes(*column, sizes);
    for (size_t i = 0; i < count; ++i) {
      size_t size = sizes[i];
      sizes[i] = total;
      total += size;
    }
  }
  bytes_.resize(total);
  for (const ColumnPtr& column : columns) Fill(*column, bytes_.data(), sizes);
  KAPPA_DCHECK(offsets_.back() == total);
  if (!hashed) return;
  hashes_.resize(count);
  for (size_t i = 0; i < count; ++i) hashes_[i] = XXH3_64bits_withSeed(bytes_.data() + offsets_[i], offsets_[i + 1] - offsets_[i], 0);
}

void AppendRow(std::string_view key, std::span<ColumnBuilder> builders) {
  for (ColumnBuilder& builder : builders) {
    KAPPA_CHECK(!key.empty());
    bool present = key.front() != 0;
    key.remove_prefix(1);
    if (!present) {
      builder.AppendNull();
    } else if (builder.type().is_variable()) {
      uint32_t size;
      KAPPA_CHECK(key.size() >= kLengthBytes);
      std::memcpy(&size, key.data(), kLengthBytes);
      KAPPA_CHECK(key.size() - kLengthBytes >= size);
      builder.AppendBytes(key.substr(kLengthBytes, size));
      key.remove_prefix(kLengthBytes + size);
    } else {
      switch (builder.type().width()) {
        case 1: AppendFixed<uint8_t>(key, builder); break;
        case 2: AppendFixed<int16_t>(key, builder); break;
        case 4: AppendFixed<int32_t>(key, builder); break;
        case 8: AppendFixed<int64_t>(key, builder); break;
        default: AppendFixed<Interval>(key, builder); break;
      }
    }
  }
  KAPPA_CHECK(key.empty());
}

}  // namespace kappa::data
