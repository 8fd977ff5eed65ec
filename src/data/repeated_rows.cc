// A table of kinds by hash; a block of rows is hashed, and compared with the kinds found, column by column. What coded columns say is added by
// a table of their codes.
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

template <typename T> void HashFixed(const T* values, int64_t count, uint64_t* hashes) {
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
  if (column.is_coded()) return HashFixed(column.codes().data() + from, count, hashes);
  if (column.is_scaled()) return HashFixed(column.coefficients().data() + from, count, hashes);
  switch (column.type().width()) {
    case 1: return HashFixed(column.data<uint8_t>() + from, count, hashes);
    case 2: return HashFixed(column.data<uint16_t>() + from, count, hashes);
    case 4: return HashFixed(column.data<uint32_t>() + from, count, hashes);
    case 8: return HashFixed(column.data<uint64_t>() + from, count, hashes);
    default: return HashWide(column, from, count, hashes);
  }
}

template <typename T> void CompareFixed(const T* values, int64_t from, std::span<const int32_t> others, bool* same) {
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
  if (column.is_coded()) return CompareFixed(column.codes().data(), from, others, same);
  if (column.is_scaled()) return CompareFixed(column.coefficients().data(), from, others, same);
  switch (column.type().width()) {
    case 1: return CompareFixed(column.data<uint8_t>(), from, others, same);
    case 2: return CompareFixed(column.data<uint16_t>(), from, others, same);
    case 4: return CompareFixed(column.data<uint32_t>(), from, others, same);
    case 8: return CompareFixed(column.data<uint64_t>(), from, others, same);
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

/// Splits the kinds by a coded column's codes, NULL being one more; null when the table for that would be larger than the batch.
std::optional<RepeatedRows> SplitByCodes(const RepeatedRows& kinds, const Column& column) {
  const auto places = static_cast<size_t>(column.dictionary()->size()) + 1;
  const auto rows = static_cast<size_t>(column.size());
  if (kinds.firsts.size() * places > 2 * rows) return std::nullopt;
  std::vector<int32_t> kind_of(kinds.firsts.size() * places, -1);
  RepeatedRows out;
  out.kinds.resize(rows);
  const int32_t* const codes = column.codes().data();
  const auto split = [&](auto code_of) {
    for (size_t row = 0; row < rows; ++row) {
      int32_t& kind = kind_of[static_cast<size_t>(kinds.kinds[row]) * places + code_of(row)];
      if (kind < 0) [[unlikely]] {
        kind = static_cast<int32_t>(out.firsts.size());
        out.firsts.push_back(static_cast<int32_t>(row));
      }
      out.kinds[row] = kind;
    }
  };
  if (column.has_nulls()) split([&](size_t row) { return column.IsNull(static_cast<int64_t>(row)) ? places - 1 : static_cast<size_t>(codes[row]); });
  else split([&](size_t row) { return static_cast<size_t>(codes[row]); });
  return out;
}

/// Whether the rows [from, from + count) are all like row `like`. Mostly two of them tell.
bool AllAlike(std::span<const ColumnPtr> columns, int64_t from, int64_t count, int32_t like) {
  if (!Same(columns, from, like) || !Same(columns, from + count - 1, like)) return false;
  std::array<int32_t, kBlockRows> others;
  std::array<bool, kBlockRows> same;
  others.fill(like);
  same.fill(true);
  for (const ColumnPtr& column : columns) Compare(*column, from, std::span(others).first(static_cast<size_t>(count)), same.data());
  return std::all_of(same.begin(), same.end(), [](bool one) { return one; });
}

std::optional<RepeatedRows> FindByHash(std::span<const ColumnPtr> columns, int64_t rows) {
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
    if (from == 0) out.kinds.resize(static_cast<size_t>(rows));
    int32_t* const kinds = out.kinds.data() + from;
    if (from > 0 && AllAlike(columns, from, static_cast<int64_t>(count), out.firsts[static_cast<size_t>(kinds[-1])])) {  // keys of time are in order
      std::fill_n(kinds, count, kinds[-1]);
      continue;
    }
    hashes.fill(0);
    for (const ColumnPtr& column : columns) Hash(*column, from, static_cast<int64_t>(count), hashes.data());
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

}  // namespace

std::optional<RepeatedRows> FindRepeatedRows(std::span<const ColumnPtr> columns, int64_t rows) {
  if (rows < kBlockRows || columns.empty()) return std::nullopt;
  std::vector<ColumnPtr> coded, others;
  for (const ColumnPtr& column : columns) (column->is_coded() ? coded : others).push_back(column);
  std::optional<RepeatedRows> kinds = RepeatedRows{{0}, std::vector<int32_t>(static_cast<size_t>(rows))};
  if (!others.empty()) kinds = FindByHash(others, rows);
  if (!kinds) return std::nullopt;  // nor with the coded ones
  for (size_t i = 0; kinds && i < coded.size(); ++i) kinds = SplitByCodes(*kinds, *coded[i]);
  if (!kinds) return FindByHash(columns, rows);
  if (static_cast<int64_t>(kinds->firsts.size()) > rows / 4) return std::nullopt;
  return kinds;
}

}  // namespace kappa::data
