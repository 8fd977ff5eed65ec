// Window functions for a run with one flush at the end: nothing is kept for what comes later.
#pragma once

#include <functional>
#include <memory>

#include "ops/over/window_functions.h"

namespace kappa::ops {

/// When the rows that such operators hold take a quarter of the bound of state memory, they go to the operator that `make_lasting` gives, which
/// keeps them in pages.
std::unique_ptr<Operator> MakeOverOnce(const plan::OverWindow& node, const OperatorOptions& options, std::unique_ptr<WindowFunctions> functions,
                                       std::function<Result<std::unique_ptr<Operator>>()> make_lasting);

}  // namespace kappa::ops
