#include "data/enum_type.h"

#include "base/hash.h"
#include "data/type_registry.h"

namespace kappa::data {
namespace {

constexpr uint32_t kFirstOid = 0x40000000;  // beyond those of PostgreSQL's own types and of relations
constexpr uint32_t kFirstArrayOid = 0x10000000, kArrayOids = 0x10000000;  // of arrays of enums: clients read oids as signed numbers

}  // namespace

Type RegisterEnum(const EnumDefinition& definition) {
  uint64_t hash = Hash64(definition.name);
  for (const std::string& label : definition.labels) hash = CombineHash(hash, Hash64(label));
  const auto id = static_cast<int32_t>(hash & (kFirstOid - 1));
  TypeRegistry<EnumDefinition>::Instance().Add(id, definition);
  return Type(TypeId::kEnum).WithModifier(id);
}

const EnumDefinition* FindEnum(const Type& type) { return TypeRegistry<EnumDefinition>::Instance().Find(type.modifier); }

uint32_t EnumOid(const Type& type) {
  const auto id = static_cast<uint32_t>(type.modifier);
  return type.is_array() ? kFirstArrayOid + id % kArrayOids : kFirstOid + id;
}

Type EnumFromOid(uint32_t oid) {
  if (oid >= kFirstArrayOid && oid < kFirstArrayOid + kArrayOids) {
    const int32_t known = TypeRegistry<EnumDefinition>::Instance().FindId(
        [&](int32_t id, const EnumDefinition&) { return static_cast<uint32_t>(id) % kArrayOids == oid - kFirstArrayOid; });
    if (known >= 0) return Type::ArrayOf(TypeId::kEnum).WithModifier(known);
  }
  if (oid < kFirstOid) return {};
  const Type type = Type(TypeId::kEnum).WithModifier(static_cast<int32_t>(oid - kFirstOid));
  return FindEnum(type) == nullptr ? Type() : type;
}

Result<Value> EnumValue(std::string_view label, const Type& type) {
  const EnumDefinition* definition = FindEnum(type);
  if (definition == nullptr) return Error(sqlstate::kInternalError, "an enum type is not known");
  for (size_t i = 0; i < definition->labels.size(); ++i) {
    if (definition->labels[i] != label) continue;
    std::string bytes = {static_cast<char>(i >> 8), static_cast<char>(i & 0xff)};
    return Value::Bytes(type, bytes.append(label));
  }
  return Error(sqlstate::kInvalidTextRepresentation, "invalid input value for enum " + definition->name + ": \"" + std::string(label) + "\"");
}

}  // namespace kappa::data
