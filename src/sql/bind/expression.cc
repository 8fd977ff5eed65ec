// Scalar expressions.
#include <algorithm>
#include <limits>

#include "expr/row.h"
#include "sql/bind/nodes.h"
#include "sql/parse/tokens.h"

namespace kappa::sql {

using data::TypeId;
using data::Value;

int LocationOf(const PgQuery__Node& node) {
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: return node.column_ref->location;
    case PG_QUERY__NODE__NODE_A_CONST: return node.a_const->location;
    case PG_QUERY__NODE__NODE_A_EXPR:
      if (node.a_expr->lexpr != nullptr) {
        const int left = LocationOf(*node.a_expr->lexpr);
        if (left >= 0) return left;
      }
      return node.a_expr->location;
    case PG_QUERY__NODE__NODE_FUNC_CALL: return node.func_call->location;
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
      const int arg = LocationOf(*node.type_cast->arg);
      if (node.type_cast->location < 0) return node.type_cast->type_name->location;
      return arg >= 0 ? std::min(arg, node.type_cast->location) : node.type_cast->location;
    }
    case PG_QUERY__NODE__NODE_BOOL_EXPR: return node.bool_expr->location;
    case PG_QUERY__NODE__NODE_SUB_LINK: return node.sub_link->location;
    case PG_QUERY__NODE__NODE_CASE_EXPR: return node.case_expr->location;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: return node.coalesce_expr->location;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: return node.min_max_expr->location;
    case PG_QUERY__NODE__NODE_NULL_TEST: return node.null_test->location;
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST: return node.boolean_test->location;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR: return node.a_array_expr->location;
    case PG_QUERY__NODE__NODE_A_INDIRECTION: return LocationOf(*node.a_indirection->arg);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: return LocationOf(*node.collate_clause->arg);
    case PG_QUERY__NODE__NODE_PARAM_REF: return node.param_ref->location;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION: return node.sqlvalue_function->location;
    case PG_QUERY__NODE__NODE_ROW_EXPR: return node.row_expr->location;
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT: return node.set_to_default->location;
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR: return node.named_arg_expr->location;
    case PG_QUERY__NODE__NODE_GROUPING_SET: return node.grouping_set->location;
    case PG_QUERY__NODE__NODE_RES_TARGET: return node.res_target->location;
    case PG_QUERY__NODE__NODE_RANGE_VAR: return node.range_var->location;
    default: return -1;
  }
}

Result<ExprPtr> Binder::Expr(const PgQuery__Node& node, const ExprContext& context) {
  if (++depth_ > kDepthMax) {
    depth_ = 0;
    return Error(sqlstate::kStatementTooComplex, "expression is nested too deeply").At(At(LocationOf(node)));
  }
  Result<ExprPtr> result = ExprNode(node, context);
  --depth_;
  if (!result.ok()) return result;
  const expr::Row* row = expr::RowOf(**result);
  if (row == nullptr) return result;
  Result<ExprPtr> record = expr::RecordOf(*row);
  if (record.ok()) return record;
  Error error = record.error();
  error.set_position(At(LocationOf(node)));
  return error;
}

Result<std::vector<ExprPtr>> Binder::Exprs(PgQuery__Node** nodes, size_t count, const ExprContext& context) {
  std::vector<ExprPtr> expressions;
  expressions.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr expression, Expr(*nodes[i], context));
    expressions.push_back(std::move(expression));
  }
  return expressions;
}

Result<ExprPtr> Binder::ExprNode(const PgQuery__Node& node, const ExprContext& context) {
  const int position = At(LocationOf(node));
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_A_CONST: return Constant(*node.a_const);
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
      const PgQuery__ColumnRef& column = *node.column_ref;
      for (size_t i = 0; i < column.n_fields; ++i)
        if (column.fields[i]->node_case != PG_QUERY__NODE__NODE_STRING)
          return Unsupported("* here", "* stands alone in a select list or in count(*).", position);
      return Column(TextsOf(column.fields, column.n_fields), position, context);
    }
    case PG_QUERY__NODE__NODE_TYPE_CAST: return Cast(*node.type_cast, context);
    case PG_QUERY__NODE__NODE_A_EXPR: return Operator(*node.a_expr, context);
    case PG_QUERY__NODE__NODE_FUNC_CALL: return Call(*node.func_call, context);
    case PG_QUERY__NODE__NODE_SUB_LINK: return SubqueryExpression(*node.sub_link, context);
    case PG_QUERY__NODE__NODE_BOOL_EXPR: {
      const PgQuery__BoolExpr& boolean = *node.bool_expr;
      KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> args, Exprs(boolean.args, boolean.n_args, context));
      for (size_t i = 0; i < args.size(); ++i) {
        if (args[i]->type().id == TypeId::kBool || args[i]->type().id == TypeId::kUnknown) continue;
        const char* name = boolean.boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR  ? "AND"
                           : boolean.boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR ? "OR"
                                                                                 : "NOT";
        return Error(sqlstate::kDatatypeMismatch,
                     std::string("argument of ") + name + " must be type boolean, not type " + args[i]->type().ToString())
            .At(At(LocationOf(*boolean.args[i])));
      }
      if (boolean.boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) return expr::MakeAnd(std::move(args), position);
      if (boolean.boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR) return expr::MakeOr(std::move(args), position);
      return expr::MakeNot(std::move(args[0]), position);
    }
    case PG_QUERY__NODE__NODE_NULL_TEST: {
      KAPPA_ASSIGN_OR_RETURN(const ExprPtr arg, RowOrExpr(*node.null_test->arg, context));
      return NullTest(arg, node.null_test->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL, position);
    }
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST: {
      const PgQuery__BooleanTest& test = *node.boolean_test;
      KAPPA_ASSIGN_OR_RETURN(ExprPtr arg, Condition(*test.arg, {context.scope, "IS TRUE", context.aggregates, context.sets, context.in_aggregate,
                                                                context.windows, context.in_window}));
      const auto is = [&](bool value, bool negated) { return expr::MakeDistinct(arg, expr::MakeLiteral(Value::Bool(value)), !negated, position); };
      switch (test.booltesttype) {
        case PG_QUERY__BOOL_TEST_TYPE__IS_TRUE: return is(true, false);
        case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE: return is(true, true);
        case PG_QUERY__BOOL_TEST_TYPE__IS_FALSE: return is(false, false);
        case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE: return is(false, true);
        case PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN: return expr::MakeIsNull(std::move(arg), false);
        case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN: return expr::MakeIsNull(std::move(arg), true);
        default: return Unsupported("this test", "", position);
      }
    }
    case PG_QUERY__NODE__NODE_CASE_EXPR: return Case(node, context);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: {
      KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> args, Exprs(node.coalesce_expr->args, node.coalesce_expr->n_args, context));
      return expr::MakeCoalesce(std::move(args), position);
    }
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: {
      KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> args, Exprs(node.min_max_expr->args, node.min_max_expr->n_args, context));
      return expr::MakeGreatest(std::move(args), node.min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_LEAST, position);
    }
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR: {
      if (node.a_array_expr->n_elements == 0)
        return Error(sqlstate::kIndeterminateDatatype, "cannot determine type of empty array")
            .Hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
            .At(position);
      KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> elements, Exprs(node.a_array_expr->elements, node.a_array_expr->n_elements, context));
      return expr::MakeArray(std::move(elements), position);
    }
    case PG_QUERY__NODE__NODE_A_INDIRECTION: return Indirection(*node.a_indirection, context);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: {
      const PgQuery__CollateClause& clause = *node.collate_clause;
      const std::vector<std::string> names = TextsOf(clause.collname, clause.n_collname);
      const std::string& name = names.back();
      if (name != "C" && name != "default" && name != "POSIX")
        return Error(sqlstate::kFeatureNotSupported, "collation \"" + name + "\" is not supported")
            .Hint("Text is compared byte by byte: use COLLATE \"C\", or leave COLLATE out.")
            .At(At(clause.location));
      return Expr(*clause.arg, context);
    }
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION: return ValueFunction(node);
    case PG_QUERY__NODE__NODE_PARAM_REF: return Parameter(node.param_ref->number, position);
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT: return Error(sqlstate::kSyntaxError, "DEFAULT is not allowed in this context").At(position);
    case PG_QUERY__NODE__NODE_ROW_EXPR: return RowConstructor(*node.row_expr, context);
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR: return Unsupported("a named argument", "Give the arguments in order.", position);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC: return GroupingCall(*node.grouping_func, context);
    case PG_QUERY__NODE__NODE_XML_EXPR:
    case PG_QUERY__NODE__NODE_XML_SERIALIZE: return Unsupported("XML", "Use jsonb.", position);
    case PG_QUERY__NODE__NODE_CURRENT_OF_EXPR: return Unsupported("WHERE CURRENT OF", "", position);
    default: return Unsupported("this expression", "docs/sql.md lists what the language has.", position);
  }
}

Result<ExprPtr> Binder::Condition(const PgQuery__Node& node, const ExprContext& context) {
  KAPPA_ASSIGN_OR_RETURN(ExprPtr condition, Expr(node, context));
  const int position = At(LocationOf(node));
  if (condition->type().id == TypeId::kUnknown) return expr::MakeCast(std::move(condition), TypeId::kBool, expr::CastContext::kImplicit, position);
  if (condition->type().id != TypeId::kBool)
    return Error(sqlstate::kDatatypeMismatch,
                 std::string("argument of ") + context.clause + " must be type boolean, not type " + condition->type().ToString())
        .At(position);
  return condition;
}

ExprPtr Binder::Placed(ExprPtr column, int position) {
  if (column->kind() == expr::Expression::Kind::kColumn) {
    const auto& reference = static_cast<const expr::ColumnRef&>(*column);
    column = expr::MakeColumn(reference.index(), reference.type(), reference.name());
  }
  positions_[column.get()] = {column, position};
  return column;
}

int Binder::PositionOf(const expr::Expression& column) const {
  const auto found = positions_.find(&column);
  return found == positions_.end() ? 0 : found->second.second;
}

Result<ExprPtr> Binder::Column(const std::vector<std::string>& parts, int position, const ExprContext& context) {
  if (parts.size() > 3) {
    std::string name;
    for (const std::string& part : parts) name += (name.empty() ? "" : ".") + part;
    return Error(sqlstate::kFeatureNotSupported, "cross-database references are not implemented: " + name)
        .Hint("Write schema.table.column.")
        .At(position);
  }
  KAPPA_ASSIGN_OR_RETURN(const std::optional<ExprPtr> found, context.scope->Find(parts, position));
  if (found) return Placed(*found, position);
  KAPPA_ASSIGN_OR_RETURN(const std::optional<ExprPtr> outer, OuterColumn(parts, position));
  if (outer) return *outer;
  if (parts.size() <= 2) {
    KAPPA_ASSIGN_OR_RETURN(const ExprPtr row, WholeRow(parts, position, context));
    if (row) return row;
  }
  return context.scope->Undefined(parts, position);
}

Result<ExprPtr> Binder::Parameter(int number, int position) {
  if (for_view_)
    return Error(sqlstate::kUndefinedParameter, "there is no parameter $" + std::to_string(number))
        .Hint("A view's query has no parameters.")
        .At(position);
  constexpr int kParametersMax = 65535;  // of the wire protocol
  if (number < 1 || number > kParametersMax)
    return Error(sqlstate::kUndefinedParameter, "there is no parameter $" + std::to_string(number)).At(position);
  if (static_cast<size_t>(number) > parameter_types_.size()) parameter_types_.resize(static_cast<size_t>(number));
  return std::make_shared<expr::Parameter>(number - 1, parameter_types_[static_cast<size_t>(number) - 1]);
}

Result<ExprPtr> Binder::Operator(const PgQuery__AExpr& node, const ExprContext& context) {
  const int position = At(node.location);
  const std::vector<std::string> names = TextsOf(node.name, node.n_name);
  const std::string name = names.empty() ? "" : names.back();
  if (names.size() > 1 && names[0] != "pg_catalog")
    return Error(sqlstate::kUndefinedFunction, "operator does not exist: " + names[0] + "." + name).At(position);
  switch (node.kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR: {
      if (node.lexpr == nullptr) {
        KAPPA_ASSIGN_OR_RETURN(ExprPtr operand, Expr(*node.rexpr, context));
        return expr::MakeOperator(name, {std::move(operand)}, position);
      }
      KAPPA_ASSIGN_OR_RETURN(ExprPtr left, RowOrExpr(*node.lexpr, context));
      const bool query =
          node.rexpr->node_case == PG_QUERY__NODE__NODE_SUB_LINK && node.rexpr->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK;
      if (query && expr::RowOf(*left) != nullptr) {
        KAPPA_ASSIGN_OR_RETURN(ExprPtr row, SubqueryRow(*node.rexpr->sub_link, context));
        return Compare(name, std::move(left), std::move(row), position);
      }
      KAPPA_ASSIGN_OR_RETURN(ExprPtr right, RowOrExpr(*node.rexpr, context));
      return Compare(name, std::move(left), std::move(right), position);
    }
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL: {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr left, Expr(*node.lexpr, context));
      KAPPA_ASSIGN_OR_RETURN(ExprPtr array, Expr(*node.rexpr, context));
      return expr::MakeArrayComparison(name, std::move(left), std::move(array), node.kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL, position);
    }
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT: {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr left, RowOrExpr(*node.lexpr, context));
      KAPPA_ASSIGN_OR_RETURN(ExprPtr right, RowOrExpr(*node.rexpr, context));
      return Distinct(std::move(left), std::move(right), node.kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT, position);
    }
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF: {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr left, Expr(*node.lexpr, context));
      KAPPA_ASSIGN_OR_RETURN(ExprPtr right, Expr(*node.rexpr, context));
      return expr::MakeNullIf(std::move(left), std::move(right), position);
    }
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN: return In(node, context);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM: return Between(node, context);
    default: return Unsupported("this operator", "docs/sql.md lists what the language has.", position);
  }
}

Result<ExprPtr> Binder::In(const PgQuery__AExpr& node, const ExprContext& context) {
  const int position = At(node.location);
  const bool negated = TextOf(*node.name[0]) == "<>";
  const PgQuery__List& list = *node.rexpr->list;
  KAPPA_ASSIGN_OR_RETURN(ExprPtr needle, RowOrExpr(*node.lexpr, context));
  if (expr::RowOf(*needle) != nullptr) {
    std::vector<ExprPtr> matches;
    for (size_t i = 0; i < list.n_items; ++i) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr item, RowOrExpr(*list.items[i], context));
      KAPPA_ASSIGN_OR_RETURN(ExprPtr match, Compare("=", needle, std::move(item), position));
      matches.push_back(std::move(match));
    }
    ExprPtr any = matches[0];
    if (matches.size() > 1) { KAPPA_ASSIGN_OR_RETURN(any, expr::MakeOr(std::move(matches), position)); }
    if (!negated) return any;
    return expr::MakeNot(std::move(any), position);
  }
  KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> items, Exprs(list.items, list.n_items, context));
  return expr::MakeIn(std::move(needle), std::move(items), negated, position);
}

Result<ExprPtr> Binder::Between(const PgQuery__AExpr& node, const ExprContext& context) {
  const int position = At(node.location);
  const PgQuery__List& list = *node.rexpr->list;
  const bool negated = node.kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN || node.kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
  const bool symmetric = node.kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM || node.kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
  KAPPA_ASSIGN_OR_RETURN(const ExprPtr value, RowOrExpr(*node.lexpr, context));
  KAPPA_ASSIGN_OR_RETURN(const ExprPtr low, RowOrExpr(*list.items[0], context));
  KAPPA_ASSIGN_OR_RETURN(const ExprPtr high, RowOrExpr(*list.items[1], context));
  const auto between = [&](const ExprPtr& from, const ExprPtr& to) -> Result<ExprPtr> {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr above, Compare(negated ? "<" : ">=", value, from, position));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr below, Compare(negated ? ">" : "<=", value, to, position));
    if (negated) return expr::MakeOr({std::move(above), std::move(below)}, position);
    return expr::MakeAnd({std::move(above), std::move(below)}, position);
  };
  KAPPA_ASSIGN_OR_RETURN(ExprPtr result, between(low, high));
  if (!symmetric) return result;
  KAPPA_ASSIGN_OR_RETURN(ExprPtr swapped, between(high, low));
  if (negated) return expr::MakeAnd({std::move(result), std::move(swapped)}, position);
  return expr::MakeOr({std::move(result), std::move(swapped)}, position);
}

Result<ExprPtr> Binder::Case(const PgQuery__Node& node, const ExprContext& context) {
  const PgQuery__CaseExpr& expression = *node.case_expr;
  ExprPtr operand, otherwise;
  if (expression.arg != nullptr) { KAPPA_ASSIGN_OR_RETURN(operand, Expr(*expression.arg, context)); }
  std::vector<std::pair<ExprPtr, ExprPtr>> branches;
  for (size_t i = 0; i < expression.n_args; ++i) {
    const PgQuery__CaseWhen& when = *expression.args[i]->case_when;
    ExprPtr condition;
    if (operand) {
      KAPPA_ASSIGN_OR_RETURN(condition, Expr(*when.expr, context));
    } else {
      KAPPA_ASSIGN_OR_RETURN(condition, Condition(*when.expr, {context.scope, "CASE/WHEN", context.aggregates, context.sets, context.in_aggregate,
                                                               context.windows, context.in_window}));
    }
    KAPPA_ASSIGN_OR_RETURN(ExprPtr result, Expr(*when.result, context));
    branches.emplace_back(std::move(condition), std::move(result));
  }
  if (expression.defresult != nullptr) { KAPPA_ASSIGN_OR_RETURN(otherwise, Expr(*expression.defresult, context)); }
  return expr::MakeCase(std::move(operand), std::move(branches), std::move(otherwise), At(expression.location));
}

/// value[from:to]..; a bound that is left out is the array's, and a single subscript n means 1:n.
Result<ExprPtr> Binder::Slice(ExprPtr value, std::span<PgQuery__Node* const> subscripts, const ExprContext& context, int position) {
  if (value->type().id == TypeId::kJsonb) return Error(sqlstate::kDatatypeMismatch, "jsonb subscript does not support slices").At(position);
  if (!value->type().is_array())
    return Error(sqlstate::kDatatypeMismatch, "cannot subscript type " + value->type().ToString() + " because it does not support subscripting")
        .At(position);
  std::vector<ExprPtr> arguments = {std::move(value)};
  const auto bound = [&](const PgQuery__Node* node, int32_t otherwise) -> Status {
    if (node == nullptr) {
      arguments.push_back(expr::MakeLiteral(data::Value::Fixed<int32_t>(TypeId::kInt4, otherwise)));
      return {};
    }
    const int at = At(LocationOf(*node));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr given, Expr(*node, context));
    KAPPA_ASSIGN_OR_RETURN(given, expr::MakeCast(std::move(given), TypeId::kInt4, expr::CastContext::kAssignment, at));
    arguments.push_back(std::move(given));
    return {};
  };
  for (const PgQuery__Node* subscript : subscripts) {
    const PgQuery__AIndices& indices = *subscript->a_indices;
    KAPPA_RETURN_IF_ERROR(bound(indices.is_slice ? indices.lidx : nullptr, 1));
    KAPPA_RETURN_IF_ERROR(bound(indices.uidx, std::numeric_limits<int32_t>::max()));
  }
  return Function("kappa_array_slice", std::move(arguments), position);
}

Result<ExprPtr> Binder::Indirection(const PgQuery__AIndirection& node, const ExprContext& context) {
  const int position = At(LocationOf(*node.arg));
  KAPPA_ASSIGN_OR_RETURN(ExprPtr value, RowOrExpr(*node.arg, context));
  for (size_t i = 0; i < node.n_indirection; ++i) {
    const PgQuery__Node& step = *node.indirection[i];
    if (step.node_case == PG_QUERY__NODE__NODE_STRING) {
      KAPPA_ASSIGN_OR_RETURN(value, FieldOf(value, step.string->sval, position));
      continue;
    }
    if (step.node_case != PG_QUERY__NODE__NODE_A_INDICES) return Unsupported("(row).* here", "It stands alone in a select list.", position);
    size_t end = i;  // of the subscripts that stand together: where one is a slice, all are
    bool slice = false;
    for (; end < node.n_indirection && node.indirection[end]->node_case == PG_QUERY__NODE__NODE_A_INDICES; ++end)
      slice = slice || node.indirection[end]->a_indices->is_slice;
    if (slice) {
      KAPPA_ASSIGN_OR_RETURN(value, Slice(std::move(value), {node.indirection + i, end - i}, context, position));
      i = end - 1;
      continue;
    }
    KAPPA_ASSIGN_OR_RETURN(ExprPtr index, Expr(*step.a_indices->uidx, context));
    if (value->type().id == TypeId::kJsonb) {
      KAPPA_ASSIGN_OR_RETURN(value, expr::MakeOperator("->", {std::move(value), std::move(index)}, position));
    } else {
      KAPPA_ASSIGN_OR_RETURN(value, expr::MakeSubscript(std::move(value), std::move(index), position));
    }
  }
  return value;
}

Result<ExprPtr> Binder::ValueFunction(const PgQuery__Node& node) {
  const PgQuery__SQLValueFunction& function = *node.sqlvalue_function;
  const int position = At(function.location);
  const auto now_as = [&](data::Type type) -> Result<ExprPtr> {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr now, Function("now", {}, position));
    return expr::MakeCast(std::move(now), type, expr::CastContext::kExplicit, position);
  };
  switch (function.op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE: return now_as(TypeId::kDate);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP: return Function("now", {}, position);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP: return now_as(TypeId::kTimestamp);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME: return now_as(TypeId::kTime);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER: return Function("current_user", {}, position);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER: return Function("session_user", {}, position);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG: return Function("current_database", {}, position);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA: return Function("current_schema", {}, position);
    default: return Unsupported("CURRENT_TIME or a precision of the current time", "Use CURRENT_TIMESTAMP, LOCALTIMESTAMP or LOCALTIME.", position);
  }
}

}  // namespace kappa::sql
