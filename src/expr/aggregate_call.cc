// Resolution of aggregate functions.
#include "expr/aggregate_call.h"

#include <fmt/format.h>

#include <algorithm>

#include "expr/call.h"

namespace kappa::expr {

using data::Type;
using data::TypeId;

namespace {

struct Name {
  std::string_view name;
  AggregateKind kind;
  size_t arguments;
};
constexpr Name kNames[] = {
    {"count", AggregateKind::kCount, 1}, {"sum", AggregateKind::kSum, 1}, {"avg", AggregateKind::kAvg, 1},
    {"min", AggregateKind::kMin, 1}, {"max", AggregateKind::kMax, 1}, {"bool_and", AggregateKind::kBoolAnd, 1},
    {"every", AggregateKind::kBoolAnd, 1}, {"bool_or", AggregateKind::kBoolOr, 1},
    {"string_agg", AggregateKind::kStringAgg, 2}, {"array_agg", AggregateKind::kArrayAgg, 1},
};
// PostgreSQL's other aggregates: refused by name rather than called unknown.
constexpr std::string_view kRefused[] = {
    "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp", "corr", "covar_pop", "covar_samp", "regr_avgx", "regr_avgy",
    "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "mode", "percentile_cont", "percentile_disc",
    "bit_and", "bit_or", "bit_xor", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg", "xmlagg", "range_agg", "rank",
    "dense_rank", "percent_rank", "cume_dist", "grouping",
};

Error Undefined(std::string_view name, std::span<const ExprPtr> arguments, int position) {
  std::string shape = std::string(name) + "(";
  for (size_t i = 0; i < arguments.size(); ++i) shape += (i > 0 ? ", " : "") + arguments[i]->type().WithoutModifier().ToString();
  return Error(sqlstate::kUndefinedFunction, fmt::format("function {}) does not exist", shape))
      .Hint("No function matches the given name and argument types. You might need to add explicit type casts.").At(position);
}

Error Ambiguous(std::string_view name, int position) {
  return Error(sqlstate::kAmbiguousFunction, fmt::format("function {}(unknown) is not unique", name))
      .Hint("Could not choose a best candidate function. You might need to add explicit type casts.").At(position);
}

}  // namespace

bool IsAggregate(std::string_view name) {
  return std::any_of(std::begin(kNames), std::end(kNames), [&](const Name& known) { return known.name == name; }) ||
         std::find(std::begin(kRefused), std::end(kRefused), name) != std::end(kRefused);
}

Result<AggregateCall> ResolveAggregate(std::string_view name, std::vector<ExprPtr> arguments, bool star, bool distinct, int position) {
  if (std::find(std::begin(kRefused), std::end(kRefused), name) != std::end(kRefused)) {
    return Error(sqlstate::kFeatureNotSupported, fmt::format("aggregate function {} is not supported", name)).At(position);
  }
  const auto* known = std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& candidate) { return candidate.name == name; });
  if (known == std::end(kNames)) return Undefined(name, arguments, position);
  AggregateCall call{.kind = known->kind, .arguments = {}, .distinct = distinct, .filter = nullptr, .order_by = {}, .type = {}, .name = std::string(name)};
  if (star) {
    if (known->kind != AggregateKind::kCount) {
      return Error(sqlstate::kUndefinedFunction, fmt::format("function {}() does not exist", name)).At(position);
    }
    call.kind = AggregateKind::kCountStar;
    call.type = TypeId::kInt8;
    return call;
  }
  if (known->kind == AggregateKind::kCount && arguments.empty()) {
    return Error(sqlstate::kWrongObjectType, "count(*) must be used to call a parameterless aggregate function").At(position);
  }
  if (arguments.size() != known->arguments) return Undefined(name, arguments, position);
  const Type type = arguments[0]->type().WithoutModifier();
  auto cast = [&](size_t index, Type target) -> Status {
    KAPPA_ASSIGN_OR_RETURN(arguments[index], MakeCast(std::move(arguments[index]), target, CastContext::kImplicit, position));
    return {};
  };
  switch (known->kind) {
    case AggregateKind::kCountStar: break;
    case AggregateKind::kCount:
      if (type.id == TypeId::kUnknown) KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kText));
      call.type = TypeId::kInt8;
      break;
    case AggregateKind::kSum:
    case AggregateKind::kAvg: {
      const bool sum = known->kind == AggregateKind::kSum;
      switch (type.id) {
        case TypeId::kInt2:
        case TypeId::kInt4:
          KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kInt8));
          call.type = sum ? TypeId::kInt8 : TypeId::kNumeric;
          break;
        case TypeId::kInt8:
        case TypeId::kNumeric: call.type = TypeId::kNumeric; break;
        case TypeId::kFloat4:
          if (!sum) KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kFloat8));
          call.type = sum ? TypeId::kFloat4 : TypeId::kFloat8;
          break;
        case TypeId::kFloat8: call.type = TypeId::kFloat8; break;
        case TypeId::kInterval: call.type = TypeId::kInterval; break;
        case TypeId::kUnknown: return Ambiguous(name, position);
        default: return Undefined(name, arguments, position);
      }
      break;
    }
    case AggregateKind::kMin:
    case AggregateKind::kMax:
      switch (type.id) {
        case TypeId::kUnknown:
          KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kText));
          call.type = TypeId::kText;
          break;
        case TypeId::kBool: case TypeId::kBytea: case TypeId::kJsonb: case TypeId::kUuid: case TypeId::kRecord: return Undefined(name, arguments, position);
        default: call.type = type; break;
      }
      break;
    case AggregateKind::kBoolAnd:
    case AggregateKind::kBoolOr:
      if (type.id != TypeId::kBool && type.id != TypeId::kUnknown) return Undefined(name, arguments, position);
      KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kBool));
      call.type = TypeId::kBool;
      break;
    case AggregateKind::kStringAgg:
      for (size_t i = 0; i < 2; ++i) {
        const TypeId id = arguments[i]->type().id;
        if (id == TypeId::kBytea) return Error(sqlstate::kFeatureNotSupported, "string_agg of bytea is not supported").At(position);
        if (id != TypeId::kText && id != TypeId::kUnknown) return Undefined(name, arguments, position);
      }
      KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kText));
      KAPPA_RETURN_IF_ERROR(cast(1, TypeId::kText));
      call.type = TypeId::kText;
      break;
    case AggregateKind::kArrayAgg:
      if (type.is_array()) return Error(sqlstate::kFeatureNotSupported, "array_agg of arrays is not supported").At(position);
      if (type.id == TypeId::kUnknown) KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kText));
      call.type = Type::ArrayOf(arguments[0]->type().id);
      break;
  }
  call.arguments = std::move(arguments);
  return call;
}

std::string AggregateCall::ToString(std::span<const std::string> names) const {
  std::string text = name + "(";
  if (distinct) text += "DISTINCT ";
  if (kind == AggregateKind::kCountStar) text += "*";
  for (size_t i = 0; i < arguments.size(); ++i) text += (i > 0 ? ", " : "") + arguments[i]->ToString(names);
  for (size_t i = 0; i < order_by.size(); ++i) {
    text += (i == 0 ? " ORDER BY " : ", ") + order_by[i].first->ToString(names) + (order_by[i].second ? " DESC" : "");
  }
  text += ")";
  if (filter != nullptr) text += " FILTER (WHERE " + filter->ToString(names) + ")";
  return text;
}

}  // namespace kappa::expr
