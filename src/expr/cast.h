// Casts: which exist, in which contexts, and their kernels.
#pragma once

#include <optional>

#include "expr/kernel.h"

namespace kappa::expr {

/// The most lenient way in which `from` turns into `to`: kImplicit casts may be used everywhere, kAssignment casts when
/// storing, kExplicit casts only where written. nullopt: there is no cast. Modifiers are ignored.
std::optional<CastContext> CastLevel(const data::Type& from, const data::Type& to);
/// True when the cast exists and `context` allows it.
bool HasCast(const data::Type& from, const data::Type& to, CastContext context);
/// Maps a column of type `from` to one of type `to`, modifier applied. The cast must exist. An explicit cast to
/// varchar(n) truncates, others fail when more than spaces would be cut.
Kernel CastKernel(const data::Type& from, const data::Type& to, bool is_explicit);

}  // namespace kappa::expr
