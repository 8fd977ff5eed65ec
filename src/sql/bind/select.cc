// SELECT, set operations, VALUES, ORDER BY, LIMIT.
#include <algorithm>

#include "sql/bind/nodes.h"
#include "sql/parse/tokens.h"

namespace kappa::sql {
namespace {

using data::TypeId;
using data::Value;

/// PostgreSQL's FigureColname: 0 no name, 1 a weak one (of a type), 2 a good one.
int FigureName(const PgQuery__Node& node, std::string& name) {
  const auto good = [&](std::string text) {
    name = std::move(text);
    return 2;
  };
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
      const PgQuery__ColumnRef& column = *node.column_ref;
      for (size_t i = column.n_fields; i-- > 0;)
        if (column.fields[i]->node_case == PG_QUERY__NODE__NODE_STRING) return good(column.fields[i]->string->sval);
      return 0;
    }
    case PG_QUERY__NODE__NODE_A_INDIRECTION: {
      const PgQuery__AIndirection& indirection = *node.a_indirection;
      for (size_t i = indirection.n_indirection; i-- > 0;)
        if (indirection.indirection[i]->node_case == PG_QUERY__NODE__NODE_STRING) return good(indirection.indirection[i]->string->sval);
      return FigureName(*indirection.arg, name);
    }
    case PG_QUERY__NODE__NODE_FUNC_CALL: return good(TextOf(*node.func_call->funcname[node.func_call->n_funcname - 1]));
    case PG_QUERY__NODE__NODE_A_EXPR:
      if (node.a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF) return good("nullif");
      return 0;
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
      const int strength = FigureName(*node.type_cast->arg, name);
      if (strength > 1) return strength;
      const PgQuery__TypeName& type = *node.type_cast->type_name;
      if (type.n_names == 0) return strength;
      name = TextOf(*type.names[type.n_names - 1]);
      return 1;
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: return FigureName(*node.collate_clause->arg, name);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC: return good("grouping");
    case PG_QUERY__NODE__NODE_SUB_LINK:
      switch (node.sub_link->sub_link_type) {
        case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK: return good("exists");
        case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK: return good("array");
        case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK: {
          const PgQuery__SelectStmt* select = node.sub_link->subselect->select_stmt;
          while (select->larg != nullptr) select = select->larg;
          if (select->n_target_list == 0) return 0;
          const PgQuery__ResTarget& target = *select->target_list[0]->res_target;
          if (target.name[0] != '\0') return good(target.name);
          return FigureName(*target.val, name);
        }
        default: return 0;
      }
    case PG_QUERY__NODE__NODE_CASE_EXPR: {
      const int strength = node.case_expr->defresult != nullptr ? FigureName(*node.case_expr->defresult, name) : 0;
      if (strength > 1) return strength;
      name = "case";
      return 1;
    }
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR: return good("array");
    case PG_QUERY__NODE__NODE_ROW_EXPR: return good("row");
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: return good("coalesce");
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: return good(node.min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_LEAST ? "least" : "greatest");
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
      switch (node.sqlvalue_function->op) {
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE: return good("current_date");
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP: return good("current_timestamp");
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP: return good("localtimestamp");
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE: return good("current_role");
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER: return good("current_user");
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER: return good("user");
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER: return good("session_user");
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG: return good("current_catalog");
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA: return good("current_schema");
        default: return 0;
      }
    default: return 0;
  }
}

ExprPtr OutputColumn(const NodePtr& plan, int index) {
  const data::Field& field = plan->schema.fields[static_cast<size_t>(index)];
  return expr::MakeColumn(index, field.type, field.name);
}

/// The plan with column `index` replaced by `expression` over its output.
NodePtr Replaced(const NodePtr& plan, int index, ExprPtr expression) {
  std::vector<ExprPtr> expressions;
  for (int i = 0; i < plan->schema.size(); ++i) expressions.push_back(i == index ? expression : OutputColumn(plan, i));
  return plan::MakeProject(plan, std::move(expressions), plan::ColumnNames(plan->schema));
}

}  // namespace

std::string Binder::OutputName(const PgQuery__Node& node) {
  std::string name;
  FigureName(node, name);
  return name.empty() ? "?column?" : name;
}

Result<NodePtr> Binder::CoerceColumn(const NodePtr& plan, int index, data::Type type, expr::CastContext how, int position) {
  const auto at = static_cast<size_t>(index);
  if (plan->schema.fields[at].type == type) return plan;
  if (plan->kind == plan::NodeKind::kProject) {
    const auto& project = static_cast<const plan::Project&>(*plan);
    std::vector<ExprPtr> expressions = project.expressions;
    KAPPA_ASSIGN_OR_RETURN(expressions[at], expr::MakeCast(std::move(expressions[at]), type, how, position));
    return plan::MakeProject(plan->inputs[0], std::move(expressions), plan::ColumnNames(plan->schema));
  }
  if (plan->kind == plan::NodeKind::kValues) {
    auto rows = static_cast<const plan::Values&>(*plan).rows;
    for (auto& row : rows) { KAPPA_ASSIGN_OR_RETURN(row[at], expr::MakeCast(std::move(row[at]), type, how, position)); }
    data::Schema schema = plan->schema;
    schema.fields[at].type = type;
    return plan::MakeValues(std::move(schema), std::move(rows));
  }
  KAPPA_ASSIGN_OR_RETURN(ExprPtr cast, expr::MakeCast(OutputColumn(plan, index), type, how, position));
  return Replaced(plan, index, std::move(cast));
}

NodePtr Binder::UnknownToText(NodePtr plan) {
  for (int i = 0; i < plan->schema.size(); ++i) {
    if (plan->schema.fields[static_cast<size_t>(i)].type.id != TypeId::kUnknown) continue;
    Result<NodePtr> text = CoerceColumn(plan, i, TypeId::kText, expr::CastContext::kImplicit, 0);
    if (text.ok()) plan = std::move(*text);
  }
  return plan;
}

NodePtr Binder::Shown(NodePtr plan) {
  plan = UnknownToText(std::move(plan));
  for (int i = 0; i < plan->schema.size(); ++i) {
    if (!expr::IsRegType(plan->schema.fields[static_cast<size_t>(i)].type)) continue;
    Result<NodePtr> text = CoerceColumn(plan, i, TypeId::kText, expr::CastContext::kExplicit, 0);
    if (text.ok()) plan = std::move(*text);
  }
  return plan;
}

Result<NodePtr> Binder::Select(const PgQuery__SelectStmt& select, bool keep_unknown) {
  if (++depth_ > kDepthMax) {
    depth_ = 0;
    return Error(sqlstate::kStatementTooComplex, "query is nested too deeply");
  }
  const size_t common_tables = common_tables_.size();
  const bool ordered = std::exchange(ordered_, false);
  const auto bind = [&]() -> Result<NodePtr> {
    KAPPA_RETURN_IF_ERROR(BindWith(select.with_clause));
    if (select.op != PG_QUERY__SET_OPERATION__SETOP_NONE) return SetOperation(select, keep_unknown, ordered);
    if (select.n_values_lists > 0) return ValuesLists(select, keep_unknown, ordered);
    return SelectBody(select, keep_unknown, ordered);
  };
  Result<NodePtr> plan = bind();
  common_tables_.resize(std::min(common_tables, common_tables_.size()));
  --depth_;
  return plan;
}

Result<NodePtr> Binder::SetOperation(const PgQuery__SelectStmt& select, bool keep_unknown, bool ordered) {
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(
      select.base, {"op", "all", "larg", "rarg", "sort_clause", "limit_offset", "limit_count", "limit_option", "with_clause"}, "UNION", 0));
  const auto location = [&](const PgQuery__SelectStmt* side) {
    while (side->larg != nullptr) side = side->larg;
    if (side->n_target_list > 0) return At(side->target_list[0]->res_target->location);
    if (side->n_values_lists > 0 && side->values_lists[0]->list->n_items > 0) return At(LocationOf(*side->values_lists[0]->list->items[0]));
    return 0;
  };
  const int right_position = location(select.rarg);
  const bool intersect = select.op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT, except = select.op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT;
  const std::string what = intersect ? "INTERSECT" : except ? "EXCEPT" : "UNION";
  KAPPA_ASSIGN_OR_RETURN(NodePtr left, Select(*select.larg, /*keep_unknown=*/true));
  KAPPA_ASSIGN_OR_RETURN(NodePtr right, Select(*select.rarg, /*keep_unknown=*/true));
  if (left->schema.size() != right->schema.size())
    return Error(sqlstate::kSyntaxError, "each " + what + " query must have the same number of columns").At(right_position);
  for (int i = 0; i < left->schema.size(); ++i) {
    const data::Type types[] = {left->schema.fields[static_cast<size_t>(i)].type, right->schema.fields[static_cast<size_t>(i)].type};
    if (types[0] == types[1] && types[0].id == TypeId::kUnknown && keep_unknown && select.all && !intersect && !except) continue;
    const int at = select.rarg->n_target_list > static_cast<size_t>(i) ? At(select.rarg->target_list[i]->res_target->location) : right_position;
    KAPPA_ASSIGN_OR_RETURN(data::Type type, expr::CommonType(types, what, at));
    if (types[0] != types[1]) type = type.WithoutModifier();
    if (type.id == TypeId::kUnknown) type = TypeId::kText;
    KAPPA_ASSIGN_OR_RETURN(left, CoerceColumn(left, i, type, expr::CastContext::kImplicit, location(select.larg)));
    KAPPA_ASSIGN_OR_RETURN(right, CoerceColumn(right, i, type, expr::CastContext::kImplicit, at));
  }
  if (intersect || except) {
    KAPPA_ASSIGN_OR_RETURN(NodePtr result, IntersectOrExcept(left, right, intersect, select.all != 0));
    KAPPA_ASSIGN_OR_RETURN(result, SortOutput(select, std::move(result), ordered));
    return LimitOutput(select, std::move(result));
  }
  std::vector<NodePtr> inputs;
  if (left->kind == plan::NodeKind::kUnion) inputs = left->inputs;
  else inputs.push_back(left);
  inputs.push_back(right);
  NodePtr plan = plan::WithNames(plan::MakeUnion(std::move(inputs)), plan::ColumnNames(left->schema));
  if (!select.all) {
    std::vector<ExprPtr> keys;
    for (int i = 0; i < plan->schema.size(); ++i) keys.push_back(OutputColumn(plan, i));
    std::vector<std::string> names = plan::ColumnNames(plan->schema);
    plan = plan::MakeAggregate(std::move(plan), std::move(keys), {}, std::move(names), -1, 0);
  }
  if (select.n_sort_clause > 0) plan = UnknownToText(std::move(plan));
  KAPPA_ASSIGN_OR_RETURN(plan, SortOutput(select, std::move(plan), ordered));
  return LimitOutput(select, std::move(plan));
}

/// Rows of both sides are counted in one aggregate: of each distinct row, l on the left and r on the right. INTERSECT keeps rows
/// with l > 0 and r > 0, EXCEPT those with l > 0 and r = 0; with ALL, a row comes least(l, r) or l - r times.
Result<NodePtr> Binder::IntersectOrExcept(const NodePtr& left, const NodePtr& right, bool intersect, bool all) {
  const int width = left->schema.size();
  const std::vector<std::string> names = plan::ColumnNames(left->schema);
  const auto side = [&](const NodePtr& input, bool is_left) {
    std::vector<ExprPtr> expressions;
    for (int i = 0; i < width; ++i) expressions.push_back(OutputColumn(input, i));
    expressions.push_back(expr::MakeLiteral(Value::Bool(is_left)));
    std::vector<std::string> side_names = names;
    side_names.push_back("is_left");
    return plan::MakeProject(input, std::move(expressions), std::move(side_names));
  };
  NodePtr both = plan::MakeUnion({side(left, true), side(right, false)});
  std::vector<ExprPtr> keys;
  for (int i = 0; i < width; ++i) keys.push_back(OutputColumn(both, i));
  KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall in_left, expr::ResolveAggregate("count", {}, true, false, 0));
  expr::AggregateCall in_right = in_left;
  in_left.filter = OutputColumn(both, width);
  KAPPA_ASSIGN_OR_RETURN(in_right.filter, expr::MakeNot(OutputColumn(both, width), 0));
  std::vector<std::string> grouped_names = names;
  grouped_names.insert(grouped_names.end(), {"in_left", "in_right"});
  NodePtr plan = plan::MakeAggregate(std::move(both), std::move(keys), {std::move(in_left), std::move(in_right)}, std::move(grouped_names), -1, 0);
  const ExprPtr l = OutputColumn(plan, width), r = OutputColumn(plan, width + 1), zero = expr::MakeLiteral(Value::Int8(0));
  if (!all) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr some, expr::MakeOperator(">", {l, zero}, 0));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr other, expr::MakeOperator(intersect ? ">" : "=", {r, zero}, 0));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr keep, expr::MakeAnd({std::move(some), std::move(other)}, 0));
    plan = plan::MakeFilter(std::move(plan), std::move(keep));
  } else {
    ExprPtr copies;
    if (intersect) {
      KAPPA_ASSIGN_OR_RETURN(copies, expr::MakeGreatest({l, r}, /*least=*/true, 0));
    } else {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr more, expr::MakeOperator("-", {l, r}, 0));
      KAPPA_ASSIGN_OR_RETURN(copies, expr::MakeGreatest({std::move(more), zero}, /*least=*/false, 0));
    }
    KAPPA_ASSIGN_OR_RETURN(copies, expr::MakeCast(std::move(copies), TypeId::kInt4, expr::CastContext::kExplicit, 0));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr lengths, expr::MakeArray({std::move(copies)}, 0));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr places, expr::MakeFunction("array_fill", {expr::MakeLiteral(Value::Bool(true)), std::move(lengths)}, 0));
    plan = plan::MakeUnnest(std::move(plan), std::move(places), false, false, "copy");
  }
  std::vector<ExprPtr> kept;
  for (int i = 0; i < width; ++i) kept.push_back(OutputColumn(plan, i));
  return plan::MakeProject(std::move(plan), std::move(kept), names);
}

Result<NodePtr> Binder::ValuesLists(const PgQuery__SelectStmt& select, bool keep_unknown, bool ordered) {
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(
      select.base, {"values_lists", "op", "sort_clause", "limit_offset", "limit_count", "limit_option", "with_clause"}, "VALUES", 0));
  const Scope empty;
  std::vector<std::vector<ExprPtr>> rows;
  std::vector<std::vector<int>> positions;
  for (size_t i = 0; i < select.n_values_lists; ++i) {
    const PgQuery__List& list = *select.values_lists[i]->list;
    KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> row, Exprs(list.items, list.n_items, {.scope = &empty, .clause = "VALUES"}));
    if (!rows.empty() && row.size() != rows[0].size())
      return Error(sqlstate::kSyntaxError, "VALUES lists must all be the same length").At(At(LocationOf(*list.items[0])));
    rows.push_back(std::move(row));
    std::vector<int> at;
    for (size_t k = 0; k < list.n_items; ++k) at.push_back(LocationOf(*list.items[k]));
    positions.push_back(std::move(at));
  }
  data::Schema schema;
  for (size_t column = 0; column < rows[0].size(); ++column) {
    std::vector<data::Type> types;
    for (const auto& row : rows) types.push_back(row[column]->type());
    data::Type type = types[0];
    const bool same = std::all_of(types.begin(), types.end(), [&](const data::Type& t) { return t == types[0]; });
    if (!same) {
      KAPPA_ASSIGN_OR_RETURN(type, expr::CommonType(types, "VALUES", At(positions[0][column])));
      type = type.WithoutModifier();
    }
    if (type.id == TypeId::kUnknown && !keep_unknown) type = TypeId::kText;
    if (type.id != TypeId::kUnknown) {
      for (size_t i = 0; i < rows.size(); ++i) {
        if (rows[i][column]->type() == type) continue;
        KAPPA_ASSIGN_OR_RETURN(rows[i][column],
                               expr::MakeCast(std::move(rows[i][column]), type, expr::CastContext::kImplicit, At(positions[i][column])));
      }
    }
    schema.fields.push_back({"column" + std::to_string(column + 1), type, true});
  }
  NodePtr plan = plan::MakeValues(std::move(schema), std::move(rows));
  KAPPA_ASSIGN_OR_RETURN(plan, SortOutput(select, std::move(plan), ordered));
  return LimitOutput(select, std::move(plan));
}

/// ORDER BY of a UNION or VALUES: output columns only.
Result<NodePtr> Binder::SortOutput(const PgQuery__SelectStmt& select, NodePtr plan, bool ordered) {
  if (select.n_sort_clause == 0) return plan;
  if (for_view_ && !ordered && select.limit_count == nullptr && select.limit_offset == nullptr)
    return Unsupported("ORDER BY without LIMIT in a view", "Order the rows where the view is read.",
                       At(LocationOf(*select.sort_clause[0]->sort_by->node)));
  std::vector<Target> targets;
  for (int i = 0; i < plan->schema.size(); ++i)
    targets.push_back({OutputColumn(plan, i), plan->schema.fields[static_cast<size_t>(i)].name, 0, nullptr});
  Scope scope;
  ScopeTable table{"Result", "", "", "", {}};
  for (const Target& target : targets) table.columns.push_back({target.name, target.expression});
  scope.Add(std::move(table));
  std::vector<plan::SortKey> keys;
  for (size_t i = 0; i < select.n_sort_clause; ++i) {
    KAPPA_ASSIGN_OR_RETURN(const Order order, OrderOf(*select.sort_clause[i]->sort_by, targets, {.scope = &scope, .clause = "ORDER BY"}));
    if (order.output < 0)
      return Error(sqlstate::kFeatureNotSupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
          .Detail("Only result column names can be used, not expressions or functions.")
          .Hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
          .At(order.position);
    keys.push_back({targets[static_cast<size_t>(order.output)].expression, order.descending, order.nulls_first});
  }
  return plan::MakeSort(std::move(plan), std::move(keys));
}

Result<ExprPtr> Binder::LimitCount(const PgQuery__Node* node, const char* clause) {
  if (node == nullptr) return ExprPtr();
  if (node->node_case == PG_QUERY__NODE__NODE_A_CONST && node->a_const->isnull) return ExprPtr();  // LIMIT ALL
  const int position = At(LocationOf(*node));
  const Scope empty;
  if (node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF)
    return Error(sqlstate::kInvalidColumnReference, std::string("argument of ") + clause + " must not contain variables").At(position);
  KAPPA_ASSIGN_OR_RETURN(ExprPtr count, Expr(*node, {.scope = &empty, .clause = clause}));
  const TypeId type = count->type().id;
  if (type != TypeId::kUnknown && !data::IsNumber(type))
    return Error(sqlstate::kDatatypeMismatch, std::string("argument of ") + clause + " must be type bigint, not type " + count->type().ToString())
        .At(position);
  KAPPA_ASSIGN_OR_RETURN(count, expr::MakeCast(std::move(count), TypeId::kInt8, expr::CastContext::kAssignment, position));
  count = expr::FoldConstants(count);
  if (count->kind() == expr::Expression::Kind::kLiteral) {
    const Value& value = static_cast<const expr::Literal&>(*count).value();
    if (value.null) return ExprPtr();
    if (value.As<int64_t>() < 0)
      return Error(std::string_view(clause) == "LIMIT" ? "2201W" : "2201X", std::string(clause) + " must not be negative").At(position);
  }
  return count;
}

Result<NodePtr> Binder::LimitOutput(const PgQuery__SelectStmt& select, NodePtr plan) {
  if (select.limit_count == nullptr && select.limit_offset == nullptr) return plan;
  const PgQuery__Node& node = select.limit_count != nullptr ? *select.limit_count : *select.limit_offset;
  KAPPA_ASSIGN_OR_RETURN(ExprPtr limit, LimitCount(select.limit_count, "LIMIT"));
  KAPPA_ASSIGN_OR_RETURN(ExprPtr offset, LimitCount(select.limit_offset, "OFFSET"));
  if (!limit && !offset) return plan;
  const bool ties = select.limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES;
  if (for_view_ || ties) return LimitByRank(plan, limit, offset, ties, At(LocationOf(node)));
  return plan::MakeLimit(std::move(plan), std::move(limit), std::move(offset));
}

}  // namespace kappa::sql
