// SQL values as JSON, and JSON scalars as SQL values.
#pragma once

#include "expr/kernel.h"

namespace kappa::expr {

/// Appends the canonical jsonb of a row of any type; NULL gives null. Times are in ISO 8601 with T, as PostgreSQL's to_jsonb.
Status AppendJsonValue(const data::Column& column, int64_t row, const EvalContext& context, std::string& out);
/// From jsonb to bool and numbers.
Kernel JsonScalarCastKernel(const data::Type& to);

}  // namespace kappa::expr
