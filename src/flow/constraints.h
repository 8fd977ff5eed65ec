// Columns whose values a domain constrains: rows that it refuses are no rows, as if their record could not be decoded.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "expr/domain.h"

namespace kappa::flow {

struct ConstrainedColumn {
  int column = 0;  // of the relation's schema
  expr::DomainPtr domain;
};

struct RefusedRow {
  int32_t row;  // as it was in the batch
  std::string reason;
};
/// Takes the rows out of the batch that a domain refuses. `columns` tells which of the schema's columns the batch has. Appends to `refused`,
/// ascending; each row once.
void TakeRefused(std::span<const ConstrainedColumn> constraints, std::span<const int> columns, data::Batch& rows, std::vector<RefusedRow>& refused);

}  // namespace kappa::flow
