// Rows as values of a column. Which names and types the fields have is told by a hash of them, the modifier of data::Type, as with enums
// (enum_type.h). The bytes say by themselves what is in them:
//
//   at      bytes            field
//    0        2              number of fields (uint16, little-endian)
//    then, for each field:
//             1              type (TypeId)
//             1              of an array: type of its elements
//             1              1: a value follows, 0: NULL
//             4              bytes of the value (uint32), only of variable-width types
//             ..             the physical value
//
// Nothing is aligned: read with memcpy.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/column.h"
#include "data/value.h"

namespace kappa::data {

inline constexpr size_t kRecordFieldsMax = 1664;  // PostgreSQL's limit of a row's columns

struct RecordDefinition {
  std::vector<std::string> names;
  std::vector<Type> types;
  std::string name = {};  // of CREATE TYPE .. AS (..); empty: rows of queries
};

/// Makes the type known, for the life of the process. Threads: any.
Type RegisterRecord(const RecordDefinition& definition);
/// Null for a type that was never made, as the pseudo-type `record` is.
const RecordDefinition* FindRecord(const Type& type);
/// Of a record type with a name, or an array of one; 0 for others.
uint32_t CompositeOid(const Type& type);
/// kUnknown when no record type with a name, or array of one, has it.
Type CompositeFromOid(uint32_t oid);

/// False when the type is, or holds, the pseudo-type `record`, whose fields nobody knows.
bool FieldsAreKnown(const Type& type);

/// Packs fields one by one.
class RecordBuilder {
 public:
  void AppendNull(const Type& type);
  /// The physical value: the bytes of a fixed-width number, or the bytes themselves.
  void Append(const Type& type, std::string_view physical);
  void AppendFrom(const Column& column, int64_t row);
  /// The builder is empty afterwards.
  std::string Finish();

 private:
  void Begin(const Type& type, bool present);

  std::string bytes_ = std::string(2, '\0');
  uint16_t fields_ = 0;
};

/// Reads packed bytes that were made by RecordBuilder, field by field. Empty bytes (the value under a NULL) have no fields.
class RecordReader {
 public:
  struct Field {
    Type type;  // without a modifier
    std::optional<std::string_view> physical;  // nullopt: NULL
    /// The value, of this type, in a column of one row.
    ColumnPtr Column(const Type& full) const;
  };
  explicit RecordReader(std::string_view bytes);
  int fields() const { return fields_; }
  /// Called at most fields() times.
  Field Next();

 private:
  int fields_ = 0;
  std::string_view rest_;
};

/// PostgreSQL's order: field by field (NULL last), then by number of fields.
int CompareRecords(std::string_view a, std::string_view b);
bool IsCanonicalRecord(std::string_view bytes);
/// The record with every field in its canonical form.
void AppendCanonicalRecord(std::string_view bytes, std::string& out);

}  // namespace kappa::data
