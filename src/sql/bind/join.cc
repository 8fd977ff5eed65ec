// JOIN and lateral items.
#include <algorithm>
#include <numeric>
#include <set>

#include "data/enum_type.h"
#include "expr/row.h"
#include "sql/bind/nodes.h"
#include "sql/optimize/optimize.h"

namespace kappa::sql {
namespace {

using plan::JoinType;

/// Names of `left` that `right` has too, in the order of `left`: what NATURAL joins on.
std::vector<std::string> CommonNames(const Scope& left, const Scope& right) {
  std::vector<std::string> names;
  for (const Scope::Visible& a : left.visible)
    for (const Scope::Visible& b : right.visible)
      if (a.name == b.name && std::find(names.begin(), names.end(), a.name) == names.end()) names.push_back(a.name);
  return names;
}

}  // namespace

/// Columns of outer queries are parameters behind those of the text.
bool Binder::HasOuterColumns(const expr::Expression& expression) const {
  if (expression.kind() == expr::Expression::Kind::kParameter) return static_cast<const expr::Parameter&>(expression).index() >= parameters_max_;
  return std::any_of(expression.children().begin(), expression.children().end(), [&](const ExprPtr& child) { return HasOuterColumns(*child); });
}

/// unnest(..) and LATERAL sub-selects may use the columns of the tables before them.
bool Binder::IsLateral(const PgQuery__Node& item) const {
  if (item.node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT) return item.range_subselect->lateral != 0;
  if (item.node_case != PG_QUERY__NODE__NODE_RANGE_FUNCTION) return false;
  if (item.range_function->n_functions > 1) return true;
  const PgQuery__Node& function = *item.range_function->functions[0]->list->items[0];
  if (function.node_case != PG_QUERY__NODE__NODE_FUNC_CALL || function.func_call->n_funcname == 0) return false;
  return IsSetFunction(TextOf(*function.func_call->funcname[function.func_call->n_funcname - 1]));
}

Result<std::vector<Binder::SetColumn>> Binder::FunctionColumns(const PgQuery__Node& node, ColumnDefinitions definitions, const Scope& scope) {
  const int position = At(LocationOf(node));
  const ExprContext context{.scope = &scope, .clause = "FROM"};
  if (node.node_case == PG_QUERY__NODE__NODE_FUNC_CALL) {
    const PgQuery__FuncCall& call = *node.func_call;
    KAPPA_RETURN_IF_ERROR(RefuseOtherFields(call.base, {"funcname", "args", "funcformat"}, "a function in FROM", position));
    KAPPA_ASSIGN_OR_RETURN(const std::string name, FunctionName(call));
    if (IsSetFunction(name)) {
      KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> arguments, Exprs(call.args, call.n_args, context));
      return SetColumns(name, std::move(arguments), definitions, position);
    }
  }
  if (!definitions.empty())
    return Error(sqlstate::kSyntaxError, "a column definition list is only allowed for functions returning \"record\"").At(position);
  // A record, so that the array of one element may hold an array.
  KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Expr(node, context));
  const ExprPtr row = expr::MakeRow({std::move(value)}, {"value"}, nullptr, expr::Row::Origin::kConstructed);
  KAPPA_ASSIGN_OR_RETURN(ExprPtr record, expr::RecordOf(*expr::RowOf(*row)));
  KAPPA_ASSIGN_OR_RETURN(ExprPtr array, expr::MakeArray({std::move(record)}, position));
  const ExprPtr element = expr::MakeRowOf(expr::MakeColumn(0, data::ElementType(array->type()), ""));
  return std::vector<SetColumn>{{OutputName(node), std::move(array), expr::RowOf(*element)->field(0)}};
}

Result<FromResult> Binder::LateralItem(const PgQuery__Node& item, FromResult left, bool outer) {
  const PgQuery__RangeFunction& range = *item.range_function;
  const PgQuery__Node& first = *range.functions[0]->list->items[0];
  const int position = At(LocationOf(first));
  KAPPA_RETURN_IF_ERROR(
      RefuseOtherFields(range.base, {"lateral", "ordinality", "functions", "alias", "is_rowsfrom", "coldeflist"}, "FROM", position));
  const bool ordinality = range.ordinality != 0;
  const PgQuery__Alias* alias = range.alias;
  std::vector<SetColumn> columns;
  for (size_t i = 0; i < range.n_functions; ++i) {
    const PgQuery__List& function = *range.functions[i]->list;
    ColumnDefinitions definitions(range.coldeflist, range.n_coldeflist);
    if (function.n_items > 1 && function.items[1] != nullptr && function.items[1]->node_case == PG_QUERY__NODE__NODE_LIST)
      definitions = {function.items[1]->list->items, function.items[1]->list->n_items};
    KAPPA_ASSIGN_OR_RETURN(std::vector<SetColumn> own, FunctionColumns(*function.items[0], definitions, left.scope));
    std::move(own.begin(), own.end(), std::back_inserter(columns));
  }
  const std::string function = range.n_functions == 1 ? TextOf(*first.func_call->funcname[first.func_call->n_funcname - 1]) : columns[0].name;
  const bool series = function == "generate_series" && range.n_functions == 1 && columns[0].array->type().element != data::TypeId::kNumeric;
  if (series && columns[0].array->is_row_constant() && !HasOuterColumns(*columns[0].array) && !ordinality &&
      !for_view_) {  // the engine gives its rows one by one
    KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> arguments,
                           Exprs(first.func_call->args, first.func_call->n_args, {.scope = &left.scope, .clause = "FROM"}));
    KAPPA_ASSIGN_OR_RETURN(FromResult rows, TableFunctionOf(function, std::move(arguments), position));
    KAPPA_RETURN_IF_ERROR(ApplyAlias(rows, alias, position, true));
    KAPPA_RETURN_IF_ERROR(CheckDuplicateTables(left.scope, rows.scope, position));
    const bool nothing = left.plan->kind == plan::NodeKind::kValues && left.scope.tables.empty();
    if (nothing) return rows;
    FromResult both = Combine(std::move(left), std::move(rows), JoinType::kCross);
    if (outer) both.plan = plan::MakeJoin(JoinType::kLeft, both.plan->inputs[0], both.plan->inputs[1], {}, {}, nullptr);
    return both;
  }
  const int width = left.plan->schema.size();
  // Columns keep their names under an alias of the table.
  const bool record = columns[0].array->type().is_record() && function == "unnest";
  const bool named = columns[0].name == "value" || columns.size() > 1 || record || function.ends_with("_recordset") || function.ends_with("_record");
  columns[0].name = alias == nullptr        ? columns[0].name
                    : alias->n_colnames > 0 ? TextOf(*alias->colnames[0])
                    : named                 ? columns[0].name
                                            : alias->aliasname;
  std::vector<ExprPtr> arrays;
  std::vector<std::string> names;
  std::vector<ExprPtr> values;
  for (const SetColumn& column : columns) {
    const auto at = static_cast<size_t>(std::find(arrays.begin(), arrays.end(), column.array) - arrays.begin());
    if (at == arrays.size()) {
      arrays.push_back(column.array);
      names.push_back(column.name);
    }
    const ExprPtr element = expr::MakeColumn(width + static_cast<int>(at), data::ElementType(column.array->type()), column.name);
    values.push_back(column.value ? expr::SubstituteColumns(column.value, std::span(&element, 1)) : element);
  }
  NodePtr rows =
      plan::MakeUnnest(left.plan, arrays[0], ordinality, outer, names[0], {arrays.begin() + 1, arrays.end()}, {names.begin() + 1, names.end()});
  if (std::any_of(columns.begin(), columns.end(), [](const SetColumn& column) { return column.value != nullptr; })) {
    std::vector<ExprPtr> outputs;
    std::vector<std::string> output_names = plan::ColumnNames(rows->schema);
    for (int i = 0; i < rows->schema.size(); ++i) {
      const data::Field& field = rows->schema.fields[static_cast<size_t>(i)];
      outputs.push_back(expr::MakeColumn(i, field.type, field.name));
    }
    const auto from = static_cast<std::ptrdiff_t>(width), to = from + static_cast<std::ptrdiff_t>(arrays.size());
    outputs.erase(outputs.begin() + from, outputs.begin() + to);
    outputs.insert(outputs.begin() + from, values.begin(), values.end());
    output_names.erase(output_names.begin() + from, output_names.begin() + to);
    for (size_t i = columns.size(); i-- > 0;) output_names.insert(output_names.begin() + from, columns[i].name);
    rows = plan::MakeProject(std::move(rows), std::move(outputs), std::move(output_names));
  }
  FromResult result{std::move(rows), {}};
  FromResult own;
  ScopeTable table{ordinality || named ? "Function" : "Function of one column", "", function, function, {}};
  for (int i = width; i < result.plan->schema.size(); ++i) {
    const data::Field& field = result.plan->schema.fields[static_cast<size_t>(i)];
    table.columns.push_back({field.name, expr::MakeColumn(i, field.type, field.name)});
  }
  own.scope.Add(std::move(table));
  KAPPA_RETURN_IF_ERROR(ApplyAlias(own, alias, position, true));
  KAPPA_RETURN_IF_ERROR(CheckDuplicateTables(left.scope, own.scope, position));
  result.scope = std::move(left.scope);
  result.scope.Append(own.scope, 0);
  return result;
}

Result<FromResult> Binder::LateralSelect(const PgQuery__RangeSubselect& subselect, FromResult left, plan::JoinType type, const PgQuery__Node* quals) {
  const PgQuery__SelectStmt& select = *subselect.subquery->select_stmt;
  const int position = select.n_target_list > 0 ? At(select.target_list[0]->res_target->location) : tree_.statement().offset + 1;
  return JoinLaterally(std::move(left), type, quals, position, [&]() -> Result<FromResult> {
    KAPPA_ASSIGN_OR_RETURN(NodePtr query, Select(select, /*keep_unknown=*/false));
    return Aliased(subselect, std::move(query));
  });
}

/// Joins what `bind_right` gives, which sees the columns of `left`.
Result<FromResult> Binder::JoinLaterally(FromResult left, plan::JoinType type, const PgQuery__Node* quals, int position,
                                         const std::function<Result<FromResult>()>& bind_right) {
  Environment environment{environment_, &left.scope, 0, {}};
  environment.first_parameter = environment_ != nullptr ? environment_->first_parameter + kOuterColumnsMax : parameters_max_;
  environment_ = &environment;
  Result<FromResult> bound = bind_right();
  environment_ = environment.parent;
  if (!bound.ok()) return bound.error();
  FromResult right = std::move(*bound);
  InferParameters(*right.plan);
  if (type == JoinType::kLeft) right.scope.MakeOptional(right.plan->schema);
  KAPPA_RETURN_IF_ERROR(CheckDuplicateTables(left.scope, right.scope, position));
  FromResult result{nullptr, left.scope};
  result.scope.Append(right.scope, left.plan->schema.size());
  ExprPtr on;
  if (quals != nullptr) {
    KAPPA_ASSIGN_OR_RETURN(on, Condition(*quals, {.scope = &result.scope, .clause = "JOIN/ON"}));
    if (on->kind() == expr::Expression::Kind::kLiteral && static_cast<const expr::Literal&>(*on).value() == data::Value::Bool(true)) on = nullptr;
  }
  Result<NodePtr> joined = JoinLateral(left.plan, right.plan, environment.first_parameter, environment.outer, type, on, for_view_);
  if (!joined.ok()) {
    Error error = joined.error();
    if (error.position() == 0) error.set_position(position);
    return error;
  }
  result.plan = std::move(*joined);
  return result;
}

Result<FromResult> Binder::JoinItem(const PgQuery__JoinExpr& join, const FromResult* lateral) {
  const int position = At(LocationOf(*join.rarg) >= 0 ? LocationOf(*join.rarg) : LocationOf(*join.larg));
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(
      join.base, {"jointype", "is_natural", "larg", "rarg", "using_clause", "join_using_alias", "quals", "rtindex"}, "JOIN", position));
  JoinType type = JoinType::kInner;
  switch (join.jointype) {
    case PG_QUERY__JOIN_TYPE__JOIN_INNER: type = JoinType::kInner; break;
    case PG_QUERY__JOIN_TYPE__JOIN_LEFT: type = JoinType::kLeft; break;
    case PG_QUERY__JOIN_TYPE__JOIN_RIGHT: type = JoinType::kRight; break;
    case PG_QUERY__JOIN_TYPE__JOIN_FULL: type = JoinType::kFull; break;
    default: return Unsupported("this kind of join", "Joins are INNER, LEFT, RIGHT, FULL and CROSS.", position);
  }
  const bool cross = type == JoinType::kInner && join.quals == nullptr && join.n_using_clause == 0 && !join.is_natural;

  KAPPA_ASSIGN_OR_RETURN(FromResult left, FromItem(*join.larg, lateral));
  if (IsSystemTime(*join.rarg)) return TemporalItem(std::move(left), join, type);
  const bool as_of = join.quals != nullptr && IsAsOf(*join.quals);
  if (as_of && IsLateral(*join.rarg))
    return Unsupported("ASOF JOIN with a LATERAL item", "Join a table, a stream, a view or a sub-select.", position);
  if (IsLateral(*join.rarg)) {
    if (join.rarg->node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT) {
      if (join.n_using_clause > 0 || join.is_natural)
        return Unsupported("USING with a LATERAL sub-select", "Write the condition inside the sub-select and ON true.", position);
      if (type == JoinType::kRight || type == JoinType::kFull)
        return Error(sqlstate::kInvalidColumnReference, "invalid reference to FROM-clause entry of a LATERAL sub-select")
            .Detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
            .At(position);
      return LateralSelect(*join.rarg->range_subselect, std::move(left), cross ? JoinType::kCross : type, join.quals);
    }
    // CROSS JOIN unnest(..), JOIN LATERAL unnest(..) ON true, LEFT JOIN LATERAL unnest(..) ON true.
    if ((type != JoinType::kInner && type != JoinType::kLeft) || join.n_using_clause > 0 || join.is_natural)
      return Unsupported("this join with unnest", "Write CROSS JOIN unnest(..) or LEFT JOIN unnest(..) ON true.", position);
    const FromResult left_alone = left;
    KAPPA_ASSIGN_OR_RETURN(FromResult result, LateralItem(*join.rarg, std::move(left), type == JoinType::kLeft));
    if (join.quals == nullptr) return result;
    KAPPA_ASSIGN_OR_RETURN(const ExprPtr condition, Condition(*join.quals, {.scope = &result.scope, .clause = "JOIN/ON"}));
    const bool is_true =
        condition->kind() == expr::Expression::Kind::kLiteral && static_cast<const expr::Literal&>(*condition).value() == data::Value::Bool(true);
    if (is_true) return result;
    if (type == JoinType::kLeft)  // a row stays when none of its elements fulfils the condition
      return JoinLaterally(left_alone, type, join.quals, position,
                           [&] { return LateralItem(*join.rarg, {plan::MakeValues({}, {{}}), {}}, /*outer=*/false); });
    result.plan = plan::MakeFilter(result.plan, condition);
    return result;
  }
  if (join.rarg->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION && lateral == nullptr) lateral = &left;
  KAPPA_ASSIGN_OR_RETURN(FromResult right, FromItem(*join.rarg, join.rarg->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION ? &left : lateral));
  KAPPA_RETURN_IF_ERROR(CheckDuplicateTables(left.scope, right.scope, position));
  if (as_of) return AsOfItem(std::move(left), std::move(right), type, *join.quals, position);

  std::vector<std::string> names = join.is_natural ? CommonNames(left.scope, right.scope) : TextsOf(join.using_clause, join.n_using_clause);
  const int width = left.plan->schema.size();
  if (type == JoinType::kRight || type == JoinType::kFull) left.scope.MakeOptional(left.plan->schema);
  if (type == JoinType::kLeft || type == JoinType::kFull) right.scope.MakeOptional(right.plan->schema);
  const Scope left_scope = left.scope, right_scope = right.scope;
  const NodePtr left_plan = left.plan, right_plan = right.plan;
  FromResult result =
      Combine(std::move(left), std::move(right), cross || (join.is_natural && names.empty() && type == JoinType::kInner) ? JoinType::kCross : type);

  std::vector<ExprPtr> conditions;
  if (!names.empty()) {
    std::vector<Scope::Visible> merged;
    for (const std::string& name : names) {
      KAPPA_ASSIGN_OR_RETURN(const std::optional<ExprPtr> a, left_scope.Find({name}, position));
      KAPPA_ASSIGN_OR_RETURN(const std::optional<ExprPtr> b, right_scope.Find({name}, position));
      if (!a || !b)
        return Error(sqlstate::kUndefinedColumn,
                     "column \"" + name + "\" specified in USING clause does not exist in " + (a ? "right" : "left") + " table")
            .At(position);
      Scope shifted;
      shifted.Append(right_scope, width);
      KAPPA_ASSIGN_OR_RETURN(const std::optional<ExprPtr> moved, shifted.Find({name}, position));
      KAPPA_ASSIGN_OR_RETURN(ExprPtr equal, expr::MakeOperator("=", {*a, *moved}, position));
      conditions.push_back(std::move(equal));
      ExprPtr value = type == JoinType::kRight ? *moved : *a;
      if (type == JoinType::kFull) { KAPPA_ASSIGN_OR_RETURN(value, expr::MakeCoalesce({*a, *moved}, position)); }
      merged.push_back({name, std::move(value), -1});
    }
    if (join.join_using_alias != nullptr) {
      ScopeTable table{"Join", "", join.join_using_alias->aliasname, "", {}};
      for (const Scope::Visible& column : merged) table.columns.push_back({column.name, column.expression});
      if (result.scope.FindTable("", table.name) != nullptr)
        return Error(sqlstate::kAmbiguousAlias, "table name \"" + table.name + "\" specified more than once").At(position);
      result.scope.tables.push_back(std::move(table));
    }
    // Merged columns come first in *, and unqualified names mean them.
    for (const Scope::Visible& column : result.scope.visible)
      if (std::find(names.begin(), names.end(), column.name) == names.end()) merged.push_back(column);
    result.scope.visible = std::move(merged);
  } else if (join.quals != nullptr) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr condition, Condition(*join.quals, {.scope = &result.scope, .clause = "JOIN/ON"}));
    conditions.push_back(std::move(condition));
  }
  if (!conditions.empty()) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr residual,
                           conditions.size() == 1 ? Result<ExprPtr>(conditions[0]) : expr::MakeAnd(std::move(conditions), position));
    result.plan = plan::MakeJoin(type, left_plan, right_plan, {}, {}, std::move(residual));
  }
  return result;
}

}  // namespace kappa::sql
