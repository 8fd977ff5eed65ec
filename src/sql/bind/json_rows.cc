// JSON objects as rows: jsonb_to_record and jsonb_to_recordset, jsonb_populate_record and jsonb_populate_recordset.
#include "data/record.h"
#include "expr/from_json.h"
#include "expr/row.h"
#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

using data::TypeId;

/// A member of an object as a value of a type.
Result<ExprPtr> Member(const ExprPtr& object, const std::string& name, const data::Type& type, int position) {
  const ExprPtr key = expr::MakeLiteral(data::Value::Text(name));
  if (type.id == TypeId::kJsonb || type.is_array() || type.is_record()) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr value, expr::MakeOperator("->", {object, key}, position));
    return expr::MakeFromJson(std::move(value), type);
  }
  KAPPA_ASSIGN_OR_RETURN(ExprPtr value, expr::MakeOperator("->>", {object, key}, position));
  // What is too long for varchar(n) is an error.
  return expr::MakeCast(std::move(value), type, type.id == TypeId::kText ? expr::CastContext::kAssignment : expr::CastContext::kExplicit, position);
}

bool IsNullConstant(const expr::Expression& value) {
  return value.kind() == expr::Expression::Kind::kLiteral && static_cast<const expr::Literal&>(value).value().null;
}

}  // namespace

/// jsonb_to_recordset and jsonb_to_record: the members of objects as columns of the types that the definitions say.
Result<std::vector<Binder::SetColumn>> Binder::RecordColumns(const std::string& name, std::vector<ExprPtr> arguments, ColumnDefinitions definitions,
                                                             int position) {
  if (definitions.empty())
    return Error(sqlstate::kSyntaxError, "a column definition list is required for functions returning \"record\"")
        .Hint("Write FROM " + name + "(..) AS x (name type, ..).")
        .At(position);
  const bool set = name.ends_with("set");
  if (!set && arguments.size() == 1) {  // NULL is a row, too
    KAPPA_ASSIGN_OR_RETURN(ExprPtr empty,
                           expr::MakeCast(expr::MakeLiteral(data::Value::Text("{}")), TypeId::kJsonb, expr::CastContext::kExplicit, position));
    KAPPA_ASSIGN_OR_RETURN(arguments[0], expr::MakeCoalesce({arguments[0], std::move(empty)}, position));
  }
  KAPPA_ASSIGN_OR_RETURN(const ExprPtr array, SetArray(name, set ? "kappa_json_objects" : "kappa_json_object", std::move(arguments), position));
  const ExprPtr object = expr::MakeColumn(0, TypeId::kJsonb, "object");
  std::vector<SetColumn> columns;
  for (const PgQuery__Node* node : definitions) {
    const PgQuery__ColumnDef& definition = *node->column_def;
    const int at = At(definition.location);
    KAPPA_ASSIGN_OR_RETURN(const data::Type type, TypeOf(*definition.type_name));
    if (!data::FieldsAreKnown(type)) return Error("42P16", std::string("column \"") + definition.colname + "\" has pseudo-type record").At(at);
    KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Member(object, definition.colname, type, at));
    if (const catalog::Domain* named = DomainNamed(*definition.type_name)) {
      KAPPA_ASSIGN_OR_RETURN(expr::DomainPtr domain, BindDomain(*named, context_));
      value = expr::MakeDomainCast(std::move(value), std::move(domain));
    }
    columns.push_back({definition.colname, array, std::move(value)});
  }
  return columns;
}

/// The row type that the first argument of a populating function says; a row becomes a record.
Result<data::Type> Binder::BaseRow(const std::string& name, std::vector<ExprPtr>& arguments, int position) {
  if (arguments.size() != 2) {
    std::string types;
    for (const ExprPtr& argument : arguments) types += (types.empty() ? "" : ", ") + argument->type().ToString();
    return Error(sqlstate::kUndefinedFunction, "function " + name + "(" + types + ") does not exist")
        .Hint("Write " + name + "(NULL::type, json).")
        .At(position);
  }
  if (const expr::Row* row = expr::RowOf(*arguments[0])) { KAPPA_ASSIGN_OR_RETURN(arguments[0], expr::RecordOf(*row)); }
  const data::Type type = arguments[0]->type();
  if (type.id != TypeId::kRecord && type.id != TypeId::kUnknown)
    return Error(sqlstate::kDatatypeMismatch, "first argument of " + name + " must be a row type").At(position);
  if (data::FindRecord(type) == nullptr)
    return Error(sqlstate::kFeatureNotSupported, "could not determine row type for result of " + name)
        .Hint("Write " + name + "(NULL::type, json), where type is a composite type, a stream or a table.")
        .At(position);
  return type;
}

/// jsonb_populate_record: members of the object, and the base row's fields where it has none.
Result<ExprPtr> Binder::PopulatedRecord(const std::string& name, std::vector<ExprPtr> arguments, int position) {
  KAPPA_ASSIGN_OR_RETURN(const data::Type type, BaseRow(name, arguments, position));
  const data::RecordDefinition& definition = *data::FindRecord(type);
  const bool null_base = IsNullConstant(*arguments[0]);
  KAPPA_ASSIGN_OR_RETURN(ExprPtr objects, SetArray(name, "kappa_json_object", {arguments[1]}, position));
  const ExprPtr first = expr::MakeLiteral(data::Value::Fixed<int32_t>(TypeId::kInt4, 1));
  KAPPA_ASSIGN_OR_RETURN(const ExprPtr object, expr::MakeSubscript(std::move(objects), first, position));
  const ExprPtr base = expr::MakeRowOf(arguments[0]);
  std::vector<ExprPtr> fields;
  for (size_t i = 0; i < definition.names.size(); ++i) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr field, Member(object, definition.names[i], definition.types[i], position));
    if (!null_base) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr given, expr::MakeOperator("?", {object, expr::MakeLiteral(data::Value::Text(definition.names[i]))}, position));
      KAPPA_ASSIGN_OR_RETURN(field, expr::MakeCase(nullptr, {{std::move(given), std::move(field)}}, expr::RowOf(*base)->field(i), position));
    }
    fields.push_back(std::move(field));
  }
  const ExprPtr row = expr::MakeRow(std::move(fields), definition.names, null_base ? object : nullptr, expr::Row::Origin::kTable);
  return expr::RecordOf(*expr::RowOf(*row), type, expr::CastContext::kExplicit, position);
}

/// A populating function in FROM: the fields of its rows as columns.
Result<std::vector<Binder::SetColumn>> Binder::PopulatedColumns(const std::string& name, std::vector<ExprPtr> arguments,
                                                                ColumnDefinitions definitions, int position) {
  if (!definitions.empty())
    return Unsupported("a column definition list for " + name, "Give it a row type, NULL::type, or use jsonb_to_record.", position);
  std::vector<SetColumn> columns;
  if (name.ends_with("_populate_record")) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr record, PopulatedRecord(name, std::move(arguments), position));
    const ExprPtr row = expr::MakeRowOf(expr::MakeColumn(0, record->type(), name));
    KAPPA_ASSIGN_OR_RETURN(const ExprPtr array, expr::MakeArray({std::move(record)}, position));
    for (size_t i = 0; i < expr::RowOf(*row)->size(); ++i) columns.push_back({expr::RowOf(*row)->names()[i], array, expr::RowOf(*row)->field(i)});
    return columns;
  }
  KAPPA_ASSIGN_OR_RETURN(const data::Type type, BaseRow(name, arguments, position));
  if (!IsNullConstant(*arguments[0]))
    return Unsupported(name + " over a row that is not NULL", "Write " + name + "(NULL::type, json), and coalesce its columns.", position);
  KAPPA_ASSIGN_OR_RETURN(const ExprPtr array, SetArray(name, "kappa_json_objects", {arguments[1]}, position));
  const data::RecordDefinition& definition = *data::FindRecord(type);
  for (size_t i = 0; i < definition.names.size(); ++i) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Member(expr::MakeColumn(0, TypeId::kJsonb, "object"), definition.names[i], definition.types[i], position));
    columns.push_back({definition.names[i], array, std::move(value)});
  }
  return columns;
}

}  // namespace kappa::sql
