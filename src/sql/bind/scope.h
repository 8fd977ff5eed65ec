// Scopes: which names a query's expressions may use, and what they stand for. Internal to sql/.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "expr/expression.h"

namespace kappa::sql {

/// ScopeTable::kind of a recursive query's reference to itself.
inline constexpr const char* kWorkingTable = "Recursive query";

struct ScopeColumn {
  std::string name;
  expr::ExprPtr expression;  // over the output of the FROM clause's plan
};

/// One entry of a FROM clause.
struct ScopeTable {
  std::string kind;      // for messages: "Stream", "View", "Sub-query"
  std::string schema;    // "public", "pg_catalog"; empty when an alias hides it
  std::string name;      // the alias, or the relation's name
  std::string relation;  // the relation's own name, for hints; empty for sub-queries
  std::vector<ScopeColumn> columns;
  /// An outer join may leave the table's row out. `present` is then a column that is NULL only there, if there is one.
  bool optional = false;
  std::optional<ScopeColumn> present;
};

/// The names of one FROM clause.
struct Scope {
  struct Visible {
    std::string name;
    expr::ExprPtr expression;
    int table = -1;  // -1: merged by USING
  };

  std::vector<ScopeTable> tables;
  /// What unqualified names and * see, in the order of *.
  std::vector<Visible> visible;

  /// Adds a table with all its columns visible.
  void Add(ScopeTable table);
  /// Appends the other scope; its expressions move `shift` columns to the right.
  void Append(const Scope& other, int shift);

  /// The column of a name with one to three parts; nullopt when this scope has no such table or column.
  /// Fails with ambiguous_column, or undefined_column when the table is here and the column is not.
  Result<std::optional<expr::ExprPtr>> Find(const std::vector<std::string>& parts, int position) const;
  /// The error for a name that no scope has.
  Error Undefined(const std::vector<std::string>& parts, int position) const;
  const ScopeTable* FindTable(const std::string& schema, const std::string& name) const;
  /// From here on the tables may be left out by an outer join. `before` describes the rows without it.
  void MakeOptional(const data::Schema& before);
};

}  // namespace kappa::sql
