// Lookups in scopes, and the errors for names that are not there.
#include "sql/bind/scope.h"

#include <numeric>

#include "sql/statement.h"

namespace kappa::sql {

using expr::ExprPtr;

void Scope::Add(ScopeTable table) {
  for (const ScopeColumn& column : table.columns) visible.push_back({column.name, column.expression, static_cast<int>(tables.size())});
  tables.push_back(std::move(table));
}

void Scope::Append(const Scope& other, int shift) {
  const int first = static_cast<int>(tables.size());
  const auto moved = [&](const ExprPtr& expression) {
    std::vector<bool> used;
    expr::CollectColumns(*expression, used);
    std::vector<int> mapping(used.size());
    std::iota(mapping.begin(), mapping.end(), shift);
    return expr::RemapColumns(expression, mapping);
  };
  for (const ScopeTable& table : other.tables) {
    ScopeTable copy = table;
    for (ScopeColumn& column : copy.columns) column.expression = moved(column.expression);
    if (copy.present) copy.present->expression = moved(copy.present->expression);
    tables.push_back(std::move(copy));
  }
  for (const Visible& column : other.visible)
    visible.push_back({column.name, moved(column.expression), column.table < 0 ? -1 : column.table + first});
}

void Scope::MakeOptional(const data::Schema& before) {
  for (ScopeTable& table : tables) {
    if (table.optional) continue;
    table.optional = true;
    for (const ScopeColumn& column : table.columns) {
      if (column.expression->kind() != expr::Expression::Kind::kColumn) continue;
      const int index = static_cast<const expr::ColumnRef&>(*column.expression).index();
      if (!before.fields[static_cast<size_t>(index)].nullable) table.present = column;
    }
  }
}

const ScopeTable* Scope::FindTable(const std::string& schema, const std::string& name) const {
  for (const ScopeTable& table : tables)
    if (table.name == name && (schema.empty() || schema == table.schema)) return &table;
  return nullptr;
}

namespace {

/// "Stream "bids" has columns price, at." for each table that is not too wide to read.
std::string ColumnsDetail(const std::vector<ScopeTable>& tables) {
  constexpr size_t kTablesShown = 3, kColumnsShown = 30;
  std::string detail;
  for (size_t i = 0; i < tables.size() && i < kTablesShown; ++i) {
    const ScopeTable& table = tables[i];
    if (table.columns.empty()) continue;
    std::string columns;
    for (size_t k = 0; k < table.columns.size() && k < kColumnsShown; ++k) columns += (k == 0 ? "" : ", ") + table.columns[k].name;
    if (table.columns.size() > kColumnsShown) columns += ", ..";
    detail += (detail.empty() ? "" : " ") + table.kind + " \"" + table.name + "\" has columns " + columns + ".";
  }
  return detail;
}

std::string Hint(const ScopeTable& table, const std::string& column) {
  return "Perhaps you meant to reference the column \"" + table.name + "." + column + "\".";
}

std::vector<std::string> NamesOf(const ScopeTable& table) {
  std::vector<std::string> names;
  for (const ScopeColumn& column : table.columns) names.push_back(column.name);
  return names;
}

}  // namespace

Result<std::optional<ExprPtr>> Scope::Find(const std::vector<std::string>& parts, int position) const {
  const std::string& name = parts.back();
  if (parts.size() == 1) {
    const Visible* found = nullptr;
    for (const Visible& column : visible) {
      if (column.name != name) continue;
      if (found != nullptr) {
        Error error = Error(sqlstate::kAmbiguousColumn, "column reference \"" + name + "\" is ambiguous").At(position);
        if (column.table >= 0 && column.table == found->table)
          return std::move(error).Hint(
              "Two columns of " + tables[static_cast<size_t>(column.table)].name +
              " have this name, as when a window is over a relation that has window_start: name its own anew in a sub-select.");
        if (column.table >= 0 && found->table >= 0)
          return std::move(error).Hint("Write " + tables[static_cast<size_t>(found->table)].name + "." + name + " or " +
                                       tables[static_cast<size_t>(column.table)].name + "." + name + ".");
        return error;
      }
      found = &column;
    }
    if (found == nullptr) return std::optional<ExprPtr>();
    return std::optional<ExprPtr>(found->expression);
  }
  const ScopeTable* table = FindTable(parts.size() > 2 ? parts[parts.size() - 3] : "", parts[parts.size() - 2]);
  if (table == nullptr) return std::optional<ExprPtr>();
  const ScopeColumn* found = nullptr;
  for (const ScopeColumn& column : table->columns) {
    if (column.name != name) continue;
    if (found != nullptr) return Error(sqlstate::kAmbiguousColumn, "column reference \"" + name + "\" is ambiguous").At(position);
    found = &column;
  }
  if (found != nullptr) return std::optional<ExprPtr>(found->expression);
  Error error =
      Error(sqlstate::kUndefinedColumn, "column " + table->name + "." + name + " does not exist").Detail(ColumnsDetail({*table})).At(position);
  const std::string near = NearestName(name, NamesOf(*table));
  if (!near.empty()) return std::move(error).Hint(Hint(*table, near));
  return error;
}

Error Scope::Undefined(const std::vector<std::string>& parts, int position) const {
  const std::string& name = parts.back();
  if (parts.size() > 1) {
    const std::string& wanted = parts[parts.size() - 2];
    for (const ScopeTable& table : tables) {
      if (table.relation == wanted && table.name != wanted)
        return Error(sqlstate::kUndefinedTable, "invalid reference to FROM-clause entry for table \"" + wanted + "\"")
            .Hint("Perhaps you meant to reference the table alias \"" + table.name + "\".")
            .At(position);
    }
    std::vector<std::string> names;
    for (const ScopeTable& table : tables) names.push_back(table.name);
    Error error = Error(sqlstate::kUndefinedTable, "missing FROM-clause entry for table \"" + wanted + "\"").At(position);
    const std::string near = NearestName(wanted, names);
    if (!near.empty()) return std::move(error).Hint("Perhaps you meant the table \"" + near + "\".");
    return error;
  }
  Error error = Error(sqlstate::kUndefinedColumn, "column \"" + name + "\" does not exist").Detail(ColumnsDetail(tables)).At(position);
  std::vector<std::string> names;
  for (const ScopeTable& table : tables)
    for (const ScopeColumn& column : table.columns) names.push_back(column.name);
  const std::string near = NearestName(name, names);
  if (near.empty()) return error;
  for (const ScopeTable& table : tables)
    for (const ScopeColumn& column : table.columns)
      if (column.name == near) return std::move(error).Hint(Hint(table, near));
  return error;
}

}  // namespace kappa::sql
