// INSERT, UPDATE, DELETE.
#include <algorithm>
#include <numeric>

#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

using data::TypeId;
using plan::RelationKind;

/// PostgreSQL's words for an expression that does not fit its column.
Error AssignmentError(const Error& error, const data::Field& column, const data::Type& from, int position) {
  if (!error.Is(sqlstate::kDatatypeMismatch) && !error.Is(sqlstate::kCannotCoerce)) {
    Error placed = error;
    if (placed.position() == 0) placed.set_position(position);
    return placed;
  }
  return Error(sqlstate::kDatatypeMismatch,
               "column \"" + column.name + "\" is of type " + column.type.ToString() + " but expression is of type " + from.ToString())
      .Hint("You will need to rewrite or cast the expression.")
      .At(position);
}

Result<ExprPtr> Assign(ExprPtr value, const data::Field& column, int position) {
  const data::Type from = value->type();
  Result<ExprPtr> cast = expr::MakeCast(std::move(value), column.type, expr::CastContext::kAssignment, position);
  if (!cast.ok()) return AssignmentError(cast.error(), column, from, position);
  return cast;
}

std::vector<int> AllColumns(int count) {
  std::vector<int> columns(static_cast<size_t>(count));
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

}  // namespace

Result<Binder::TargetRelation> Binder::ModifyTarget(const PgQuery__RangeVar& relation, const char* verb) {
  const int position = At(relation.location);
  const std::string schema = relation.schemaname, name = relation.relname;
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(relation.base, {"schemaname", "relname", "alias", "relpersistence"}, verb, position));
  if (!schema.empty() && schema != "public") {
    const bool system = context_.system_relation && context_.system_relation(schema + "." + name) != nullptr;
    if (system) return Error(sqlstate::kWrongObjectType, "cannot change system relation \"" + schema + "." + name + "\"").At(position);
    return Error(sqlstate::kUndefinedTable, "relation \"" + schema + "." + name + "\" does not exist").At(position);
  }
  if (const catalog::Stream* stream = context_.catalog->FindStream(name)) {
    if (std::string_view(verb) != "INSERT")
      return Unsupported(std::string(verb) + " of a stream", "A stream keeps every event. Rows that change belong into a table.", position);
    KAPPA_ASSIGN_OR_RETURN(auto domains, BindDomains(stream->domains, context_));
    return TargetRelation{name, true, stream->id, stream->schema, {}, std::move(domains)};
  }
  if (const catalog::Table* table = context_.catalog->FindTable(name)) {
    KAPPA_ASSIGN_OR_RETURN(auto domains, BindDomains(table->domains, context_));
    return TargetRelation{name, false, table->id, table->schema, table->primary_key, std::move(domains)};
  }
  if (context_.catalog->FindView(name) != nullptr)
    return Error(sqlstate::kWrongObjectType, "cannot change materialized view \"" + name + "\"")
        .Hint("A view follows its streams and tables: change those.")
        .At(position);
  return UndefinedRelation(name, position);
}

Result<BoundStatement> Binder::Insert(const PgQuery__InsertStmt& statement) {
  const int position = At(statement.relation->location);
  KAPPA_RETURN_IF_ERROR(
      RefuseOtherFields(statement.base, {"relation", "cols", "select_stmt", "on_conflict_clause", "with_clause", "override"}, "INSERT", position));
  if (statement.override != PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET &&
      statement.override != PG_QUERY__OVERRIDING_KIND__OVERRIDING_KIND_UNDEFINED)
    return Unsupported("OVERRIDING in INSERT", "", position);
  KAPPA_ASSIGN_OR_RETURN(const TargetRelation target, ModifyTarget(*statement.relation, "INSERT"));
  const data::Schema& schema = target.schema;

  std::vector<int> columns;
  std::vector<int> column_positions;
  for (size_t i = 0; i < statement.n_cols; ++i) {
    const PgQuery__ResTarget& column = *statement.cols[i]->res_target;
    const int at = At(column.location);
    if (column.n_indirection > 0) return Unsupported("a subscript or field in INSERT", "Give the whole value.", at);
    const int index = schema.Find(column.name);
    if (index < 0) {
      Error error =
          Error(sqlstate::kUndefinedColumn, std::string("column \"") + column.name + "\" of relation \"" + target.name + "\" does not exist").At(at);
      const std::string near = NearestName(column.name, plan::ColumnNames(schema));
      if (!near.empty()) return std::move(error).Hint("Perhaps you meant \"" + near + "\".");
      return error;
    }
    if (std::find(columns.begin(), columns.end(), index) != columns.end())
      return Error(sqlstate::kDuplicateColumn, std::string("column \"") + column.name + "\" specified more than once").At(at);
    columns.push_back(index);
    column_positions.push_back(at);
  }
  const bool listed = !columns.empty();
  if (!listed) columns = AllColumns(schema.size());

  InsertStatement insert;
  insert.target = target.name;
  insert.into_stream = target.stream;
  KAPPA_RETURN_IF_ERROR(BindWith(statement.with_clause));
  // More values than columns is an error; fewer is one only when the columns were listed.
  const auto check_count = [&](size_t values, int at) -> Status {
    if (values > columns.size()) return Error(sqlstate::kSyntaxError, "INSERT has more expressions than target columns").At(at);
    if (listed && values < columns.size())
      return Error(sqlstate::kSyntaxError, "INSERT has more target columns than expressions").At(column_positions[values]);
    return {};
  };
  const auto default_row = [&] {
    std::vector<ExprPtr> row;
    for (const data::Field& field : schema.fields) row.push_back(expr::MakeNull(field.type));
    for (const auto& [column, domain] : target.domains)
      if (domain->default_value) row[static_cast<size_t>(column)] = domain->default_value;
    return row;
  };
  const auto constrain = [&](std::vector<ExprPtr>& row) {
    for (const auto& [column, domain] : target.domains) {
      ExprPtr& value = row[static_cast<size_t>(column)];
      value = expr::MakeDomainCast(std::move(value), domain);
    }
  };

  const PgQuery__SelectStmt* select = statement.select_stmt != nullptr ? statement.select_stmt->select_stmt : nullptr;
  if (select == nullptr) {  // DEFAULT VALUES
    std::vector<ExprPtr> row = default_row();
    constrain(row);
    insert.plan = plan::MakeValues(schema, {std::move(row)});
  } else if (select->n_values_lists > 0 && select->n_sort_clause == 0 && select->limit_count == nullptr && select->limit_offset == nullptr &&
             select->with_clause == nullptr) {
    const Scope empty;
    std::vector<std::vector<ExprPtr>> rows;
    size_t width = 0;
    for (size_t i = 0; i < select->n_values_lists; ++i) {
      const PgQuery__List& list = *select->values_lists[i]->list;
      const int at = At(LocationOf(*list.items[0]));
      if (i == 0) width = list.n_items;
      if (list.n_items != width) return Error(sqlstate::kSyntaxError, "VALUES lists must all be the same length").At(at);
      KAPPA_RETURN_IF_ERROR(check_count(list.n_items, list.n_items > columns.size() ? At(LocationOf(*list.items[columns.size()])) : at));
      std::vector<ExprPtr> row = default_row();
      for (size_t k = 0; k < list.n_items; ++k) {
        if (list.items[k]->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT) continue;
        KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Expr(*list.items[k], {.scope = &empty, .clause = "VALUES"}));
        const auto column = static_cast<size_t>(columns[k]);
        KAPPA_ASSIGN_OR_RETURN(row[column], Assign(std::move(value), schema.fields[column], At(LocationOf(*list.items[k]))));
      }
      constrain(row);
      rows.push_back(std::move(row));
    }
    insert.plan = plan::MakeValues(schema, std::move(rows));
  } else {
    KAPPA_ASSIGN_OR_RETURN(NodePtr plan, Select(*select, /*keep_unknown=*/true));
    const auto location = [&](size_t i) { return select->n_target_list > i ? At(select->target_list[i]->res_target->location) : position; };
    const auto width = static_cast<size_t>(plan->schema.size());
    KAPPA_RETURN_IF_ERROR(check_count(width, location(columns.size())));
    for (size_t i = 0; i < width; ++i) {
      const data::Field& field = schema.fields[static_cast<size_t>(columns[i])];
      const data::Type from = plan->schema.fields[i].type;
      Result<NodePtr> coerced = CoerceColumn(plan, static_cast<int>(i), field.type, expr::CastContext::kAssignment, location(i));
      if (!coerced.ok()) return AssignmentError(coerced.error(), field, from, location(i));
      plan = std::move(*coerced);
    }
    std::vector<ExprPtr> row = default_row();
    for (size_t i = 0; i < width; ++i) {
      const data::Field& field = plan->schema.fields[i];
      row[static_cast<size_t>(columns[i])] = expr::MakeColumn(static_cast<int>(i), field.type, field.name);
    }
    constrain(row);
    insert.plan = plan::MakeProject(std::move(plan), std::move(row), plan::ColumnNames(schema));
  }
  common_tables_.clear();

  if (const PgQuery__OnConflictClause* conflict = statement.on_conflict_clause) {
    const int at = At(conflict->location);
    if (target.stream) return Unsupported("ON CONFLICT in INSERT into a stream", "A stream has no key: every event is kept.", at);
    if (conflict->infer != nullptr) {
      if (conflict->infer->conname[0] != '\0' || conflict->infer->where_clause != nullptr)
        return Unsupported("ON CONFLICT ON CONSTRAINT or with WHERE", "Write ON CONFLICT (key columns).", at);
      std::vector<int> named;
      for (size_t i = 0; i < conflict->infer->n_index_elems; ++i) {
        const PgQuery__IndexElem& element = *conflict->infer->index_elems[i]->index_elem;
        named.push_back(element.expr != nullptr ? -1 : schema.Find(element.name));
      }
      std::vector<int> key = target.primary_key;
      std::sort(named.begin(), named.end());
      std::sort(key.begin(), key.end());
      if (named != key)
        return Error(sqlstate::kInvalidColumnReference, "there is no unique or exclusion constraint matching the ON CONFLICT specification")
            .Hint("Name the columns of the primary key.")
            .At(at);
    }
    if (conflict->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_NOTHING) {
      insert.conflict = InsertStatement::Conflict::kNothing;
    } else {
      if (conflict->infer == nullptr)
        return Error(sqlstate::kSyntaxError, "ON CONFLICT DO UPDATE requires inference specification or constraint name")
            .Hint("For example, ON CONFLICT (column_name).")
            .At(at);
      if (conflict->where_clause != nullptr) return Unsupported("WHERE in ON CONFLICT DO UPDATE", "", at);
      std::vector<bool> set(static_cast<size_t>(schema.size()));
      for (const int key : target.primary_key) set[static_cast<size_t>(key)] = true;
      for (size_t i = 0; i < conflict->n_target_list; ++i) {
        const PgQuery__ResTarget& assignment = *conflict->target_list[i]->res_target;
        const int index = schema.Find(assignment.name);
        if (index < 0)
          return Error(sqlstate::kUndefinedColumn,
                       std::string("column \"") + assignment.name + "\" of relation \"" + target.name + "\" does not exist")
              .At(At(assignment.location));
        const PgQuery__Node& value = *assignment.val;
        const bool excluded = value.node_case == PG_QUERY__NODE__NODE_COLUMN_REF && value.column_ref->n_fields == 2 &&
                              TextOf(*value.column_ref->fields[0]) == "excluded" && TextOf(*value.column_ref->fields[1]) == assignment.name;
        if (!excluded)
          return Unsupported("ON CONFLICT DO UPDATE with anything but column = excluded.column",
                             "Set every column to its excluded value: the new row replaces the old one.", At(assignment.location));
        set[static_cast<size_t>(index)] = true;
      }
      if (std::find(set.begin(), set.end(), false) != set.end())
        return Unsupported("ON CONFLICT DO UPDATE of only some columns", "Set every column to its excluded value: the new row replaces the old one.",
                           at);
      insert.conflict = InsertStatement::Conflict::kUpdate;
    }
  }
  KAPPA_ASSIGN_OR_RETURN(insert.plan, Finish(std::move(insert.plan)));
  insert.parameter_types = parameter_types_;
  return BoundStatement(std::move(insert));
}

Result<BoundStatement> Binder::Update(const PgQuery__UpdateStmt& statement) {
  const int position = At(statement.relation->location);
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(statement.base, {"relation", "target_list", "where_clause"}, "UPDATE", position));
  KAPPA_ASSIGN_OR_RETURN(const TargetRelation target, ModifyTarget(*statement.relation, "UPDATE"));
  KAPPA_ASSIGN_OR_RETURN(FromResult from, Relation(*statement.relation));
  NodePtr plan = from.plan;
  if (statement.where_clause != nullptr) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr condition, Condition(*statement.where_clause, {.scope = &from.scope, .clause = "WHERE"}));
    plan = plan::MakeFilter(std::move(plan), std::move(condition));
  }
  std::vector<ExprPtr> row;
  for (int i = 0; i < target.schema.size(); ++i) {
    const data::Field& field = target.schema.fields[static_cast<size_t>(i)];
    row.push_back(expr::MakeColumn(i, field.type, field.name));
  }
  std::vector<bool> assigned(row.size());
  for (size_t i = 0; i < statement.n_target_list; ++i) {
    const PgQuery__ResTarget& assignment = *statement.target_list[i]->res_target;
    const int at = At(assignment.location);
    if (assignment.n_indirection > 0) return Unsupported("a subscript or field in UPDATE", "Set the whole value.", at);
    const int index = target.schema.Find(assignment.name);
    if (index < 0) {
      Error error =
          Error(sqlstate::kUndefinedColumn, std::string("column \"") + assignment.name + "\" of relation \"" + target.name + "\" does not exist")
              .At(at);
      const std::string near = NearestName(assignment.name, plan::ColumnNames(target.schema));
      if (!near.empty()) return std::move(error).Hint("Perhaps you meant \"" + near + "\".");
      return error;
    }
    const auto column = static_cast<size_t>(index);
    if (assigned[column]) return Error(sqlstate::kSyntaxError, std::string("multiple assignments to same column \"") + assignment.name + "\"").At(at);
    assigned[column] = true;
    if (std::find(target.primary_key.begin(), target.primary_key.end(), index) != target.primary_key.end())
      return Unsupported(std::string("changing the primary key column \"") + assignment.name + "\"", "Delete the row and insert it with the new key.",
                         at);
    const data::Field& field = target.schema.fields[column];
    const PgQuery__Node& value = *assignment.val;
    const auto domain = target.domains.find(index);
    if (value.node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT) {
      const bool given = domain != target.domains.end() && domain->second->default_value;
      row[column] = given ? domain->second->default_value : expr::MakeNull(field.type);
      if (domain != target.domains.end()) row[column] = expr::MakeDomainCast(row[column], domain->second);
      continue;
    }
    if (value.node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF) return Unsupported("SET (a, b) = ..", "Set each column by itself.", at);
    KAPPA_ASSIGN_OR_RETURN(ExprPtr expression, Expr(value, {.scope = &from.scope, .clause = "UPDATE"}));
    KAPPA_ASSIGN_OR_RETURN(row[column], Assign(std::move(expression), field, At(LocationOf(value))));
    if (domain != target.domains.end()) row[column] = expr::MakeDomainCast(row[column], domain->second);
  }
  UpdateStatement update;
  update.target = target.name;
  KAPPA_ASSIGN_OR_RETURN(update.plan, Finish(plan::MakeProject(std::move(plan), std::move(row), plan::ColumnNames(target.schema))));
  update.parameter_types = parameter_types_;
  return BoundStatement(std::move(update));
}

Result<BoundStatement> Binder::Delete(const PgQuery__DeleteStmt& statement) {
  const int position = At(statement.relation->location);
  KAPPA_RETURN_IF_ERROR(RefuseOtherFields(statement.base, {"relation", "where_clause"}, "DELETE", position));
  KAPPA_ASSIGN_OR_RETURN(const TargetRelation target, ModifyTarget(*statement.relation, "DELETE"));
  KAPPA_ASSIGN_OR_RETURN(FromResult from, Relation(*statement.relation));
  NodePtr plan = from.plan;
  if (statement.where_clause != nullptr) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr condition, Condition(*statement.where_clause, {.scope = &from.scope, .clause = "WHERE"}));
    plan = plan::MakeFilter(std::move(plan), std::move(condition));
  }
  DeleteStatement remove;
  remove.target = target.name;
  KAPPA_ASSIGN_OR_RETURN(remove.plan, Finish(std::move(plan)));
  remove.parameter_types = parameter_types_;
  return BoundStatement(std::move(remove));
}

}  // namespace kappa::sql
