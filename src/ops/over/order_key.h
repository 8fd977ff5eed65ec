// Order keys: the rows of some sort columns as byte strings whose bytewise order is SQL's ORDER BY, so that ordered state
// compares keys without looking at types.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/sort_order.h"

namespace kappa::ops {

/// Layout of one key, per column: a byte (0 NULL that comes first, 1 value, 2 NULL that comes last), then the value's bytes,
/// inverted where the order is descending. Integers and times are big-endian with the sign bit flipped; text and bytea
/// have 0 escaped as 0 255 and end in 0 0. Values that compare equal give equal bytes (1.0 and 1, -0 and 0). The bytes lie in state, so
/// they are a stored format.
class OrderKeys {
 public:
  OrderKeys(std::span<const SortColumn> columns, int64_t rows);
  std::string_view key(int64_t row) const {
    const auto i = static_cast<size_t>(row);
    return {bytes_.data() + offsets_[i], offsets_[i + 1] - offsets_[i]};
  }

 private:
  std::string bytes_;
  std::vector<size_t> offsets_;
};

/// The first bytes of a key's first value as a number, so that most comparisons need no look at the key: if a < b then
/// OrderPrefix(a) <= OrderPrefix(b).
uint64_t OrderPrefix(std::string_view key);

}  // namespace kappa::ops
