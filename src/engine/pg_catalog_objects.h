// The relations that pg_catalog lists, as one flat list with object ids, and the making of rows by column name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/pg_catalog.h"

namespace kappa::engine {

inline constexpr int64_t kPgCatalogNamespace = 11;
inline constexpr int64_t kPublicNamespace = 2200;
inline constexpr int64_t kInformationSchemaNamespace = 13183;
inline constexpr int64_t kKappaNamespace = 13500;
inline constexpr int64_t kOwnerOid = 10;
inline constexpr int64_t kDatabaseOid = 5;
inline constexpr int64_t kLogServerOid = 16000;
inline constexpr int64_t kLogWrapperOid = 16001;
inline constexpr int64_t kBtreeOid = 403;

/// A row of pg_class, and what stands behind it: at most one of the pointers is set.
struct PgRelation {
  int64_t oid = 0;
  std::string name;
  int64_t namespace_oid = kPublicNamespace;
  char kind = 'r';  // relkind
  const data::Schema* schema = nullptr;
  const catalog::Stream* stream = nullptr;
  const catalog::Table* table = nullptr;  // also of the index on its primary key
  const catalog::View* view = nullptr;
  const catalog::ViewVersion* version = nullptr;  // of `view`: the one that is shown
  bool is_user() const { return namespace_oid == kPublicNamespace; }
};

/// Beyond those of relations, below those of enums.
inline int64_t PgDomainOid(const catalog::Domain& domain) { return 0x30000000 + static_cast<int64_t>(domain.id); }
/// The pg_class row that stands for a composite type.
int64_t PgCompositeRelationOid(const catalog::NamedType& type);
std::string_view PgNamespaceName(int64_t oid);
/// All relations, the user's first. Index schemas are kept by `index_schemas`.
struct PgRelations {
  explicit PgRelations(const PgCatalogContext& context);
  const PgRelation* Find(int64_t oid) const;
  /// "name" or "schema.name", already unquoted into parts.
  const PgRelation* Find(std::string_view schema, std::string_view name) const;

  std::vector<PgRelation> all;

 private:
  std::vector<std::unique_ptr<data::Schema>> index_schemas_;
};

/// The SELECT of a view's shown version, ended by a semicolon.
std::string PgViewDefinition(const PgRelation& relation);
std::string PgIndexDefinition(const PgRelation& index);
/// "PRIMARY KEY (a, b)".
std::string PgPrimaryKeyDefinition(const catalog::Table& table);
/// format_type: modifier -1 for none.
std::string PgFormatType(int64_t oid, int32_t modifier);

/// Rows under construction; columns are set by name. Columns not set are NULL, or zero where the schema says NOT NULL.
class PgRows {
 public:
  explicit PgRows(const data::Schema& schema);
  PgRows& Row();
  PgRows& Set(std::string_view column, std::string_view text);  // arrays from their text form
  PgRows& Set(std::string_view column, const char* text) { return Set(column, std::string_view(text)); }
  PgRows& Set(std::string_view column, const std::string& text) { return Set(column, std::string_view(text)); }
  PgRows& Set(std::string_view column, char letter) { return Set(column, std::string_view(&letter, 1)); }
  PgRows& Set(std::string_view column, bool value) { return SetNumber(column, value ? 1 : 0); }
  template <typename T>
    requires(std::is_integral_v<T>)
  PgRows& Set(std::string_view column, T value) {
    return SetNumber(column, static_cast<int64_t>(value));
  }
  data::Batch Finish();

 private:
  PgRows& SetNumber(std::string_view column, int64_t value);
  data::Value& At(std::string_view column);
  void Flush();

  const data::Schema& schema_;
  std::vector<data::Value> defaults_;
  std::vector<data::Value> row_;
  bool open_ = false;
  int64_t rows_ = 0;
  std::vector<data::ColumnBuilder> builders_;
};
/// The text form of an array of these elements.
std::string PgArrayText(const std::vector<std::string>& elements);

/// Adds the rows of information_schema.`name`.
void InformationSchemaRows(const PgCatalogContext& context, const PgRelations& relations, std::string_view name, PgRows& rows);

}  // namespace kappa::engine
