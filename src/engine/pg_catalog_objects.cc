#include "engine/pg_catalog_objects.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "engine/pg_catalog_types.h"
#include "expr/quoting.h"

namespace kappa::engine {
namespace {

// Ids of catalogs that clients know by number; the other system relations are numbered from here on, in order.
constexpr int64_t kFirstOtherSystemOid = 12000;
constexpr int64_t kFirstKappaOid = 15000;
struct KnownOid {
  std::string_view name;
  int64_t oid;
};
constexpr KnownOid kKnownOids[] = {
    {"pg_aggregate", 2600},
    {"pg_am", 2601},
    {"pg_attrdef", 2604},
    {"pg_attribute", 1249},
    {"pg_auth_members", 1261},
    {"pg_cast", 2605},
    {"pg_class", 1259},
    {"pg_collation", 3456},
    {"pg_constraint", 2606},
    {"pg_conversion", 2607},
    {"pg_database", 1262},
    {"pg_default_acl", 826},
    {"pg_depend", 2608},
    {"pg_description", 2609},
    {"pg_enum", 3501},
    {"pg_event_trigger", 3466},
    {"pg_extension", 3079},
    {"pg_foreign_data_wrapper", 2328},
    {"pg_foreign_server", 1417},
    {"pg_foreign_table", 3118},
    {"pg_index", 2610},
    {"pg_inherits", 2611},
    {"pg_language", 2612},
    {"pg_namespace", 2615},
    {"pg_opclass", 2616},
    {"pg_operator", 2617},
    {"pg_partitioned_table", 3350},
    {"pg_policy", 3256},
    {"pg_proc", 1255},
    {"pg_publication", 6104},
    {"pg_publication_namespace", 6237},
    {"pg_publication_rel", 6106},
    {"pg_range", 3541},
    {"pg_rewrite", 2618},
    {"pg_sequence", 2224},
    {"pg_shdescription", 2396},
    {"pg_statistic_ext", 3381},
    {"pg_subscription", 6100},
    {"pg_tablespace", 1213},
    {"pg_trigger", 2620},
    {"pg_type", 1247},
};

int64_t SystemOid(std::string_view name, size_t index) {
  for (const KnownOid& known : kKnownOids) {
    if (known.name == name) return known.oid;
  }
  return kFirstOtherSystemOid + static_cast<int64_t>(index);
}

std::pair<std::string_view, std::string_view> SplitName(std::string_view qualified) {
  const size_t dot = qualified.find('.');
  if (dot == qualified.npos) return {{}, qualified};
  return {qualified.substr(0, dot), qualified.substr(dot + 1)};
}

}  // namespace

std::string_view PgNamespaceName(int64_t oid) {
  switch (oid) {
    case kPgCatalogNamespace: return "pg_catalog";
    case kPublicNamespace: return "public";
    case kInformationSchemaNamespace: return "information_schema";
    case kKappaNamespace: return "kappa";
    default: return {};
  }
}

int64_t PgCompositeRelationOid(const catalog::NamedType& type) { return kFirstRelationOid + type.id; }

PgRelations::PgRelations(const PgCatalogContext& context) {
  KAPPA_CHECK(context.catalog != nullptr);
  for (const auto& [name, stream] : context.catalog->streams) {
    PgRelation relation{.oid = kFirstRelationOid + stream.id, .name = name, .kind = 'f', .schema = &stream.schema, .stream = &stream};
    all.push_back(std::move(relation));
  }
  for (const auto& [name, table] : context.catalog->tables) {
    PgRelation relation{.oid = kFirstRelationOid + table.id, .name = name, .kind = 'r', .schema = &table.schema, .table = &table};
    all.push_back(std::move(relation));
    auto& keys = index_schemas_.emplace_back(std::make_unique<data::Schema>());
    for (const int column : table.primary_key) keys->fields.push_back(table.schema.fields[static_cast<size_t>(column)]);
    PgRelation index{.oid = kFirstIndexOid + table.id, .name = name + "_pkey", .kind = 'i', .schema = keys.get(), .table = &table};
    all.push_back(std::move(index));
  }
  for (const auto& [name, view] : context.catalog->views) {
    if (view.versions.empty()) continue;
    const catalog::ViewVersion* version = nullptr;  // the serving one, or the first while it still replays
    for (const catalog::ViewVersion& each : view.versions) {
      if (each.number == view.serving || version == nullptr) version = &each;
    }
    PgRelation relation{.oid = kFirstRelationOid + view.id, .name = name, .kind = 'm', .schema = &version->schema, .view = &view, .version = version};
    all.push_back(std::move(relation));
  }
  for (const auto& [name, type] : context.catalog->types) {
    if (!type.composite) continue;
    PgRelation relation{.oid = PgCompositeRelationOid(type), .name = name, .kind = 'c', .schema = &type.fields};
    all.push_back(std::move(relation));
  }
  size_t index = 0;
  for (const sql::SystemRelation& system : PgCatalogRelations()) {
    const auto [schema, name] = SplitName(system.name);
    const bool is_catalog = schema == "pg_catalog";
    PgRelation relation{.oid = SystemOid(is_catalog ? name : std::string_view(), index++),
                        .name = std::string(name),
                        .namespace_oid = is_catalog ? kPgCatalogNamespace : kInformationSchemaNamespace,
                        .kind = is_catalog ? 'r' : 'v',
                        .schema = &system.schema};
    all.push_back(std::move(relation));
  }
  index = 0;
  if (context.system_relations == nullptr) return;
  for (const sql::SystemRelation& system : *context.system_relations) {
    const auto [schema, name] = SplitName(system.name);
    if (schema != "kappa") continue;
    PgRelation relation{.oid = kFirstKappaOid + static_cast<int64_t>(index++),
                        .name = std::string(name),
                        .namespace_oid = kKappaNamespace,
                        .kind = 'v',
                        .schema = &system.schema};
    all.push_back(std::move(relation));
  }
}

const PgRelation* PgRelations::Find(int64_t oid) const {
  const auto it = std::find_if(all.begin(), all.end(), [oid](const PgRelation& each) { return each.oid == oid; });
  return it == all.end() ? nullptr : &*it;
}

const PgRelation* PgRelations::Find(std::string_view schema, std::string_view name) const {
  for (const int64_t wanted : {kPgCatalogNamespace, kPublicNamespace, kInformationSchemaNamespace, kKappaNamespace}) {
    const bool searched = schema.empty() ? wanted == kPgCatalogNamespace || wanted == kPublicNamespace : PgNamespaceName(wanted) == schema;
    if (!searched) continue;
    for (const PgRelation& each : all) {
      if (each.namespace_oid == wanted && each.name == name) return &each;
    }
  }
  return nullptr;
}

std::string PgViewDefinition(const PgRelation& relation) {
  if (relation.version == nullptr) return {};
  std::string text = relation.version->query;
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == ';')) text.pop_back();
  return text + ";";
}

namespace {
std::string KeyColumns(const catalog::Table& table) {
  std::string text = "(";
  for (const int column : table.primary_key) {
    if (text.size() > 1) text += ", ";
    text += expr::QuoteIdentifier(table.schema.fields[static_cast<size_t>(column)].name);
  }
  return text + ")";
}
}  // namespace

std::string PgPrimaryKeyDefinition(const catalog::Table& table) { return "PRIMARY KEY " + KeyColumns(table); }

std::string PgIndexDefinition(const PgRelation& index) {
  return "CREATE UNIQUE INDEX " + expr::QuoteIdentifier(index.name) + " ON public." + expr::QuoteIdentifier(index.table->name) + " USING btree " +
         KeyColumns(*index.table);
}

std::string PgFormatType(int64_t oid, int32_t modifier) {
  if (oid == 0) return "-";
  const PgType* type = FindPgType(oid);
  if (type == nullptr) {
    const data::Type defined = data::TypeFromOid(static_cast<uint32_t>(oid));
    if (!defined.is_defined()) return "???";
    const std::string array = defined.is_array() ? "[]" : "", spelled = defined.ToString();
    return expr::QuoteIdentifier(spelled.substr(0, spelled.size() - array.size())) + array;
  }
  if (type->element != 0 && type->length == -1 && type->name.starts_with('_')) return PgFormatType(type->element, modifier) + "[]";
  const std::string suffix = modifier >= 4 ? "(" + std::to_string(modifier - 4) + ")" : "";
  if (type->name == "varchar") return "character varying" + suffix;
  if (type->name == "bpchar") return "character" + suffix;
  if (type->name == "char") return "\"char\"";
  if (type->name == "time") return "time without time zone";
  if (type->name == "timetz") return "time with time zone";
  const data::Type known = data::TypeFromOid(static_cast<uint32_t>(oid));
  if (known.id == data::TypeId::kUnknown || known.oid() != oid) return std::string(type->name);
  return known.WithModifier(modifier).ToString();
}

std::string PgArrayText(const std::vector<std::string>& elements) {
  std::string text = "{";
  for (const std::string& element : elements) {
    if (text.size() > 1) text += ',';
    text += '"';
    for (const char c : element) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "}";
}

PgRows::PgRows(const data::Schema& schema) : schema_(schema) {
  for (const data::Field& field : schema.fields) {
    builders_.emplace_back(field.type);
    data::Value value = data::Value::Null(field.type);
    if (!field.nullable) {
      value.null = false;
      if (field.type.is_array()) value = *data::FromText("{}", field.type);
      else if (!field.type.is_variable()) value.bytes.assign(static_cast<size_t>(field.type.width()), '\0');
    }
    defaults_.push_back(std::move(value));
  }
}

data::Value& PgRows::At(std::string_view column) {
  const int index = schema_.Find(column);
  KAPPA_CHECK(open_ && index >= 0);
  data::Value& value = row_[static_cast<size_t>(index)];
  value.null = false;
  return value;
}

void PgRows::Flush() {
  if (!std::exchange(open_, false)) return;
  for (size_t i = 0; i < row_.size(); ++i) data::AppendValue(builders_[i], row_[i]);
  ++rows_;
}

PgRows& PgRows::Row() {
  Flush();
  row_ = defaults_;
  open_ = true;
  return *this;
}

PgRows& PgRows::Set(std::string_view column, std::string_view text) {
  data::Value& value = At(column);
  if (!value.type.is_array()) {
    KAPPA_CHECK(value.type.id == data::TypeId::kText);
    value.bytes = text;
    return *this;
  }
  auto array = data::FromText(text, value.type);
  KAPPA_CHECK(array.ok());
  value = std::move(*array);
  return *this;
}

PgRows& PgRows::SetNumber(std::string_view column, int64_t number) {
  data::Value& value = At(column);
  const data::Type type = value.type;
  switch (type.id) {
    case data::TypeId::kBool: value = data::Value::Fixed<uint8_t>(type, number != 0); break;
    case data::TypeId::kInt2: value = data::Value::Fixed<int16_t>(type, static_cast<int16_t>(number)); break;
    case data::TypeId::kInt4: value = data::Value::Fixed<int32_t>(type, static_cast<int32_t>(number)); break;
    case data::TypeId::kFloat4: value = data::Value::Fixed<float>(type, static_cast<float>(number)); break;
    case data::TypeId::kText: value.bytes = std::to_string(number); break;
    default: value = data::Value::Fixed<int64_t>(type, number); break;  // int8, oid, timestamptz
  }
  return *this;
}

data::Batch PgRows::Finish() {
  Flush();
  data::Batch batch;
  batch.rows = rows_;
  for (data::ColumnBuilder& builder : builders_) batch.columns.push_back(builder.Finish());
  return batch;
}

}  // namespace kappa::engine
