// Every group of operators and functions, one file each.
#pragma once

#include "expr/registry.h"

namespace kappa::expr {

void RegisterArithmetic(Registry& registry);
void RegisterComparisons(Registry& registry);
void RegisterNumeric(Registry& registry);
void RegisterMath(Registry& registry);
void RegisterText(Registry& registry);
void RegisterTextBuilding(Registry& registry);
void RegisterBytes(Registry& registry);
void RegisterPatterns(Registry& registry);
void RegisterBoolean(Registry& registry);
void RegisterDateTime(Registry& registry);
void RegisterOverlaps(Registry& registry);
void RegisterToChar(Registry& registry);
void RegisterSystem(Registry& registry);
void RegisterJson(Registry& registry);
void RegisterJsonPath(Registry& registry);
void RegisterArrays(Registry& registry);
void RegisterSets(Registry& registry);

inline void RegisterAll(Registry& registry) {
  RegisterArithmetic(registry);
  RegisterComparisons(registry);
  RegisterNumeric(registry);
  RegisterMath(registry);
  RegisterText(registry);
  RegisterTextBuilding(registry);
  RegisterBytes(registry);
  RegisterPatterns(registry);
  RegisterBoolean(registry);
  RegisterDateTime(registry);
  RegisterOverlaps(registry);
  RegisterToChar(registry);
  RegisterSystem(registry);
  RegisterJson(registry);
  RegisterJsonPath(registry);
  RegisterArrays(registry);
  RegisterSets(registry);
}

}  // namespace kappa::expr
