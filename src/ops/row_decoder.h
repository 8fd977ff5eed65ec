// RowDecoder: rows stored as bytes (data/row_key.h) back into columns, only the wanted ones, with or without copying strings.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "data/batch.h"

namespace kappa::ops {

/// Collects rows, then gives a batch; can be used again and again. KAPPA_CHECKs the layout: rows come from our own state.
class RowDecoder {
 public:
  /// `columns`: indexes into the schema, in output order; may repeat.
  RowDecoder(const data::Schema& schema, std::span<const int> columns);
  /// All columns.
  explicit RowDecoder(const data::Schema& schema);

  /// With `borrow`, long strings stay where they are: Finish is given what keeps them alive.
  void Append(std::string_view row, bool borrow);
  int64_t rows() const { return rows_; }
  data::Batch Finish(const data::Keepalive& keepalive = nullptr);

 private:
  struct Source {
    int width = 0;  // 0: variable
    int output = -1;  // index into builders_, -1 when nobody wants it
  };
  std::vector<Source> sources_;  // up to the last wanted column
  std::vector<data::ColumnBuilder> builders_;
  std::vector<int> outputs_;  // builder of each output column
  int64_t rows_ = 0;
};

}  // namespace kappa::ops
