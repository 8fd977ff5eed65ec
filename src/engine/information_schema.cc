// The rows of information_schema.
#include "data/enum_type.h"
#include "data/record.h"
#include "engine/pg_catalog_objects.h"
#include "engine/pg_catalog_types.h"

namespace kappa::engine {
namespace {

struct Source {
  const PgCatalogContext& context;
  const PgRelations& relations;
};

std::string_view TableType(const PgRelation& relation) {
  if (relation.kind == 'f') return "FOREIGN";
  return relation.kind == 'r' ? "BASE TABLE" : "VIEW";  // materialized views too: tools that list only tables and views find them
}

void InformationTables(const Source& source, std::string_view name, PgRows& rows) {
  const std::string& database = source.context.database;
  for (const PgRelation& relation : source.relations.all) {
    if (relation.kind == 'i') continue;
    const std::string_view schema = PgNamespaceName(relation.namespace_oid);
    if (name == "tables") {
      rows.Row().Set("table_catalog", database).Set("table_schema", schema).Set("table_name", relation.name).Set("table_type", TableType(relation));
      rows.Set("is_insertable_into", relation.table != nullptr || relation.stream != nullptr ? "YES" : "NO").Set("is_typed", "NO");
    } else if (name == "views" && TableType(relation) == "VIEW") {
      rows.Row().Set("table_catalog", database).Set("table_schema", schema).Set("table_name", relation.name);
      rows.Set("view_definition", PgViewDefinition(relation)).Set("check_option", "NONE").Set("is_updatable", "NO").Set("is_insertable_into", "NO");
      rows.Set("is_trigger_updatable", "NO").Set("is_trigger_deletable", "NO").Set("is_trigger_insertable_into", "NO");
    } else if (name == "role_table_grants" || name == "table_privileges") {
      for (const char* privilege : {"SELECT", "INSERT"}) {
        rows.Row().Set("grantor", source.context.user).Set("grantee", source.context.user).Set("table_catalog", database);
        rows.Set("table_schema", schema).Set("table_name", relation.name).Set("privilege_type", privilege).Set("is_grantable", "YES");
        rows.Set("with_hierarchy", "NO");
      }
    }
  }
}

void SetNumberFacets(const data::Type& type, PgRows& rows) {
  const auto set = [&](int precision, int radix) { rows.Set("numeric_precision", precision).Set("numeric_precision_radix", radix); };
  switch (type.id) {
    case data::TypeId::kInt2: set(16, 2); break;
    case data::TypeId::kInt4: set(32, 2); break;
    case data::TypeId::kInt8: set(64, 2); break;
    case data::TypeId::kFloat4: set(24, 2); return;
    case data::TypeId::kFloat8: set(53, 2); return;
    case data::TypeId::kNumeric:
      rows.Set("numeric_precision_radix", 10);
      if (type.modifier >= 4)
        rows.Set("numeric_precision", data::NumericPrecision(type.modifier)).Set("numeric_scale", data::NumericScale(type.modifier));
      return;
    case data::TypeId::kDate: rows.Set("datetime_precision", 0); return;
    case data::TypeId::kTime:
    case data::TypeId::kTimestamp:
    case data::TypeId::kTimestamptz: rows.Set("datetime_precision", type.modifier >= 0 ? type.modifier : 6); return;
    case data::TypeId::kInterval: rows.Set("datetime_precision", 6); return;
    case data::TypeId::kText:
      if (type.modifier >= 4) rows.Set("character_maximum_length", type.modifier - 4);
      rows.Set("character_octet_length", type.modifier >= 4 ? (type.modifier - 4) * 4 : 1 << 30);
      return;
    default: return;
  }
  rows.Set("numeric_scale", 0);
}

void InformationColumns(const Source& source, PgRows& rows) {
  const std::string& database = source.context.database;
  for (const PgRelation& relation : source.relations.all) {
    if (relation.kind == 'i' || relation.kind == 'c') continue;
    for (int i = 0; i < relation.schema->size(); ++i) {
      const data::Field& field = relation.schema->fields[static_cast<size_t>(i)];
      const auto oid = static_cast<int64_t>(field.type.oid());
      const PgType* type = FindPgType(oid);
      rows.Row().Set("table_catalog", database).Set("table_schema", PgNamespaceName(relation.namespace_oid)).Set("table_name", relation.name);
      rows.Set("column_name", field.name).Set("ordinal_position", i + 1).Set("is_nullable", field.nullable ? "YES" : "NO");
      const bool defined = field.type.is_enum() || data::CompositeOid(field.type) != 0;
      rows.Set("data_type", field.type.is_array() ? "ARRAY" : defined ? "USER-DEFINED" : PgFormatType(oid, -1));
      rows.Set("udt_catalog", database).Set("udt_schema", defined ? "public" : "pg_catalog");
      rows.Set("udt_name", defined && field.type.is_array() ? "_" + data::ElementType(field.type).ToString()
                           : defined                        ? field.type.ToString()
                                                            : std::string(type == nullptr ? "text" : type->name))
          .Set("dtd_identifier", i + 1)
          .Set("is_self_referencing", "NO");
      rows.Set("is_identity", "NO").Set("is_generated", "NEVER");
      rows.Set("is_updatable", relation.table != nullptr || relation.stream != nullptr ? "YES" : "NO");
      SetNumberFacets(field.type, rows);
    }
  }
}

void InformationConstraints(const Source& source, std::string_view name, PgRows& rows) {
  const std::string& database = source.context.database;
  for (const PgRelation& index : source.relations.all) {
    if (index.kind != 'i') continue;
    const catalog::Table& table = *index.table;
    const auto row = [&] {
      rows.Row().Set("constraint_catalog", database).Set("constraint_schema", "public").Set("constraint_name", index.name);
      rows.Set("table_catalog", database).Set("table_schema", "public").Set("table_name", table.name);
    };
    if (name == "table_constraints") {
      row();
      rows.Set("constraint_type", "PRIMARY KEY").Set("is_deferrable", "NO").Set("initially_deferred", "NO").Set("enforced", "YES");
      continue;
    }
    for (size_t i = 0; i < table.primary_key.size(); ++i) {
      row();
      rows.Set("column_name", index.schema->fields[i].name);
      if (name == "key_column_usage") rows.Set("ordinal_position", i + 1);
    }
  }
}

}  // namespace

void InformationSchemaRows(const PgCatalogContext& context, const PgRelations& relations, std::string_view name, PgRows& rows) {
  const Source source{context, relations};
  if (name == "schemata") {
    for (const int64_t oid : {kPgCatalogNamespace, kPublicNamespace, kInformationSchemaNamespace, kKappaNamespace}) {
      if (oid == kKappaNamespace && source.context.system_relations == nullptr) continue;
      rows.Row().Set("catalog_name", source.context.database).Set("schema_name", PgNamespaceName(oid)).Set("schema_owner", source.context.user);
    }
  } else if (name == "columns") {
    InformationColumns(source, rows);
  } else if (name == "table_constraints" || name == "key_column_usage" || name == "constraint_column_usage") {
    InformationConstraints(source, name, rows);
  } else if (name == "enabled_roles") {
    rows.Row().Set("role_name", source.context.user);
  } else {
    InformationTables(source, name, rows);
  }
}

}  // namespace kappa::engine
