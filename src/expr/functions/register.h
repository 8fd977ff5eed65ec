// Every group of operators and functions, one file each.
#pragma once

#include "expr/registry.h"

namespace kappa::expr {

void RegisterArithmetic(Registry& registry);
void RegisterComparisons(Registry& registry);

inline void RegisterAll(Registry& registry) {
  RegisterArithmetic(registry);
  RegisterComparisons(registry);
}

}  // namespace kappa::expr
