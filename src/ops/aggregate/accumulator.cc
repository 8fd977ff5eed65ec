// Which accumulator serves which aggregate call.
#include "ops/aggregate/accumulator.h"

namespace kappa::ops {

using data::TypeId;
using expr::AggregateKind;

Result<AccumulatorPtr> MakeAccumulator(const expr::AggregateCall& call, const AccumulatorSetup& setup) {
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
    case AggregateKind::kAnyValue:
    case AggregateKind::kMax: return MakeExtremum(type, call.kind == AggregateKind::kMax, setup);
    case AggregateKind::kBoolAnd:
    case AggregateKind::kBoolOr: return MakeBoolAggregate(call.kind == AggregateKind::kBoolOr);
    case AggregateKind::kBitAnd:
    case AggregateKind::kBitOr:
    case AggregateKind::kBitXor: return MakeBitAggregate(call.kind, type);
    case AggregateKind::kVarPop:
    case AggregateKind::kVarSamp:
    case AggregateKind::kStddevPop:
    case AggregateKind::kStddevSamp:
      return type.id == TypeId::kFloat8 ? MakeFloatMoments(call.kind, setup) : MakeNumericMoments(call.kind, type, setup);
    case AggregateKind::kCorr:
    case AggregateKind::kCovarPop:
    case AggregateKind::kCovarSamp:
    case AggregateKind::kRegrAvgx:
    case AggregateKind::kRegrAvgy:
    case AggregateKind::kRegrCount:
    case AggregateKind::kRegrIntercept:
    case AggregateKind::kRegrR2:
    case AggregateKind::kRegrSlope:
    case AggregateKind::kRegrSxx:
    case AggregateKind::kRegrSxy:
    case AggregateKind::kRegrSyy: return MakeFloatMoments(call.kind, setup);
    case AggregateKind::kStringAgg:
    case AggregateKind::kArrayAgg:
    case AggregateKind::kJsonbAgg:
    case AggregateKind::kJsonbObjectAgg:
    case AggregateKind::kPercentileCont:
    case AggregateKind::kPercentileDisc:
    case AggregateKind::kMode:
    case AggregateKind::kRank:
    case AggregateKind::kDenseRank:
    case AggregateKind::kPercentRank:
    case AggregateKind::kCumeDist: return MakeCollected(call, setup);
  }
  return Error(sqlstate::kFeatureNotSupported, "aggregate function " + call.name + "(" + type.ToString() + ") is not supported");
}

Status HandleRowError(const Error& error, expr::EvalContext& context) {
  if (context.fail_on_error) return error;
  if (context.errors++ == 0) context.first_error = error.message();
  return {};
}

}  // namespace kappa::ops
