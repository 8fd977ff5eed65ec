// The as-of join of a bounded run: both inputs are whole when it gives its rows.
#pragma once

#include "ops/operator.h"

namespace kappa::ops {

std::unique_ptr<Operator> MakeAsOfOnce(const plan::AsOfJoin& node, const OperatorOptions& options);

}  // namespace kappa::ops
