// Which accumulator serves which aggregate call.
#include "ops/aggregate/accumulator.h"

namespace kappa::ops {

using data::TypeId;
using expr::AggregateKind;

namespace {

Result<AccumulatorPtr> MakePlain(const expr::AggregateCall& call, const AccumulatorSetup& setup) {
  const data::Type type = call.arguments.empty() ? data::Type() : call.arguments[0]->type();
  switch (call.kind) {
    case AggregateKind::kCountStar:
    case AggregateKind::kCount: return MakeCount();
    case AggregateKind::kSum:
    case AggregateKind::kAvg: {
      const bool average = call.kind == AggregateKind::kAvg;
      switch (type.id) {
        case TypeId::kInt2:
        case TypeId::kInt4:
        case TypeId::kInt8: return MakeIntegerSum(call.type, average);
        case TypeId::kNumeric: return MakeNumericSum(type, average, setup);
        case TypeId::kFloat4:
        case TypeId::kFloat8: return MakeFloatSum(type, call.type, average, setup);
        case TypeId::kInterval: return MakeIntervalSum(average);
        default: break;
      }
      break;
    }
    case AggregateKind::kMin:
    case AggregateKind::kMax: return MakeExtremum(type, call.kind == AggregateKind::kMax, setup);
    case AggregateKind::kBoolAnd:
    case AggregateKind::kBoolOr: return MakeBoolAggregate(call.kind == AggregateKind::kBoolOr);
    case AggregateKind::kStringAgg:
    case AggregateKind::kArrayAgg:
      if (!setup.bounded) return Error(sqlstate::kFeatureNotSupported, "aggregate function " + call.name + " is not supported in a view");
      return MakeOrderedAggregate(call);
  }
  return Error(sqlstate::kFeatureNotSupported, "aggregate function " + call.name + "(" + type.ToString() + ") is not supported");
}

}  // namespace

Result<AccumulatorPtr> MakeAccumulator(const expr::AggregateCall& call, const AccumulatorSetup& setup) {
  AccumulatorSetup inner_setup = setup;
  bool distinct = call.distinct;
  switch (call.kind) {
    case AggregateKind::kMin:
    case AggregateKind::kMax:
    case AggregateKind::kBoolAnd:
    case AggregateKind::kBoolOr:      // the same with and without DISTINCT
    case AggregateKind::kStringAgg:
    case AggregateKind::kArrayAgg:    // do it themselves
      distinct = false;
      break;
    default: break;
  }
  KAPPA_ASSIGN_OR_RETURN(AccumulatorPtr plain, MakePlain(call, inner_setup));
  return distinct ? MakeDistinct(std::move(plain), setup) : std::move(plain);
}

Status HandleRowError(const Error& error, expr::EvalContext& context) {
  if (context.fail_on_error) return error;
  if (context.errors++ == 0) context.first_error = error.message();
  return {};
}

}  // namespace kappa::ops
