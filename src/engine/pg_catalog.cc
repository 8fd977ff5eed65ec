// The rows of pg_catalog, computed from a catalog snapshot.
#include "engine/pg_catalog.h"

#include <algorithm>
#include <utility>

#include "data/enum_type.h"
#include "engine/pg_catalog_objects.h"
#include "engine/pg_catalog_types.h"

namespace kappa::engine {
namespace {

/// What the producers of rows share.
struct Source {
  const PgCatalogContext& context;
  PgRelations relations;
  explicit Source(const PgCatalogContext& c) : context(c), relations(c) {}
};

std::string PositionsText(const std::vector<int>& columns) {  // of columns, from 1
  std::string text = "{";
  for (const int column : columns) text += (text.size() > 1 ? "," : "") + std::to_string(column + 1);
  return text + "}";
}

std::string RepeatedText(std::string_view item, size_t count) {
  std::string text = "{";
  for (size_t i = 0; i < count; ++i) text.append(i > 0 ? "," : "").append(item);
  return text + "}";
}

std::string DurationText(int64_t micros) {
  for (const auto& [unit, size] :
       {std::pair{" days", int64_t{86'400'000'000}}, {" hours", 3'600'000'000}, {" minutes", 60'000'000}, {" seconds", 1'000'000}, {" ms", 1'000}}) {
    if (micros != 0 && micros % size == 0) return std::to_string(micros / size) + unit;
  }
  return std::to_string(micros) + " us";
}

/// ftoptions of a stream: its WITH options, and its watermark.
std::string StreamOptions(const catalog::Stream& stream) {
  std::vector<std::string> options = {"topic=" + stream.topic, "partitions=" + std::to_string(stream.partitions), "format=" + stream.format};
  if (!stream.key.empty()) options.push_back("key=" + stream.key);
  if (stream.json_timestamps != "iso") options.push_back("json_timestamps=" + stream.json_timestamps);
  if (stream.retention_ms >= 0) options.push_back("retention=" + DurationText(stream.retention_ms * 1000));
  if (stream.event_time >= 0) {
    options.push_back("watermark=" + stream.schema.fields[static_cast<size_t>(stream.event_time)].name + " - " +
                      DurationText(stream.watermark_delay_us));
  }
  return PgArrayText(options);
}

std::string ViewOptions(const catalog::View& view, const catalog::ViewVersion& version) {
  std::vector<std::string> options = {"version=" + std::to_string(version.number), "state=" + std::string(ToString(version.state))};
  std::string routes;
  for (const catalog::Route& route : view.routes) {
    routes += (routes.empty() ? "" : " ") + std::to_string(route.version) + ":" + std::to_string(route.percent);
  }
  if (!routes.empty()) options.push_back("route=" + routes);
  return PgArrayText(options);
}

int64_t RowCount(const Source& source, const PgRelation& relation) {
  if (!source.context.relation_size || (relation.table == nullptr && relation.view == nullptr) || relation.kind == 'i') return -1;
  return source.context.relation_size(relation.name).first;
}

void Classes(const Source& source, PgRows& rows) {
  for (const PgRelation& relation : source.relations.all) {
    rows.Row().Set("oid", relation.oid).Set("relname", relation.name).Set("relnamespace", relation.namespace_oid).Set("relowner", kOwnerOid);
    rows.Set("relkind", relation.kind)
        .Set("relnatts", relation.schema->size())
        .Set("relpersistence", 'p')
        .Set("reltuples", RowCount(source, relation));
    rows.Set("relfilenode", relation.kind == 'r' || relation.kind == 'm' || relation.kind == 'i' ? relation.oid : 0);
    rows.Set("relhasindex", relation.kind == 'r' && relation.table != nullptr).Set("relispopulated", true);
    rows.Set("relreplident", relation.is_user() ? 'd' : 'n').Set("relam", relation.kind == 'i' ? kBtreeOid : 0);
    rows.Set("relfrozenxid", "0").Set("relminmxid", "0").Set("relhasrules", relation.kind == 'm');
    if (relation.view != nullptr) rows.Set("reloptions", ViewOptions(*relation.view, *relation.version));
  }
}

void Attributes(const Source& source, PgRows& rows) {
  for (const PgRelation& relation : source.relations.all) {
    for (int i = 0; i < relation.schema->size(); ++i) {
      const data::Field& field = relation.schema->fields[static_cast<size_t>(i)];
      const data::Type type = field.type.id == data::TypeId::kUnknown ? data::Type(data::TypeId::kText) : field.type;
      const PgType* pg_type = FindPgType(static_cast<int64_t>(type.oid()));
      rows.Row().Set("attrelid", relation.oid).Set("attname", field.name).Set("atttypid", type.oid()).Set("attstattarget", -1);
      rows.Set("attlen", type.length()).Set("attnum", i + 1).Set("attndims", type.is_array() ? 1 : 0).Set("attcacheoff", -1);
      rows.Set("atttypmod", type.is_defined() ? -1 : type.modifier).Set("attnotnull", !field.nullable).Set("attislocal", true);
      if (pg_type == nullptr) continue;
      rows.Set("attbyval", pg_type->by_value).Set("attalign", pg_type->alignment).Set("attstorage", pg_type->storage);
      rows.Set("attcollation", pg_type->collation);
    }
  }
}

void Types(const Source& source, PgRows& rows) {
  for (const auto& [name, type] : source.context.catalog->types) {
    const uint32_t array = data::ArrayType(type.type()).oid();
    rows.Row().Set("oid", type.type().oid()).Set("typname", name).Set("typnamespace", kPublicNamespace).Set("typowner", kOwnerOid);
    rows.Set("typisdefined", true).Set("typdelim", ',').Set("typtypmod", -1).Set("typarray", array);
    if (type.composite) {
      rows.Set("typlen", -1).Set("typtype", 'c').Set("typcategory", 'C').Set("typrelid", PgCompositeRelationOid(type));
      rows.Set("typinput", 2290).Set("typoutput", 2291).Set("typreceive", 2402).Set("typsend", 2403).Set("typalign", 'd').Set("typstorage", 'x');
    } else {
      rows.Set("typlen", 4).Set("typbyval", true).Set("typtype", 'e').Set("typcategory", 'E');
      rows.Set("typinput", 3506).Set("typoutput", 3507).Set("typreceive", 3532).Set("typsend", 3533).Set("typalign", 'i').Set("typstorage", 'p');
    }
    rows.Row().Set("oid", array).Set("typname", "_" + name);
    rows.Set("typnamespace", kPublicNamespace).Set("typowner", kOwnerOid).Set("typlen", -1).Set("typtype", 'b').Set("typcategory", 'A');
    rows.Set("typisdefined", true).Set("typdelim", ',').Set("typelem", type.type().oid()).Set("typinput", 750).Set("typoutput", 751);
    rows.Set("typreceive", 2400).Set("typsend", 2401).Set("typalign", 'i').Set("typstorage", 'x').Set("typtypmod", -1);
  }
  for (const auto& [name, domain] : source.context.catalog->domains) {
    const PgType* base = FindPgType(static_cast<int64_t>(domain.base.oid()));
    rows.Row().Set("oid", PgDomainOid(domain)).Set("typname", name).Set("typnamespace", kPublicNamespace).Set("typowner", kOwnerOid);
    rows.Set("typlen", domain.base.length()).Set("typtype", 'd').Set("typisdefined", true).Set("typdelim", ',').Set("typnotnull", domain.not_null);
    const catalog::Domain* parent = source.context.catalog->FindDomain(domain.parent);
    rows.Set("typbasetype", parent == nullptr ? static_cast<int64_t>(domain.base.oid()) : PgDomainOid(*parent))
        .Set("typtypmod", domain.base.is_defined() ? -1 : domain.base.modifier)
        .Set("typcategory", base == nullptr ? std::string_view("E") : base->category);
    if (base == nullptr) continue;
    rows.Set("typbyval", base->by_value).Set("typinput", 2597).Set("typoutput", base->output.oid).Set("typreceive", 2598);
    rows.Set("typsend", base->send.oid).Set("typalign", base->alignment).Set("typstorage", base->storage).Set("typcollation", base->collation);
  }
  for (const PgType& type : PgTypes()) {
    rows.Row().Set("oid", type.oid).Set("typname", type.name).Set("typnamespace", kPgCatalogNamespace).Set("typowner", kOwnerOid);
    rows.Set("typlen", type.length).Set("typbyval", type.by_value).Set("typtype", type.kind).Set("typcategory", type.category);
    rows.Set("typispreferred", type.preferred).Set("typisdefined", true).Set("typdelim", ',').Set("typelem", type.element);
    rows.Set("typarray", type.array).Set("typinput", type.input.oid).Set("typoutput", type.output.oid).Set("typreceive", type.receive.oid);
    rows.Set("typsend", type.send.oid).Set("typalign", type.alignment).Set("typstorage", type.storage).Set("typtypmod", -1);
    rows.Set("typcollation", type.collation);
  }
}

void EnumLabels(const Source& source, PgRows& rows) {
  for (const auto& [name, type] : source.context.catalog->types) {
    for (size_t i = 0; i < type.labels.size(); ++i) {
      // Labels have no other place where an oid is kept: the type's, and which of its labels.
      rows.Row().Set("oid", static_cast<int64_t>(type.id) * 65536 + static_cast<int64_t>(i)).Set("enumtypid", type.type().oid());
      rows.Set("enumsortorder", static_cast<int64_t>(i) + 1).Set("enumlabel", type.labels[i]);
    }
  }
}

void Procedures(const Source&, PgRows& rows) {  // only those that pg_type refers to
  std::vector<int64_t> done;
  for (const PgType& type : PgTypes()) {
    for (const auto& [procedure, is_output] : {std::pair{type.input, false}, {type.receive, false}, {type.output, true}, {type.send, true}}) {
      if (std::find(done.begin(), done.end(), procedure.oid) != done.end()) continue;
      done.push_back(procedure.oid);
      rows.Row().Set("oid", procedure.oid).Set("proname", procedure.name).Set("pronamespace", kPgCatalogNamespace).Set("proowner", kOwnerOid);
      rows.Set("prolang", 12).Set("procost", 1).Set("prokind", 'f').Set("proisstrict", true).Set("provolatile", 'i').Set("proparallel", 's');
      rows.Set("pronargs", 1).Set("prorettype", is_output ? 2275 : type.oid).Set("prosrc", procedure.name);
      rows.Set("proargtypes", "{" + std::to_string(is_output ? type.oid : 2275) + "}");
    }
  }
}

void Namespaces(const Source& source, PgRows& rows) {
  for (const int64_t oid : {kPgCatalogNamespace, kPublicNamespace, kInformationSchemaNamespace, kKappaNamespace}) {
    if (oid == kKappaNamespace && source.context.system_relations == nullptr) continue;
    rows.Row().Set("oid", oid).Set("nspname", PgNamespaceName(oid)).Set("nspowner", kOwnerOid);
  }
}

/// Calls `row` for each table with a primary key, with the relation of its index.
template <typename F> void ForEachIndex(const Source& source, const F& row) {
  for (const PgRelation& relation : source.relations.all) {
    if (relation.kind == 'i') row(relation, *relation.table);
  }
}

void Indexes(const Source& source, PgRows& rows) {
  ForEachIndex(source, [&](const PgRelation& index, const catalog::Table& table) {
    const size_t keys = table.primary_key.size();
    rows.Row().Set("indexrelid", index.oid).Set("indrelid", kFirstRelationOid + table.id).Set("indnatts", keys).Set("indnkeyatts", keys);
    rows.Set("indisunique", true).Set("indisprimary", true).Set("indimmediate", true).Set("indisvalid", true).Set("indisready", true);
    rows.Set("indislive", true).Set("indkey", PositionsText(table.primary_key)).Set("indcollation", RepeatedText("0", keys));
    rows.Set("indclass", RepeatedText("0", keys)).Set("indoption", RepeatedText("0", keys));
  });
}

void Constraints(const Source& source, PgRows& rows) {
  ForEachIndex(source, [&](const PgRelation& index, const catalog::Table& table) {
    rows.Row().Set("oid", kFirstConstraintOid + table.id).Set("conname", index.name).Set("connamespace", kPublicNamespace).Set("contype", 'p');
    rows.Set("convalidated", true).Set("conrelid", kFirstRelationOid + table.id).Set("conindid", index.oid).Set("conislocal", true);
    rows.Set("confupdtype", ' ').Set("confdeltype", ' ').Set("confmatchtype", ' ').Set("connoinherit", true);
    rows.Set("conkey", PositionsText(table.primary_key));
  });
}

void Rules(const Source& source, PgRows& rows) {
  for (const PgRelation& relation : source.relations.all) {
    if (relation.view == nullptr) continue;
    rows.Row().Set("oid", kFirstRuleOid + relation.view->id).Set("rulename", "_RETURN").Set("ev_class", relation.oid).Set("ev_type", '1');
    rows.Set("ev_enabled", 'O').Set("is_instead", true);
  }
}

void Dependencies(const Source& source, PgRows& rows) {  // views on what they read, by way of their rules, as in PostgreSQL
  const int64_t rules = source.relations.Find("pg_catalog", "pg_rewrite")->oid;
  const int64_t classes = source.relations.Find("pg_catalog", "pg_class")->oid;
  for (const PgRelation& relation : source.relations.all) {
    if (relation.view == nullptr) continue;
    const int64_t rule = kFirstRuleOid + relation.view->id;
    const auto add = [&](int64_t referred, char type) {
      rows.Row().Set("classid", rules).Set("objid", rule).Set("refclassid", classes).Set("refobjid", referred).Set("deptype", type);
    };
    add(relation.oid, 'i');
    for (const std::string& name : relation.version->depends_on) {
      if (const PgRelation* referred = source.relations.Find("public", name)) add(referred->oid, 'n');
    }
  }
}

void Foreign(const Source& source, std::string_view name, PgRows& rows) {
  if (name == "pg_foreign_data_wrapper") rows.Row().Set("oid", kLogWrapperOid).Set("fdwname", "kappa").Set("fdwowner", kOwnerOid);
  if (name == "pg_foreign_server") {
    rows.Row().Set("oid", kLogServerOid).Set("srvname", "kappa_log").Set("srvowner", kOwnerOid).Set("srvfdw", kLogWrapperOid);
  }
  if (name != "pg_foreign_table") return;
  for (const PgRelation& relation : source.relations.all) {
    if (relation.stream == nullptr) continue;
    rows.Row().Set("ftrelid", relation.oid).Set("ftserver", kLogServerOid).Set("ftoptions", StreamOptions(*relation.stream));
  }
}

void Roles(const Source& source, std::string_view name, PgRows& rows) {
  if (name == "pg_user") {
    rows.Row().Set("usename", source.context.user).Set("usesysid", kOwnerOid).Set("usecreatedb", true).Set("usesuper", true);
    rows.Set("userepl", false).Set("usebypassrls", true).Set("passwd", "********");
    return;
  }
  rows.Row().Set("rolname", source.context.user).Set("rolsuper", true).Set("rolinherit", true).Set("rolcreaterole", true);
  rows.Set("rolcreatedb", true).Set("rolcanlogin", true).Set("rolreplication", false).Set("rolconnlimit", -1);
  rows.Set("rolpassword", "********").Set("rolbypassrls", true).Set("oid", kOwnerOid);
}

void Settings(const Source& source, PgRows& rows) {
  std::vector<std::pair<std::string, std::string>> settings = source.context.settings;
  for (const auto& [name, value] : {std::pair{"max_index_keys", "32"},
                                    {"server_version", "15.0"},
                                    {"server_version_num", "150000"},
                                    {"server_encoding", "UTF8"},
                                    {"block_size", "8192"},
                                    {"max_identifier_length", "63"}}) {
    if (std::none_of(settings.begin(), settings.end(), [&](const auto& each) { return each.first == name; })) settings.emplace_back(name, value);
  }
  std::sort(settings.begin(), settings.end());
  for (const auto& [name, value] : settings) {
    rows.Row().Set("name", name).Set("setting", value).Set("category", "kappa").Set("short_desc", "").Set("context", "user");
    rows.Set("vartype", "string").Set("source", "default").Set("boot_val", value).Set("reset_val", value).Set("pending_restart", false);
  }
}

void ListedRelations(const Source& source, std::string_view name, PgRows& rows) {
  const std::string& owner = source.context.user;
  for (const PgRelation& relation : source.relations.all) {
    const std::string_view schema = PgNamespaceName(relation.namespace_oid);
    if (name == "pg_tables" && relation.kind == 'r') {
      rows.Row().Set("schemaname", schema).Set("tablename", relation.name).Set("tableowner", owner).Set("hasindexes", relation.table != nullptr);
      rows.Set("hasrules", false).Set("hastriggers", false).Set("rowsecurity", false);
    } else if (name == "pg_views" && relation.kind == 'v') {
      rows.Row().Set("schemaname", schema).Set("viewname", relation.name).Set("viewowner", owner).Set("definition", "");
    } else if (name == "pg_matviews" && relation.kind == 'm') {
      rows.Row().Set("schemaname", schema).Set("matviewname", relation.name).Set("matviewowner", owner).Set("hasindexes", false);
      rows.Set("ispopulated", true).Set("definition", PgViewDefinition(relation));
    } else if (name == "pg_indexes" && relation.kind == 'i') {
      rows.Row().Set("schemaname", schema).Set("tablename", relation.table->name).Set("indexname", relation.name);
      rows.Set("indexdef", PgIndexDefinition(relation));
    } else if (name == "pg_stat_user_tables" && relation.is_user() && (relation.kind == 'r' || relation.kind == 'm')) {
      rows.Row().Set("relid", relation.oid).Set("schemaname", schema).Set("relname", relation.name);
      rows.Set("n_live_tup", std::max<int64_t>(RowCount(source, relation), 0)).Set("n_dead_tup", 0);
    }
  }
}

void Activity(const Source& source, PgRows& rows) {
  for (const PgActivity& each : source.context.activity) {
    rows.Row().Set("datid", kDatabaseOid).Set("datname", each.database).Set("pid", each.pid).Set("usesysid", kOwnerOid).Set("usename", each.user);
    rows.Set("application_name", each.application_name).Set("backend_start", each.started_us).Set("state", each.state).Set("query", each.query);
    rows.Set("backend_type", "client backend");
  }
}

/// The small relations whose rows never change.
void Fixed(const Source& source, std::string_view name, PgRows& rows) {
  if (name == "pg_am") {
    rows.Row().Set("oid", 2).Set("amname", "heap").Set("amtype", 't');
    rows.Row().Set("oid", kBtreeOid).Set("amname", "btree").Set("amtype", 'i');
  } else if (name == "pg_collation") {
    for (const auto& [oid, collation] : {std::pair{100, "default"}, {950, "C"}, {951, "POSIX"}}) {
      rows.Row().Set("oid", oid).Set("collname", collation).Set("collnamespace", kPgCatalogNamespace).Set("collowner", kOwnerOid);
      rows.Set("collprovider", oid == 100 ? 'd' : 'c').Set("collisdeterministic", true).Set("collencoding", -1);
      if (oid != 100) rows.Set("collcollate", collation).Set("collctype", collation);
    }
  } else if (name == "pg_database") {
    rows.Row().Set("oid", kDatabaseOid).Set("datname", source.context.database).Set("datdba", kOwnerOid).Set("encoding", 6);
    rows.Set("datlocprovider", 'c').Set("datallowconn", true).Set("datconnlimit", -1).Set("dattablespace", 1663);
    rows.Set("datcollate", "C").Set("datctype", "C").Set("datfrozenxid", "0").Set("datminmxid", "0");
  } else if (name == "pg_tablespace") {
    rows.Row().Set("oid", 1663).Set("spcname", "pg_default").Set("spcowner", kOwnerOid);
  } else if (name == "pg_language") {
    for (const auto& [oid, language] : {std::pair{12, "internal"}, {14, "sql"}}) {
      rows.Row().Set("oid", oid).Set("lanname", language).Set("lanowner", kOwnerOid).Set("lanpltrusted", oid == 14);
    }
  }
}

}  // namespace

Result<data::Batch> PgCatalogRows(std::string_view qualified_name, const PgCatalogContext& context) {
  const sql::SystemRelation* relation = FindPgCatalogRelation(qualified_name);
  if (relation == nullptr) return Error(sqlstate::kUndefinedTable, "relation \"" + std::string(qualified_name) + "\" does not exist");
  const Source source(context);
  PgRows rows(relation->schema);
  const size_t dot = relation->name.find('.');
  const std::string_view name = std::string_view(relation->name).substr(dot + 1);
  if (relation->name.starts_with("information_schema.")) InformationSchemaRows(context, source.relations, name, rows);
  else if (name == "pg_class") Classes(source, rows);
  else if (name == "pg_attribute") Attributes(source, rows);
  else if (name == "pg_type") Types(source, rows);
  else if (name == "pg_enum") EnumLabels(source, rows);
  else if (name == "pg_proc") Procedures(source, rows);
  else if (name == "pg_namespace") Namespaces(source, rows);
  else if (name == "pg_index") Indexes(source, rows);
  else if (name == "pg_constraint") Constraints(source, rows);
  else if (name == "pg_rewrite") Rules(source, rows);
  else if (name == "pg_depend") Dependencies(source, rows);
  else if (name.starts_with("pg_foreign_")) Foreign(source, name, rows);
  else if (name == "pg_roles" || name == "pg_user") Roles(source, name, rows);
  else if (name == "pg_settings") Settings(source, rows);
  else if (name == "pg_stat_activity") Activity(source, rows);
  else {
    ListedRelations(source, name, rows);
    Fixed(source, name, rows);
  }
  return rows.Finish();
}

}  // namespace kappa::engine
