// The body of a SELECT: select list, GROUP BY, aggregates, HAVING, DISTINCT, ORDER BY.
#include <algorithm>

#include "expr/row.h"
#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

using data::TypeId;

bool IsPlaceholder(const expr::Expression& expression, int base) {
  if (expression.kind() != expr::Expression::Kind::kColumn) return false;
  const int index = static_cast<const expr::ColumnRef&>(expression).index();
  const int size = base == kAggregateColumn ? kSetColumn - kAggregateColumn : base;
  return index >= base && index - base < size;
}

/// Replaces placeholders of set-returning calls by the column that the Unnest node adds.
ExprPtr WithSetColumn(const ExprPtr& expression, int column) {
  if (IsPlaceholder(*expression, kSetColumn)) {
    const auto& reference = static_cast<const expr::ColumnRef&>(*expression);
    return expr::MakeColumn(column + reference.index() - kSetColumn, reference.type(), reference.name());
  }
  if (expression->children().empty()) return expression;
  std::vector<ExprPtr> children;
  bool changed = false;
  for (const ExprPtr& child : expression->children()) {
    children.push_back(WithSetColumn(child, column));
    changed = changed || children.back() != child;
  }
  return changed ? expression->WithChildren(std::move(children)) : expression;
}

/// Replaces placeholders of window functions by the columns that the Over nodes add.
ExprPtr WithWindowColumns(const ExprPtr& expression, std::span<const int> columns) {
  if (IsPlaceholder(*expression, kWindowColumn)) {
    const auto& reference = static_cast<const expr::ColumnRef&>(*expression);
    return expr::MakeColumn(columns[static_cast<size_t>(reference.index() - kWindowColumn)], reference.type(), reference.name());
  }
  if (expression->children().empty()) return expression;
  std::vector<ExprPtr> children;
  bool changed = false;
  for (const ExprPtr& child : expression->children()) {
    children.push_back(WithWindowColumns(child, columns));
    changed = changed || children.back() != child;
  }
  return changed ? expression->WithChildren(std::move(children)) : expression;
}

bool ContainsSet(const expr::Expression& expression) {
  if (IsPlaceholder(expression, kSetColumn)) return true;
  return std::any_of(expression.children().begin(), expression.children().end(), [](const ExprPtr& child) { return ContainsSet(*child); });
}

/// The table and column that an expression of the FROM clause is, for "column "t.a" must appear in the GROUP BY clause".
std::string QualifiedName(const expr::ColumnRef& column, const Scope& scope) {
  for (const ScopeTable& table : scope.tables)
    for (const ScopeColumn& candidate : table.columns)
      if (candidate.expression->kind() == expr::Expression::Kind::kColumn &&
          static_cast<const expr::ColumnRef&>(*candidate.expression).index() == column.index())
        return table.name + "." + candidate.name;
  return column.name();
}

}  // namespace

Result<std::vector<Binder::Target>> Binder::Targets(const PgQuery__SelectStmt& select, const ExprContext& context) {
  const Scope& scope = *context.scope;
  std::vector<Target> targets;
  for (size_t i = 0; i < select.n_target_list; ++i) {
    const PgQuery__ResTarget& target = *select.target_list[i]->res_target;
    const PgQuery__Node& node = *target.val;
    const int position = At(target.location);
    const PgQuery__ColumnRef* column = node.node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? node.column_ref : nullptr;
    if (column != nullptr && column->fields[column->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR) {
      if (column->n_fields == 1) {
        if (scope.tables.empty()) return Error(sqlstate::kSyntaxError, "SELECT * with no tables specified is not valid").At(position);
        for (const Scope::Visible& visible : scope.visible)
          targets.push_back({Placed(visible.expression, position), visible.name, position, nullptr});
        continue;
      }
      const std::vector<std::string> parts = TextsOf(column->fields, column->n_fields - 1);
      const ScopeTable* table = scope.FindTable(parts.size() > 1 ? parts[parts.size() - 2] : "", parts.back());
      if (table == nullptr) return scope.Undefined({parts.back(), "*"}, position);
      for (const ScopeColumn& entry : table->columns) targets.push_back({Placed(entry.expression, position), entry.name, position, nullptr});
      continue;
    }
    const PgQuery__AIndirection* fields = node.node_case == PG_QUERY__NODE__NODE_A_INDIRECTION ? node.a_indirection : nullptr;
    if (fields != nullptr && fields->n_indirection == 1 && fields->indirection[0]->node_case == PG_QUERY__NODE__NODE_A_STAR) {
      KAPPA_ASSIGN_OR_RETURN(const ExprPtr value, RowOrExpr(*fields->arg, context));
      const expr::Row* row = expr::RowOf(*value);
      if (row == nullptr) return Error(sqlstate::kWrongObjectType, "type " + value->type().ToString() + " is not composite").At(position);
      for (size_t k = 0; k < row->size(); ++k) {
        ExprPtr field = row->field(k);
        if (const expr::Row* nested = expr::RowOf(*field)) { KAPPA_ASSIGN_OR_RETURN(field, expr::RecordOf(*nested)); }
        targets.push_back({std::move(field), row->names()[k], position, nullptr});
      }
      continue;
    }
    KAPPA_ASSIGN_OR_RETURN(ExprPtr expression, Expr(node, context));
    std::string name = target.name[0] != '\0' ? target.name : OutputName(node);
    targets.push_back({std::move(expression), std::move(name), position, &node});
  }
  constexpr size_t kColumnsMax = 1664;  // PostgreSQL's limit
  if (targets.size() > kColumnsMax) return Error(sqlstate::kProgramLimitExceeded, "target lists can have at most 1664 entries");
  return targets;
}

/// DESC, or USING with the operator of that order.
Result<bool> Binder::IsDescending(const PgQuery__SortBy& sort) {
  if (sort.sortby_dir != PG_QUERY__SORT_BY_DIR__SORTBY_USING) return sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
  const std::string op = TextOf(*sort.use_op[sort.n_use_op - 1]);
  if (op == "<" || op == ">") return op == ">";
  return Error(sqlstate::kWrongObjectType, "operator " + op + " is not a valid ordering operator")
      .Hint("Ordering operators must be \"<\" or \">\" members of btree operator families.")
      .At(At(sort.location));
}

Result<Binder::Order> Binder::OrderOf(const PgQuery__SortBy& sort, const std::vector<Target>& targets, const ExprContext& context) {
  const PgQuery__Node& node = *sort.node;
  Order order;
  order.position = At(LocationOf(node));
  KAPPA_ASSIGN_OR_RETURN(order.descending, IsDescending(sort));
  order.nulls_first = sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
                          ? order.descending
                          : sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
  if (node.node_case == PG_QUERY__NODE__NODE_A_CONST && !node.a_const->isnull) {
    if (node.a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
      return Error(sqlstate::kSyntaxError, "non-integer constant in ORDER BY").At(order.position);
    const int ordinal = node.a_const->ival->ival;
    if (ordinal < 1 || static_cast<size_t>(ordinal) > targets.size())
      return Error(sqlstate::kInvalidColumnReference, "ORDER BY position " + std::to_string(ordinal) + " is not in select list").At(order.position);
    order.output = ordinal - 1;
    return order;
  }
  if (node.node_case == PG_QUERY__NODE__NODE_COLUMN_REF && node.column_ref->n_fields == 1) {
    const std::string name = TextOf(*node.column_ref->fields[0]);
    for (size_t i = 0; i < targets.size(); ++i) {
      if (targets[i].name != name) continue;
      if (order.output >= 0 && !plan::SameExpression(*targets[static_cast<size_t>(order.output)].expression, *targets[i].expression))
        return Error(sqlstate::kAmbiguousColumn, "ORDER BY \"" + name + "\" is ambiguous").At(order.position);
      if (order.output < 0) order.output = static_cast<int>(i);
    }
    if (order.output >= 0) return order;
  }
  KAPPA_ASSIGN_OR_RETURN(order.expression, Expr(node, context));
  for (size_t i = 0; i < targets.size() && order.output < 0; ++i)
    if (plan::SameExpression(*targets[i].expression, *order.expression)) order.output = static_cast<int>(i);
  return order;
}

Result<ExprPtr> Binder::GroupKey(const PgQuery__Node& node, const std::vector<Target>& targets, const Scope& scope, std::vector<SetCall>* sets) {
  const int position = At(LocationOf(node));
  ExprPtr key;
  int output = -1;
  if (node.node_case == PG_QUERY__NODE__NODE_A_CONST && !node.a_const->isnull) {
    if (node.a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL) return Error(sqlstate::kSyntaxError, "non-integer constant in GROUP BY").At(position);
    const int ordinal = node.a_const->ival->ival;
    if (ordinal < 1 || static_cast<size_t>(ordinal) > targets.size())
      return Error(sqlstate::kInvalidColumnReference, "GROUP BY position " + std::to_string(ordinal) + " is not in select list").At(position);
    output = ordinal - 1;
  } else if (node.node_case == PG_QUERY__NODE__NODE_COLUMN_REF && node.column_ref->n_fields == 1) {
    // A name is an input column first and an output column second.
    const std::string name = TextOf(*node.column_ref->fields[0]);
    KAPPA_ASSIGN_OR_RETURN(const std::optional<ExprPtr> input, scope.Find({name}, position));
    for (size_t k = 0; !input && k < targets.size(); ++k) {
      if (targets[k].name != name) continue;
      if (output >= 0 && !plan::SameExpression(*targets[static_cast<size_t>(output)].expression, *targets[k].expression))
        return Error(sqlstate::kAmbiguousColumn, "GROUP BY \"" + name + "\" is ambiguous").At(position);
      if (output < 0) output = static_cast<int>(k);
    }
  }
  if (output >= 0) {
    key = targets[static_cast<size_t>(output)].expression;
    const auto holds = [](const auto& self, const expr::Expression& e, int base) -> bool {
      return IsPlaceholder(e, base) ||
             std::any_of(e.children().begin(), e.children().end(), [&](const ExprPtr& child) { return self(self, *child, base); });
    };
    if (holds(holds, *key, kWindowColumn))
      return Error(sqlstate::kWindowingError, "window functions are not allowed in GROUP BY").At(targets[static_cast<size_t>(output)].position);
    if (holds(holds, *key, kAggregateColumn))
      return Error(sqlstate::kGroupingError, "aggregate functions are not allowed in GROUP BY").At(targets[static_cast<size_t>(output)].position);
  } else {
    KAPPA_ASSIGN_OR_RETURN(key, Expr(node, {.scope = &scope, .clause = "GROUP BY", .sets = sets}));
  }
  if (key->type().id == TypeId::kUnknown) {
    KAPPA_ASSIGN_OR_RETURN(key, expr::MakeCast(std::move(key), TypeId::kText, expr::CastContext::kImplicit, position));
  }
  return key;
}

Result<ExprPtr> Binder::OverGroups(const ExprPtr& expression, const Scope& scope, const std::vector<ExprPtr>& keys, const KeySets& grouping_sets,
                                   int position) {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!plan::SameExpression(*expression, *keys[i])) continue;
    const bool column = keys[i]->kind() == expr::Expression::Kind::kColumn;
    return expr::MakeColumn(static_cast<int>(i), keys[i]->type(), column ? static_cast<const expr::ColumnRef&>(*keys[i]).name() : "");
  }
  if (expression->kind() == expr::Expression::Kind::kColumn) {
    const auto& column = static_cast<const expr::ColumnRef&>(*expression);
    if (IsPlaceholder(column, kSetColumn) || IsPlaceholder(column, kWindowColumn)) return expression;
    if (column.index() >= kGroupingColumn) return GroupingValue(column.index() - kGroupingColumn, keys, grouping_sets);
    if (IsPlaceholder(column, kAggregateColumn))
      return expr::MakeColumn(static_cast<int>(keys.size()) + column.index() - kAggregateColumn, column.type(), column.name());
    const int at = PositionOf(column);
    return Error(sqlstate::kGroupingError,
                 "column \"" + QualifiedName(column, scope) + "\" must appear in the GROUP BY clause or be used in an aggregate function")
        .At(at > 0 ? at : position);
  }
  if (expression->children().empty()) return expression;
  std::vector<ExprPtr> children;
  for (const ExprPtr& child : expression->children()) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr over, OverGroups(child, scope, keys, grouping_sets, position));
    children.push_back(std::move(over));
  }
  return expression->WithChildren(std::move(children));
}

Result<NodePtr> Binder::SelectBody(const PgQuery__SelectStmt& select, bool keep_unknown, bool ordered) {
  KAPPA_RETURN_IF_ERROR(
      RefuseOtherFields(select.base,
                        {"distinct_clause", "target_list", "from_clause", "where_clause", "group_clause", "group_distinct", "having_clause",
                         "sort_clause", "limit_offset", "limit_count", "limit_option", "with_clause", "op", "window_clause"},
                        "SELECT", select.n_target_list > 0 ? At(select.target_list[0]->res_target->location) : 0));
  const bool distinct_on =
      select.n_distinct_clause > 0 && select.distinct_clause[0] != nullptr && select.distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET;
  const bool distinct = select.n_distinct_clause > 0 && !distinct_on;
  if (for_view_ && !ordered && select.n_sort_clause > 0 && !distinct_on && select.limit_count == nullptr && select.limit_offset == nullptr)
    return Unsupported("ORDER BY without LIMIT in a view", "Order the rows where the view is read.",
                       At(LocationOf(*select.sort_clause[0]->sort_by->node)));

  KAPPA_ASSIGN_OR_RETURN(FromResult from, From(select.from_clause, select.n_from_clause));
  const Scope& scope = from.scope;
  NodePtr plan = from.plan;
  if (select.where_clause != nullptr) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr condition, Condition(*select.where_clause, {.scope = &scope, .clause = "WHERE"}));
    plan = plan::MakeFilter(std::move(plan), std::move(condition));
  }

  std::vector<expr::AggregateCall> aggregates;
  std::vector<SetCall> sets;
  WindowCalls windows{&select, {}};
  const size_t grouping_calls_before = grouping_calls_.size();
  KAPPA_ASSIGN_OR_RETURN(std::vector<Target> targets, Targets(select, {&scope, "SELECT", &aggregates, &sets, false, &windows}));
  std::vector<ExprPtr> keys;
  const auto add_key = [&](const PgQuery__Node& node) -> Result<size_t> {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr key, GroupKey(node, targets, scope, &sets));
    const auto same = [&](const ExprPtr& other) { return plan::SameExpression(*other, *key); };
    const auto index = static_cast<size_t>(std::find_if(keys.begin(), keys.end(), same) - keys.begin());
    if (index == keys.size()) keys.push_back(std::move(key));
    return index;
  };
  KAPPA_ASSIGN_OR_RETURN(const KeySets grouping_sets, GroupingSets(select, add_key));
  if (grouping_sets.size() > 1 && !sets.empty())
    return Unsupported("a set-returning function with GROUPING SETS, ROLLUP or CUBE", "Call it in FROM.", sets[0].position);
  ExprPtr having;
  if (select.having_clause != nullptr) {
    KAPPA_ASSIGN_OR_RETURN(having, Condition(*select.having_clause, {&scope, "HAVING", &aggregates, nullptr, false}));
  }
  std::vector<Order> orders;
  for (size_t i = 0; i < select.n_sort_clause; ++i) {
    KAPPA_ASSIGN_OR_RETURN(Order order,
                           OrderOf(*select.sort_clause[i]->sort_by, targets, {&scope, "ORDER BY", &aggregates, nullptr, false, &windows}));
    if (order.output < 0 && distinct)
      return Error(sqlstate::kInvalidColumnReference, "for SELECT DISTINCT, ORDER BY expressions must appear in select list").At(order.position);
    // A key that came before orders nothing any more, whatever its direction.
    const auto expression = [&](const Order& key) { return key.output >= 0 ? targets[static_cast<size_t>(key.output)].expression : key.expression; };
    const auto same = [&](const Order& other) { return plan::SameExpression(*expression(other), *expression(order)); };
    if (std::none_of(orders.begin(), orders.end(), same)) orders.push_back(std::move(order));
  }
  std::vector<Order> distinct_keys;
  for (size_t i = 0; distinct_on && i < select.n_distinct_clause; ++i) {
    PgQuery__SortBy key = PG_QUERY__SORT_BY__INIT;
    key.node = select.distinct_clause[i];
    KAPPA_ASSIGN_OR_RETURN(Order order, OrderOf(key, targets, {&scope, "DISTINCT ON", &aggregates, nullptr, false, &windows}));
    distinct_keys.push_back(std::move(order));
  }
  KAPPA_RETURN_IF_ERROR(CheckDistinctOn(distinct_keys, orders));
  for (size_t i = 0; i < select.n_window_clause; ++i) {  // also those that no call names must be right
    KAPPA_RETURN_IF_ERROR(WindowOf(*select.window_clause[i]->window_def, {&scope, "WINDOW", &aggregates, nullptr, false, &windows}).status());
  }

  const auto each = [&](const auto& change) -> Status {
    for (Target& target : targets) { KAPPA_ASSIGN_OR_RETURN(target.expression, change(target.expression, target.position)); }
    for (std::vector<Order>* list : {&orders, &distinct_keys}) {
      for (Order& order : *list) {
        if (order.output >= 0) continue;
        KAPPA_ASSIGN_OR_RETURN(order.expression, change(order.expression, order.position));
      }
    }
    for (BoundWindow& window : windows.calls) {
      const auto own = [&](ExprPtr& slot) -> Status {
        if (!slot) return {};
        KAPPA_ASSIGN_OR_RETURN(slot, change(slot, window.position));
        return {};
      };
      for (ExprPtr& slot : window.partition) KAPPA_RETURN_IF_ERROR(own(slot));
      for (plan::SortKey& key : window.order) KAPPA_RETURN_IF_ERROR(own(key.expression));
      for (ExprPtr& slot : window.call.arguments) KAPPA_RETURN_IF_ERROR(own(slot));
      for (ExprPtr& slot : window.call.aggregate.arguments) KAPPA_RETURN_IF_ERROR(own(slot));
      KAPPA_RETURN_IF_ERROR(own(window.call.aggregate.filter));
    }
    return {};
  };
  const auto unnest = [&]() -> Status {
    const SetCall& set = sets[0];
    const bool table_function = set.name == "generate_series" && set.type.id != TypeId::kNumeric && sets.size() == 1 && !for_view_ &&
                                select.n_from_clause == 0 && select.where_clause == nullptr && plan->kind == plan::NodeKind::kValues;
    if (table_function) {
      plan = plan::MakeTableFunction(set.name, set.arguments, {{{set.name, set.type, true}}});
    } else {
      std::vector<std::string> names;
      std::vector<ExprPtr> more;
      for (const SetCall& call : sets) {
        names.push_back(call.name);
        if (names.size() > 1) more.push_back(call.array);
      }
      for (const Target& target : targets)
        if (IsPlaceholder(*target.expression, kSetColumn))
          names[static_cast<size_t>(static_cast<const expr::ColumnRef&>(*target.expression).index() - kSetColumn)] = target.name;
      const std::string first = names[0];
      names.erase(names.begin());
      plan = plan::MakeUnnest(plan, set.array, false, false, first, std::move(more), names);
    }
    const int column = plan->schema.size() - static_cast<int>(sets.size());
    for (ExprPtr& key : keys) key = WithSetColumn(key, column);
    return each([&](const ExprPtr& e, int) -> Result<ExprPtr> { return WithSetColumn(e, column); });
  };

  const bool grouped = select.n_group_clause > 0 || having || !aggregates.empty();
  // Sets that are keys come before the groups, others behind groups and window functions.
  const bool windowed = !windows.calls.empty();
  const bool set_is_key = std::any_of(keys.begin(), keys.end(), [](const ExprPtr& key) { return ContainsSet(*key); });
  const bool set_below = !sets.empty() && (set_is_key || (!grouped && !windowed));
  if (set_below) { KAPPA_RETURN_IF_ERROR(unnest()); }
  if (!grouped && grouping_calls_.size() > grouping_calls_before)
    return Error(sqlstate::kGroupingError, "arguments to GROUPING must be grouping expressions of the associated query level")
        .At(grouping_calls_.back().position);
  if (grouped) {
    std::vector<ExprPtr> group_keys = keys;
    if (grouping_sets.size() > 1) {
      KAPPA_ASSIGN_OR_RETURN(Expanded expanded, ExpandSets(std::move(plan), keys, grouping_sets, aggregates));
      plan = std::move(expanded.plan);
      group_keys = std::move(expanded.keys);
      keys.push_back(group_keys.back());
    }
    const std::vector<std::string> input_names = plan::ColumnNames(plan->schema);
    std::vector<std::string> names;
    for (const ExprPtr& key : keys) {
      std::string name = key->ToString(input_names);
      if (key->kind() != expr::Expression::Kind::kColumn)
        for (const Target& target : targets)
          if (plan::SameExpression(*target.expression, *key)) name = target.name;
      names.push_back(std::move(name));
    }
    for (const expr::AggregateCall& call : aggregates) names.push_back(call.ToString(input_names));
    KAPPA_RETURN_IF_ERROR(each([&](const ExprPtr& e, int position) { return OverGroups(e, scope, keys, grouping_sets, position); }));
    if (!sets.empty() && !set_below) {
      for (SetCall& set : sets) { KAPPA_ASSIGN_OR_RETURN(set.array, OverGroups(set.array, scope, keys, grouping_sets, set.position)); }
    }
    if (having) { KAPPA_ASSIGN_OR_RETURN(having, OverGroups(having, scope, keys, grouping_sets, 0)); }
    plan = plan::MakeAggregate(std::move(plan), std::move(group_keys), std::move(aggregates), std::move(names), -1, 0);
    if (having) plan = plan::MakeFilter(std::move(plan), std::move(having));
    if (!sets.empty() && !set_below && !windowed) {
      keys.clear();
      KAPPA_RETURN_IF_ERROR(unnest());
    }
  }

  if (!windows.calls.empty()) {
    std::vector<int> columns;
    KAPPA_ASSIGN_OR_RETURN(plan, AddWindows(std::move(plan), windows.calls, columns));
    windows.calls.clear();
    KAPPA_RETURN_IF_ERROR(each([&](const ExprPtr& e, int) -> Result<ExprPtr> { return WithWindowColumns(e, columns); }));
    if (!sets.empty() && !set_below) {
      keys.clear();
      KAPPA_RETURN_IF_ERROR(unnest());
    }
  }

  std::vector<ExprPtr> expressions;
  std::vector<std::string> names;
  for (Target& target : targets) {
    if (target.expression->type().id == TypeId::kUnknown && (!keep_unknown || distinct)) {
      KAPPA_ASSIGN_OR_RETURN(target.expression,
                             expr::MakeCast(std::move(target.expression), TypeId::kText, expr::CastContext::kImplicit, target.position));
    }
    expressions.push_back(target.expression);
    names.push_back(target.name);
  }
  const size_t outputs = targets.size();
  for (std::vector<Order>* list : {&orders, &distinct_keys}) {
    for (Order& order : *list) {
      if (order.output >= 0) continue;
      if (order.expression->type().id == TypeId::kUnknown) {
        KAPPA_ASSIGN_OR_RETURN(order.expression,
                               expr::MakeCast(std::move(order.expression), TypeId::kText, expr::CastContext::kImplicit, order.position));
      }
      order.output = static_cast<int>(expressions.size());
      expressions.push_back(order.expression);
      names.push_back((list == &orders ? "order by " : "distinct on ") + std::to_string(expressions.size() - outputs));
    }
  }
  plan = plan::MakeProject(std::move(plan), std::move(expressions), std::move(names));
  const auto column = [&](int i) {
    const data::Field& field = plan->schema.fields[static_cast<size_t>(i)];
    return expr::MakeColumn(i, field.type, field.name);
  };
  if (distinct) {
    std::vector<ExprPtr> all;
    for (int i = 0; i < plan->schema.size(); ++i) all.push_back(column(i));
    std::vector<std::string> all_names = plan::ColumnNames(plan->schema);
    plan = plan::MakeAggregate(plan, std::move(all), {}, std::move(all_names), -1, 0);
  }
  std::vector<plan::SortKey> sort;
  for (const Order& order : orders) sort.push_back({column(order.output), order.descending, order.nulls_first});
  if (distinct_on) {
    std::vector<ExprPtr> partition;
    std::vector<plan::SortKey> within;  // a partition's keys order nothing in it
    for (const Order& key : distinct_keys) partition.push_back(column(key.output));
    for (const Order& order : orders) {
      const bool key = std::any_of(distinct_keys.begin(), distinct_keys.end(), [&](const Order& other) { return other.output == order.output; });
      if (!key) within.push_back({column(order.output), order.descending, order.nulls_first});
    }
    plan = plan::MakeTopN(plan, std::move(partition), std::move(within), plan::TopN::Rank::kRowNumber, 1, 1, "");
  }
  const bool limited = select.limit_count != nullptr || select.limit_offset != nullptr;
  if (!sort.empty() && (!for_view_ || limited || (ordered && !distinct_on))) plan = plan::MakeSort(plan, std::move(sort));
  KAPPA_ASSIGN_OR_RETURN(plan, LimitOutput(select, std::move(plan)));
  if (static_cast<size_t>(plan->schema.size()) > outputs) {
    std::vector<ExprPtr> kept;
    std::vector<std::string> kept_names;
    for (size_t i = 0; i < outputs; ++i) {
      kept.push_back(column(static_cast<int>(i)));
      kept_names.push_back(plan->schema.fields[i].name);
    }
    plan = plan::MakeProject(plan, std::move(kept), std::move(kept_names));
  }
  return plan;
}

}  // namespace kappa::sql
