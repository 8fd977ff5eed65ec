// Row values: ROW(..), whole rows of tables, their comparisons, tests, fields and JSON.
#include "expr/row.h"

#include <algorithm>

#include "data/record.h"
#include "plan/subquery_expression.h"
#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

using data::TypeId;
using expr::Row;
using expr::RowOf;

bool IsStar(const PgQuery__Node& node) {
  return node.node_case == PG_QUERY__NODE__NODE_COLUMN_REF &&
         node.column_ref->fields[node.column_ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

/// A packed row whose fields are known.
bool IsRecord(const expr::Expression& value) {
  return value.type().id == TypeId::kRecord && RowOf(value) == nullptr && data::FindRecord(value.type()) != nullptr;
}

ExprPtr Boolean(bool value) { return expr::MakeLiteral(data::Value::Bool(value)); }

/// `value` where the rows are there, else NULL.
Result<ExprPtr> WherePresent(std::initializer_list<const Row*> rows, ExprPtr value, int position) {
  for (const Row* row : rows) {
    if (row == nullptr || row->present() == nullptr) continue;
    const data::Type type = value->type();
    KAPPA_ASSIGN_OR_RETURN(value,
                           expr::MakeCase(nullptr, {{expr::MakeIsNull(row->present(), true), std::move(value)}}, expr::MakeNull(type), position));
  }
  return value;
}

}  // namespace

Result<ExprPtr> Binder::RowOrExpr(const PgQuery__Node& node, const ExprContext& context) {
  KAPPA_ASSIGN_OR_RETURN(ExprPtr value, RowOrValue(node, context));
  return IsRecord(*value) ? expr::MakeRowOf(std::move(value)) : value;
}

Result<ExprPtr> Binder::RowOrValue(const PgQuery__Node& node, const ExprContext& context) {
  const int position = At(LocationOf(node));
  if (node.node_case == PG_QUERY__NODE__NODE_ROW_EXPR) return RowConstructor(*node.row_expr, context);
  if (node.node_case == PG_QUERY__NODE__NODE_COLUMN_REF) {
    const PgQuery__ColumnRef& column = *node.column_ref;
    const bool star = IsStar(node);
    const std::vector<std::string> parts = TextsOf(column.fields, column.n_fields - (star ? 1 : 0));
    if (star && parts.empty()) return Expr(node, context);
    if (!star && parts.size() <= 2) {
      KAPPA_ASSIGN_OR_RETURN(const bool known, IsColumn(parts, position, context));
      if (known) return Expr(node, context);
    }
    if (parts.size() <= 2) {
      KAPPA_ASSIGN_OR_RETURN(const ExprPtr row, WholeRow(parts, position, context));
      if (row) return row;
    }
  }
  return Expr(node, context);
}

/// True when the name is a column of this query or of one around it.
Result<bool> Binder::IsColumn(const std::vector<std::string>& parts, int position, const ExprContext& context) {
  if (parts.size() == 2 && context.scope->FindTable("", parts[0]) == nullptr && context.scope->FindTable(parts[0], parts[1]) != nullptr) return false;
  KAPPA_ASSIGN_OR_RETURN(const std::optional<ExprPtr> found, context.scope->Find(parts, position));
  if (found || (parts.size() == 1 && context.scope->FindTable("", parts[0]) != nullptr)) return found.has_value();
  for (Environment* environment = environment_; environment != nullptr; environment = environment->parent) {
    KAPPA_ASSIGN_OR_RETURN(const std::optional<ExprPtr> outer, environment->scope->Find(parts, position));
    if (outer) return true;
    if (parts.size() == 1 && environment->scope->FindTable("", parts[0]) != nullptr) return false;
  }
  return false;
}

/// The row of a table of this query or of one around it; null when there is no such table.
Result<ExprPtr> Binder::WholeRow(const std::vector<std::string>& parts, int position, const ExprContext& context) {
  const std::string schema = parts.size() > 1 ? parts[0] : "", &name = parts.back();
  const auto make = [&](const ScopeTable& table, const auto& field) -> Result<ExprPtr> {
    if (table.kind.starts_with("Function") && table.columns.size() == 1) return field(table.columns[0]);  // it gives values, not rows
    if (table.optional && !table.present)
      return Unsupported("the whole row of a table that an outer join may leave out", "Name its columns: " + name + ".column.", position);
    std::vector<ExprPtr> fields;
    std::vector<std::string> names;
    for (const ScopeColumn& column : table.columns) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr value, field(column));
      fields.push_back(std::move(value));
      names.push_back(column.name);
    }
    ExprPtr present;
    if (table.optional) { KAPPA_ASSIGN_OR_RETURN(present, field(*table.present)); }
    return expr::MakeRow(std::move(fields), std::move(names), std::move(present), Row::Origin::kTable);
  };
  if (const ScopeTable* table = context.scope->FindTable(schema, name))
    return make(*table, [&](const ScopeColumn& column) -> Result<ExprPtr> { return Placed(column.expression, position); });
  for (Environment* environment = environment_; environment != nullptr; environment = environment->parent) {
    const ScopeTable* table = environment->scope->FindTable(schema, name);
    if (table == nullptr) continue;
    return make(*table, [&](const ScopeColumn& column) -> Result<ExprPtr> {
      KAPPA_ASSIGN_OR_RETURN(const std::optional<ExprPtr> outer, OuterColumn({table->name, column.name}, position));
      KAPPA_CHECK(outer.has_value());
      return *outer;
    });
  }
  return ExprPtr();
}

Result<ExprPtr> Binder::RowConstructor(const PgQuery__RowExpr& row, const ExprContext& context) {
  std::vector<ExprPtr> fields;
  for (size_t i = 0; i < row.n_args; ++i) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr field, RowOrExpr(*row.args[i], context));
    const Row* whole = RowOf(*field);
    if (whole == nullptr || !IsStar(*row.args[i])) {
      fields.push_back(std::move(field));
      continue;
    }
    for (size_t k = 0; k < whole->size(); ++k) fields.push_back(whole->field(k));  // ROW(t.*)
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < fields.size(); ++i) names.push_back("f" + std::to_string(i + 1));
  return expr::MakeRow(std::move(fields), std::move(names), nullptr, Row::Origin::kConstructed);
}

Result<ExprPtr> Binder::Compare(const std::string& op, ExprPtr left, ExprPtr right, int position) {
  for (auto [row, other] : {std::pair(&left, &right), std::pair(&right, &left)}) {  // a literal beside a row is a row as it is written
    const Row* known = RowOf(**row);
    if (known == nullptr || known->record() == nullptr || (*other)->type().id != TypeId::kUnknown) continue;
    KAPPA_ASSIGN_OR_RETURN(*other, expr::MakeCast(std::move(*other), known->record()->type(), expr::CastContext::kImplicit, position));
    *other = expr::MakeRowOf(std::move(*other));
  }
  for (auto [row, other] : {std::pair(&left, &right), std::pair(&right, &left)})  // an element of an array
    if (RowOf(**row) != nullptr && (*other)->type().is_array()) { KAPPA_ASSIGN_OR_RETURN(*row, expr::RecordOf(*RowOf(**row))); }
  const Row *a = RowOf(*left), *b = RowOf(*right);
  if (a == nullptr && b == nullptr) return expr::MakeOperator(op, {std::move(left), std::move(right)}, position);
  if (a == nullptr || b == nullptr)
    return Error(sqlstate::kUndefinedFunction, "operator does not exist: " + left->type().ToString() + " " + op + " " + right->type().ToString())
        .Hint("Write a row on both sides.")
        .At(position);
  if (a->record() && b->record() && a->record()->type() == b->record()->type()) return expr::MakeOperator(op, {a->record(), b->record()}, position);
  if (a->size() != b->size())
    return a->constructed() && b->constructed()
               ? Error(sqlstate::kSyntaxError, "unequal number of entries in row expressions").At(position)
               : Error(sqlstate::kDatatypeMismatch, "cannot compare record types with different numbers of columns").At(position);
  std::vector<ExprPtr> lefts, rights;
  for (size_t i = 0; i < a->size(); ++i) {
    lefts.push_back(a->field(i));
    rights.push_back(b->field(i));
  }
  KAPPA_ASSIGN_OR_RETURN(ExprPtr test, RowTest(op, lefts, rights, a->constructed() && b->constructed(), position));
  return WherePresent({a, b}, std::move(test), position);
}

/// Field by field. With `sql`, a NULL makes the answer unknown unless an earlier field decides; else NULL equals NULL and comes last.
Result<ExprPtr> Binder::RowTest(const std::string& op, const std::vector<ExprPtr>& lefts, const std::vector<ExprPtr>& rights, bool sql,
                                int position) {
  if (lefts.empty()) return Error(sqlstate::kFeatureNotSupported, "cannot compare rows of zero length").At(position);
  const bool equal = op == "=", unequal = op == "<>" || op == "!=";
  if (!equal && !unequal && op != "<" && op != "<=" && op != ">" && op != ">=")
    return Error(sqlstate::kFeatureNotSupported, "could not determine interpretation of row comparison operator " + op)
        .Hint("Row comparison operators must be associated with btree operator families.")
        .At(position);
  const auto same = [&](size_t i) -> Result<ExprPtr> {
    if (sql || RowOf(*lefts[i]) != nullptr) return Compare("=", lefts[i], rights[i], position);
    return expr::MakeDistinct(lefts[i], rights[i], /*negated=*/true, position);
  };
  if (equal || unequal) {
    std::vector<ExprPtr> parts;
    for (size_t i = 0; i < lefts.size(); ++i) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr part, same(i));
      parts.push_back(std::move(part));
    }
    ExprPtr all = parts[0];
    if (parts.size() > 1) { KAPPA_ASSIGN_OR_RETURN(all, expr::MakeAnd(std::move(parts), position)); }
    if (equal) return all;
    return expr::MakeNot(std::move(all), position);
  }
  const std::string strict = op.substr(0, 1);
  const auto before = [&](size_t i, const std::string& how) -> Result<ExprPtr> {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr less, Compare(how, lefts[i], rights[i], position));
    if (sql || RowOf(*lefts[i]) != nullptr) return less;
    // NULL is greater than all values.
    const ExprPtr &low = strict == "<" ? lefts[i] : rights[i], &high = strict == "<" ? rights[i] : lefts[i];
    std::vector<std::pair<ExprPtr, ExprPtr>> branches;
    branches.emplace_back(expr::MakeIsNull(low, false), how == strict ? Boolean(false) : expr::MakeIsNull(high, false));
    branches.emplace_back(expr::MakeIsNull(high, false), Boolean(true));
    return expr::MakeCase(nullptr, std::move(branches), std::move(less), position);
  };
  KAPPA_ASSIGN_OR_RETURN(ExprPtr test, before(lefts.size() - 1, op));
  for (size_t i = lefts.size() - 1; i-- > 0;) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr less, before(i, strict));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr tie, same(i));
    KAPPA_ASSIGN_OR_RETURN(test, expr::MakeAnd({std::move(tie), std::move(test)}, position));
    KAPPA_ASSIGN_OR_RETURN(test, expr::MakeOr({std::move(less), std::move(test)}, position));
  }
  return test;
}

Result<ExprPtr> Binder::Distinct(ExprPtr left, ExprPtr right, bool negated, int position) {
  const Row *a = RowOf(*left), *b = RowOf(*right);
  if (a == nullptr && b == nullptr) return expr::MakeDistinct(std::move(left), std::move(right), negated, position);
  const auto is_null = [](const ExprPtr& e) {
    return e->type().id == TypeId::kUnknown && e->kind() == expr::Expression::Kind::kLiteral && static_cast<const expr::Literal&>(*e).value().null;
  };
  if (a == nullptr ? is_null(left) : b == nullptr && is_null(right)) {  // whether there is a row at all, whatever its fields
    const ExprPtr present = (a == nullptr ? b : a)->present();
    return present ? expr::MakeIsNull(present, !negated) : Boolean(!negated);
  }
  if (a == nullptr || b == nullptr)
    return Error(sqlstate::kUndefinedFunction, "operator does not exist: " + left->type().ToString() + " = " + right->type().ToString())
        .Hint("Write a row on both sides.")
        .At(position);
  if (a->present() || b->present()) {
    KAPPA_ASSIGN_OR_RETURN(left, expr::RecordOf(*a));
    KAPPA_ASSIGN_OR_RETURN(right, expr::RecordOf(*b));
    return expr::MakeDistinct(std::move(left), std::move(right), negated, position);
  }
  if (a->size() != b->size()) return Error(sqlstate::kSyntaxError, "unequal number of entries in row expressions").At(position);
  std::vector<ExprPtr> parts;
  for (size_t i = 0; i < a->size(); ++i) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr part, Distinct(a->field(i), b->field(i), negated, position));
    parts.push_back(std::move(part));
  }
  if (parts.size() == 1) return parts[0];
  return negated ? expr::MakeAnd(std::move(parts), position) : expr::MakeOr(std::move(parts), position);
}

/// A row IS NULL when all its fields are, and IS NOT NULL when none is. A row in a row is a value: NULL where it is not there at all.
Result<ExprPtr> Binder::NullTest(const ExprPtr& value, bool negated, int position) {
  const Row* row = RowOf(*value);
  if (row == nullptr) return expr::MakeIsNull(value, negated);
  std::vector<ExprPtr> parts;
  for (size_t i = 0; i < row->size(); ++i) {
    const Row* nested = RowOf(*row->field(i));
    parts.push_back(nested == nullptr   ? expr::MakeIsNull(row->field(i), negated)
                    : nested->present() ? expr::MakeIsNull(nested->present(), negated)
                                        : Boolean(negated));
  }
  if (parts.empty()) return Boolean(true);
  if (parts.size() == 1) return parts[0];
  return expr::MakeAnd(std::move(parts), position);
}

Result<ExprPtr> Binder::RowJson(const ExprPtr& value, int position) {
  const Row* row = RowOf(*value);
  if (row == nullptr) return value;
  if (row->record() != nullptr) return expr::MakeFunction("to_jsonb", {row->record()}, position);
  std::vector<ExprPtr> arguments;
  for (size_t i = 0; i < row->size(); ++i) {
    arguments.push_back(expr::MakeLiteral(data::Value::Text(row->names()[i])));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr field, RowJson(row->field(i), position));
    arguments.push_back(std::move(field));
  }
  KAPPA_ASSIGN_OR_RETURN(ExprPtr json, expr::MakeFunction("jsonb_build_object", std::move(arguments), position));
  return WherePresent({row}, std::move(json), position);
}

bool Binder::TakesRows(const std::string& function) {
  static constexpr std::string_view kNames[] = {"row_to_json",        "to_json",          "to_jsonb",          "json_build_object",
                                                "jsonb_build_object", "json_build_array", "jsonb_build_array", "jsonb_agg",
                                                "json_agg",           "json_object_agg",  "jsonb_object_agg"};
  return std::find(std::begin(kNames), std::end(kNames), function) != std::end(kNames);
}

/// The arguments of a function that takes rows as JSON.
Result<std::vector<ExprPtr>> Binder::JsonArguments(PgQuery__Node** nodes, size_t count, const ExprContext& context) {
  std::vector<ExprPtr> arguments;
  for (size_t i = 0; i < count; ++i) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr argument, RowOrExpr(*nodes[i], context));
    KAPPA_ASSIGN_OR_RETURN(argument, RowJson(argument, At(LocationOf(*nodes[i]))));
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

/// (row).field
Result<ExprPtr> Binder::FieldOf(const ExprPtr& value, const std::string& name, int position) {
  const ExprPtr fields = IsRecord(*value) ? expr::MakeRowOf(value) : value;
  const Row* row = RowOf(*fields);
  if (row == nullptr)
    return Error(sqlstate::kWrongObjectType,
                 "column notation ." + name + " applied to type " + value->type().ToString() + ", which is not a composite type")
        .At(position);
  for (size_t i = 0; i < row->size(); ++i)
    if (row->names()[i] == name) return row->field(i);
  const std::string near = NearestName(name, row->names());
  Error error = Error(sqlstate::kUndefinedColumn, "column \"" + name + "\" not found in data type record").At(position);
  if (!near.empty()) return std::move(error).Hint("Perhaps you meant the field \"" + near + "\".");
  return error;
}

/// row op (SELECT a, b ..): the one row of a sub-query; NULLs when it has none.
Result<ExprPtr> Binder::SubqueryRow(const PgQuery__SubLink& link, const ExprContext& context) {
  const int position = At(link.location);
  if (subquery_position_ == 0) subquery_position_ = position;
  Environment environment{environment_, context.scope, 0, {}};
  environment.first_parameter = environment_ != nullptr ? environment_->first_parameter + kOuterColumnsMax : parameters_max_;
  environment_ = &environment;
  Result<NodePtr> bound = Select(*link.subselect->select_stmt, /*keep_unknown=*/false);
  environment_ = environment.parent;
  if (!bound.ok()) return bound.error();
  const NodePtr plan = std::move(*bound);
  InferParameters(*plan);
  std::vector<ExprPtr> fields;
  std::vector<std::string> names = plan::ColumnNames(plan->schema);
  for (int i = 0; i < plan->schema.size(); ++i) {
    const data::Field& field = plan->schema.fields[static_cast<size_t>(i)];
    NodePtr one = plan::MakeProject(plan, {expr::MakeColumn(i, field.type, field.name)}, {field.name});
    fields.push_back(
        plan::MakeSubquery({plan::Subquery::Kind::kScalar, std::move(one), environment.outer, environment.first_parameter}, nullptr, field.type));
  }
  return expr::MakeRow(std::move(fields), std::move(names), nullptr, Row::Origin::kConstructed);
}

}  // namespace kappa::sql
