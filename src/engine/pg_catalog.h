// pg_catalog and information_schema: the relations and functions through which psql, drivers and tools read the catalog.
//
// Object ids are stable across restarts: relation = 16384 + catalog id; every other kind of object has a range of its own
// (the k..Oid constants). Streams are foreign tables ('f') of the server "kappa_log", so that \d shows their options;
// tables are tables ('r') with a primary key index; views are materialized views ('m').
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catalog/catalog.h"
#include "data/batch.h"
#include "data/value.h"
#include "sql/statement.h"

namespace kappa::engine {

inline constexpr int64_t kFirstRelationOid = 16384;           // + catalog id of a stream, table or view
inline constexpr int64_t kFirstIndexOid = 1'000'000'000;      // + catalog id of the table
inline constexpr int64_t kFirstConstraintOid = 1'100'000'000;
inline constexpr int64_t kFirstRuleOid = 1'300'000'000;

/// One client, for pg_stat_activity.
struct PgActivity {
  int32_t pid = 0;
  std::string user, database, application_name, state, query;
  int64_t started_us = 0;
};

/// What the rows and functions depend on. `catalog` must be set; everything else has a sensible default.
struct PgCatalogContext {
  const catalog::Snapshot* catalog = nullptr;
  /// The engine's own relations ("kappa.views" ..): listed in pg_class and information_schema as views. May be null.
  const std::vector<sql::SystemRelation>* system_relations = nullptr;
  std::string user = "kappa";
  std::string database = "kappa";
  std::vector<std::pair<std::string, std::string>> settings;  // pg_settings: name, value
  std::vector<PgActivity> activity;                           // pg_stat_activity
  /// Rows and bytes of a table or view, for reltuples and pg_total_relation_size; may be empty.
  std::function<std::pair<int64_t, int64_t>(std::string_view name)> relation_size;
};

/// All relations of both schemas, names qualified: "pg_catalog.pg_class", "information_schema.tables".
const std::vector<sql::SystemRelation>& PgCatalogRelations();
/// Null when there is none. A name without schema is looked up in pg_catalog.
const sql::SystemRelation* FindPgCatalogRelation(std::string_view name);

/// All rows of a relation, columns in the order of its schema. Fails with undefined_table.
Result<data::Batch> PgCatalogRows(std::string_view qualified_name, const PgCatalogContext& context);

/// Answers EvalContext.engine_function for the functions below; arguments may be NULL (the answer is then mostly NULL).
/// Fails with undefined_function for other names. Names come without "pg_catalog.".
///
///   text results   format_type(oid, int4) pg_get_viewdef(oid|text [, bool]) pg_get_indexdef(oid [, int4, bool])
///                  pg_get_constraintdef(oid [, bool]) pg_get_expr(text, oid [, bool]) pg_get_ruledef(oid [, bool])
///                  pg_get_userbyid(oid) pg_encoding_to_char(int4) pg_get_function_arguments(oid) pg_get_function_result(oid)
///                  pg_get_function_identity_arguments(oid) pg_get_statisticsobjdef_columns(oid) pg_get_serial_sequence(text, text)
///                  pg_get_partkeydef(oid) pg_get_triggerdef(oid) pg_tablespace_location(oid) obj_description(oid [, text])
///                  col_description(oid, int4) shobj_description(oid, text) pg_size_pretty(int8)
///                  regclassout(oid) regtypeout(oid) regprocout(oid) regnamespaceout(oid) regroleout(oid), also as regclass_text ..
///   oid results    to_regclass(text) to_regtype(text) to_regnamespace(text) to_regrole(text) to_regproc(text): NULL when there
///                  is none; regclassin regtypein regnamespacein regrolein regprocin (text): fail when there is none
///   bool results   pg_table_is_visible(oid) pg_type_is_visible(oid) pg_function_is_visible(oid) pg_relation_is_publishable(oid)
///                  has_table_privilege has_schema_privilege has_database_privilege has_any_column_privilege
///                  has_column_privilege has_function_privilege pg_has_role pg_is_in_recovery() pg_is_other_temp_schema(oid)
///   int8 results   pg_total_relation_size(oid) pg_relation_size(oid) pg_table_size(oid) pg_indexes_size(oid)
///                  pg_database_size(oid|text) pg_stat_get_numscans(oid)
Result<data::Value> PgCatalogFunction(std::string_view name, const std::vector<data::Value>& arguments, const PgCatalogContext& context);
bool IsPgCatalogFunction(std::string_view name);

}  // namespace kappa::engine
