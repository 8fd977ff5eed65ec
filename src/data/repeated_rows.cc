// A table of kinds by hash; a block of rows is hashed, and compared with the kinds found, column by column.
#include "data/repeated_rows.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace kappa::data {
namespace {

constexpr int64_t kBlockRows = 256;

uint64_t Mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
  return hash ^ hash >> 32;
}

template <typename T> T Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T> void HashFixed(const Column& column, int64_t from, int64_t count, uint64_t* hashes) {
  const T* values = column.data<T>() + from;
  for (int64_t i = 0; i < count; ++i) hashes[i] = Mix(hashes[i], static_cast<uint64_t>(values[i]));
}

/// Of 16 bytes; of long strings size, first and last bytes.
void HashWide(const Column& column, int64_t from, int64_t count, uint64_t* hashes) {
  const char* values = column.data<char>() + from * 16;
  const bool strings = column.type().is_variable();
  for (int64_t i = 0; i < count; ++i, values += 16) {
    const uint64_t low = Load<uint64_t>(values);
    uint64_t high = Load<uint64_t>(values + 8);
    if (const auto size = static_cast<uint32_t>(low); strings && size > StringView::kInlineMax)
      high = Load<uint64_t>(std::bit_cast<const char*>(high) + size - 8);
    hashes[i] = Mix(Mix(hashes[i], low), high);
  }
}

void Hash(const Column& column, int64_t from, int64_t count, uint64_t* hashes) {
  if (column.has_nulls()) {
    for (int64_t i = 0; i < count; ++i) hashes[i] += column.IsNull(from + i);
  }
  switch (column.type().width()) {
    case 1: return HashFixed<uint8_t>(column, from, count, hashes);
    case 2: return HashFixed<uint16_t>(column, from, count, hashes);
    case 4: return HashFixed<uint32_t>(column, from, count, hashes);
    case 8: return HashFixed<uint64_t>(column, from, count, hashes);
    default: return HashWide(column, from, count, hashes);
  }
}

template <typename T> void CompareFixed(const Column& column, int64_t from, std::span<const int32_t> others, bool* same) {
  const T* values = column.data<T>();
  for (size_t i = 0; i < others.size(); ++i) same[i] &= values[from + static_cast<int64_t>(i)] == values[others[i]];
}

void CompareWide(const Column& column, int64_t from, std::span<const int32_t> others, bool* same) {
  const char* values = column.data<char>();
  const bool strings = column.type().is_variable();
  for (size_t i = 0; i < others.size(); ++i) {
    const char* a = values + (from + static_cast<int64_t>(i)) * 16;
    const char* b = values + others[i] * int64_t{16};
    const auto low = Load<uint64_t>(a);
    if (low != Load<uint64_t>(b)) {
      same[i] = false;
    } else if (Load<uint64_t>(a + 8) != Load<uint64_t>(b + 8)) {
      const auto size = static_cast<uint32_t>(low);
      same[i] &= strings && size > StringView::kInlineMax && std::memcmp(Load<const char*>(a + 8), Load<const char*>(b + 8), size) == 0;
    }
  }
}

/// Clears same[i] where row from + i differs from row others[i].
void Compare(const Column& column, int64_t from, std::span<const int32_t> others, bool* same) {
  if (column.has_nulls()) {
    for (size_t i = 0; i < others.size(); ++i) same[i] &= column.IsNull(from + static_cast<int64_t>(i)) == column.IsNull(others[i]);
  }
  switch (column.type().width()) {
    case 1: return CompareFixed<uint8_t>(column, from, others, same);
    case 2: return CompareFixed<uint16_t>(column, from, others, same);
    case 4: return CompareFixed<uint32_t>(column, from, others, same);
    case 8: return CompareFixed<uint64_t>(column, from, others, same);
    default: return CompareWide(column, from, others, same);
  }
}

bool Same(std::span<const ColumnPtr> columns, int64_t row, int32_t other) {
  bool same = true;
  for (const ColumnPtr& column : columns) Compare(*column, row, {&other, 1}, &same);
  return same;
}

/// The row's kind by a look at its place in the table and the next ones: a new one where it is none of theirs.
int32_t Find(std::span<const ColumnPtr> columns, int32_t row, size_t home, std::vector<int32_t>& table, std::vector<int32_t>& firsts) {
  constexpr size_t kPlaces = 4;
  size_t place = home;
  for (size_t i = 0; i < kPlaces; ++i) {
    place = (home + i) % table.size();
    if (table[place] < 0) break;
    if (Same(columns, row, firsts[static_cast<size_t>(table[place])])) return table[place];
  }
  table[place] = static_cast<int32_t>(firsts.size());
  firsts.push_back(row);
  return table[place];
}

}  // namespace

std::optional<RepeatedRows> FindRepeatedRows(std::span<const ColumnPtr> columns, int64_t rows) {
  if (rows < kBlockRows || columns.empty()) return std::nullopt;
  const size_t kinds_max = static_cast<size_t>(rows) / 4;
  const int bits = std::bit_width(2 * kinds_max - 1);
  std::vector<int32_t> table(size_t{1} << bits, -1);  // kinds by hash
  RepeatedRows out;
  out.firsts.reserve(kinds_max + 1);
  std::array<uint64_t, kBlockRows> hashes;
  std::array<int32_t, kBlockRows> others;  // the first row of the kind that a row may be of, or the row itself
  std::array<bool, kBlockRows> same;
  for (int64_t from = 0; from < rows; from += kBlockRows) {
    const auto count = static_cast<size_t>(std::min(kBlockRows, rows - from));
    hashes.fill(0);
    for (const ColumnPtr& column : columns) Hash(*column, from, static_cast<int64_t>(count), hashes.data());
    if (from == 0) out.kinds.resize(static_cast<size_t>(rows));
    int32_t* const kinds = out.kinds.data() + from;
    for (size_t i = 0; i < count; ++i) {
      kinds[i] = table[hashes[i] >> (64 - bits)];
      others[i] = kinds[i] < 0 ? static_cast<int32_t>(from) + static_cast<int32_t>(i) : out.firsts[static_cast<size_t>(kinds[i])];
      same[i] = kinds[i] >= 0;
    }
    for (const ColumnPtr& column : columns) Compare(*column, from, std::span(others).first(count), same.data());
    for (size_t i = 0; i < count; ++i) {
      if (!same[i]) kinds[i] = Find(columns, static_cast<int32_t>(from) + static_cast<int32_t>(i), hashes[i] >> (64 - bits), table, out.firsts);
    }
    // The first block may hold one row of each of many kinds that come back.
    const size_t most = from == 0 ? count * 3 / 4 : kinds_max;
    if (out.firsts.size() > most) return std::nullopt;
  }
  return out;
}

}  // namespace kappa::data
