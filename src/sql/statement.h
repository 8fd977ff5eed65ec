// What a statement means, after parsing and binding.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "catalog/catalog.h"
#include "expr/domain.h"
#include "plan/node.h"

namespace kappa::sql {

/// SELECT, VALUES, TABLE. Also runs EXPLAIN's inner query.
struct SelectStatement {
  plan::NodePtr plan;                       // optimized
  std::vector<data::Type> parameter_types;  // of $1..
};
struct CreateStreamStatement {
  catalog::Stream stream;
  bool if_not_exists = false;
};
struct CreateTableStatement {
  catalog::Table table;
  bool if_not_exists = false;
};
/// CREATE TYPE.
struct CreateTypeStatement {
  catalog::NamedType type;
};
struct CreateDomainStatement {
  catalog::Domain domain;
};
struct CreateViewStatement {
  std::string name;
  bool or_replace = false;
  bool if_not_exists = false;
  bool promote_manual = false;              // WITH (promote = 'manual')
  bool dead_letters = false;                // WITH (on_error = 'dead_letter')
  int64_t ttl_us = 0;                       // WITH (ttl = ..); 0: none
  std::map<std::string, std::string> options;
  std::string query;                        // the defining query's text, with EMIT
  plan::NodePtr plan;                       // optimized
  std::vector<int> key_columns;
  std::vector<std::string> depends_on;
  std::map<uint32_t, int64_t> input_rows;   // of BindContext: what it was planned with
};
struct AlterViewStatement {
  enum class Action : uint8_t { kRoute, kPromote, kRollback, kRetire } action = Action::kRoute;
  std::string name;
  bool if_exists = false;
  std::vector<catalog::Route> routes;  // kRoute
  int version = 0;                     // kPromote, kRetire
};
struct DropStatement {
  enum class Kind : uint8_t { kStream, kTable, kView, kType, kDomain } kind = Kind::kStream;
  std::vector<std::string> names;
  bool if_exists = false;
  bool cascade = false;
};
/// INSERT into a stream or table: `plan` gives rows of all columns of the target, in schema order (NULL where not given).
struct InsertStatement {
  std::string target;
  bool into_stream = false;
  plan::NodePtr plan;
  enum class Conflict : uint8_t { kError, kNothing, kUpdate } conflict = Conflict::kError;  // tables; kUpdate replaces the whole row
  std::vector<data::Type> parameter_types;
};
/// UPDATE of a table: `plan` gives whole new rows. DELETE: `plan` gives the rows to delete.
struct UpdateStatement {
  std::string target;
  plan::NodePtr plan;
  std::vector<data::Type> parameter_types;
};
struct DeleteStatement {
  std::string target;
  plan::NodePtr plan;
  std::vector<data::Type> parameter_types;
};
struct ExplainStatement {
  plan::NodePtr plan;
  bool analyze = false;
  bool json = false;
  std::string view; /* of EXPLAIN MATERIALIZED VIEW; `plan` is then its query's */
  int version = 0;  /* of the view */
};
struct ShowStatement {
  std::string name;
};                    // "server_version", "all", "streams", "views", "tables", "topics"
struct SetStatement {
  std::string name;
  std::string value;
  bool reset = false;
  bool local = false;
};
struct TransactionStatement {
  enum class Kind : uint8_t { kBegin, kCommit, kRollback } kind = Kind::kBegin;
};
/// DISCARD, DEALLOCATE, CLOSE, LISTEN ..: the tag to answer; `name` of DEALLOCATE (empty: all).
struct UtilityStatement {
  std::string tag;
  std::string name;
};

using BoundStatement = std::variant<SelectStatement, CreateStreamStatement, CreateTableStatement, CreateViewStatement, AlterViewStatement,
                                    DropStatement, InsertStatement, UpdateStatement, DeleteStatement, ExplainStatement, ShowStatement, SetStatement,
                                    TransactionStatement, UtilityStatement, CreateTypeStatement, CreateDomainStatement>;

/// A relation that is not in the catalog's snapshot: kappa.views, pg_catalog.pg_class, information_schema.tables ...
struct SystemRelation {
  std::string name;  // "pg_catalog.pg_class"
  data::Schema schema;
};

/// How many rows a stream or table has, by catalog id; 0 when nobody knows. Empty: nobody knows of any.
using InputRows = std::function<int64_t(uint32_t relation)>;
/// What a view was planned with: a version keeps it, so that it is planned alike for ever.
InputRows RecordedRows(std::map<uint32_t, int64_t> rows);

/// What binding needs to know. All pointers are borrowed for the call.
struct BindContext {
  const catalog::Snapshot* catalog = nullptr;
  /// Looks up "schema.name"; unqualified names are tried in pg_catalog after the catalog.
  std::function<const SystemRelation*(std::string_view qualified_name)> system_relation;
  /// Schema of a system table function (kappa.diff) given its constant arguments; not set for generate_series and unnest,
  /// which the binder knows.
  std::function<Result<data::Schema>(std::string_view name, const std::vector<data::Value>& arguments)> table_function;
  std::vector<data::Type> parameter_types;  // given by the client; kUnknown where not
  data::TextOptions text;
  int default_partitions = 1;  // of CREATE STREAM without WITH (partitions = ..)
  InputRows input_rows;                     // the order of many-way joins follows them
};

/// When a query's results are given: as they change, or once when a window closes.
enum class Emit : uint8_t { kDefault, kChanges, kOnWindowClose };

/// One statement of a text, cut out by the parser.
struct RawStatement {
  std::string text;   // rewritten to what libpg_query takes
  std::string source; // as the user wrote it
  int offset = 0;     // of `source` in the whole text, characters

  // What the token pre-pass took out of `source` because PostgreSQL's grammar has no place for it.
  bool stream = false;        // CREATE STREAM or SOURCE, written as CREATE TABLE in `text`; DROP STREAM
  bool or_replace = false;    // CREATE OR REPLACE MATERIALIZED VIEW
  bool explain_view = false;  // EXPLAIN MATERIALIZED VIEW name, written as EXPLAIN TABLE name
  Emit emit = Emit::kDefault;
  int emit_at = 0;            // byte offset of EMIT in `source`
  int query_at = -1;          // byte offset in `source` of a view's defining query
  /// Byte offset in `text`, byte offset in `source`, ascending: from each entry to the next both advance together.
  std::vector<std::pair<int, int>> offsets;
};

/// Splits a text into statements (empty ones left out) and applies the token pre-pass. Fails with syntax_error at the
/// position in the whole text.
Result<std::vector<RawStatement>> SplitStatements(std::string_view text);
/// Parses, binds and optimizes one statement. Error positions are in the user's whole text.
Result<BoundStatement> Bind(const RawStatement& statement, const BindContext& context);
/// Binds the query of a stored view version again (for replay and restart).
Result<plan::NodePtr> BindViewQuery(std::string_view query, const BindContext& context, bool dead_letters = false, int64_t ttl_us = 0);
/// The constraints of a domain, from its statement.
Result<expr::DomainPtr> BindDomain(const catalog::Domain& domain, const BindContext& context);
/// The same of the columns of a stream or table.
Result<std::map<int, expr::DomainPtr>> BindDomains(const std::map<int, std::string>& columns, const BindContext& context);

/// The n nearest names to `name` by edit distance, for hints; empty when nothing is near.
std::string NearestName(std::string_view name, const std::vector<std::string>& names);

}  // namespace kappa::sql
