// Value: one typed scalar, for literals, parameters and tests. Never on a per-row path.
#pragma once

#include <string>

#include "data/column.h"

namespace kappa::data {

struct Value {
  Type type;
  bool null = true;
  /// The physical value: fixed-width types as their bytes, variable types as the bytes themselves.
  std::string bytes;

  static Value Null(Type type) { return {type, true, {}}; }
  template <typename T> static Value Fixed(Type type, T value) {
    KAPPA_CHECK(static_cast<int>(sizeof(T)) == type.width() && !type.is_variable());
    return {type, false, std::string(reinterpret_cast<const char*>(&value), sizeof value)};
  }
  static Value Bytes(Type type, std::string bytes) { return {type, false, std::move(bytes)}; }
  static Value Text(std::string text) { return Bytes(TypeId::kText, std::move(text)); }
  static Value Bool(bool b) { return Fixed<uint8_t>(TypeId::kBool, b); }
  static Value Int8(int64_t i) { return Fixed<int64_t>(TypeId::kInt8, i); }
  template <typename T> T As() const {
    KAPPA_CHECK(!null && bytes.size() == sizeof(T));
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  friend bool operator==(const Value&, const Value&) = default;
};

/// The value in a row of a column.
Value ValueAt(const Column& column, int64_t row);
/// `count` copies of a value.
ColumnPtr ConstantColumn(const Value& value, int64_t count);
/// Appends the value (of the builder's type) to a builder.
void AppendValue(ColumnBuilder& builder, const Value& value);

}  // namespace kappa::data
