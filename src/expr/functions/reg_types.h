// Object identifier types: oids that are written and shown as names.
#pragma once

#include "expr/kernel.h"

namespace kappa::expr {

/// From a reg type (an oid column) to the names of the objects.
Kernel RegTextKernel(const data::Type& type);

/// Calls context.engine_function; feature_not_supported when there is none.
Result<data::Value> CallEngine(const EvalContext& context, std::string_view name, const std::vector<data::Value>& arguments);
/// PostgreSQL's format_type(oid, modifier).
std::string FormatType(int64_t oid, int32_t modifier);

}  // namespace kappa::expr
