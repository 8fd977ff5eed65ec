// Which aggregate functions exist and what they return. Their running state lives in ops/.
#pragma once

#include <string>
#include <vector>

#include "expr/expression.h"

namespace kappa::expr {

enum class AggregateKind : uint8_t {
  kCountStar, kCount, kSum, kAvg, kMin, kMax, kBoolAnd, kBoolOr,
  // Only in queries over bounded input (views refuse them with 0A000): they need an order.
  kStringAgg, kArrayAgg,
};

/// One aggregate of a GROUP BY. `arguments` are already cast to what the state expects:
///   sum(int2, int4) -> int8; sum(int8) -> numeric; sum(float4) -> float4; sum(float8) -> float8; sum(numeric) -> numeric;
///   sum(interval) -> interval; avg(int*, numeric) -> numeric; avg(float*) -> float8; avg(interval) -> interval.
/// Cast means: int2 and int4 arguments of sum and avg arrive as int8 (int8 stays), float4 of avg as float8.
struct AggregateCall {
  AggregateKind kind;
  std::vector<ExprPtr> arguments;  // over the aggregate node's input
  bool distinct = false;
  ExprPtr filter;                  // may be null
  std::vector<std::pair<ExprPtr, bool>> order_by;  // of string_agg and array_agg: key, descending
  data::Type type;                 // of the result
  std::string name;                // "sum"
  std::string ToString(std::span<const std::string> names) const;
};

bool IsAggregate(std::string_view name);
/// `star` for count(*). Fails with undefined_function.
Result<AggregateCall> ResolveAggregate(std::string_view name, std::vector<ExprPtr> arguments, bool star, bool distinct, int position);

}  // namespace kappa::expr
