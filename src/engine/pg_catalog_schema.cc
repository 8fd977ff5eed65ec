// The columns of every relation of pg_catalog and information_schema, as PostgreSQL 15 has them.
#include <algorithm>
#include <string>
#include <string_view>

#include "base/check.h"
#include "engine/pg_catalog.h"

namespace kappa::engine {
namespace {

// "relation:", then "column type" with "!" where the column is NOT NULL. PostgreSQL's internal types are given as the types
// that stand for them here: name, "char", xid and pg_node_tree as text, regproc as oid, vectors as arrays.
constexpr std::string_view kSchemas = R"(
pg_catalog.pg_aggregate:
  aggfnoid oid!, aggkind text!, aggnumdirectargs int2!, aggtransfn oid!, aggfinalfn oid!, aggcombinefn oid!, aggserialfn
  oid!, aggdeserialfn oid!, aggmtransfn oid!, aggminvtransfn oid!, aggmfinalfn oid!, aggfinalextra bool!, aggmfinalextra
  bool!, aggfinalmodify text!, aggmfinalmodify text!, aggsortop oid!, aggtranstype oid!, aggtransspace int4!, aggmtranstype
  oid!, aggmtransspace int4!, agginitval text, aggminitval text
pg_catalog.pg_am:
  oid oid!, amname text!, amhandler oid!, amtype text!
pg_catalog.pg_attrdef:
  oid oid!, adrelid oid!, adnum int2!, adbin text!
pg_catalog.pg_attribute:
  attrelid oid!, attname text!, atttypid oid!, attstattarget int4!, attlen int2!, attnum int2!, attndims int4!, attcacheoff
  int4!, atttypmod int4!, attbyval bool!, attalign text!, attstorage text!, attcompression text!, attnotnull bool!,
  atthasdef bool!, atthasmissing bool!, attidentity text!, attgenerated text!, attisdropped bool!, attislocal bool!,
  attinhcount int4!, attcollation oid!, attacl text[], attoptions text[], attfdwoptions text[], attmissingval text
pg_catalog.pg_auth_members:
  roleid oid!, member oid!, grantor oid!, admin_option bool!
pg_catalog.pg_available_extensions:
  name text, default_version text, installed_version text, comment text
pg_catalog.pg_cast:
  oid oid!, castsource oid!, casttarget oid!, castfunc oid!, castcontext text!, castmethod text!
pg_catalog.pg_class:
  oid oid!, relname text!, relnamespace oid!, reltype oid!, reloftype oid!, relowner oid!, relam oid!, relfilenode oid!,
  reltablespace oid!, relpages int4!, reltuples float4!, relallvisible int4!, reltoastrelid oid!, relhasindex bool!,
  relisshared bool!, relpersistence text!, relkind text!, relnatts int2!, relchecks int2!, relhasrules bool!, relhastriggers
  bool!, relhassubclass bool!, relrowsecurity bool!, relforcerowsecurity bool!, relispopulated bool!, relreplident text!,
  relispartition bool!, relrewrite oid!, relfrozenxid text!, relminmxid text!, relacl text[], reloptions text[],
  relpartbound text
pg_catalog.pg_collation:
  oid oid!, collname text!, collnamespace oid!, collowner oid!, collprovider text!, collisdeterministic bool!, collencoding
  int4!, collcollate text, collctype text, colliculocale text, collversion text
pg_catalog.pg_constraint:
  oid oid!, conname text!, connamespace oid!, contype text!, condeferrable bool!, condeferred bool!, convalidated bool!,
  conrelid oid!, contypid oid!, conindid oid!, conparentid oid!, confrelid oid!, confupdtype text!, confdeltype text!,
  confmatchtype text!, conislocal bool!, coninhcount int4!, connoinherit bool!, conkey int2[], confkey int2[], conpfeqop
  oid[], conppeqop oid[], conffeqop oid[], confdelsetcols int2[], conexclop oid[], conbin text
pg_catalog.pg_conversion:
  oid oid!, conname text!, connamespace oid!, conowner oid!, conforencoding int4!, contoencoding int4!, conproc oid!,
  condefault bool!
pg_catalog.pg_cursors:
  name text, statement text, is_holdable bool, is_binary bool, is_scrollable bool, creation_time timestamptz
pg_catalog.pg_database:
  oid oid!, datname text!, datdba oid!, encoding int4!, datlocprovider text!, datistemplate bool!, datallowconn bool!,
  datconnlimit int4!, datfrozenxid text!, datminmxid text!, dattablespace oid!, datcollate text!, datctype text!,
  daticulocale text, datcollversion text, datacl text[]
pg_catalog.pg_default_acl:
  oid oid!, defaclrole oid!, defaclnamespace oid!, defaclobjtype text!, defaclacl text[]!
pg_catalog.pg_depend:
  classid oid!, objid oid!, objsubid int4!, refclassid oid!, refobjid oid!, refobjsubid int4!, deptype text!
pg_catalog.pg_description:
  objoid oid!, classoid oid!, objsubid int4!, description text!
pg_catalog.pg_enum:
  oid oid!, enumtypid oid!, enumsortorder float4!, enumlabel text!
pg_catalog.pg_event_trigger:
  oid oid!, evtname text!, evtevent text!, evtowner oid!, evtfoid oid!, evtenabled text!, evttags text[]
pg_catalog.pg_extension:
  oid oid!, extname text!, extowner oid!, extnamespace oid!, extrelocatable bool!, extversion text!, extconfig oid[],
  extcondition text[]
pg_catalog.pg_foreign_data_wrapper:
  oid oid!, fdwname text!, fdwowner oid!, fdwhandler oid!, fdwvalidator oid!, fdwacl text[], fdwoptions text[]
pg_catalog.pg_foreign_server:
  oid oid!, srvname text!, srvowner oid!, srvfdw oid!, srvtype text, srvversion text, srvacl text[], srvoptions text[]
pg_catalog.pg_foreign_table:
  ftrelid oid!, ftserver oid!, ftoptions text[]
pg_catalog.pg_index:
  indexrelid oid!, indrelid oid!, indnatts int2!, indnkeyatts int2!, indisunique bool!, indnullsnotdistinct bool!,
  indisprimary bool!, indisexclusion bool!, indimmediate bool!, indisclustered bool!, indisvalid bool!, indcheckxmin bool!,
  indisready bool!, indislive bool!, indisreplident bool!, indkey int2[]!, indcollation oid[]!, indclass oid[]!, indoption
  int2[]!, indexprs text, indpred text
pg_catalog.pg_indexes:
  schemaname text, tablename text, indexname text, tablespace text, indexdef text
pg_catalog.pg_inherits:
  inhrelid oid!, inhparent oid!, inhseqno int4!, inhdetachpending bool!
pg_catalog.pg_language:
  oid oid!, lanname text!, lanowner oid!, lanispl bool!, lanpltrusted bool!, lanplcallfoid oid!, laninline oid!,
  lanvalidator oid!, lanacl text[]
pg_catalog.pg_locks:
  locktype text, database oid, relation oid, page int4, tuple int2, virtualxid text, transactionid text, classid oid, objid
  oid, objsubid int2, virtualtransaction text, pid int4, mode text, granted bool, fastpath bool, waitstart timestamptz
pg_catalog.pg_matviews:
  schemaname text, matviewname text, matviewowner text, tablespace text, hasindexes bool, ispopulated bool, definition text
pg_catalog.pg_namespace:
  oid oid!, nspname text!, nspowner oid!, nspacl text[]
pg_catalog.pg_opclass:
  oid oid!, opcmethod oid!, opcname text!, opcnamespace oid!, opcowner oid!, opcfamily oid!, opcintype oid!, opcdefault
  bool!, opckeytype oid!
pg_catalog.pg_operator:
  oid oid!, oprname text!, oprnamespace oid!, oprowner oid!, oprkind text!, oprcanmerge bool!, oprcanhash bool!, oprleft
  oid!, oprright oid!, oprresult oid!, oprcom oid!, oprnegate oid!, oprcode oid!, oprrest oid!, oprjoin oid!
pg_catalog.pg_partitioned_table:
  partrelid oid!, partstrat text!, partnatts int2!, partdefid oid!, partattrs int2[]!, partclass oid[]!, partcollation
  oid[]!, partexprs text
pg_catalog.pg_policy:
  oid oid!, polname text!, polrelid oid!, polcmd text!, polpermissive bool!, polroles oid[]!, polqual text, polwithcheck
  text
pg_catalog.pg_prepared_xacts:
  transaction text, gid text, prepared timestamptz, owner text, database text
pg_catalog.pg_proc:
  oid oid!, proname text!, pronamespace oid!, proowner oid!, prolang oid!, procost float4!, prorows float4!, provariadic
  oid!, prosupport oid!, prokind text!, prosecdef bool!, proleakproof bool!, proisstrict bool!, proretset bool!, provolatile
  text!, proparallel text!, pronargs int2!, pronargdefaults int2!, prorettype oid!, proargtypes oid[]!, proallargtypes
  oid[], proargmodes text[], proargnames text[], proargdefaults text, protrftypes oid[], prosrc text!, probin text,
  prosqlbody text, proconfig text[], proacl text[]
pg_catalog.pg_publication:
  oid oid!, pubname text!, pubowner oid!, puballtables bool!, pubinsert bool!, pubupdate bool!, pubdelete bool!, pubtruncate
  bool!, pubviaroot bool!
pg_catalog.pg_publication_namespace:
  oid oid!, pnpubid oid!, pnnspid oid!
pg_catalog.pg_publication_rel:
  oid oid!, prpubid oid!, prrelid oid!, prqual text, prattrs int2[]
pg_catalog.pg_range:
  rngtypid oid!, rngsubtype oid!, rngmultitypid oid!, rngcollation oid!, rngsubopc oid!, rngcanonical oid!, rngsubdiff oid!
pg_catalog.pg_rewrite:
  oid oid!, rulename text!, ev_class oid!, ev_type text!, ev_enabled text!, is_instead bool!, ev_qual text!, ev_action text!
pg_catalog.pg_roles:
  rolname text, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, rolcanlogin bool, rolreplication bool,
  rolconnlimit int4, rolpassword text, rolvaliduntil timestamptz, rolbypassrls bool, rolconfig text[], oid oid
pg_catalog.pg_sequence:
  seqrelid oid!, seqtypid oid!, seqstart int8!, seqincrement int8!, seqmax int8!, seqmin int8!, seqcache int8!, seqcycle
  bool!
pg_catalog.pg_sequences:
  schemaname text, sequencename text, sequenceowner text, data_type oid, start_value int8, min_value int8, max_value int8,
  increment_by int8, cycle bool, cache_size int8, last_value int8
pg_catalog.pg_settings:
  name text, setting text, unit text, category text, short_desc text, extra_desc text, context text, vartype text, source
  text, min_val text, max_val text, enumvals text[], boot_val text, reset_val text, sourcefile text, sourceline int4,
  pending_restart bool
pg_catalog.pg_shdescription:
  objoid oid!, classoid oid!, description text!
pg_catalog.pg_stat_activity:
  datid oid, datname text, pid int4, leader_pid int4, usesysid oid, usename text, application_name text, client_addr text,
  client_hostname text, client_port int4, backend_start timestamptz, xact_start timestamptz, query_start timestamptz,
  state_change timestamptz, wait_event_type text, wait_event text, state text, backend_xid text, backend_xmin text, query_id
  int8, query text, backend_type text
pg_catalog.pg_stat_user_tables:
  relid oid, schemaname text, relname text, seq_scan int8, seq_tup_read int8, idx_scan int8, idx_tup_fetch int8, n_tup_ins
  int8, n_tup_upd int8, n_tup_del int8, n_tup_hot_upd int8, n_live_tup int8, n_dead_tup int8, n_mod_since_analyze int8,
  n_ins_since_vacuum int8, last_vacuum timestamptz, last_autovacuum timestamptz, last_analyze timestamptz, last_autoanalyze
  timestamptz, vacuum_count int8, autovacuum_count int8, analyze_count int8, autoanalyze_count int8
pg_catalog.pg_statistic_ext:
  oid oid!, stxrelid oid!, stxname text!, stxnamespace oid!, stxowner oid!, stxstattarget int4!, stxkeys int2[]!, stxkind
  text[]!, stxexprs text
pg_catalog.pg_subscription:
  oid oid!, subdbid oid!, subskiplsn text!, subname text!, subowner oid!, subenabled bool!, subbinary bool!, substream
  bool!, subtwophasestate text!, subdisableonerr bool!, subconninfo text!, subslotname text, subsynccommit text!,
  subpublications text[]!
pg_catalog.pg_tables:
  schemaname text, tablename text, tableowner text, tablespace text, hasindexes bool, hasrules bool, hastriggers bool,
  rowsecurity bool
pg_catalog.pg_tablespace:
  oid oid!, spcname text!, spcowner oid!, spcacl text[], spcoptions text[]
pg_catalog.pg_trigger:
  oid oid!, tgrelid oid!, tgparentid oid!, tgname text!, tgfoid oid!, tgtype int2!, tgenabled text!, tgisinternal bool!,
  tgconstrrelid oid!, tgconstrindid oid!, tgconstraint oid!, tgdeferrable bool!, tginitdeferred bool!, tgnargs int2!, tgattr
  int2[]!, tgargs bytea!, tgqual text, tgoldtable text, tgnewtable text
pg_catalog.pg_type:
  oid oid!, typname text!, typnamespace oid!, typowner oid!, typlen int2!, typbyval bool!, typtype text!, typcategory text!,
  typispreferred bool!, typisdefined bool!, typdelim text!, typrelid oid!, typsubscript oid!, typelem oid!, typarray oid!,
  typinput oid!, typoutput oid!, typreceive oid!, typsend oid!, typmodin oid!, typmodout oid!, typanalyze oid!, typalign
  text!, typstorage text!, typnotnull bool!, typbasetype oid!, typtypmod int4!, typndims int4!, typcollation oid!,
  typdefaultbin text, typdefault text, typacl text[]
pg_catalog.pg_user:
  usename text, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, usebypassrls bool, passwd text, valuntil
  timestamptz, useconfig text[]
pg_catalog.pg_views:
  schemaname text, viewname text, viewowner text, definition text
information_schema.applicable_roles:
  grantee text, role_name text, is_grantable text
information_schema.character_sets:
  character_set_catalog text, character_set_schema text, character_set_name text, character_repertoire text, form_of_use
  text, default_collate_catalog text, default_collate_schema text, default_collate_name text
information_schema.check_constraints:
  constraint_catalog text, constraint_schema text, constraint_name text, check_clause text
information_schema.columns:
  table_catalog text, table_schema text, table_name text, column_name text, ordinal_position int4, column_default text,
  is_nullable text, data_type text, character_maximum_length int4, character_octet_length int4, numeric_precision int4,
  numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, interval_type text, interval_precision int4,
  character_set_catalog text, character_set_schema text, character_set_name text, collation_catalog text, collation_schema
  text, collation_name text, domain_catalog text, domain_schema text, domain_name text, udt_catalog text, udt_schema text,
  udt_name text, scope_catalog text, scope_schema text, scope_name text, maximum_cardinality int4, dtd_identifier text,
  is_self_referencing text, is_identity text, identity_generation text, identity_start text, identity_increment text,
  identity_maximum text, identity_minimum text, identity_cycle text, is_generated text, generation_expression text,
  is_updatable text
information_schema.constraint_column_usage:
  table_catalog text, table_schema text, table_name text, column_name text, constraint_catalog text, constraint_schema text,
  constraint_name text
information_schema.enabled_roles:
  role_name text
information_schema.key_column_usage:
  constraint_catalog text, constraint_schema text, constraint_name text, table_catalog text, table_schema text, table_name
  text, column_name text, ordinal_position int4, position_in_unique_constraint int4
information_schema.parameters:
  specific_catalog text, specific_schema text, specific_name text, ordinal_position int4, parameter_mode text, is_result
  text, as_locator text, parameter_name text, data_type text, character_maximum_length int4, character_octet_length int4,
  character_set_catalog text, character_set_schema text, character_set_name text, collation_catalog text, collation_schema
  text, collation_name text, numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, datetime_precision
  int4, interval_type text, interval_precision int4, udt_catalog text, udt_schema text, udt_name text, scope_catalog text,
  scope_schema text, scope_name text, maximum_cardinality int4, dtd_identifier text, parameter_default text
information_schema.referential_constraints:
  constraint_catalog text, constraint_schema text, constraint_name text, unique_constraint_catalog text,
  unique_constraint_schema text, unique_constraint_name text, match_option text, update_rule text, delete_rule text
information_schema.role_table_grants:
  grantor text, grantee text, table_catalog text, table_schema text, table_name text, privilege_type text, is_grantable
  text, with_hierarchy text
information_schema.routines:
  specific_catalog text, specific_schema text, specific_name text, routine_catalog text, routine_schema text, routine_name
  text, routine_type text, module_catalog text, module_schema text, module_name text, udt_catalog text, udt_schema text,
  udt_name text, data_type text, character_maximum_length int4, character_octet_length int4, character_set_catalog text,
  character_set_schema text, character_set_name text, collation_catalog text, collation_schema text, collation_name text,
  numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, interval_type text,
  interval_precision int4, type_udt_catalog text, type_udt_schema text, type_udt_name text, scope_catalog text, scope_schema
  text, scope_name text, maximum_cardinality int4, dtd_identifier text, routine_body text, routine_definition text,
  external_name text, external_language text, parameter_style text, is_deterministic text, sql_data_access text,
  is_null_call text, sql_path text, schema_level_routine text, max_dynamic_result_sets int4, is_user_defined_cast text,
  is_implicitly_invocable text, security_type text, to_sql_specific_catalog text, to_sql_specific_schema text,
  to_sql_specific_name text, as_locator text, created timestamptz, last_altered timestamptz, new_savepoint_level text,
  is_udt_dependent text, result_cast_from_data_type text, result_cast_as_locator text, result_cast_char_max_length int4,
  result_cast_char_octet_length int4, result_cast_char_set_catalog text, result_cast_char_set_schema text,
  result_cast_char_set_name text, result_cast_collation_catalog text, result_cast_collation_schema text,
  result_cast_collation_name text, result_cast_numeric_precision int4, result_cast_numeric_precision_radix int4,
  result_cast_numeric_scale int4, result_cast_datetime_precision int4, result_cast_interval_type text,
  result_cast_interval_precision int4, result_cast_type_udt_catalog text, result_cast_type_udt_schema text,
  result_cast_type_udt_name text, result_cast_scope_catalog text, result_cast_scope_schema text, result_cast_scope_name
  text, result_cast_maximum_cardinality int4, result_cast_dtd_identifier text
information_schema.schemata:
  catalog_name text, schema_name text, schema_owner text, default_character_set_catalog text, default_character_set_schema
  text, default_character_set_name text, sql_path text
information_schema.sequences:
  sequence_catalog text, sequence_schema text, sequence_name text, data_type text, numeric_precision int4,
  numeric_precision_radix int4, numeric_scale int4, start_value text, minimum_value text, maximum_value text, increment
  text, cycle_option text
information_schema.table_constraints:
  constraint_catalog text, constraint_schema text, constraint_name text, table_catalog text, table_schema text, table_name
  text, constraint_type text, is_deferrable text, initially_deferred text, enforced text, nulls_distinct text
information_schema.table_privileges:
  grantor text, grantee text, table_catalog text, table_schema text, table_name text, privilege_type text, is_grantable
  text, with_hierarchy text
information_schema.tables:
  table_catalog text, table_schema text, table_name text, table_type text, self_referencing_column_name text,
  reference_generation text, user_defined_type_catalog text, user_defined_type_schema text, user_defined_type_name text,
  is_insertable_into text, is_typed text, commit_action text
information_schema.triggers:
  trigger_catalog text, trigger_schema text, trigger_name text, event_manipulation text, event_object_catalog text,
  event_object_schema text, event_object_table text, action_order int4, action_condition text, action_statement text,
  action_orientation text, action_timing text, action_reference_old_table text, action_reference_new_table text,
  action_reference_old_row text, action_reference_new_row text, created timestamptz
information_schema.views:
  table_catalog text, table_schema text, table_name text, view_definition text, check_option text, is_updatable text,
  is_insertable_into text, is_trigger_updatable text, is_trigger_deletable text, is_trigger_insertable_into text
)";

data::Schema ParseColumns(std::string_view text) {
  data::Schema schema;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view column = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    column.remove_prefix(std::min(column.find_first_not_of(" \n"), column.size()));
    if (column.empty()) continue;
    const size_t space = column.find_first_of(" \n");
    std::string_view type = column.substr(column.find_first_not_of(" \n", space));
    type = type.substr(0, type.find_last_not_of(" \n") + 1);
    const bool not_null = type.ends_with('!');
    if (not_null) type.remove_suffix(1);
    auto parsed = data::TypeFromName(type);
    KAPPA_CHECK(parsed.ok());
    schema.fields.push_back({std::string(column.substr(0, space)), *parsed, !not_null});
  }
  return schema;
}

std::vector<sql::SystemRelation> ParseRelations(std::string_view text) {
  std::vector<sql::SystemRelation> relations;
  for (size_t colon = text.find(':'); colon != text.npos; colon = text.find(':')) {
    std::string_view name = text.substr(0, colon);
    name.remove_prefix(name.find_first_not_of(" \n"));
    text.remove_prefix(colon + 1);
    // The columns end where the next relation's name begins: the last line before the next colon.
    const size_t next = text.find(':');
    const size_t end = next == text.npos ? text.size() : text.rfind('\n', next);
    relations.push_back({std::string(name), ParseColumns(text.substr(0, end))});
    text.remove_prefix(end);
  }
  return relations;
}

}  // namespace

const std::vector<sql::SystemRelation>& PgCatalogRelations() {
  static const auto* const relations = new std::vector<sql::SystemRelation>(ParseRelations(kSchemas));
  return *relations;
}

const sql::SystemRelation* FindPgCatalogRelation(std::string_view name) {
  const bool qualified = name.find('.') != name.npos;
  for (const sql::SystemRelation& relation : PgCatalogRelations()) {
    std::string_view candidate = relation.name;
    if (!qualified) {
      if (!candidate.starts_with("pg_catalog.")) continue;
      candidate.remove_prefix(std::string_view("pg_catalog.").size());
    }
    if (candidate == name) return &relation;
  }
  return nullptr;
}

}  // namespace kappa::engine
