// Calls: scalar functions, aggregates, set-returning functions.
#include <algorithm>

#include "data/enum_type.h"
#include "expr/from_json.h"
#include "expr/row.h"
#include "sql/bind/nodes.h"
#include "sql/bind/recursion.h"

namespace kappa::sql {
namespace {

using data::TypeId;

/// NULL where columns of an outer query stand, so that the rest tells whether the expression varies.
ExprPtr WithoutParameters(const ExprPtr& expression) {
  if (expression->kind() == expr::Expression::Kind::kParameter) return expr::MakeNull(expression->type());
  if (expression->children().empty()) return expression;
  std::vector<ExprPtr> children;
  for (const ExprPtr& child : expression->children()) children.push_back(WithoutParameters(child));
  return expression->WithChildren(std::move(children));
}

/// Aggregates of PostgreSQL that kappa does not have: named in the error instead of "function does not exist".
bool IsForeignAggregate(std::string_view name) {
  static constexpr std::string_view kNames[] = {"xmlagg",      "range_agg",  "row_number", "lag",  "lead",
                                                "first_value", "last_value", "nth_value",  "ntile"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

}  // namespace

bool IsSetFunction(std::string_view name) {
  static constexpr std::string_view kNames[] = {"unnest",
                                                "generate_series",
                                                "generate_subscripts",
                                                "jsonb_array_elements",
                                                "jsonb_array_elements_text",
                                                "json_array_elements",
                                                "json_array_elements_text",
                                                "jsonb_each",
                                                "jsonb_each_text",
                                                "json_each",
                                                "json_each_text",
                                                "jsonb_object_keys",
                                                "json_object_keys",
                                                "jsonb_path_query",
                                                "jsonb_path_query_tz",
                                                "jsonb_to_recordset",
                                                "json_to_recordset",
                                                "jsonb_to_record",
                                                "json_to_record",
                                                "jsonb_populate_recordset",
                                                "json_populate_recordset",
                                                "jsonb_populate_record",
                                                "json_populate_record",
                                                "regexp_matches",
                                                "regexp_split_to_table",
                                                "string_to_table"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

/// `function` gives what the set-returning function `name` gives, as an array.
Result<ExprPtr> Binder::SetArray(const std::string& name, const char* function, std::vector<ExprPtr> arguments, int position) {
  std::string types;  // errors are in the user's words
  for (const ExprPtr& argument : arguments) types += (types.empty() ? "" : ", ") + argument->type().ToString();
  Result<ExprPtr> array = expr::MakeFunction(function, std::move(arguments), position);
  if (array.ok()) return array;
  return Error(sqlstate::kUndefinedFunction, "function " + name + "(" + types + ") does not exist")
      .Hint("No function matches the given name and argument types. You might need to add explicit type casts.")
      .At(position);
}

Result<std::vector<Binder::SetColumn>> Binder::SetColumns(const std::string& name, std::vector<ExprPtr> arguments, ColumnDefinitions definitions,
                                                          int position) {
  const std::string kind = name.starts_with("json_") ? "jsonb_" + name.substr(5) : name;
  if (kind == "jsonb_to_recordset" || kind == "jsonb_to_record") return RecordColumns(name, std::move(arguments), definitions, position);
  if (kind == "jsonb_populate_recordset" || kind == "jsonb_populate_record")
    return PopulatedColumns(name, std::move(arguments), definitions, position);
  if (!definitions.empty())
    return Error(sqlstate::kSyntaxError, "a column definition list is only allowed for functions returning \"record\"").At(position);
  std::vector<SetColumn> columns;
  const auto add = [&](std::string column, const char* function, std::vector<ExprPtr> values) -> Status {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr array, SetArray(name, function, std::move(values), position));
    columns.push_back({std::move(column), std::move(array), nullptr});
    return {};
  };
  if (kind == "unnest") {
    for (const ExprPtr& array : arguments) {
      if (!array->type().is_array())
        return Error(sqlstate::kUndefinedFunction, "function unnest(" + array->type().ToString() + ") does not exist")
            .Hint("unnest takes an array.")
            .At(position);
      if (!array->type().is_record()) {
        columns.push_back({name, array, nullptr});
        continue;
      }
      const ExprPtr row = expr::MakeRowOf(expr::MakeColumn(0, data::ElementType(array->type()), name));  // its fields are columns
      for (size_t i = 0; i < expr::RowOf(*row)->size(); ++i) columns.push_back({expr::RowOf(*row)->names()[i], array, expr::RowOf(*row)->field(i)});
    }
    if (columns.empty()) return Error(sqlstate::kUndefinedFunction, "function unnest() does not exist").Hint("unnest takes an array.").At(position);
  } else if (kind == "generate_series") {
    KAPPA_ASSIGN_OR_RETURN(const data::Type type, SeriesType(arguments, position));
    if (arguments.size() == 2) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr one, expr::MakeCast(expr::MakeLiteral(data::Value::Int8(1)), type, expr::CastContext::kExplicit, position));
      arguments.push_back(std::move(one));
    }
    KAPPA_RETURN_IF_ERROR(add(name, "kappa_series", arguments));
  } else if (kind == "generate_subscripts") {
    if (arguments.size() != 2) return Unsupported("generate_subscripts of this form", "Write generate_subscripts(array, dimension).", position);
    const ExprPtr one = expr::MakeLiteral(data::Value::Fixed<int32_t>(TypeId::kInt4, 1));
    KAPPA_ASSIGN_OR_RETURN(ExprPtr last, expr::MakeFunction("array_length", arguments, position));
    KAPPA_RETURN_IF_ERROR(add(name, "kappa_series", {one, std::move(last), one}));
  } else if (kind == "jsonb_each" || kind == "jsonb_each_text") {
    KAPPA_RETURN_IF_ERROR(add("key", "kappa_json_keys", arguments));
    KAPPA_RETURN_IF_ERROR(add("value", kind == "jsonb_each" ? "kappa_json_values" : "kappa_json_values_text", arguments));
  } else if (kind == "regexp_matches") {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr matches, SetArray(name, "kappa_regexp_matches", arguments, position));
    matches = expr::MakeArrayRows(std::move(matches));
    const ExprPtr match = expr::MakeRowOf(expr::MakeColumn(0, data::ElementType(matches->type()), name));
    columns.push_back({name, std::move(matches), expr::RowOf(*match)->field(0)});
  } else {
    const bool elements = kind == "jsonb_array_elements" || kind == "jsonb_array_elements_text";
    const char* function = kind == "jsonb_array_elements"  ? "kappa_json_elements"
                           : elements                      ? "kappa_json_elements_text"
                           : kind == "jsonb_object_keys"   ? "kappa_json_object_keys"
                           : kind == "jsonb_path_query"    ? "kappa_json_path"
                           : kind == "jsonb_path_query_tz" ? "kappa_json_path_tz"
                           : kind == "string_to_table"     ? "string_to_array"
                                                           : "regexp_split_to_array";
    KAPPA_RETURN_IF_ERROR(add(elements ? "value" : name, function, arguments));
  }
  for (const SetColumn& column : columns)
    if (for_view_ && !WithoutParameters(column.array)->is_immutable())
      return Error(sqlstate::kFeatureNotSupported, "function " + name + "() with this argument is not supported in views")
          .Hint("A view's rows depend on the log alone.")
          .At(position);
  return columns;
}

Result<std::string> Binder::FunctionName(const PgQuery__FuncCall& call) {
  const std::vector<std::string> names = TextsOf(call.funcname, call.n_funcname);
  const int position = At(call.location);
  if (names.size() == 1) return names[0];
  if (names.size() > 2) return Unsupported("a function name with a database", "Write schema.function.", position);
  if (names[0] == "pg_catalog") return names[1];
  if (names[0] == "kappa" || names[0] == "information_schema") return names[0] + "." + names[1];
  if (names[0] == "public") return names[1];
  return Error(sqlstate::kInvalidSchemaName, "schema \"" + names[0] + "\" does not exist").At(position);
}

Result<ExprPtr> Binder::Function(const std::string& name, std::vector<ExprPtr> arguments, int position) {
  // Whether it is the function that varies, and not a sub-query or an outer column among its arguments.
  std::vector<ExprPtr> constants;
  for (const ExprPtr& argument : arguments) constants.push_back(argument->is_immutable() ? argument : expr::MakeNull(argument->type()));
  KAPPA_ASSIGN_OR_RETURN(ExprPtr call, expr::MakeFunction(name, std::move(arguments), position));
  if (for_view_ && name == "now") {
    if (now_position_ == 0) now_position_ = position;  // TemporalFilters says where it may stand
    return call;
  }
  if (for_view_ && !call->is_immutable()) {
    KAPPA_ASSIGN_OR_RETURN(const ExprPtr alone, expr::MakeFunction(name, std::move(constants), position));
    if (alone->is_immutable()) return call;
    return Error(sqlstate::kFeatureNotSupported, "function " + name + "() is not supported in views")
        .Hint("A view's rows depend on the log alone: use a column of the stream, such as its event time.")
        .At(position);
  }
  return call;
}

/// The domain of a cast, or of a column of a stream or table; empty for values of other types.
std::string Binder::DomainName(const expr::Expression& value, const ExprContext& context) const {
  if (const expr::Domain* domain = expr::DomainOf(value)) return domain->name;
  for (const ScopeTable& table : context.scope->tables) {
    const catalog::Stream* stream = context_.catalog->FindStream(table.relation);
    const catalog::Table* relation = context_.catalog->FindTable(table.relation);
    if (stream == nullptr && relation == nullptr) continue;
    const std::map<int, std::string>& domains = stream != nullptr ? stream->domains : relation->domains;
    for (const auto& [column, name] : domains)
      if (static_cast<size_t>(column) < table.columns.size() && plan::SameExpression(*table.columns[static_cast<size_t>(column)].expression, value))
        return name;
  }
  return "";
}

Result<ExprPtr> Binder::Call(const PgQuery__FuncCall& call, const ExprContext& context) {
  const int position = At(call.location);
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(
      call.base, {"funcname", "args", "agg_order", "agg_filter", "agg_star", "agg_distinct", "agg_within_group", "funcformat", "over"},
      "a function call", position));
  KAPPA_ASSIGN_OR_RETURN(const std::string name, FunctionName(call));
  if (call.over != nullptr) return OverCall(name, call, context);
  if (IsWindowFunction(name) && !call.agg_within_group)
    return Error(sqlstate::kWrongObjectType, "window function " + name + " requires an OVER clause").At(position);
  if (IsForeignAggregate(name))
    return Unsupported("aggregate function " + name,
                       name.ends_with("_value") ? "Write (array_agg(value ORDER BY key))[1]."
                                                : "SELECT * FROM kappa.functions WHERE kind = 'aggregate' lists what there is.",
                       position);
  if (expr::IsAggregate(name)) return AggregateOf(name, call, context);
  if (call.agg_within_group)
    return Error(sqlstate::kWrongObjectType, "WITHIN GROUP specified, but " + name + " is not an aggregate function").At(position);
  if (call.agg_star) {
    if (const Result<ExprPtr> bare = expr::MakeFunction(name, {}, position); !bare.ok()) return bare.error();
    return Error(sqlstate::kWrongObjectType, name + "(*) specified, but " + name + " is not an aggregate function").At(position);
  }
  if (call.agg_distinct) return Error(sqlstate::kWrongObjectType, "DISTINCT specified, but " + name + " is not an aggregate function").At(position);
  if (call.agg_filter != nullptr)
    return Error(sqlstate::kWrongObjectType, "FILTER specified, but " + name + " is not an aggregate function").At(position);
  if (call.n_agg_order > 0)
    return Error(sqlstate::kWrongObjectType, "ORDER BY specified, but " + name + " is not an aggregate function").At(position);
  if (name.ends_with("_populate_record")) {
    KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> arguments, Exprs(call.args, call.n_args, context));
    return PopulatedRecord(name, std::move(arguments), position);
  }
  if (name == "pg_typeof" && call.n_args == 1) {  // values of a domain are values of its base type: who asks is told here
    KAPPA_ASSIGN_OR_RETURN(const ExprPtr value, Expr(*call.args[0], context));
    if (const std::string domain = DomainName(*value, context); !domain.empty()) return expr::MakeLiteral(data::Value::Text(domain));
  }
  if (IsSetFunction(name)) return SetOf(name, call, context);
  if (!expr::IsScalarFunction(name)) {
    if (name == "proctime")
      return Unsupported("PROCTIME() in this place",
                         "It stands for the time column of TUMBLE, HOP, CUMULATE and SESSION. A join with a table takes its row as it is now.",
                         position);
    if (name.ends_with("_start") || name.ends_with("_end") || name.ends_with("_rowtime"))  // other dialects' names of window bounds
      for (const std::string_view window : {"tumble_", "hop_", "session_", "cumulate_"})
        if (name.starts_with(window))
          return Unsupported("function " + name, "Write window_start and window_end of TUMBLE, HOP, CUMULATE or SESSION in FROM.", position);
    if (name == "tumble" || name == "hop" || name == "cumulate" || name == "session")
      return Unsupported("function " + name + " outside of FROM", "Write FROM TUMBLE(stream, time_column, INTERVAL '1 minute').", position);
  }
  if (TakesRows(name)) {
    KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> arguments, JsonArguments(call.args, call.n_args, context));
    // Of anything but a row there is no such function.
    if (name == "row_to_json" && arguments.size() == 1 && arguments[0]->type().id == TypeId::kJsonb &&
        call.args[0]->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
      return arguments[0];
    return Function(name, std::move(arguments), position);
  }
  if (name == "make_interval") return MakeInterval(call, context);
  KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> arguments, Exprs(call.args, call.n_args, context));
  return Function(name, std::move(arguments), position);
}

/// make_interval(days => 5): arguments by their names; those that are left out are zero.
Result<ExprPtr> Binder::MakeInterval(const PgQuery__FuncCall& call, const ExprContext& context) {
  static const std::vector<std::string> kNames = {"years", "months", "weeks", "days", "hours", "mins", "secs"};
  std::vector<ExprPtr> arguments;
  bool named = false;
  for (size_t i = 0; i < call.n_args; ++i) {
    const int at = At(LocationOf(*call.args[i]));
    if (call.args[i]->node_case != PG_QUERY__NODE__NODE_NAMED_ARG_EXPR) {
      if (named) return Error(sqlstate::kSyntaxError, "positional argument cannot follow named argument").At(at);
      KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Expr(*call.args[i], context));
      arguments.push_back(std::move(value));
      continue;
    }
    named = true;
    const PgQuery__NamedArgExpr& argument = *call.args[i]->named_arg_expr;
    const auto place = static_cast<size_t>(std::find(kNames.begin(), kNames.end(), argument.name) - kNames.begin());
    KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Expr(*argument.arg, context));
    const bool given = place < arguments.size() && arguments[place] != nullptr;
    if (place == kNames.size() || given) {
      const std::string near = given ? "" : NearestName(argument.name, kNames);
      return Error(sqlstate::kUndefinedFunction,
                   "function make_interval(" + std::string(argument.name) + " => " + value->type().ToString() + ") does not exist")
          .Hint(near.empty() ? "Arguments are years, months, weeks, days, hours, mins and secs." : "Perhaps you meant \"" + near + "\".")
          .At(At(call.location));
    }
    if (arguments.size() <= place) arguments.resize(place + 1);
    arguments[place] = std::move(value);
  }
  for (ExprPtr& argument : arguments)
    if (argument == nullptr) argument = expr::MakeLiteral(data::Value::Fixed<int32_t>(TypeId::kInt4, 0));
  return Function("make_interval", std::move(arguments), At(call.location));
}

Result<ExprPtr> Binder::AggregateOf(const std::string& name, const PgQuery__FuncCall& call, const ExprContext& context) {
  const int position = At(call.location);
  if (context.in_aggregate) return Error(sqlstate::kGroupingError, "aggregate function calls cannot be nested").At(position);
  if (context.aggregates == nullptr)
    return Error(sqlstate::kGroupingError, std::string("aggregate functions are not allowed in ") + context.clause).At(position);
  for (const ScopeTable& table : context.scope->tables)
    if (table.kind == kWorkingTable)
      return Error(kInvalidRecursion, "aggregate functions are not allowed in a recursive query's recursive term").At(position);

  const ExprContext inside{context.scope, context.clause, nullptr, nullptr, true};
  bool star = call.agg_star != 0;
  std::vector<ExprPtr> arguments;
  if (TakesRows(name)) {
    KAPPA_ASSIGN_OR_RETURN(arguments, JsonArguments(call.args, call.n_args, inside));
  } else if (name == "count" && call.n_args == 1 && call.agg_distinct == 0) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr argument, RowOrExpr(*call.args[0], inside));
    // A row is counted where it is, whatever its fields.
    const expr::Row* row = expr::RowOf(*argument);
    if (row != nullptr && row->size() > 0 && row->field(0)->kind() == expr::Expression::Kind::kParameter)
      return Unsupported("an aggregate over columns of the outer query alone", "Compute it in the outer query.", position);
    star = star || (row != nullptr && !row->present());
    if (!star) arguments.push_back(row != nullptr ? row->present() : std::move(argument));
  } else {
    KAPPA_ASSIGN_OR_RETURN(arguments, Exprs(call.args, call.n_args, inside));
  }
  // PostgreSQL would compute an aggregate over outer columns alone in the outer query.
  bool local = arguments.empty(), outer = false;
  for (const ExprPtr& argument : arguments) {
    std::vector<bool> used;
    expr::CollectColumns(*argument, used);
    local = local || std::find(used.begin(), used.end(), true) != used.end();
    outer = outer || !argument->is_immutable() || argument->kind() == expr::Expression::Kind::kParameter;
  }
  if (!local && outer && environment_ != nullptr)
    return Unsupported("an aggregate over columns of the outer query alone", "Compute it in the outer query.", position);

  const auto has_parameter = [](const auto& self, const expr::Expression& e) -> bool {
    return e.kind() == expr::Expression::Kind::kParameter ||
           std::any_of(e.children().begin(), e.children().end(), [&](const ExprPtr& child) { return self(self, *child); });
  };
  if (call.agg_within_group && environment_ != nullptr &&
      std::any_of(arguments.begin(), arguments.end(), [&](const ExprPtr& argument) { return has_parameter(has_parameter, *argument); }))
    return Unsupported("a direct argument of " + name + " in a sub-query that is not a constant", "Write a constant.", position);
  std::vector<expr::AggregateOrder> order;
  for (size_t i = 0; i < call.n_agg_order; ++i) {
    const PgQuery__SortBy& sort = *call.agg_order[i]->sort_by;
    KAPPA_ASSIGN_OR_RETURN(const bool descending, IsDescending(sort));
    const bool nulls_first = sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
                                 ? descending
                                 : sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
    KAPPA_ASSIGN_OR_RETURN(ExprPtr key, Expr(*sort.node, inside));
    if (key->type().id == TypeId::kUnknown && call.agg_within_group == 0) continue;  // a constant
    order.push_back({std::move(key), descending, nulls_first});
  }
  const auto same_expression = [](const ExprPtr& a, const ExprPtr& b) {
    return (a == nullptr) == (b == nullptr) && (a == nullptr || plan::SameExpression(*a, *b));
  };
  if (call.agg_distinct != 0) {
    for (const expr::AggregateOrder& key : order) {
      if (std::any_of(arguments.begin(), arguments.end(), [&](const ExprPtr& argument) { return same_expression(argument, key.expression); }))
        continue;
      return Error(sqlstate::kInvalidColumnReference, "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list")
          .At(At(LocationOf(*call.agg_order[0]->sort_by->node)));
    }
  }
  const auto resolve = [&]() -> Result<expr::AggregateCall> {
    if (call.agg_within_group != 0) return expr::ResolveOrderedSet(name, std::move(arguments), std::move(order), position);
    KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall resolved, expr::ResolveAggregate(name, std::move(arguments), star, call.agg_distinct != 0, position));
    if (expr::TakesOrder(resolved.kind)) resolved.order_by = std::move(order);  // the order of rows changes nothing for the others
    resolved.arrival_order = !for_view_;
    return resolved;
  };
  KAPPA_ASSIGN_OR_RETURN(expr::AggregateCall aggregate, resolve());
  if (call.agg_filter != nullptr) {
    KAPPA_ASSIGN_OR_RETURN(aggregate.filter, Condition(*call.agg_filter, {context.scope, "FILTER", nullptr, nullptr, true}));
  }

  const auto same = [&](const expr::AggregateCall& other) {
    if (other.kind != aggregate.kind || other.distinct != aggregate.distinct || other.type != aggregate.type ||
        !same_expression(other.filter, aggregate.filter) ||
        !std::equal(other.direct.begin(), other.direct.end(), aggregate.direct.begin(), aggregate.direct.end(), same_expression) ||
        !std::equal(other.arguments.begin(), other.arguments.end(), aggregate.arguments.begin(), aggregate.arguments.end(), same_expression) ||
        other.order_by.size() != aggregate.order_by.size())
      return false;
    for (size_t i = 0; i < other.order_by.size(); ++i) {
      const expr::AggregateOrder &a = other.order_by[i], &b = aggregate.order_by[i];
      if (a.descending != b.descending || a.nulls_first != b.nulls_first || !same_expression(a.expression, b.expression)) return false;
    }
    return true;
  };
  std::vector<expr::AggregateCall>& calls = *context.aggregates;
  const auto found = std::find_if(calls.begin(), calls.end(), same);
  const int index = static_cast<int>(found - calls.begin());
  const data::Type type = aggregate.type;
  if (found == calls.end()) calls.push_back(std::move(aggregate));
  return expr::MakeColumn(kAggregateColumn + index, type, name);
}

Result<ExprPtr> Binder::SetOf(const std::string& name, const PgQuery__FuncCall& call, const ExprContext& context) {
  const int position = At(call.location);
  if (context.in_aggregate)
    return Error(sqlstate::kFeatureNotSupported, "aggregate function calls cannot contain set-returning function calls").At(position);
  if (context.sets == nullptr)
    return Error(sqlstate::kFeatureNotSupported, std::string("set-returning functions are not allowed in ") + context.clause)
        .Hint("Call it in FROM or alone in the select list.")
        .At(position);
  const ExprContext inside{context.scope, context.clause, context.aggregates, nullptr, context.in_aggregate, nullptr, context.in_window};
  KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> arguments, Exprs(call.args, call.n_args, inside));
  SetCall set{name, arguments, nullptr, {}, position};
  const data::Type row_type = arguments.empty() ? data::Type() : arguments[0]->type();
  if (name == "generate_series") { KAPPA_RETURN_IF_ERROR(SeriesType(set.arguments, position).status()); }
  if (name.ends_with("_to_recordset") || name.ends_with("_to_record"))
    return Error(sqlstate::kFeatureNotSupported, "function returning record called in context that cannot accept type record")
        .Hint("Write FROM " + name + "(..) AS x (name type, ..).")
        .At(position);
  KAPPA_ASSIGN_OR_RETURN(const std::vector<SetColumn> columns, SetColumns(name, std::move(arguments), {}, position));
  const bool populated = name.ends_with("_populate_recordset");
  const bool whole = name == "unnest" || populated;  // a row is one value here
  if (name == "unnest" && set.arguments.size() > 1) return Unsupported("unnest of several arrays in a select list", "Call it in FROM.", position);
  set.array =
      whole || columns.size() == 1 ? columns[0].array : expr::MakeRecords({columns[0].name, columns[1].name}, {columns[0].array, columns[1].array});
  set.type = data::ElementType(set.array->type());
  const auto value = [&](size_t index, const SetCall& call) -> ExprPtr {
    ExprPtr element = expr::MakeColumn(kSetColumn + static_cast<int>(index), call.type, name);
    if (populated) return expr::MakeFromJson(std::move(element), row_type);
    return !whole && columns.size() == 1 && columns[0].value ? expr::SubstituteColumns(columns[0].value, std::span(&element, 1)) : element;
  };
  for (size_t i = 0; i < context.sets->size(); ++i) {
    const SetCall& other = (*context.sets)[i];
    if (other.name == set.name && other.arguments.size() == set.arguments.size() &&
        std::equal(other.arguments.begin(), other.arguments.end(), set.arguments.begin(),
                   [](const ExprPtr& a, const ExprPtr& b) { return plan::SameExpression(*a, *b); }))
      return value(i, other);
  }
  context.sets->push_back(set);
  return value(context.sets->size() - 1, set);
}

}  // namespace kappa::sql
