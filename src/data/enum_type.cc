#include "data/enum_type.h"

#include <map>
#include <memory>
#include <mutex>

#include "base/hash.h"

namespace kappa::data {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<int32_t, std::unique_ptr<const EnumDefinition>> types;  // never removed: others hold pointers
};

Registry& Known() {
  static auto* const registry = new Registry;
  return *registry;
}

constexpr uint32_t kFirstOid = 0x40000000;  // beyond those of PostgreSQL's own types and of relations
constexpr uint32_t kFirstArrayOid = 0x10000000, kArrayOids = 0x10000000;  // of arrays of enums: clients read oids as signed numbers

}  // namespace

Type RegisterEnum(const EnumDefinition& definition) {
  uint64_t hash = Hash64(definition.name);
  for (const std::string& label : definition.labels) hash = CombineHash(hash, Hash64(label));
  const auto id = static_cast<int32_t>(hash & (kFirstOid - 1));
  Registry& known = Known();
  std::lock_guard lock(known.mutex);
  std::unique_ptr<const EnumDefinition>& entry = known.types[id];
  if (!entry) entry = std::make_unique<const EnumDefinition>(definition);
  return Type(TypeId::kEnum).WithModifier(id);
}

const EnumDefinition* FindEnum(const Type& type) {
  Registry& known = Known();
  std::lock_guard lock(known.mutex);
  const auto found = known.types.find(type.modifier);
  return found == known.types.end() ? nullptr : found->second.get();
}

uint32_t EnumOid(const Type& type) {
  const auto id = static_cast<uint32_t>(type.modifier);
  return type.is_array() ? kFirstArrayOid + id % kArrayOids : kFirstOid + id;
}

Type EnumFromOid(uint32_t oid) {
  if (oid >= kFirstArrayOid && oid < kFirstArrayOid + kArrayOids) {
    Registry& known = Known();
    std::lock_guard lock(known.mutex);
    for (const auto& [id, definition] : known.types)
      if (static_cast<uint32_t>(id) % kArrayOids == oid - kFirstArrayOid) return Type::ArrayOf(TypeId::kEnum).WithModifier(id);
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
