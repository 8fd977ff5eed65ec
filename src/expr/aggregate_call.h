// Which aggregate functions exist and what they return. Their running state lives in ops/.
#pragma once

#include <string>
#include <vector>

#include "expr/expression.h"

namespace kappa::expr {

enum class AggregateKind : uint8_t {
  kCountStar,
  kCount,
  kSum,
  kAvg,
  kMin,
  kMax,
  kAnyValue,
  kBoolAnd,
  kBoolOr,
  kBitAnd,
  kBitOr,
  kBitXor,
  kVarPop,
  kVarSamp,
  kStddevPop,
  kStddevSamp,
  // Of pairs (y, x).
  kCorr,
  kCovarPop,
  kCovarSamp,
  kRegrAvgx,
  kRegrAvgy,
  kRegrCount,
  kRegrIntercept,
  kRegrR2,
  kRegrSlope,
  kRegrSxx,
  kRegrSxy,
  kRegrSyy,
  // They need all their values, in an order.
  kStringAgg,
  kArrayAgg,
  kJsonbAgg,
  kJsonbObjectAgg,
  kPercentileCont,
  kPercentileDisc,
  kMode,
  // Of a row that is not there: where it would stand among the others.
  kRank,
  kDenseRank,
  kPercentRank,
  kCumeDist,
};

/// ORDER BY inside a call.
struct AggregateOrder {
  ExprPtr expression;
  bool descending = false;
  bool nulls_first = false;
};

/// One aggregate of a GROUP BY. `arguments` are already cast to what the state expects:
///   sum(int2, int4) -> int8; sum(int8) -> numeric; sum(float4) -> float4; sum(float8) -> float8; sum(numeric) -> numeric;
///   sum(interval) -> interval; avg(int*, numeric) -> numeric; avg(float*) -> float8; avg(interval) -> interval.
/// Cast means: int2 and int4 arguments of sum and avg arrive as int8 (int8 stays), float4 of avg as float8. Variances take int8,
/// numeric or float8, pairs float8, jsonb_agg jsonb, jsonb_object_agg text and jsonb, percentile_cont float8 or interval.
struct AggregateCall {
  AggregateKind kind;
  std::vector<ExprPtr> arguments;  // over the aggregate node's input; of WITHIN GROUP the sorted values
  bool distinct = false;
  ExprPtr filter;                  // may be null
  /// Of aggregates that keep all values. Ties, and everything when it is empty, are in the order of the arguments' values, so
  /// that no row's arrival shows. Of WITHIN GROUP: the arguments.
  std::vector<AggregateOrder> order_by;
  data::Type type;                 // of the result
  std::string name;                // "sum"
  /// Without columns: the fraction of a percentile; the values, one for each key of ORDER BY, of a row that is not there.
  std::vector<ExprPtr> direct;
  bool arrival_order = false;      // a query (never a view) without ORDER BY in the call: if the input is sorted, its order stays
  std::string ToString(std::span<const std::string> names) const;
};

bool IsAggregate(std::string_view name);
/// percentile_cont, percentile_disc, mode, and hypothetical sets: written with WITHIN GROUP.
bool IsOrderedSetAggregate(std::string_view name);
/// rank, dense_rank, percent_rank, cume_dist WITHIN GROUP.
inline bool IsHypotheticalSet(AggregateKind kind) { return kind >= AggregateKind::kRank; }
/// True for the kinds whose result depends on an ORDER BY in the call.
bool TakesOrder(AggregateKind kind);
/// Sums of numerics are kept in 128 bits while their values have at most so many digits behind the point.
inline constexpr int kSumScaleMax = 30;
/// The digits behind the point that the type gives all values of such a sum; -1 where values have their own.
int SumScale(const data::Type& type);
/// `star` for count(*). Fails with undefined_function.
Result<AggregateCall> ResolveAggregate(std::string_view name, std::vector<ExprPtr> arguments, bool star, bool distinct, int position);
/// name(direct) WITHIN GROUP (ORDER BY order).
Result<AggregateCall> ResolveOrderedSet(std::string_view name, std::vector<ExprPtr> direct, std::vector<AggregateOrder> order, int position);
/// All aggregates, for the reference.
std::vector<FunctionInfo> ListAggregates();

}  // namespace kappa::expr
