// SQL types, and how each is laid out in a column.
//
//   type                       physical value                       notes
//   bool                       uint8_t (0 or 1)
//   int2 int4 int8 oid         int16_t int32_t int64_t int64_t
//   float4 float8              float double
//   time                       int64_t   microseconds since midnight, up to 24:00:00
//   date                       int32_t   days since 1970-01-01      INT32_MIN/MAX are -infinity/infinity
//   timestamp timestamptz      int64_t   microseconds since 1970 UTC  INT64_MIN/MAX are -infinity/infinity
//   interval                   Interval  months, days, microseconds
//   text bytea jsonb numeric   StringView over bytes; numeric.h and json.h define the bytes of numeric and jsonb
//   enums                      StringView over the label and its place (enum_type.h); the modifier tells the type
//   arrays                     StringView over a packed array (array.h)
//   records                    StringView over packed fields (record.h); the modifier tells the type
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kappa::data {

enum class TypeId : uint8_t {
  kUnknown,  // an untyped literal or NULL; values are text
  kBool,
  kInt2,
  kInt4,
  kInt8,
  kOid,
  kFloat4,
  kFloat8,
  kNumeric,
  kText,
  kBytea,
  kDate,
  kTimestamp,
  kTimestamptz,
  kInterval,
  kJsonb,
  kUuid /* StringView of 16 bytes */,
  kArray,
  kRecord /* StringView, see record.h; without a modifier the pseudo-type of signatures */,
  kEnum /* StringView, see enum_type.h */,
  kTime /* without time zone */,
};

struct Type {
  TypeId id = TypeId::kUnknown;
  TypeId element = TypeId::kUnknown;  // of arrays (one or more dimensions share one type, as in PostgreSQL)
  /// PostgreSQL's typmod: numeric ((p << 16) | (s & 0x7ff)) + 4, varchar n + 4, timestamp precision, interval_fields.h;
  /// -1 none. Of arrays: that of the elements.
  int32_t modifier = -1;

  Type() = default;
  Type(TypeId i) : id(i) {}  // NOLINT: implicit by design
  Type(TypeId i, TypeId e) : id(i), element(e) {}
  static Type ArrayOf(TypeId element) { return Type(TypeId::kArray, element); }
  Type WithModifier(int32_t m) const {
    Type t = *this;
    t.modifier = m;
    return t;
  }
  Type WithoutModifier() const { return is_defined() ? *this : WithModifier(-1); }
  bool is_array() const { return id == TypeId::kArray; }
  /// An enum or record, or an array of one: then the modifier is part of which type it is.
  bool is_enum() const { return id == TypeId::kEnum || element == TypeId::kEnum; }
  bool is_record() const { return id == TypeId::kRecord || element == TypeId::kRecord; }
  bool is_defined() const { return is_enum() || is_record(); }
  /// Values are StringViews (with bytes in heaps) rather than fixed-width numbers.
  bool is_variable() const;
  /// Bytes of one physical value: 1, 2, 4, 8 or 16.
  int width() const;
  /// Same type, modifiers aside.
  bool Same(const Type& other) const { return id == other.id && element == other.element && (!is_defined() || modifier == other.modifier); }
  friend bool operator==(const Type&, const Type&) = default;

  /// PostgreSQL's spelling: "bigint", "timestamp with time zone", "numeric(12,2)", "text[]".
  std::string ToString() const;
  /// pg_type.oid and pg_type.typlen.
  uint32_t oid() const;
  int16_t length() const;
};

bool IsInteger(TypeId id);
/// int2 int4 int8 float4 float8 numeric.
bool IsNumber(TypeId id);
/// The type of a pg_type name or alias ("int", "int4", "bigint", "varchar", "timestamptz", "_text", ...), in lower case;
/// modifiers and brackets may follow ("numeric(12,2)", "interval day to second", "text[]"). Fails with undefined_object.
Result<Type> TypeFromName(std::string_view name);
/// The type with this pg_type.oid, kUnknown when kappa has no such type.
Type TypeFromOid(uint32_t oid);

/// The modifier of numeric(precision[, scale]). Fails with invalid_parameter_value as PostgreSQL does.
Result<int32_t> NumericModifier(std::span<const int> precision_and_scale);
inline int NumericPrecision(int32_t modifier) { return ((modifier - 4) >> 16) & 0xffff; }
inline int NumericScale(int32_t modifier) { return (((modifier - 4) & 0x7ff) ^ 1024) - 1024; }  // -1000..1000

struct Interval {
  int64_t micros = 0;
  int32_t days = 0;
  int32_t months = 0;
  friend bool operator==(const Interval&, const Interval&) = default;
};
static_assert(sizeof(Interval) == 16);

struct Field {
  std::string name;
  Type type;
  bool nullable = true;
};

/// Columns in order. Names need not be unique in intermediate results.
struct Schema {
  std::vector<Field> fields;

  int size() const { return static_cast<int>(fields.size()); }
  /// Index of the first field of this name, -1 when there is none.
  int Find(std::string_view name) const;
};

}  // namespace kappa::data
