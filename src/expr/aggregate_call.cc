// Resolution of aggregate functions.
#include "expr/aggregate_call.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/enum_type.h"
#include "expr/call.h"

namespace kappa::expr {

using data::Type;
using data::TypeId;

namespace {

/// The reference shows one row for each line of `signatures`.
struct Name {
  std::string_view name;
  AggregateKind kind;
  size_t arguments;
  std::string_view signatures;
  std::string_view description;
};
constexpr std::string_view kVariance = "bigint -> numeric\nnumeric -> numeric\ndouble precision -> double precision";
constexpr std::string_view kPair = "double precision, double precision -> double precision";
constexpr std::string_view kBits = "smallint -> smallint\ninteger -> integer\nbigint -> bigint";
constexpr Name kNames[] = {
    {"count", AggregateKind::kCount, 1, "* -> bigint\nany -> bigint", "number of rows; of rows whose argument is not NULL"},
    {"sum", AggregateKind::kSum, 1,
     "smallint -> bigint\ninteger -> bigint\nbigint -> numeric\nnumeric -> numeric\nreal -> real\ndouble precision -> double precision\ninterval -> "
     "interval",
     "sum; of floats exact, rounded once"},
    {"avg", AggregateKind::kAvg, 1, "bigint -> numeric\nnumeric -> numeric\ndouble precision -> double precision\ninterval -> interval", "mean"},
    {"min", AggregateKind::kMin, 1, "any sortable -> the same", "smallest value"},
    {"max", AggregateKind::kMax, 1, "any sortable -> the same", "largest value"},
    {"any_value", AggregateKind::kAnyValue, 1, "anyelement -> anyelement", "one of the values: always the smallest"},
    {"bool_and", AggregateKind::kBoolAnd, 1, "boolean -> boolean", "whether all values are true"},
    {"every", AggregateKind::kBoolAnd, 1, "boolean -> boolean", "whether all values are true"},
    {"bool_or", AggregateKind::kBoolOr, 1, "boolean -> boolean", "whether a value is true"},
    {"bit_and", AggregateKind::kBitAnd, 1, kBits, "bitwise AND of all values"},
    {"bit_or", AggregateKind::kBitOr, 1, kBits, "bitwise OR of all values"},
    {"bit_xor", AggregateKind::kBitXor, 1, kBits, "bitwise exclusive OR of all values"},
    {"variance", AggregateKind::kVarSamp, 1, kVariance, "sample variance"},
    {"var_samp", AggregateKind::kVarSamp, 1, kVariance, "sample variance"},
    {"var_pop", AggregateKind::kVarPop, 1, kVariance, "population variance"},
    {"stddev", AggregateKind::kStddevSamp, 1, kVariance, "sample standard deviation"},
    {"stddev_samp", AggregateKind::kStddevSamp, 1, kVariance, "sample standard deviation"},
    {"stddev_pop", AggregateKind::kStddevPop, 1, kVariance, "population standard deviation"},
    {"corr", AggregateKind::kCorr, 2, kPair, "correlation coefficient of (y, x)"},
    {"covar_pop", AggregateKind::kCovarPop, 2, kPair, "population covariance of (y, x)"},
    {"covar_samp", AggregateKind::kCovarSamp, 2, kPair, "sample covariance of (y, x)"},
    {"regr_avgx", AggregateKind::kRegrAvgx, 2, kPair, "mean of x of the pairs (y, x)"},
    {"regr_avgy", AggregateKind::kRegrAvgy, 2, kPair, "mean of y of the pairs (y, x)"},
    {"regr_count", AggregateKind::kRegrCount, 2, "double precision, double precision -> bigint", "number of pairs (y, x) without NULL"},
    {"regr_intercept", AggregateKind::kRegrIntercept, 2, kPair, "where the line of least squares through the pairs (y, x) meets x = 0"},
    {"regr_r2", AggregateKind::kRegrR2, 2, kPair, "square of the correlation coefficient of (y, x)"},
    {"regr_slope", AggregateKind::kRegrSlope, 2, kPair, "slope of the line of least squares through the pairs (y, x)"},
    {"regr_sxx", AggregateKind::kRegrSxx, 2, kPair, "sum of squares of x around its mean"},
    {"regr_sxy", AggregateKind::kRegrSxy, 2, kPair, "sum of products of x and y around their means"},
    {"regr_syy", AggregateKind::kRegrSyy, 2, kPair, "sum of squares of y around its mean"},
    {"string_agg", AggregateKind::kStringAgg, 2, "text, text -> text\nbytea, bytea -> bytea",
     "the values that are not NULL, with a delimiter between them"},
    {"array_agg", AggregateKind::kArrayAgg, 1, "anynonarray -> anyarray\nanyarray -> anyarray",
     "array of all values, NULLs too; of arrays one with a dimension more"},
    {"jsonb_agg", AggregateKind::kJsonbAgg, 1, "anyelement -> jsonb", "JSON array of all values, NULLs too"},
    {"json_agg", AggregateKind::kJsonbAgg, 1, "anyelement -> jsonb", "jsonb_agg: there is no type json"},
    {"jsonb_object_agg", AggregateKind::kJsonbObjectAgg, 2, "any, any -> jsonb", "JSON object of keys and values; the last of equal keys wins"},
    {"json_object_agg", AggregateKind::kJsonbObjectAgg, 2, "any, any -> jsonb", "jsonb_object_agg: there is no type json"},
    {"percentile_cont", AggregateKind::kPercentileCont, 1,
     "double precision WITHIN GROUP (ORDER BY double precision) -> double precision\ndouble precision WITHIN GROUP (ORDER BY interval) -> interval\n"
     "double precision[] WITHIN GROUP (ORDER BY double precision) -> double precision[]\ndouble precision[] WITHIN GROUP (ORDER BY interval) -> "
     "interval[]",
     "value at a fraction of the sorted values, interpolated"},
    {"percentile_disc", AggregateKind::kPercentileDisc, 1,
     "double precision WITHIN GROUP (ORDER BY anyelement) -> anyelement\ndouble precision[] WITHIN GROUP (ORDER BY anyelement) -> anyarray",
     "first of the sorted values at or above a fraction"},
    {"mode", AggregateKind::kMode, 0, "WITHIN GROUP (ORDER BY anyelement) -> anyelement", "most frequent value; of several the first in order"},
    {"rank", AggregateKind::kRank, 1, "any, .. WITHIN GROUP (ORDER BY any, ..) -> bigint", "rank that a row of these values would have"},
    {"dense_rank", AggregateKind::kDenseRank, 1, "any, .. WITHIN GROUP (ORDER BY any, ..) -> bigint",
     "rank without gaps that a row of these values would have"},
    {"percent_rank", AggregateKind::kPercentRank, 1, "any, .. WITHIN GROUP (ORDER BY any, ..) -> double precision",
     "rank, from 0 to 1, that a row of these values would have"},
    {"cume_dist", AggregateKind::kCumeDist, 1, "any, .. WITHIN GROUP (ORDER BY any, ..) -> double precision",
     "share of the rows that would not come after a row of these values, itself among them"},
};
// PostgreSQL's other aggregates: refused by name rather than called unknown.
constexpr std::string_view kRefused[] = {"xmlagg", "range_agg", "range_intersect_agg"};

Error Refused(std::string_view name, int position) {
  return Error(sqlstate::kFeatureNotSupported, fmt::format("aggregate function {} is not supported", name))
      .Hint("SELECT * FROM kappa.functions WHERE kind = 'aggregate' lists what there is.")
      .At(position);
}

const Name* FindName(std::string_view name) {
  const auto* known = std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& candidate) { return candidate.name == name; });
  return known == std::end(kNames) ? nullptr : known;
}

Error Undefined(std::string_view name, std::span<const ExprPtr> arguments, int position) {
  std::string shape = std::string(name) + "(";
  for (size_t i = 0; i < arguments.size(); ++i) shape += (i > 0 ? ", " : "") + arguments[i]->type().WithoutModifier().ToString();
  return Error(sqlstate::kUndefinedFunction, fmt::format("function {}) does not exist", shape))
      .Hint("No function matches the given name and argument types. You might need to add explicit type casts.")
      .At(position);
}

Error Ambiguous(std::string_view name, int position) {
  return Error(sqlstate::kAmbiguousFunction, fmt::format("function {}(unknown) is not unique", name))
      .Hint("Could not choose a best candidate function. You might need to add explicit type casts.")
      .At(position);
}

Result<ExprPtr> ToJsonb(ExprPtr value, int position) {
  if (value->type().id == TypeId::kJsonb) return value;
  if (value->type().id == TypeId::kUnknown) {
    KAPPA_ASSIGN_OR_RETURN(value, MakeCast(std::move(value), TypeId::kText, CastContext::kImplicit, position));
  }
  return MakeFunction("to_jsonb", {std::move(value)}, position);
}

/// The direct arguments of WITHIN GROUP are the same for all groups.
Status CheckNoColumn(std::string_view name, const Expression& direct, int position) {
  std::vector<bool> used;
  CollectColumns(direct, used);
  if (std::find(used.begin(), used.end(), true) == used.end()) return {};
  return Error(sqlstate::kFeatureNotSupported, fmt::format("a column as the direct argument of {} is not supported", name))
      .Hint("Write a constant.")
      .At(position);
}

Result<AggregateCall> ResolveHypotheticalSet(const Name& name, std::vector<ExprPtr> direct, std::vector<AggregateOrder> order, int position) {
  if (direct.size() != order.size()) {
    std::vector<ExprPtr> all = direct;
    for (const AggregateOrder& key : order) all.push_back(key.expression);
    return Undefined(name.name, all, position)
        .Hint(fmt::format("To use the hypothetical-set aggregate {}, the number of hypothetical direct arguments (here {}) must match the number of "
                          "ordering columns (here {}).",
                          name.name, direct.size(), order.size()));
  }
  const bool whole = name.kind == AggregateKind::kRank || name.kind == AggregateKind::kDenseRank;
  AggregateCall call{.kind = name.kind,
                     .arguments = {},
                     .distinct = false,
                     .filter = nullptr,
                     .order_by = {},
                     .type = whole ? TypeId::kInt8 : TypeId::kFloat8,
                     .name = std::string(name.name),
                     .direct = {}};
  for (size_t i = 0; i < order.size(); ++i) {
    KAPPA_RETURN_IF_ERROR(CheckNoColumn(name.name, *direct[i], position));
    const Type types[] = {direct[i]->type(), order[i].expression->type()};
    KAPPA_ASSIGN_OR_RETURN(Type type, CommonType(types, "WITHIN GROUP", position));
    type = type.id == TypeId::kUnknown ? Type(TypeId::kText) : type.WithoutModifier();
    for (ExprPtr* value : {&direct[i], &order[i].expression}) {
      if ((*value)->type().Same(type)) continue;
      KAPPA_ASSIGN_OR_RETURN(*value, MakeCast(std::move(*value), type, CastContext::kImplicit, position));
    }
    call.direct.push_back(direct[i]);
    call.arguments.push_back(order[i].expression);
  }
  call.order_by = std::move(order);
  return call;
}

}  // namespace

bool IsAggregate(std::string_view name) {
  return FindName(name) != nullptr || std::find(std::begin(kRefused), std::end(kRefused), name) != std::end(kRefused);
}

bool IsOrderedSetAggregate(std::string_view name) {
  const Name* known = FindName(name);
  return known != nullptr && known->kind >= AggregateKind::kPercentileCont;
}

bool TakesOrder(AggregateKind kind) { return kind >= AggregateKind::kStringAgg; }

int SumScale(const data::Type& type) {
  const int scale = type.id == data::TypeId::kNumeric && type.modifier >= 0 ? data::NumericScale(type.modifier) : -1;
  return scale <= kSumScaleMax ? std::max(scale, -1) : -1;
}

Result<AggregateCall> ResolveAggregate(std::string_view name, std::vector<ExprPtr> arguments, bool star, bool distinct, int position) {
  if (std::find(std::begin(kRefused), std::end(kRefused), name) != std::end(kRefused)) { return Refused(name, position); }
  const Name* known = FindName(name);
  if (known == nullptr) return Undefined(name, arguments, position);
  AggregateCall call{.kind = known->kind,
                     .arguments = {},
                     .distinct = distinct,
                     .filter = nullptr,
                     .order_by = {},
                     .type = {},
                     .name = std::string(name),
                     .direct = {}};
  if (star) {
    if (known->kind != AggregateKind::kCount) {
      return Error(sqlstate::kUndefinedFunction, fmt::format("function {}() does not exist", name)).At(position);
    }
    call.kind = AggregateKind::kCountStar;
    call.type = TypeId::kInt8;
    return call;
  }
  if (IsOrderedSetAggregate(name)) {
    return Error(sqlstate::kWrongObjectType, fmt::format("WITHIN GROUP is required for ordered-set aggregate {}", name))
        .Hint(fmt::format("Write {}({}) WITHIN GROUP (ORDER BY value).", name,
                          IsHypotheticalSet(known->kind) ? "100"
                          : known->arguments > 0         ? "0.5"
                                                         : ""))
        .At(position);
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
    case AggregateKind::kCountStar:
    case AggregateKind::kPercentileCont:
    case AggregateKind::kPercentileDisc:
    case AggregateKind::kMode:
    case AggregateKind::kRank:
    case AggregateKind::kDenseRank:
    case AggregateKind::kPercentRank:
    case AggregateKind::kCumeDist: break;
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
    case AggregateKind::kVarPop:
    case AggregateKind::kVarSamp:
    case AggregateKind::kStddevPop:
    case AggregateKind::kStddevSamp:
      switch (type.id) {
        case TypeId::kInt2:
        case TypeId::kInt4:
        case TypeId::kInt8:
          KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kInt8));
          call.type = TypeId::kNumeric;
          break;
        case TypeId::kNumeric: call.type = TypeId::kNumeric; break;
        case TypeId::kUnknown:  // the preferred type
        case TypeId::kFloat4:
        case TypeId::kFloat8:
          KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kFloat8));
          call.type = TypeId::kFloat8;
          break;
        default: return Undefined(name, arguments, position);
      }
      break;
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
    case AggregateKind::kRegrSyy:
      for (const ExprPtr& argument : arguments)
        if (!data::IsNumber(argument->type().id) && argument->type().id != TypeId::kUnknown) return Undefined(name, arguments, position);
      KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kFloat8));
      KAPPA_RETURN_IF_ERROR(cast(1, TypeId::kFloat8));
      call.type = known->kind == AggregateKind::kRegrCount ? TypeId::kInt8 : TypeId::kFloat8;
      break;
    case AggregateKind::kBitAnd:
    case AggregateKind::kBitOr:
    case AggregateKind::kBitXor:
      if (type.id == TypeId::kUnknown) return Ambiguous(name, position);
      if (!data::IsInteger(type.id)) return Undefined(name, arguments, position);
      call.type = type;
      break;
    case AggregateKind::kMin:
    case AggregateKind::kMax:
      switch (type.id) {
        case TypeId::kUnknown:
          KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kText));
          call.type = TypeId::kText;
          break;
        case TypeId::kBool:
        case TypeId::kBytea:
        case TypeId::kJsonb:
        case TypeId::kUuid:
        case TypeId::kRecord: return Undefined(name, arguments, position);
        default: call.type = type; break;
      }
      break;
    case AggregateKind::kAnyValue:
      if (type.id == TypeId::kRecord) return Undefined(name, arguments, position);
      if (type.id == TypeId::kUnknown) KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kText));
      call.type = arguments[0]->type().WithoutModifier();
      break;
    case AggregateKind::kBoolAnd:
    case AggregateKind::kBoolOr:
      if (type.id != TypeId::kBool && type.id != TypeId::kUnknown) return Undefined(name, arguments, position);
      KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kBool));
      call.type = TypeId::kBool;
      break;
    case AggregateKind::kStringAgg: {
      const bool bytes = type.id == TypeId::kBytea || (type.id == TypeId::kUnknown && arguments[1]->type().id == TypeId::kBytea);
      call.type = bytes ? TypeId::kBytea : TypeId::kText;
      for (size_t i = 0; i < 2; ++i) {
        const TypeId id = arguments[i]->type().id;
        if (id != call.type.id && id != TypeId::kUnknown) return Undefined(name, arguments, position);
      }
      KAPPA_RETURN_IF_ERROR(cast(0, call.type));
      KAPPA_RETURN_IF_ERROR(cast(1, call.type));
      break;
    }
    case AggregateKind::kArrayAgg:
      if (type.id == TypeId::kUnknown) KAPPA_RETURN_IF_ERROR(cast(0, TypeId::kText));
      call.type = data::ArrayType(arguments[0]->type());
      break;
    case AggregateKind::kJsonbAgg: {
      KAPPA_ASSIGN_OR_RETURN(arguments[0], ToJsonb(std::move(arguments[0]), position));
      call.type = TypeId::kJsonb;
      break;
    }
    case AggregateKind::kJsonbObjectAgg: {
      if (type.is_array() || type.id == TypeId::kJsonb) {
        return Error(sqlstate::kInvalidParameterValue, "key value must be scalar, not array, composite, or json").At(position);
      }
      if (type.id != TypeId::kText) {  // as JSON spells it: times in ISO 8601
        KAPPA_ASSIGN_OR_RETURN(arguments[0], ToJsonb(std::move(arguments[0]), position));
        KAPPA_ASSIGN_OR_RETURN(ExprPtr whole,
                               MakeCast(MakeLiteral(data::Value::Text("{}")), Type::ArrayOf(TypeId::kText), CastContext::kExplicit, position));
        KAPPA_ASSIGN_OR_RETURN(arguments[0], MakeOperator("#>>", {std::move(arguments[0]), std::move(whole)}, position));
      }
      KAPPA_ASSIGN_OR_RETURN(arguments[1], ToJsonb(std::move(arguments[1]), position));
      call.type = TypeId::kJsonb;
      break;
    }
  }
  call.arguments = std::move(arguments);
  return call;
}

Result<AggregateCall> ResolveOrderedSet(std::string_view name, std::vector<ExprPtr> direct, std::vector<AggregateOrder> order, int position) {
  const Name* known = FindName(name);
  if (known == nullptr || !IsOrderedSetAggregate(name)) {
    if (known == nullptr) return Refused(name, position);
    return Error(sqlstate::kWrongObjectType, fmt::format("{} is not an ordered-set aggregate, so it cannot have WITHIN GROUP", name)).At(position);
  }
  std::vector<ExprPtr> all = direct;
  for (const AggregateOrder& key : order) all.push_back(key.expression);
  if (IsHypotheticalSet(known->kind)) return ResolveHypotheticalSet(*known, std::move(direct), std::move(order), position);
  if (direct.size() != known->arguments || order.size() != 1) return Undefined(name, all, position);
  AggregateCall call{.kind = known->kind,
                     .arguments = {},
                     .distinct = false,
                     .filter = nullptr,
                     .order_by = {},
                     .type = {},
                     .name = std::string(name),
                     .direct = {}};
  ExprPtr value = order[0].expression;
  Type type = value->type().WithoutModifier();
  if (type.id == TypeId::kUnknown) type = known->kind == AggregateKind::kPercentileCont ? TypeId::kFloat8 : TypeId::kText;
  if (known->kind == AggregateKind::kPercentileCont) {
    if (!data::IsNumber(type.id) && type.id != TypeId::kInterval) return Undefined(name, all, position);
    if (type.id != TypeId::kInterval) type = TypeId::kFloat8;
  }
  if (type.id == TypeId::kRecord) return Undefined(name, all, position);
  if (!value->type().Same(type)) { KAPPA_ASSIGN_OR_RETURN(value, MakeCast(std::move(value), type, CastContext::kImplicit, position)); }
  call.type = type;
  if (!direct.empty()) {
    const Type given = direct[0]->type();
    const bool several = given.is_array();
    if (several ? !data::IsNumber(given.element) : !data::IsNumber(given.id) && given.id != TypeId::kUnknown) return Undefined(name, all, position);
    if (several && type.is_array())
      return Error(sqlstate::kFeatureNotSupported, fmt::format("{} of arrays with several fractions is not supported", name)).At(position);
    if (several) call.type = data::ArrayType(type);
    const Type fraction = several ? Type::ArrayOf(TypeId::kFloat8) : Type(TypeId::kFloat8);
    KAPPA_RETURN_IF_ERROR(CheckNoColumn(name, *direct[0], position));
    KAPPA_ASSIGN_OR_RETURN(direct[0], MakeCast(std::move(direct[0]), fraction, CastContext::kImplicit, position));
    call.direct = std::move(direct);
  }
  call.arguments.push_back(value);
  call.order_by.push_back({std::move(value), order[0].descending, order[0].nulls_first});
  return call;
}

std::vector<FunctionInfo> ListAggregates() {
  std::vector<FunctionInfo> list;
  for (const Name& name : kNames) {
    for (size_t at = 0; at < name.signatures.size();) {
      const size_t end = std::min(name.signatures.find('\n', at), name.signatures.size());
      const std::string_view signature = name.signatures.substr(at, end - at);
      const size_t arrow = signature.find(" -> ");
      FunctionInfo info;
      info.name = name.name;
      info.arguments.emplace_back(signature.substr(0, arrow));
      info.result = signature.substr(arrow + 4);
      info.description = name.description;
      info.kind = FunctionInfo::Kind::kAggregate;
      list.push_back(std::move(info));
      at = end + 1;
    }
  }
  std::stable_sort(list.begin(), list.end(), [](const FunctionInfo& a, const FunctionInfo& b) { return a.name < b.name; });
  return list;
}

std::string AggregateCall::ToString(std::span<const std::string> names) const {
  std::string text = name + "(";
  std::string order;
  for (const AggregateOrder& key : order_by) {
    order += (order.empty() ? "ORDER BY " : ", ") + key.expression->ToString(names) + (key.descending ? " DESC" : "");
    if (key.nulls_first != key.descending) order += key.nulls_first ? " NULLS FIRST" : " NULLS LAST";
  }
  if (kind >= AggregateKind::kPercentileCont) {
    for (size_t i = 0; i < direct.size(); ++i) text += (i > 0 ? ", " : "") + direct[i]->ToString(names);
    text += ") WITHIN GROUP (" + order;
  } else {
    if (distinct) text += "DISTINCT ";
    if (kind == AggregateKind::kCountStar) text += "*";
    for (size_t i = 0; i < arguments.size(); ++i) text += (i > 0 ? ", " : "") + arguments[i]->ToString(names);
    if (!order.empty()) text += " " + order;
  }
  text += ")";
  if (filter != nullptr) text += " FILTER (WHERE " + filter->ToString(names) + ")";
  return text;
}

}  // namespace kappa::expr
