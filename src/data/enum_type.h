// Enumerated types: their labels, and how a value is laid out. A type is told by a hash of its name and labels, which is the modifier of
// data::Type, so that equal definitions are one type wherever they were made: in this process there may be several catalogs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/value.h"

namespace kappa::data {

struct EnumDefinition {
  std::string name;
  std::vector<std::string> labels;  // in their order
};

/// Makes the type known, for the life of the process. Threads: any.
Type RegisterEnum(const EnumDefinition& definition);
/// Null for a type that was never made.
const EnumDefinition* FindEnum(const Type& type);
/// Of an enum or an array of one.
uint32_t EnumOid(const Type& type);
/// kUnknown when no enum, or array of one, has it.
Type EnumFromOid(uint32_t oid);

/// The type of an array's elements, and the array of elements of a type. Modifiers are no part of either, but that which tells an enum or a record.
inline Type ElementType(const Type& array) { return array.is_defined() ? Type(array.element).WithModifier(array.modifier) : Type(array.element); }
inline Type ArrayType(const Type& element) {
  if (element.is_array()) return element.WithoutModifier();  // with a dimension more
  const Type array = Type::ArrayOf(element.id);
  return element.is_defined() ? array.WithModifier(element.modifier) : array;
}

/// The label of a physical value: two bytes, the place of the label (big-endian), so that bytes are ordered as labels are; then the label.
inline std::string_view EnumLabel(std::string_view physical) { return physical.substr(2); }
/// Fails with invalid_text_representation.
Result<Value> EnumValue(std::string_view label, const Type& type);

}  // namespace kappa::data
