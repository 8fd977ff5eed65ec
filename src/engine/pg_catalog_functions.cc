// The functions over pg_catalog that only the engine can answer.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>

#include "engine/pg_catalog.h"
#include "engine/pg_catalog_objects.h"
#include "engine/pg_catalog_types.h"
#include "expr/quoting.h"

namespace kappa::engine {
namespace {

using data::TypeId;
using data::Value;
using Arguments = std::vector<Value>;
using Function = Result<Value> (*)(const Arguments&, const PgCatalogContext&);

Value Oid(int64_t oid) { return Value::Fixed<int64_t>(TypeId::kOid, oid); }
Value NullText() { return Value::Null(TypeId::kText); }

/// An argument of any integer type; nullopt for NULL or when it is missing.
std::optional<int64_t> Number(const Arguments& arguments, size_t index) {
  if (index >= arguments.size() || arguments[index].null) return std::nullopt;
  const Value& value = arguments[index];
  switch (value.type.id) {
    case TypeId::kInt2: return value.As<int16_t>();
    case TypeId::kInt4: return value.As<int32_t>();
    case TypeId::kInt8:
    case TypeId::kOid: return value.As<int64_t>();
    default: break;
  }
  if (!value.type.is_variable()) return std::nullopt;
  int64_t number = 0;
  const char* const end = value.bytes.data() + value.bytes.size();
  const auto [stop, error] = std::from_chars(value.bytes.data(), end, number);
  return error == std::errc() && stop == end && !value.bytes.empty() ? std::optional(number) : std::nullopt;
}

std::optional<std::string> Text(const Arguments& arguments, size_t index) {
  if (index >= arguments.size() || arguments[index].null || !arguments[index].type.is_variable()) return std::nullopt;
  return arguments[index].bytes;
}

struct QualifiedName {
  std::string schema;
  std::string name;
};

/// 'public.orders', '"Mixed"': folds and unquotes. nullopt when it is not a name.
std::optional<QualifiedName> ParseName(std::string_view text) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      for (++i; i < text.size(); ++i) {
        if (text[i] == '"' && (i + 1 >= text.size() || text[i + 1] != '"')) break;
        if (text[i] == '"') ++i;
        parts.back() += text[i];
      }
      if (i >= text.size()) return std::nullopt;
    } else if (text[i] == '.') {
      parts.emplace_back();
    } else {
      parts.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(text[i])));
    }
  }
  if (parts.size() > 2 || parts.back().empty()) return std::nullopt;
  if (parts.size() == 1) return QualifiedName{{}, parts[0]};
  return QualifiedName{parts[0], parts[1]};
}

// ---- Names to ids and back. A lookup gives nullopt when there is none.

std::optional<int64_t> FindClass(std::string_view text, const PgCatalogContext& context) {
  const auto name = ParseName(text);
  if (!name) return std::nullopt;
  const PgRelations relations(context);
  const PgRelation* relation = relations.Find(name->schema, name->name);
  return relation == nullptr ? std::nullopt : std::optional(relation->oid);
}

std::optional<int64_t> FindType(std::string_view text, const PgCatalogContext& context) {
  const auto name = ParseName(text);
  if (name && (name->schema.empty() || name->schema == "public")) {
    if (const catalog::NamedType* type = context.catalog->FindType(name->name)) return static_cast<int64_t>(type->type().oid());
    if (const catalog::Domain* domain = context.catalog->FindDomain(name->name)) return PgDomainOid(*domain);
  }
  if (!name || (!name->schema.empty() && name->schema != "pg_catalog")) return std::nullopt;
  if (const PgType* type = FindPgType(std::string_view(name->name))) return type->oid;
  const auto type = data::TypeFromName(name->name);
  if (!type.ok()) return std::nullopt;
  return static_cast<int64_t>(type->oid());
}

std::optional<int64_t> FindNamespace(std::string_view text, const PgCatalogContext&) {
  const auto name = ParseName(text);
  for (const int64_t oid : {kPgCatalogNamespace, kPublicNamespace, kInformationSchemaNamespace, kKappaNamespace}) {
    if (name && name->schema.empty() && PgNamespaceName(oid) == name->name) return oid;
  }
  return std::nullopt;
}

std::optional<int64_t> FindRole(std::string_view text, const PgCatalogContext& context) {
  const auto name = ParseName(text);
  return name && name->schema.empty() && name->name == context.user ? std::optional(kOwnerOid) : std::nullopt;
}

std::optional<int64_t> FindProcedure(std::string_view text, const PgCatalogContext&) {
  const auto name = ParseName(text);
  if (!name) return std::nullopt;
  for (const PgType& type : PgTypes()) {
    for (const PgProcedure& procedure : {type.input, type.output, type.receive, type.send}) {
      if (procedure.name == name->name) return procedure.oid;
    }
  }
  return std::nullopt;
}

using Lookup = std::optional<int64_t> (*)(std::string_view, const PgCatalogContext&);

/// to_reg*: NULL when there is none.
template <Lookup lookup> Result<Value> To(const Arguments& arguments, const PgCatalogContext& context) {
  const auto text = Text(arguments, 0);
  if (!text) return Value::Null(TypeId::kOid);
  const auto oid = lookup(*text, context);
  return oid ? Oid(*oid) : Value::Null(TypeId::kOid);
}

Error Missing(std::string_view kind, std::string_view text) {
  const char* state = kind == "relation"   ? sqlstate::kUndefinedTable
                      : kind == "schema"   ? sqlstate::kInvalidSchemaName
                      : kind == "function" ? sqlstate::kUndefinedFunction
                                           : sqlstate::kUndefinedObject;
  return Error(state, std::string(kind) + " \"" + std::string(text) + "\" does not exist");
}

/// The input of a reg* type: a number, "-" for none, or a name that must exist.
template <Lookup lookup> Result<Value> In(std::string_view kind, const Arguments& arguments, const PgCatalogContext& context) {
  if (const auto number = Number(arguments, 0)) return Oid(*number);
  const auto text = Text(arguments, 0);
  if (!text) return Value::Null(TypeId::kOid);
  if (*text == "-") return Oid(0);
  const auto oid = lookup(*text, context);
  if (!oid) return Missing(kind, *text);
  return Oid(*oid);
}

/// The output of a reg* type: the name, or the number when nothing has this id.
template <typename F> Result<Value> Out(const Arguments& arguments, const F& name_of) {
  const auto oid = Number(arguments, 0);
  if (!oid) return NullText();
  if (*oid == 0) return Value::Text("-");
  std::string name = name_of(*oid);
  return Value::Text(name.empty() ? std::to_string(*oid) : std::move(name));
}

std::string ClassName(int64_t oid, const PgCatalogContext& context) {
  const PgRelations relations(context);
  const PgRelation* relation = relations.Find(oid);
  if (relation == nullptr) return {};
  const std::string name = expr::QuoteIdentifier(relation->name);
  const bool visible = relation->is_user() || relation->namespace_oid == kPgCatalogNamespace;
  return visible ? name : std::string(PgNamespaceName(relation->namespace_oid)) + "." + name;
}

std::string ProcedureName(int64_t oid) {
  for (const PgType& type : PgTypes()) {
    for (const PgProcedure& procedure : {type.input, type.output, type.receive, type.send}) {
      if (procedure.oid == oid) return std::string(procedure.name);
    }
  }
  return {};
}

// ---- Definitions

std::optional<std::string> DomainName(int64_t oid, const PgCatalogContext& context) {
  for (const auto& [name, domain] : context.catalog->domains)
    if (PgDomainOid(domain) == oid) return expr::QuoteIdentifier(name);
  return std::nullopt;
}

Result<Value> FormatType(const Arguments& arguments, const PgCatalogContext& context) {
  const auto oid = Number(arguments, 0);
  if (!oid) return NullText();
  if (std::optional<std::string> domain = DomainName(*oid, context)) return Value::Text(std::move(*domain));
  return Value::Text(PgFormatType(*oid, static_cast<int32_t>(Number(arguments, 1).value_or(-1))));
}

Result<Value> ViewDefinition(const Arguments& arguments, const PgCatalogContext& context) {
  const PgRelations relations(context);
  const PgRelation* relation = nullptr;
  if (const auto oid = Number(arguments, 0)) relation = relations.Find(*oid);
  else if (const auto text = Text(arguments, 0)) {
    const auto named = FindClass(*text, context);
    if (!named) return Missing("relation", *text);
    relation = relations.Find(*named);
  }
  if (relation == nullptr || relation->version == nullptr) return NullText();
  return Value::Text(PgViewDefinition(*relation));
}

Result<Value> IndexDefinition(const Arguments& arguments, const PgCatalogContext& context) {
  const PgRelations relations(context);
  const auto oid = Number(arguments, 0);
  const PgRelation* index = oid ? relations.Find(*oid) : nullptr;
  if (index == nullptr || index->kind != 'i') return NullText();
  const int64_t column = Number(arguments, 1).value_or(0);
  if (column == 0) return Value::Text(PgIndexDefinition(*index));
  if (column < 0 || column > index->schema->size()) return NullText();
  return Value::Text(expr::QuoteIdentifier(index->schema->fields[static_cast<size_t>(column - 1)].name));
}

Result<Value> ConstraintDefinition(const Arguments& arguments, const PgCatalogContext& context) {
  const auto oid = Number(arguments, 0);
  for (const auto& [name, table] : context.catalog->tables) {
    if (oid && *oid == kFirstConstraintOid + table.id) return Value::Text(PgPrimaryKeyDefinition(table));
  }
  return NullText();
}

Result<Value> UserName(const Arguments& arguments, const PgCatalogContext& context) {
  const auto oid = Number(arguments, 0);
  if (!oid) return NullText();
  return Value::Text(*oid == kOwnerOid ? context.user : "unknown (OID=" + std::to_string(*oid) + ")");
}

Result<Value> EncodingName(const Arguments& arguments, const PgCatalogContext&) {
  const auto encoding = Number(arguments, 0);
  if (!encoding) return NullText();
  return Value::Text(*encoding == 6 ? "UTF8" : *encoding == 0 ? "SQL_ASCII" : "");
}

Result<Value> SizePretty(const Arguments& arguments, const PgCatalogContext&) {
  const auto bytes = Number(arguments, 0);
  if (!bytes) return NullText();
  // As PostgreSQL: from kB on, sizes are kept in half units, so that the last step rounds.
  int64_t size = *bytes;
  if (size < 10240 && size > -10240) return Value::Text(std::to_string(size) + " bytes");
  size /= 512;
  for (const char* unit : {" kB", " MB", " GB", " TB", " PB"}) {
    if ((size < 20479 && size > -20479) || std::string_view(unit) == " PB") {
      return Value::Text(std::to_string((size + (size < 0 ? -1 : 1)) / 2) + unit);
    }
    size /= 1024;
  }
  return NullText();
}

// ---- Sizes and visibility

Result<Value> RelationSize(const Arguments& arguments, const PgCatalogContext& context) {
  const PgRelations relations(context);
  auto oid = Number(arguments, 0);
  if (!oid) {
    if (const auto text = Text(arguments, 0)) oid = FindClass(*text, context);
  }
  const PgRelation* relation = oid ? relations.Find(*oid) : nullptr;
  if (relation == nullptr) return Value::Null(TypeId::kInt8);
  if (!context.relation_size || !relation->is_user() || relation->kind == 'i' || relation->stream != nullptr) return Value::Int8(0);
  return Value::Int8(context.relation_size(relation->name).second);
}

Result<Value> TableVisible(const Arguments& arguments, const PgCatalogContext& context) {
  const PgRelations relations(context);
  const auto oid = Number(arguments, 0);
  const PgRelation* relation = oid ? relations.Find(*oid) : nullptr;
  if (relation == nullptr) return Value::Null(TypeId::kBool);
  return Value::Bool(relation->is_user() || relation->namespace_oid == kPgCatalogNamespace);
}

Result<Value> TypeVisible(const Arguments& arguments, const PgCatalogContext&) {
  const auto oid = Number(arguments, 0);
  return oid && FindPgType(*oid) != nullptr ? Value::Bool(true) : Value::Null(TypeId::kBool);
}

template <TypeId id> Result<Value> Null(const Arguments&, const PgCatalogContext&) { return Value::Null(id); }
Result<Value> True(const Arguments&, const PgCatalogContext&) { return Value::Bool(true); }
Result<Value> False(const Arguments&, const PgCatalogContext&) { return Value::Bool(false); }
Result<Value> Zero(const Arguments&, const PgCatalogContext&) { return Value::Int8(0); }
Result<Value> EmptyText(const Arguments&, const PgCatalogContext&) { return Value::Text(""); }

const std::map<std::string_view, Function>& Functions() {
  static const auto* const functions = new std::map<std::string_view, Function>{
      {"format_type", FormatType},
      {"pg_get_viewdef", ViewDefinition},
      {"pg_get_indexdef", IndexDefinition},
      {"pg_get_constraintdef", ConstraintDefinition},
      {"pg_get_userbyid", UserName},
      {"pg_encoding_to_char", EncodingName},
      {"pg_size_pretty", SizePretty},
      // Kinds of objects that kappa does not have: the answer PostgreSQL gives for an id that does not exist.
      {"pg_get_expr", Null<TypeId::kText>},
      {"pg_get_ruledef", Null<TypeId::kText>},
      {"pg_get_triggerdef", Null<TypeId::kText>},
      {"pg_get_partkeydef", Null<TypeId::kText>},
      {"pg_get_statisticsobjdef_columns", Null<TypeId::kText>},
      {"pg_get_serial_sequence", Null<TypeId::kText>},
      {"pg_get_function_arguments", EmptyText},
      {"pg_get_function_identity_arguments", EmptyText},
      {"pg_get_function_result", Null<TypeId::kText>},
      {"obj_description", Null<TypeId::kText>},
      {"col_description", Null<TypeId::kText>},
      {"shobj_description", Null<TypeId::kText>},
      {"pg_tablespace_location", EmptyText},
      {"to_regclass", To<FindClass>},
      {"to_regtype", To<FindType>},
      {"to_regnamespace", To<FindNamespace>},
      {"to_regrole", To<FindRole>},
      {"to_regproc", To<FindProcedure>},
      {"regclassin", [](const Arguments& a, const PgCatalogContext& c) { return In<FindClass>("relation", a, c); }},
      {"regtypein", [](const Arguments& a, const PgCatalogContext& c) { return In<FindType>("type", a, c); }},
      {"regnamespacein", [](const Arguments& a, const PgCatalogContext& c) { return In<FindNamespace>("schema", a, c); }},
      {"regrolein", [](const Arguments& a, const PgCatalogContext& c) { return In<FindRole>("role", a, c); }},
      {"regprocin", [](const Arguments& a, const PgCatalogContext& c) { return In<FindProcedure>("function", a, c); }},
      {"regclassout", [](const Arguments& a, const PgCatalogContext& c) { return Out(a, [&](int64_t oid) { return ClassName(oid, c); }); }},
      {"regtypeout",
       [](const Arguments& a, const PgCatalogContext& c) {
         return Out(a, [&](int64_t oid) {
           if (std::optional<std::string> domain = DomainName(oid, c)) return *domain;
           return FindPgType(oid) == nullptr && !data::TypeFromOid(static_cast<uint32_t>(oid)).is_defined() ? std::string() : PgFormatType(oid, -1);
         });
       }},
      {"regnamespaceout",
       [](const Arguments& a, const PgCatalogContext&) { return Out(a, [](int64_t oid) { return std::string(PgNamespaceName(oid)); }); }},
      {"regroleout",
       [](const Arguments& a, const PgCatalogContext& c) { return Out(a, [&](int64_t oid) { return oid == kOwnerOid ? c.user : std::string(); }); }},
      {"regprocout", [](const Arguments& a, const PgCatalogContext&) { return Out(a, ProcedureName); }},
      {"pg_table_is_visible", TableVisible},
      {"pg_type_is_visible", TypeVisible},
      {"pg_function_is_visible", True},
      {"pg_relation_is_publishable", False},
      {"pg_is_in_recovery", False},
      {"pg_is_other_temp_schema", False},
      {"pg_has_role", True},
      {"has_table_privilege", True},
      {"has_schema_privilege", True},
      {"has_database_privilege", True},
      {"has_any_column_privilege", True},
      {"has_column_privilege", True},
      {"has_function_privilege", True},
      {"pg_total_relation_size", RelationSize},
      {"pg_relation_size", RelationSize},
      {"pg_table_size", RelationSize},
      {"pg_indexes_size", Zero},
      {"pg_database_size", Zero},
      {"pg_stat_get_numscans", Zero},
  };
  return *functions;
}

}  // namespace

bool IsPgCatalogFunction(std::string_view name) { return Functions().contains(name); }

Result<data::Value> PgCatalogFunction(std::string_view name, const std::vector<data::Value>& arguments, const PgCatalogContext& context) {
  auto it = Functions().find(name);
  if (it == Functions().end() && name.starts_with("reg") && name.ends_with("_text")) {  // regclass_text is regclassout
    it = Functions().find(std::string(name.substr(0, name.size() - 5)) + "out");
  }
  if (it == Functions().end()) return Error(sqlstate::kUndefinedFunction, "function " + std::string(name) + " does not exist");
  return it->second(arguments, context);
}

}  // namespace kappa::engine
