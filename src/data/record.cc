#include "data/record.h"

#include <algorithm>

#include "base/hash.h"
#include "data/compare.h"
#include "data/row_key.h"
#include "data/type_registry.h"

namespace kappa::data {
namespace {

// Between those of enums' arrays and those of domains.
constexpr uint32_t kFirstOid = 0x20000000, kFirstArrayOid = 0x28000000, kOids = 0x08000000;

template <typename T> T Take(std::string_view& bytes) {
  KAPPA_CHECK(bytes.size() >= sizeof(T));
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return value;
}

}  // namespace

Type RegisterRecord(const RecordDefinition& definition) {
  KAPPA_CHECK(definition.names.size() == definition.types.size());
  uint64_t hash = Hash64("record");
  for (size_t i = 0; i < definition.names.size(); ++i) {
    const Type& type = definition.types[i];
    hash = CombineHash(hash, Hash64(definition.names[i]));
    hash = CombineHash(hash, static_cast<uint64_t>(type.id) << 40 | static_cast<uint64_t>(type.element) << 32 | static_cast<uint32_t>(type.modifier));
  }
  if (!definition.name.empty()) hash = CombineHash(hash, Hash64(definition.name));
  const auto id = static_cast<int32_t>(hash & INT32_MAX);
  TypeRegistry<RecordDefinition>::Instance().Add(id, definition);
  return Type(TypeId::kRecord).WithModifier(id);
}

const RecordDefinition* FindRecord(const Type& type) { return TypeRegistry<RecordDefinition>::Instance().Find(type.modifier); }

uint32_t CompositeOid(const Type& type) {
  const RecordDefinition* definition = FindRecord(type);
  if (definition == nullptr || definition->name.empty()) return 0;
  return (type.is_array() ? kFirstArrayOid : kFirstOid) + static_cast<uint32_t>(type.modifier) % kOids;
}

Type CompositeFromOid(uint32_t oid) {
  if (oid < kFirstOid || oid >= kFirstArrayOid + kOids) return {};
  const bool array = oid >= kFirstArrayOid;
  const int32_t known = TypeRegistry<RecordDefinition>::Instance().FindId([&](int32_t id, const RecordDefinition& definition) {
    return !definition.name.empty() && static_cast<uint32_t>(id) % kOids == oid - (array ? kFirstArrayOid : kFirstOid);
  });
  if (known < 0) return {};
  return (array ? Type::ArrayOf(TypeId::kRecord) : Type(TypeId::kRecord)).WithModifier(known);
}

bool FieldsAreKnown(const Type& type) {
  if (!type.is_record()) return true;
  const RecordDefinition* definition = FindRecord(type);
  return definition != nullptr && std::all_of(definition->types.begin(), definition->types.end(), FieldsAreKnown);
}

void RecordBuilder::Begin(const Type& type, bool present) {
  KAPPA_CHECK(++fields_ <= kRecordFieldsMax);
  bytes_ += static_cast<char>(type.id);
  bytes_ += static_cast<char>(type.element);
  bytes_ += static_cast<char>(present);
}

void RecordBuilder::AppendNull(const Type& type) { Begin(type, false); }

void RecordBuilder::Append(const Type& type, std::string_view physical) {
  Begin(type, true);
  if (type.is_variable()) {
    const auto size = static_cast<uint32_t>(physical.size());
    bytes_.append(reinterpret_cast<const char*>(&size), sizeof size);
  }
  bytes_ += physical;
}

void RecordBuilder::AppendFrom(const Column& column, int64_t row) {
  const Type& type = column.type();
  if (column.IsNull(row)) return AppendNull(type);
  if (type.is_variable()) return Append(type, column.bytes(row));
  const auto width = static_cast<size_t>(type.width());
  Append(type, {column.data<char>() + static_cast<size_t>(row) * width, width});
}

std::string RecordBuilder::Finish() {
  std::memcpy(bytes_.data(), &fields_, sizeof fields_);
  fields_ = 0;
  return std::exchange(bytes_, std::string(2, '\0'));
}

RecordReader::RecordReader(std::string_view bytes) : rest_(bytes) {
  if (!rest_.empty()) fields_ = Take<uint16_t>(rest_);
}

RecordReader::Field RecordReader::Next() {
  const auto id = static_cast<TypeId>(Take<uint8_t>(rest_));
  Field field{Type(id, static_cast<TypeId>(Take<uint8_t>(rest_))), std::nullopt};
  if (Take<uint8_t>(rest_) == 0) return field;
  const size_t size = field.type.is_variable() ? Take<uint32_t>(rest_) : static_cast<size_t>(field.type.width());
  KAPPA_CHECK(rest_.size() >= size);
  field.physical = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return field;
}

ColumnPtr RecordReader::Field::Column(const Type& full) const {
  return ConstantColumn(physical ? Value::Bytes(full, std::string(*physical)) : Value::Null(full), 1);
}

int CompareRecords(std::string_view a, std::string_view b) {
  RecordReader x(a), y(b);
  for (int i = 0; i < x.fields() && i < y.fields(); ++i) {
    const RecordReader::Field left = x.Next(), right = y.Next();
    if (!left.type.Same(right.type))
      return left.type.id != right.type.id ? (left.type.id < right.type.id ? -1 : 1) : (left.type.element < right.type.element ? -1 : 1);
    if (!left.physical || !right.physical) {
      if (left.physical.has_value() != right.physical.has_value()) return left.physical ? -1 : 1;
    } else if (const int order = ComparePhysical(left.type, *left.physical, *right.physical); order != 0) {
      return order;
    }
  }
  return (x.fields() > y.fields()) - (x.fields() < y.fields());
}

bool IsCanonicalRecord(std::string_view bytes) {
  std::string canonical;
  AppendCanonicalRecord(bytes, canonical);
  return canonical == bytes;
}

void AppendCanonicalRecord(std::string_view bytes, std::string& out) {
  RecordReader reader(bytes);
  RecordBuilder builder;
  for (int i = 0; i < reader.fields(); ++i) {
    const RecordReader::Field field = reader.Next();
    if (!field.physical) builder.AppendNull(field.type);
    else builder.AppendFrom(*CanonicalColumn(field.Column(field.type)), 0);
  }
  out += builder.Finish();
}

}  // namespace kappa::data
