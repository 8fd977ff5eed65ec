// Window functions for a run with one flush at the end: nothing is kept for what comes later.
#pragma once

#include <memory>

#include "ops/over/window_functions.h"

namespace kappa::ops {

std::unique_ptr<Operator> MakeOverOnce(const plan::OverWindow& node, const OperatorOptions& options, std::unique_ptr<WindowFunctions> functions);

}  // namespace kappa::ops
