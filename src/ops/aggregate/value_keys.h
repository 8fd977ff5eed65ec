// Keys of (group, value) for tables that hold the values of all groups.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "data/row_key.h"
#include "state/arena.h"

namespace kappa::ops {

/// Input        some rows of some columns, and their groups.
/// Layout       8 bytes of the group's ref, then the values' row key (data/row_key.h, not canonical: give canonical columns
///              where equal values must meet).
/// Cost         one pass; a single column of numbers without NULLs is not encoded as a row first.
class GroupValueKeys {
 public:
  GroupValueKeys(std::span<const data::ColumnPtr> columns, std::span<const int32_t> rows, const state::Ref* groups) {
    hashes_.resize(rows.size());
    if (columns.size() == 1 && !columns[0]->type().is_variable() && columns[0]->type().width() <= 8) {
      switch (columns[0]->type().width()) {
        case 1: Fixed<uint8_t>(*columns[0], rows, groups); break;
        case 2: Fixed<uint16_t>(*columns[0], rows, groups); break;
        case 4: Fixed<uint32_t>(*columns[0], rows, groups); break;
        default: Fixed<uint64_t>(*columns[0], rows, groups); break;
      }
      return;
    }
    const data::RowKeys keys(columns, columns[0]->size(), /*canonical=*/false);
    offsets_.reserve(rows.size() + 1);
    offsets_.push_back(0);
    for (size_t i = 0; i < rows.size(); ++i) {
      bytes_.append(reinterpret_cast<const char*>(&groups[rows[i]]), sizeof(state::Ref));
      bytes_.append(keys.key(rows[i]));
      offsets_.push_back(bytes_.size());
      hashes_[i] = CombineHash(keys.hash(rows[i]), groups[rows[i]]);
    }
  }
  std::string_view key(int32_t i) const {
    const auto at = static_cast<size_t>(i);
    if (width_ != 0) return {bytes_.data() + at * width_, width_};
    return {bytes_.data() + offsets_[at], offsets_[at + 1] - offsets_[at]};
  }
  uint64_t hash(int32_t i) const { return hashes_[static_cast<size_t>(i)]; }

 private:
  // A NULL has a shorter key, and its hash is that of no number's key: it only has to be the same every time.
  template <typename T> void Fixed(const data::Column& column, std::span<const int32_t> rows, const state::Ref* groups) {
    const T* values = column.data<T>();
    const bool nulls = column.has_nulls();
    constexpr size_t kWidth = sizeof(state::Ref) + 1 + sizeof(T);
    width_ = nulls ? 0 : kWidth;
    bytes_.resize(rows.size() * kWidth);
    char* at = bytes_.data();
    if (nulls) offsets_.push_back(0);
    for (size_t i = 0; i < rows.size(); ++i) {
      const int32_t row = rows[i];
      const state::Ref group = groups[row];
      const bool null = nulls && column.IsNull(row);
      std::memcpy(at, &group, sizeof group);
      at[sizeof group] = null ? 0 : 1;
      if (!null) std::memcpy(at + sizeof group + 1, &values[row], sizeof(T));
      at += null ? sizeof group + 1 : kWidth;
      hashes_[i] = CombineHash(HashWord(null ? UINT64_MAX : static_cast<uint64_t>(values[row])), group);
      if (nulls) offsets_.push_back(static_cast<size_t>(at - bytes_.data()));
    }
  }

  size_t width_ = 0;  // of every key; 0: see offsets_
  std::string bytes_;
  std::vector<size_t> offsets_;
  std::vector<uint64_t> hashes_;
};

}  // namespace kappa::ops
