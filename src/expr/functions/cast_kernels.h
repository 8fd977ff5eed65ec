// The kernels behind CastKernel, by family.
#pragma once

#include "expr/kernel.h"

namespace kappa::expr {

/// bool, integers and floats among each other; null when the pair is not one of these.
Kernel NumericCastKernel(const data::Type& from, const data::Type& to);

}  // namespace kappa::expr
