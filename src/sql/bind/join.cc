// JOIN and lateral items.
#include <algorithm>
#include <numeric>
#include <set>

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

/// unnest(..) and LATERAL sub-selects may use the columns of the tables before them.
bool Binder::IsLateral(const PgQuery__Node& item) const {
  if (item.node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT) return item.range_subselect->lateral != 0;
  if (item.node_case != PG_QUERY__NODE__NODE_RANGE_FUNCTION) return false;
  const PgQuery__Node& function = *item.range_function->functions[0]->list->items[0];
  if (function.node_case != PG_QUERY__NODE__NODE_FUNC_CALL || function.func_call->n_funcname == 0) return false;
  return IsSetFunction(TextOf(*function.func_call->funcname[function.func_call->n_funcname - 1]));
}

Result<FromResult> Binder::LateralItem(const PgQuery__Node& item, FromResult left, bool outer) {
  const PgQuery__RangeFunction& range = *item.range_function;
  const PgQuery__FuncCall& call = *range.functions[0]->list->items[0]->func_call;
  const int position = At(call.location);
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(range.base, {"lateral", "ordinality", "functions", "alias", "is_rowsfrom"}, "FROM", position));
  if (range.n_functions > 1) return Unsupported("ROWS FROM with several functions", "Join the functions instead.", position);
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(call.base, {"funcname", "args", "funcformat"}, "a function in FROM", position));
  KAPPA_ASSIGN_OR_RETURN(const std::string function, FunctionName(call));
  KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> arguments, Exprs(call.args, call.n_args, {.scope = &left.scope, .clause = "FROM"}));
  const bool ordinality = range.ordinality != 0;
  const PgQuery__Alias* alias = range.alias;
  const bool constant = std::all_of(arguments.begin(), arguments.end(), [](const ExprPtr& argument) { return argument->is_row_constant(); });
  if (function == "generate_series" && constant && !ordinality && !for_view_) {  // the engine gives its rows one by one
    KAPPA_ASSIGN_OR_RETURN(FromResult series, TableFunctionOf(function, std::move(arguments), position));
    KAPPA_RETURN_IF_ERROR(ApplyAlias(series, alias, position, true));
    KAPPA_RETURN_IF_ERROR(CheckDuplicateTables(left.scope, series.scope, position));
    const bool nothing = left.plan->kind == plan::NodeKind::kValues && left.scope.tables.empty();
    if (nothing) return series;
    FromResult both = Combine(std::move(left), std::move(series), JoinType::kCross);
    if (outer) both.plan = plan::MakeJoin(JoinType::kLeft, both.plan->inputs[0], both.plan->inputs[1], {}, {}, nullptr);
    return both;
  }
  KAPPA_ASSIGN_OR_RETURN(auto columns, SetColumns(function, std::move(arguments), position));
  const int width = left.plan->schema.size();
  const bool named = columns[0].first == "value" || columns.size() > 1;  // columns keep their names under an alias of the table
  std::string name = alias == nullptr        ? columns[0].first
                     : alias->n_colnames > 0 ? TextOf(*alias->colnames[0])
                     : named                 ? columns[0].first
                                             : alias->aliasname;
  std::vector<ExprPtr> more;
  std::vector<std::string> more_names;
  for (size_t i = 1; i < columns.size(); ++i) {
    more_names.push_back(columns[i].first);
    more.push_back(columns[i].second);
  }
  FromResult result{plan::MakeUnnest(left.plan, columns[0].second, ordinality, outer, std::move(name), std::move(more), more_names), {}};
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
  Environment environment{environment_, &left.scope, 0, {}};
  environment.first_parameter = environment_ != nullptr ? environment_->first_parameter + kOuterColumnsMax : parameters_max_;
  environment_ = &environment;
  Result<NodePtr> bound = Select(select, /*keep_unknown=*/false);
  environment_ = environment.parent;
  if (!bound.ok()) return bound.error();
  const NodePtr query = std::move(*bound);
  InferParameters(*query);
  KAPPA_ASSIGN_OR_RETURN(FromResult right, Aliased(subselect, query));
  if (type == JoinType::kLeft) right.scope.MakeOptional(query->schema);
  KAPPA_RETURN_IF_ERROR(CheckDuplicateTables(left.scope, right.scope, position));
  FromResult result{nullptr, left.scope};
  result.scope.Append(right.scope, left.plan->schema.size());
  ExprPtr on;
  if (quals != nullptr) {
    KAPPA_ASSIGN_OR_RETURN(on, Condition(*quals, {.scope = &result.scope, .clause = "JOIN/ON"}));
    if (on->kind() == expr::Expression::Kind::kLiteral && static_cast<const expr::Literal&>(*on).value() == data::Value::Bool(true)) on = nullptr;
  }
  Result<NodePtr> joined = JoinLateral(left.plan, query, environment.first_parameter, environment.outer, type, on, for_view_);
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
  KAPPA_RETURN_IF_ERROR(
      RefuseOtherFields(join.base, {"jointype", "is_natural", "larg", "rarg", "using_clause", "quals", "rtindex"}, "JOIN", position));
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
    KAPPA_ASSIGN_OR_RETURN(FromResult result, LateralItem(*join.rarg, std::move(left), type == JoinType::kLeft));
    if (join.quals == nullptr) return result;
    KAPPA_ASSIGN_OR_RETURN(const ExprPtr condition, Condition(*join.quals, {.scope = &result.scope, .clause = "JOIN/ON"}));
    const bool is_true =
        condition->kind() == expr::Expression::Kind::kLiteral && static_cast<const expr::Literal&>(*condition).value() == data::Value::Bool(true);
    if (is_true) return result;
    if (type == JoinType::kLeft) return Unsupported("LEFT JOIN unnest(..) with a condition", "Write ON true and filter in WHERE.", position);
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
