// Type names and constants.
#include <absl/strings/numbers.h>

#include <algorithm>
#include <charconv>

#include "data/record.h"
#include "expr/row.h"
#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

using data::Type;
using data::TypeId;
using data::Value;

/// Names of object identifiers: a cast from text looks the object up, a cast from oid gives its name.
bool IsRegistered(std::string_view name) {
  static constexpr std::string_view kNames[] = {"regclass", "regtype",     "regproc",   "regprocedure",  "regnamespace", "regrole",
                                                "regoper",  "regoperator", "regconfig", "regdictionary", "regcollation"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

/// The unit of an interval with one field: INTERVAL '5' SECOND. Empty for other masks (PostgreSQL's INTERVAL_MASK bits).
std::string_view IntervalUnit(int mask) {
  switch (mask) {
    case 1 << 1: return "month";
    case 1 << 2: return "year";
    case 1 << 3: return "day";
    case 1 << 10: return "hour";
    case 1 << 11: return "minute";
    case 1 << 12: return "second";
    default: return "";
  }
}

bool IsPlainNumber(std::string_view text) {
  double ignored;
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return !text.empty() && text.find_first_not_of("0123456789+-.") == std::string_view::npos &&
         absl::SimpleAtod(absl::string_view(text.data(), text.size()), &ignored);
}

Result<int> IntegerModifier(const PgQuery__Node& node, const std::string& type, int position) {
  if (node.node_case == PG_QUERY__NODE__NODE_A_CONST && node.a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) return node.a_const->ival->ival;
  return Error(sqlstate::kInvalidParameterValue, "type modifiers of type " + type + " must be integer constants").At(position);
}

}  // namespace

Result<Type> Binder::TypeOf(const PgQuery__TypeName& name) {
  const int position = At(name.location);
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(name.base, {"names", "typmods", "array_bounds", "typemod", "type_oid"}, "a type name", position));
  const std::vector<std::string> names = TextsOf(name.names, name.n_names);
  const std::string spelled = names.empty() ? "" : names.back();
  if (names.size() > 2 || (names.size() == 2 && names[0] != "pg_catalog" && names[0] != "information_schema" && names[0] != "public"))
    return Error(sqlstate::kUndefinedObject, "type \"" + names.front() + "." + spelled + "\" does not exist").At(position);

  Type type;
  const bool pg_catalog_char = names.size() == 2 && spelled == "bpchar";
  if (pg_catalog_char) { return Unsupported("type character(n)", "Use text or varchar(n).", position); }
  if (spelled == "name" || spelled == "char" || spelled == "sql_identifier" || spelled == "character_data" || spelled == "yes_or_no" ||
      spelled == "cstring") {
    type = TypeId::kText;
  } else if (spelled == "cardinal_number") {
    type = TypeId::kInt4;
  } else if (IsRegistered(spelled)) {
    type = TypeId::kOid;
  } else if (const catalog::NamedType* defined = context_.catalog->FindType(spelled);
             defined != nullptr && (names.size() == 1 || names[0] == "public")) {
    type = defined->type();
    if (std::find(depends_on_.begin(), depends_on_.end(), spelled) == depends_on_.end()) depends_on_.push_back(spelled);
  } else if (const data::Schema* relation = names.size() == 1 || names[0] == "public" ? RelationRow(spelled) : nullptr) {
    data::RecordDefinition definition;  // the name of a stream or table is that of its rows' type
    for (const data::Field& field : relation->fields) {
      definition.names.push_back(field.name);
      definition.types.push_back(field.type);
    }
    type = data::RegisterRecord(definition);
  } else if (const catalog::Domain* domain = DomainNamed(name)) {
    if (name.n_array_bounds > 0) return Unsupported("an array of a domain", "Use an array of its base type.", position);
    if (name.n_typmods > 0) return Error(sqlstate::kSyntaxError, "type modifier is not allowed for type \"" + spelled + "\"").At(position);
    if (std::find(depends_on_.begin(), depends_on_.end(), spelled) == depends_on_.end()) depends_on_.push_back(spelled);
    return domain->base;
  } else {
    Result<Type> found = data::TypeFromName(spelled);
    if (!found.ok()) {
      Error error = found.error();
      error.set_position(position);
      return error;
    }
    type = *found;
  }

  if (name.n_typmods > 0) {
    std::vector<int> modifiers;
    for (size_t i = 0; i < name.n_typmods; ++i) {
      KAPPA_ASSIGN_OR_RETURN(const int modifier, IntegerModifier(*name.typmods[i], spelled, position));
      modifiers.push_back(modifier);
    }
    if (type.id == TypeId::kNumeric) {
      const int precision = modifiers[0], scale = modifiers.size() > 1 ? modifiers[1] : 0;
      if (precision < 1 || precision > 1000)
        return Error(sqlstate::kInvalidParameterValue, "NUMERIC precision " + std::to_string(precision) + " must be between 1 and 1000").At(position);
      if (scale < 0 || scale > precision)
        return Error(sqlstate::kFeatureNotSupported,
                     "NUMERIC scale " + std::to_string(scale) + " must be between 0 and precision " + std::to_string(precision))
            .At(position);
      type.modifier = ((precision << 16) | scale) + 4;
    } else if (type.id == TypeId::kText && spelled == "varchar") {
      if (modifiers[0] < 1) return Error(sqlstate::kInvalidParameterValue, "length for type varchar must be at least 1").At(position);
      if (modifiers[0] > 10485760) return Error(sqlstate::kInvalidParameterValue, "length for type varchar cannot exceed 10485760").At(position);
      type.modifier = modifiers[0] + 4;
    } else if (type.id == TypeId::kInterval) {
      constexpr int kFullRange = 0x7FFF;
      if ((modifiers[0] != kFullRange && IntervalUnit(modifiers[0]).empty()) || modifiers.size() > 1)
        return Unsupported("an interval with several fields or a precision", "Write the units into the literal: INTERVAL '1 day 2 hours'.", position);
    } else if (type.id == TypeId::kTimestamp || type.id == TypeId::kTimestamptz || type.id == TypeId::kTime) {
      if (modifiers[0] != 6) return Unsupported("a precision other than 6 for type " + type.ToString(), "Use date_trunc to drop digits.", position);
    } else {
      return Error(sqlstate::kSyntaxError, "type modifier is not allowed for type \"" + spelled + "\"").At(position);
    }
  }
  if (name.n_array_bounds > 0) {
    if (type.is_array()) return type;  // int[][] is int[]: dimensions are no part of the type
    return Type::ArrayOf(type.id).WithModifier(type.modifier);
  }
  return type;
}

/// The columns of a stream or table, whose rows never have others; null when there is none.
const data::Schema* Binder::RelationRow(const std::string& name) {
  const catalog::Stream* stream = context_.catalog->FindStream(name);
  const catalog::Table* table = context_.catalog->FindTable(name);
  if (stream == nullptr && table == nullptr) return nullptr;
  if (std::find(depends_on_.begin(), depends_on_.end(), name) == depends_on_.end()) depends_on_.push_back(name);
  return stream != nullptr ? &stream->schema : &table->schema;
}

Result<ExprPtr> Binder::Constant(const PgQuery__AConst& constant) {
  const int position = At(constant.location);
  if (constant.isnull) return expr::MakeNull(TypeId::kUnknown);
  switch (constant.val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL: return expr::MakeLiteral(Value::Fixed<int32_t>(TypeId::kInt4, constant.ival->ival));
    case PG_QUERY__A__CONST__VAL_BOOLVAL: return expr::MakeLiteral(Value::Bool(constant.boolval->boolval != 0));
    case PG_QUERY__A__CONST__VAL_SVAL: return expr::MakeLiteral(Value::Bytes(TypeId::kUnknown, constant.sval->sval));
    case PG_QUERY__A__CONST__VAL_FVAL: {
      const std::string_view text = constant.fval->fval;
      int64_t integer = 0;
      const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), integer);
      if (status == std::errc() && end == text.data() + text.size()) {
        // -2147483648 arrives as a float, since its digits alone are no int4.
        if (integer == static_cast<int32_t>(integer)) return expr::MakeLiteral(Value::Fixed<int32_t>(TypeId::kInt4, static_cast<int32_t>(integer)));
        return expr::MakeLiteral(Value::Int8(integer));
      }
      Result<Value> value = data::FromText(text, TypeId::kNumeric, context_.text);
      if (!value.ok()) {
        Error error = value.error();
        error.set_position(position);
        return error;
      }
      return expr::MakeLiteral(std::move(*value));
    }
    case PG_QUERY__A__CONST__VAL_BSVAL: return Unsupported("a bit string", "Use bytea: '\\x0A'.", position);
    case PG_QUERY__A__CONST__VAL__NOT_SET: return expr::MakeNull(TypeId::kUnknown);
    default: return Unsupported("this constant", "", position);
  }
}

Result<ExprPtr> Binder::Cast(const PgQuery__TypeCast& cast, const ExprContext& context) {
  KAPPA_ASSIGN_OR_RETURN(ExprPtr value, CastToBase(cast, context));
  const catalog::Domain* named = DomainNamed(*cast.type_name);
  if (named == nullptr) return value;
  KAPPA_ASSIGN_OR_RETURN(expr::DomainPtr domain, BindDomain(*named, context_));
  return expr::MakeDomainCast(std::move(value), std::move(domain));
}

Result<ExprPtr> Binder::CastToBase(const PgQuery__TypeCast& cast, const ExprContext& context) {
  KAPPA_ASSIGN_OR_RETURN(const Type type, TypeOf(*cast.type_name));
  const int location = cast.location >= 0 ? cast.location : cast.type_name->location;
  const int position = At(location);
  const std::string spelled = cast.type_name->n_names > 0 ? TextOf(*cast.type_name->names[cast.type_name->n_names - 1]) : "";

  if (type.id == TypeId::kText || type.id == TypeId::kRecord) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr value, RowOrExpr(*cast.arg, context));
    if (const expr::Row* row = expr::RowOf(*value)) {
      if (type.id == TypeId::kRecord && data::FindRecord(type) == nullptr) return value;
      if (type.id == TypeId::kRecord) return expr::RecordOf(*row, type, expr::CastContext::kExplicit, position);
      KAPPA_ASSIGN_OR_RETURN(value, expr::RecordOf(*row));
      return expr::MakeCast(std::move(value), type, expr::CastContext::kExplicit, position);
    }
  }
  if (type.id == TypeId::kInterval && cast.type_name->n_typmods > 0) {
    const int mask = cast.type_name->typmods[0]->a_const->ival->ival;
    const std::string_view unit = IntervalUnit(mask);
    const char* text = StringConstant(*cast.arg);
    if (!unit.empty()) {
      if (text == nullptr || !IsPlainNumber(text))
        return Unsupported("an interval field on anything but a number", "Write INTERVAL '5' SECOND or INTERVAL '5 seconds'.", position);
      return expr::MakeCast(expr::MakeLiteral(Value::Bytes(TypeId::kUnknown, std::string(text) + " " + std::string(unit))), type,
                            expr::CastContext::kExplicit, At(cast.arg->a_const->location));
    }
  }
  if (type.is_array() && cast.arg->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
    // The elements take the array's type one by one, so that ARRAY[]::text[] and ARRAY['1']::int[] have a type.
    const PgQuery__AArrayExpr& array = *cast.arg->a_array_expr;
    std::vector<ExprPtr> elements;
    for (size_t i = 0; i < array.n_elements; ++i) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr element, Expr(*array.elements[i], context));
      if (element->type().is_array()) {
        KAPPA_ASSIGN_OR_RETURN(element, expr::MakeCast(std::move(element), type, expr::CastContext::kExplicit, At(LocationOf(*array.elements[i]))));
      } else {
        KAPPA_ASSIGN_OR_RETURN(element, expr::MakeCast(std::move(element), Type(type.element).WithModifier(type.modifier),
                                                       expr::CastContext::kExplicit, At(LocationOf(*array.elements[i]))));
      }
      elements.push_back(std::move(element));
    }
    if (!elements.empty()) return expr::MakeArray(std::move(elements), At(array.location));
    KAPPA_ASSIGN_OR_RETURN(Value empty, data::FromText("{}", type, context_.text));
    return expr::MakeLiteral(std::move(empty));
  }
  KAPPA_ASSIGN_OR_RETURN(ExprPtr arg, Expr(*cast.arg, context));
  if (IsRegistered(spelled) && !type.is_array()) return expr::MakeRegCast(std::move(arg), spelled, position);
  const bool literal = arg->kind() == expr::Expression::Kind::kLiteral && arg->type().id == TypeId::kUnknown;
  const int literal_location = LocationOf(*cast.arg);
  return expr::MakeCast(std::move(arg), type, expr::CastContext::kExplicit, literal && literal_location >= 0 ? At(literal_location) : position);
}

Result<Value> Binder::ConstantValue(const ExprPtr& expression, int position) {
  std::vector<bool> used;
  expr::CollectColumns(*expression, used);
  if (!expression->is_row_constant() || std::find(used.begin(), used.end(), true) != used.end())
    return Error(sqlstate::kInvalidParameterValue, "the argument must be a constant").At(position);
  expr::EvalContext evaluation;
  evaluation.text = context_.text;
  Result<Value> value = expr::EvaluateConstant(*expression, evaluation);
  if (!value.ok() && value.error().position() == 0) {
    Error error = value.error();
    error.set_position(position);
    return error;
  }
  return value;
}

Result<int64_t> Binder::ConstantInterval(const PgQuery__Node& node, const std::string& what, int position) {
  const Scope empty;
  const ExprContext context{.scope = &empty, .clause = what.c_str()};
  KAPPA_ASSIGN_OR_RETURN(ExprPtr expression, Expr(node, context));
  if (expression->type().id != TypeId::kUnknown && expression->type().id != TypeId::kInterval)
    return Error(sqlstate::kDatatypeMismatch, what + " must be of type interval, not " + expression->type().ToString())
        .Hint("Write INTERVAL '1 minute'.")
        .At(position);
  KAPPA_ASSIGN_OR_RETURN(expression, expr::MakeCast(std::move(expression), TypeId::kInterval, expr::CastContext::kExplicit, position));
  KAPPA_ASSIGN_OR_RETURN(const Value value, ConstantValue(expression, position));
  if (value.null) return Error(sqlstate::kNullValueNotAllowed, what + " must not be null").At(position);
  const auto interval = value.As<data::Interval>();
  if (interval.months != 0) return Unsupported("an interval with months or years for " + what, "Months have no fixed length: use days.", position);
  int64_t days = 0, micros = 0;
  if (__builtin_mul_overflow(int64_t{interval.days}, int64_t{86'400'000'000}, &days) || __builtin_add_overflow(days, interval.micros, &micros))
    return Error(sqlstate::kDatetimeFieldOverflow, "interval out of range").At(position);
  return micros;
}

}  // namespace kappa::sql
