// Row keys: the rows of some columns as byte strings, so that rows are equal in SQL's grouping sense exactly when the
// bytes are equal: NULL equals NULL, -0 equals 0, NaN equals NaN, numeric 1.0 equals 1 (trailing zeros are dropped).
// The same bytes are stored in state, feed the hash that picks a shard, and feed the digest.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "data/batch.h"

namespace kappa::data {

/// Layout of one key: per column a byte 0 (NULL) or 1, then for non-NULL the fixed-width bytes (little-endian) or a
/// uint32 length and the bytes. docs/formats/row_key.md.
class RowKeys {
 public:
  /// Encodes all rows. `columns` are indexes into batch columns; canonical form for grouping when `canonical`, else the
  /// values as they are (numeric keeps its display scale). Without `hashed` they are but bytes: hash() must not be asked for, and
  /// nobody looks for rows that repeat.
  RowKeys(std::span<const ColumnPtr> columns, int64_t rows, bool canonical = true, bool hashed = true);
  std::string_view key(int64_t row) const {
    const size_t at = kind(row);
    return {bytes_.data() + offsets_[at], offsets_[at + 1] - offsets_[at]};
  }
  uint64_t hash(int64_t row) const { return hashes_[kind(row)]; }  // Hash64 of the key
  /// Where few rows differ, keys are made and hashed once for each kind of row. Rows of one kind have the same key, rows of two kinds may.
  size_t kind(int64_t row) const { return kinds_.empty() ? static_cast<size_t>(row) : static_cast<size_t>(kinds_[static_cast<size_t>(row)]); }
  bool has_kinds() const { return !kinds_.empty(); }
  size_t kind_count() const { return offsets_.size() - 1; }

 private:
  void Encode(std::span<const ColumnPtr> columns, int64_t rows, bool canonical, bool hashed);

  std::vector<int32_t> kinds_;  // per row, where few differ
  std::string bytes_;
  std::vector<size_t> offsets_;
  std::vector<uint64_t> hashes_;
};

/// The column with every value in the one form that stands for all values equal to it (see docs/formats/row_key.md); the
/// same pointer when that changes nothing.
ColumnPtr CanonicalColumn(const ColumnPtr& column);

/// Decodes keys back into columns of these types, appending to one builder per column. KAPPA_CHECKs the layout:
/// keys come from our own state.
void AppendRow(std::string_view key, std::span<ColumnBuilder> builders);

}  // namespace kappa::data
