// FROM: relations of the catalog and of the system, sub-selects, functions.
#include <algorithm>
#include <charconv>
#include <numeric>

#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

using data::Type;
using data::TypeId;
using plan::RelationKind;

/// Words that other dialects put after a table name and PostgreSQL reads as an alias.
bool IsMisreadAlias(std::string_view name) {
  static constexpr std::string_view kNames[] = {"asof", "latest", "semi", "anti", "emit", "final", "match_recognize", "qualify", "of", "watermark"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

/// The scope's table over the plan's columns [from, ..) in order.
ScopeTable TableOf(std::string kind, std::string schema, std::string name, const data::Schema& columns, int from = 0) {
  ScopeTable table{std::move(kind), std::move(schema), name, name, {}};
  for (int i = from; i < columns.size(); ++i) {
    const data::Field& field = columns.fields[static_cast<size_t>(i)];
    table.columns.push_back({field.name, expr::MakeColumn(i, field.type, field.name)});
  }
  return table;
}

std::vector<int> AllColumns(const data::Schema& schema) {
  std::vector<int> columns(static_cast<size_t>(schema.size()));
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

data::Schema WithHiddenColumns(data::Schema schema) {
  schema.fields.push_back({"_partition", TypeId::kInt4, false});
  schema.fields.push_back({"_offset", TypeId::kInt8, false});
  schema.fields.push_back({"_timestamp", TypeId::kTimestamptz, false});
  return schema;
}

FromResult OneTable(NodePtr plan, ScopeTable table) {
  FromResult result{std::move(plan), {}};
  result.scope.Add(std::move(table));
  return result;
}

}  // namespace

Error Binder::UndefinedRelation(const std::string& name, int position) const {
  Error error = Error(sqlstate::kUndefinedTable, "relation \"" + name + "\" does not exist").At(position);
  const std::string near = NearestName(name, context_.catalog->Names());
  if (!near.empty()) return std::move(error).Hint("Perhaps you meant the relation \"" + near + "\".");
  return error;
}

FromResult Binder::Combine(FromResult left, FromResult right, plan::JoinType type) {
  const int width = left.plan->schema.size();
  FromResult result{plan::MakeJoin(type, left.plan, right.plan, {}, {}, nullptr), std::move(left.scope)};
  result.scope.Append(right.scope, width);
  return result;
}

Status Binder::CheckDuplicateTables(const Scope& left, const Scope& right, int position) const {
  for (const ScopeTable& a : left.tables)
    for (const ScopeTable& b : right.tables)
      if (!a.name.empty() && a.name == b.name && a.schema == b.schema)
        return Error(sqlstate::kAmbiguousAlias, "table name \"" + b.name + "\" specified more than once")
            .Hint("Give one of them an alias.")
            .At(position);
  return {};
}

Result<FromResult> Binder::From(PgQuery__Node** items, size_t count) {
  if (count == 0) return FromResult{plan::MakeValues({}, {{}}), {}};
  std::optional<FromResult> all;
  for (size_t i = 0; i < count; ++i) {
    const int position = At(LocationOf(*items[i]));
    if (all && IsLateral(*items[i])) {
      if (items[i]->node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT) {
        KAPPA_ASSIGN_OR_RETURN(all, LateralSelect(*items[i]->range_subselect, std::move(*all), plan::JoinType::kCross, nullptr));
      } else {
        KAPPA_ASSIGN_OR_RETURN(all, LateralItem(*items[i], std::move(*all), /*outer=*/false));
      }
      continue;
    }
    KAPPA_ASSIGN_OR_RETURN(FromResult item, FromItem(*items[i], all ? &*all : nullptr));
    if (!all) {
      all = std::move(item);
      continue;
    }
    KAPPA_RETURN_IF_ERROR(CheckDuplicateTables(all->scope, item.scope, position));
    all = Combine(std::move(*all), std::move(item), plan::JoinType::kCross);
  }
  return std::move(*all);
}

Result<FromResult> Binder::FromItem(const PgQuery__Node& item, const FromResult* left) {
  if (++depth_ > 500) {
    depth_ = 0;
    return Error(sqlstate::kStatementTooComplex, "FROM is nested too deeply").At(At(LocationOf(item)));
  }
  const auto bind = [&]() -> Result<FromResult> {
    switch (item.node_case) {
      case PG_QUERY__NODE__NODE_RANGE_VAR: return Relation(*item.range_var);
      case PG_QUERY__NODE__NODE_RANGE_SUBSELECT: return Subselect(*item.range_subselect);
      case PG_QUERY__NODE__NODE_JOIN_EXPR: return JoinItem(*item.join_expr, left);
      case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        if (IsLateral(item)) return LateralItem(item, FromResult{plan::MakeValues({}, {{}}), {}}, /*outer=*/false);
        return TableFunctionItem(*item.range_function, left);
      case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
        if (IsSystemTime(item))
          return Unsupported("FOR SYSTEM_TIME AS OF here",
                             "It stands on the right side of a join: FROM s JOIN versions FOR SYSTEM_TIME AS OF s.ts ON ..",
                             At(item.range_table_sample->relation->range_var->location));
        return Unsupported("TABLESAMPLE", "Use LIMIT, or WHERE with a condition.", At(item.range_table_sample->location));
      case PG_QUERY__NODE__NODE_RANGE_TABLE_FUNC: return Unsupported("XMLTABLE", "", At(item.range_table_func->location));
      default: return Unsupported("this item of FROM", "docs/sql.md lists what the language has.", At(LocationOf(item)));
    }
  };
  Result<FromResult> result = bind();
  --depth_;
  return result;
}

Status Binder::ApplyAlias(FromResult& result, const PgQuery__Alias* alias, int position, bool function) {
  if (alias == nullptr) return {};
  const std::string name = alias->aliasname;
  if (IsMisreadAlias(name)) {
    if (const int word = tree_.PositionOfWord(name); word > 0) {
      return Error(sqlstate::kFeatureNotSupported, "\"" + name + "\" is not supported here as an alias of a table")
          .Hint("If an alias is meant, quote it: AS \"" + name +
                "\". It is reserved because other dialects give it a meaning that kappa does not have.")
          .At(word);
    }
  }
  ScopeTable& table = result.scope.tables.front();
  if (alias->n_colnames > table.columns.size())
    return Error(sqlstate::kInvalidColumnReference, "table \"" + name + "\" has " + std::to_string(table.columns.size()) + " columns available but " +
                                                        std::to_string(alias->n_colnames) + " columns specified")
        .At(position);
  table.name = name;
  table.schema.clear();
  if (function && alias->n_colnames == 0 && !table.columns.empty() && table.kind == "Function of one column") table.columns[0].name = name;
  for (size_t i = 0; i < alias->n_colnames; ++i) table.columns[i].name = TextOf(*alias->colnames[i]);
  for (size_t i = 0; i < table.columns.size(); ++i) result.scope.visible[i].name = table.columns[i].name;
  return {};
}

Result<FromResult> Binder::Relation(const PgQuery__RangeVar& relation) {
  const int position = At(relation.location);
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(relation.base, {"schemaname", "relname", "alias", "relpersistence"}, "a table name", position));
  const std::string schema = relation.schemaname, name = relation.relname;
  const auto bind = [&]() -> Result<FromResult> {
    if (schema.empty()) {
      for (size_t i = common_tables_.size(); i-- > 0;) {
        if (common_tables_[i].name != name) continue;
        return CommonTableUse(common_tables_[i], position);
      }
    }
    if (schema.empty() || schema == "public") {
      Result<FromResult> found = CatalogRelation(name, position);
      if (!found.ok() && schema == "public" && found.error().message() == "relation \"" + name + "\" does not exist")
        return Error(sqlstate::kUndefinedTable, "relation \"public." + name + "\" does not exist").Hint(found.error().hint()).At(position);
      if (found.ok() || !found.error().Is(sqlstate::kUndefinedTable) || schema == "public") return found;
      if (context_.system_relation && context_.system_relation("pg_catalog." + name) != nullptr)
        return SystemTable("pg_catalog." + name, "pg_catalog", name, position);
      return found;
    }
    return SystemTable(schema + "." + name, schema, name, position);
  };
  KAPPA_ASSIGN_OR_RETURN(FromResult result, bind());
  KAPPA_RETURN_IF_ERROR(ApplyAlias(result, relation.alias, position, false));
  return result;
}

Result<FromResult> Binder::CommonTableUse(const CommonTable& common, int position) {
  constexpr int64_t kSharedNodesMax = 10'000;
  shared_nodes_ += plan::CountNodes(*common.plan);
  if (shared_nodes_ > kSharedNodesMax)
    return Error(sqlstate::kStatementTooComplex, "WITH queries are used too often").Hint("Each use computes the query again.").At(position);
  ScopeTable table = TableOf(common.working ? kWorkingTable : "Common table", "", common.name, common.plan->schema);
  for (size_t i = 0; i < common.columns.size(); ++i) table.columns[i].name = common.columns[i];
  return OneTable(common.plan, std::move(table));
}

Result<FromResult> Binder::SystemTable(const std::string& qualified, const std::string& schema, const std::string& name, int position) {
  const SystemRelation* relation = context_.system_relation ? context_.system_relation(qualified) : nullptr;
  if (relation == nullptr) return Error(sqlstate::kUndefinedTable, "relation \"" + qualified + "\" does not exist").At(position);
  if (for_view_) return Unsupported("system relation \"" + qualified + "\" in a view", "Views read streams, tables and other views.", position);
  NodePtr scan = plan::MakeScan(RelationKind::kSystem, 0, qualified, relation->schema, AllColumns(relation->schema));
  return OneTable(std::move(scan), TableOf("System relation", schema, name, relation->schema));
}

/// A stream, table or view; also `stream$late` and `view$2`.
Result<FromResult> Binder::CatalogRelation(const std::string& name, int position) {
  const catalog::Snapshot& catalog = *context_.catalog;
  const auto depend = [&](const std::string& on) {
    if (std::find(depends_on_.begin(), depends_on_.end(), on) == depends_on_.end()) depends_on_.push_back(on);
  };
  const auto view_scan = [&](const catalog::View& view, int number) -> Result<FromResult> {
    const catalog::ViewVersion* version = view.FindVersion(number > 0 ? number : view.serving);
    if (version == nullptr && number == 0 && !view.versions.empty())
      version = &view.versions.front();  // version 1 still replays: its columns are known
    if (version == nullptr)
      return Error(sqlstate::kUndefinedTable, "view \"" + view.name + "\" has no version " + std::to_string(number))
          .Hint("kappa.versions lists the versions.")
          .At(position);
    depend(view.name);
    auto scan = plan::MakeScan(RelationKind::kView, view.id, view.name, version->schema, AllColumns(version->schema));
    scan->version = number;
    return OneTable(std::move(scan), TableOf("View", "public", name, version->schema));
  };
  if (const catalog::Stream* stream = catalog.FindStream(name)) {
    depend(name);
    auto scan = plan::MakeScan(RelationKind::kStream, stream->id, stream->name, stream->schema, AllColumns(stream->schema));
    if (stream->drop_late) scan->late = plan::LateRows::kDrop;
    return OneTable(std::move(scan), TableOf("Stream", "public", name, stream->schema));
  }
  if (const catalog::Table* table = catalog.FindTable(name)) {
    depend(name);
    NodePtr scan = plan::MakeScan(RelationKind::kTable, table->id, table->name, table->schema, AllColumns(table->schema));
    return OneTable(std::move(scan), TableOf("Table", "public", name, table->schema));
  }
  if (const catalog::View* view = catalog.FindView(name)) return view_scan(*view, 0);

  const size_t dollar = name.rfind('$');
  if (dollar != std::string::npos && dollar > 0) {
    const std::string base = name.substr(0, dollar), suffix = name.substr(dollar + 1);
    if (const catalog::Stream* stream = catalog.FindStream(base); stream != nullptr && suffix == "late") {
      depend(base);
      const data::Schema schema = WithHiddenColumns(stream->schema);
      auto scan = plan::MakeScan(RelationKind::kStream, stream->id, stream->name, schema, AllColumns(schema));
      scan->late = plan::LateRows::kOnly;
      return OneTable(std::move(scan), TableOf("Stream", "public", name, schema));
    }
    int number = 0;
    const auto [end, status] = std::from_chars(suffix.data(), suffix.data() + suffix.size(), number);
    if (const catalog::View* view = catalog.FindView(base);
        view != nullptr && status == std::errc() && end == suffix.data() + suffix.size() && number > 0)
      return view_scan(*view, number);
  }
  return UndefinedRelation(name, position);
}

Result<FromResult> Binder::Subselect(const PgQuery__RangeSubselect& subselect) {
  if (subselect.subquery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return Unsupported("this sub-query in FROM", "", 0);
  KAPPA_ASSIGN_OR_RETURN(NodePtr plan, Select(*subselect.subquery->select_stmt, /*keep_unknown=*/false));
  return Aliased(subselect, std::move(plan));
}

Result<FromResult> Binder::Aliased(const PgQuery__RangeSubselect& subselect, NodePtr plan) {
  ScopeTable table = TableOf("Sub-query", "", "", plan->schema);
  table.relation.clear();
  FromResult result = OneTable(std::move(plan), std::move(table));
  if (subselect.alias == nullptr)
    return Error(sqlstate::kSyntaxError, "subquery in FROM must have an alias").Hint("For example, FROM (SELECT ...) [AS] foo.");
  KAPPA_RETURN_IF_ERROR(ApplyAlias(result, subselect.alias, 0, false));
  return result;
}

/// The first argument of a window function: a name or a sub-select in parentheses.
Result<FromResult> Binder::WindowInput(const std::string& name, const PgQuery__Node& source) {
  if (source.node_case == PG_QUERY__NODE__NODE_COLUMN_REF) {
    const std::vector<std::string> parts = TextsOf(source.column_ref->fields, source.column_ref->n_fields);
    if (parts.size() > 2) return Unsupported("a name with a database", "Write schema.table.", At(source.column_ref->location));
    PgQuery__RangeVar relation = PG_QUERY__RANGE_VAR__INIT;
    std::string schema = parts.size() == 2 ? parts[0] : "", table = parts.back();
    relation.schemaname = schema.data();
    relation.relname = table.data();
    relation.location = source.column_ref->location;
    return Relation(relation);
  }
  if (source.node_case == PG_QUERY__NODE__NODE_SUB_LINK && source.sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK) {
    KAPPA_ASSIGN_OR_RETURN(NodePtr plan, Select(*source.sub_link->subselect->select_stmt, /*keep_unknown=*/false));
    ScopeTable table = TableOf("Sub-query", "", name, plan->schema);
    return OneTable(std::move(plan), std::move(table));
  }
  return Error(sqlstate::kWrongObjectType, "the first argument of " + name + " must be a table or a sub-select in parentheses")
      .At(At(LocationOf(source)));
}

Result<Type> Binder::SeriesType(std::vector<ExprPtr>& arguments, int position) {
  if (arguments.size() < 2 || arguments.size() > 3)
    return Error(sqlstate::kUndefinedFunction, "function generate_series takes two or three arguments").At(position);
  std::vector<Type> types;
  for (size_t i = 0; i < 2; ++i) types.push_back(arguments[i]->type());
  const bool times = types[0].id == TypeId::kTimestamp || types[0].id == TypeId::kTimestamptz || types[0].id == TypeId::kDate ||
                     types[1].id == TypeId::kTimestamp || types[1].id == TypeId::kTimestamptz || types[1].id == TypeId::kDate;
  if (!times && arguments.size() == 3) types.push_back(arguments[2]->type());
  KAPPA_ASSIGN_OR_RETURN(Type type, expr::CommonType(types, "generate_series", position));
  if (type.id == TypeId::kUnknown || type.id == TypeId::kInt2) type = TypeId::kInt4;
  if (type.id == TypeId::kDate) type = TypeId::kTimestamptz;
  type = type.WithoutModifier();
  if (!times && type.id != TypeId::kInt4 && type.id != TypeId::kInt8 && type.id != TypeId::kNumeric)
    return Error(sqlstate::kUndefinedFunction, "function generate_series(" + types[0].ToString() + ", " + types[1].ToString() + ") does not exist")
        .At(position);
  if (times && arguments.size() != 3)
    return Error(sqlstate::kUndefinedFunction, "function generate_series(" + types[0].ToString() + ", " + types[1].ToString() + ") does not exist")
        .Hint("A series of times needs a step: INTERVAL '1 hour'.")
        .At(position);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Type wanted = times && i == 2 ? Type(TypeId::kInterval) : type;
    KAPPA_ASSIGN_OR_RETURN(arguments[i], expr::MakeCast(std::move(arguments[i]), wanted, expr::CastContext::kImplicit, position));
  }
  return type;
}

Result<FromResult> Binder::TableFunctionOf(const std::string& name, std::vector<ExprPtr> arguments, int position) {
  const auto table = [&](NodePtr plan) {
    const bool one = plan->schema.size() == 1;
    const size_t dot = name.rfind('.');
    ScopeTable entry = TableOf(one ? "Function of one column" : "Function", "", dot == std::string::npos ? name : name.substr(dot + 1), plan->schema);
    return OneTable(std::move(plan), std::move(entry));
  };
  for (const ExprPtr& argument : arguments) {
    std::vector<bool> used;
    expr::CollectColumns(*argument, used);
    if (std::find(used.begin(), used.end(), true) != used.end())
      return Unsupported("a column as an argument of " + name + " in FROM", "Only unnest may use columns of the tables before it.", position);
  }
  if (name == "generate_series") {
    KAPPA_ASSIGN_OR_RETURN(const Type type, SeriesType(arguments, position));
    data::Schema schema{{{"generate_series", type, true}}};
    return table(plan::MakeTableFunction(name, std::move(arguments), std::move(schema)));
  }
  if (expr::IsScalarFunction(name)) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr call, Function(name, std::move(arguments), position));
    return table(plan::MakeProject(plan::MakeValues({}, {{}}), {std::move(call)}, {name}));
  }
  if (context_.table_function) {
    std::vector<data::Value> values;
    std::vector<ExprPtr> literals;
    for (const ExprPtr& argument : arguments) {
      // A parameter, or a column of the outer query, is known only when it runs: the schema must not depend on it.
      Result<data::Value> value = ConstantValue(argument, position);
      literals.push_back(value.ok() ? expr::MakeLiteral(*value) : argument);
      values.push_back(value.ok() ? std::move(value).value() : data::Value::Null(argument->type()));
    }
    Result<data::Schema> schema = context_.table_function(name, values);
    if (!schema.ok()) {
      Error error = schema.error();
      if (error.position() == 0) error.set_position(position);
      return error;
    }
    if (for_view_) return Unsupported("function " + name + " in a view", "Views read streams, tables and other views.", position);
    return table(plan::MakeTableFunction(name, std::move(literals), std::move(*schema)));
  }
  return Error(sqlstate::kUndefinedFunction, "function " + name + " does not exist").At(position);
}

Result<FromResult> Binder::TableFunctionItem(const PgQuery__RangeFunction& function, const FromResult* left) {
  const PgQuery__List& first = *function.functions[0]->list;
  const PgQuery__Node& node = *first.items[0];
  const int position = At(LocationOf(node));
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(function.base, {"lateral", "ordinality", "functions", "alias", "is_rowsfrom"}, "FROM", position));
  if (first.n_items > 1 && first.items[1] != nullptr && first.items[1]->node_case == PG_QUERY__NODE__NODE_LIST && first.items[1]->list->n_items > 0)
    return Unsupported("a column definition list", "", position);

  const Scope empty;
  if (node.node_case != PG_QUERY__NODE__NODE_FUNC_CALL) {  // CURRENT_DATE and friends
    KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Expr(node, {.scope = &empty, .clause = "FROM"}));
    const std::string name = OutputName(node);
    NodePtr plan = plan::MakeProject(plan::MakeValues({}, {{}}), {std::move(value)}, {name});
    FromResult result = OneTable(plan, TableOf("Function of one column", "", name, plan->schema));
    KAPPA_RETURN_IF_ERROR(ApplyAlias(result, function.alias, position, true));
    return result;
  }
  const PgQuery__FuncCall& call = *node.func_call;
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(call.base, {"funcname", "args", "funcformat"}, "a function in FROM", position));
  KAPPA_ASSIGN_OR_RETURN(std::string name, FunctionName(call));
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (name == "tumble" || name == "hop" || name == "cumulate" || name == "session") {
    if (function.ordinality) return Unsupported("WITH ORDINALITY on a window function", "", position);
    KAPPA_ASSIGN_OR_RETURN(FromResult result, WindowFunction(name, call, position));
    KAPPA_RETURN_IF_ERROR(ApplyAlias(result, function.alias, position, false));
    return result;
  }
  if (function.ordinality) return Unsupported("WITH ORDINALITY on " + name, "It works on unnest.", position);
  // Columns of the tables before it are in scope by the standard; say so instead of "does not exist".
  const Scope& scope = left != nullptr ? left->scope : empty;
  KAPPA_ASSIGN_OR_RETURN(std::vector<ExprPtr> arguments, Exprs(call.args, call.n_args, {.scope = &scope, .clause = "FROM"}));
  KAPPA_ASSIGN_OR_RETURN(FromResult result, TableFunctionOf(name, std::move(arguments), position));
  KAPPA_RETURN_IF_ERROR(ApplyAlias(result, function.alias, position, true));
  return result;
}

}  // namespace kappa::sql
