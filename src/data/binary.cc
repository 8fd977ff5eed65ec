// PostgreSQL's binary wire forms.
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/bytes.h"
#include "data/array.h"
#include "data/datetime.h"
#include "data/enum_type.h"
#include "data/json.h"
#include "data/numeric.h"
#include "data/record.h"
#include "data/text.h"
#include "data/utf8.h"

namespace kappa::data {
namespace {

constexpr uint16_t kNumericNegativeSign = 0x4000;
constexpr uint16_t kNumericNanSign = 0xC000, kNumericInfinitySign = 0xD000, kNumericNegativeInfinitySign = 0xF000;
constexpr int kGroupDigits = 4;  // decimal digits in a base-10000 digit
constexpr char kJsonbVersion = 1;

template <typename T> void AppendBig(T value, std::string& out) {
  ByteWriter writer;
  writer.Big(value);
  out += writer.str();
}

template <typename T> T Load(std::string_view physical) {
  T value;
  std::memcpy(&value, physical.data(), sizeof value);
  return value;
}

Error BadBinary(std::string message) { return Error(sqlstate::kInvalidBinaryRepresentation, std::move(message)); }
Error BadLength() { return BadBinary("incorrect binary data format"); }

void AppendNumericBinary(const Numeric& number, std::string& out) {
  if (!number.is_finite()) {
    uint16_t sign = number.is_nan() ? kNumericNanSign : number.sign() > 0 ? kNumericInfinitySign : kNumericNegativeInfinitySign;
    for (uint16_t word : {uint16_t{0}, uint16_t{0}, sign, uint16_t{0}}) AppendBig(word, out);
    return;
  }
  std::string text = number.Abs().ToString();
  size_t point = std::min(text.find('.'), text.size());
  std::string whole = text.substr(0, point);
  std::string fraction = point < text.size() ? text.substr(point + 1) : "";
  whole.insert(0, (kGroupDigits - whole.size() % kGroupDigits) % kGroupDigits, '0');
  fraction.append((kGroupDigits - fraction.size() % kGroupDigits) % kGroupDigits, '0');
  std::string digits = whole + fraction;
  std::vector<int16_t> groups;
  for (size_t i = 0; i < digits.size(); i += kGroupDigits) groups.push_back(static_cast<int16_t>(std::stoi(digits.substr(i, kGroupDigits))));
  int weight = static_cast<int>(whole.size() / kGroupDigits) - 1;
  auto first = std::find_if(groups.begin(), groups.end(), [](int16_t g) { return g != 0; });
  weight -= static_cast<int>(first - groups.begin());
  groups.erase(groups.begin(), first);
  while (!groups.empty() && groups.back() == 0) groups.pop_back();
  if (groups.empty()) weight = 0;
  AppendBig(static_cast<int16_t>(groups.size()), out);
  AppendBig(static_cast<int16_t>(weight), out);
  AppendBig(number.sign() < 0 ? kNumericNegativeSign : uint16_t{0}, out);
  AppendBig(static_cast<int16_t>(number.scale()), out);
  for (int16_t group : groups) AppendBig(group, out);
}

Result<Numeric> ReadNumericBinary(std::string_view bytes) {
  ByteReader reader(bytes);
  int count = reader.Big<uint16_t>();
  int weight = reader.Big<int16_t>();
  uint16_t sign = reader.Big<uint16_t>();
  int scale = reader.Big<uint16_t>();
  if (!reader.ok() || reader.remaining() != static_cast<size_t>(count) * 2) return BadLength();
  if (sign == kNumericNanSign) return Numeric::Nan();
  if (sign == kNumericInfinitySign) return Numeric::Infinity();
  if (sign == kNumericNegativeInfinitySign) return Numeric::NegativeInfinity();
  if (sign != 0 && sign != kNumericNegativeSign) return BadBinary("invalid sign in external \"numeric\" value");
  if (scale > kNumericScaleMax) return BadBinary("invalid scale in external \"numeric\" value");
  std::string digits;
  for (int i = 0; i < count; ++i) {
    int group = reader.Big<int16_t>();
    if (group < 0 || group > 9999) return BadBinary("invalid digit in external \"numeric\" value");
    std::string text = std::to_string(group);
    digits.append(static_cast<size_t>(kGroupDigits) - text.size(), '0').append(text);
  }
  // The point lies behind group `weight`.
  int64_t point = (int64_t{weight} + 1) * kGroupDigits;
  if (point < 0) {
    digits.insert(0, static_cast<size_t>(-point), '0');
    point = 0;
  }
  if (static_cast<int64_t>(digits.size()) < point) digits.append(static_cast<size_t>(point) - digits.size(), '0');
  std::string fraction = digits.substr(static_cast<size_t>(point));
  fraction.resize(static_cast<size_t>(scale), '0');  // digits beyond the display scale are cut, as PostgreSQL does
  return Numeric::Parse((sign != 0 ? "-" : "") + digits.substr(0, static_cast<size_t>(point)) + (point == 0 ? "0" : "") +
                        (fraction.empty() ? "" : "." + fraction));
}

int64_t ToPostgresMicros(int64_t micros) { return IsFinite(micros) ? micros - kPostgresEpochMicros : micros; }

void AppendPhysicalBinary(Type type, std::string_view physical, std::string& out);

/// The length, then the value.
void AppendSized(Type type, std::string_view physical, std::string& out) {
  const size_t at = out.size();
  AppendBig(int32_t{0}, out);
  AppendPhysicalBinary(type, physical, out);
  std::string size;
  AppendBig(static_cast<int32_t>(out.size() - at - 4), size);
  out.replace(at, 4, size);
}

void AppendArrayBinary(Type element, std::string_view bytes, std::string& out) {
  ArrayView array(bytes);
  AppendBig(array.dimensions(), out);
  AppendBig(static_cast<int32_t>(array.has_nulls()), out);
  AppendBig(element.oid(), out);
  for (int d = 0; d < array.dimensions(); ++d) {
    AppendBig(array.length(d), out);
    AppendBig(int32_t{1}, out);
  }
  for (int32_t i = 0; i < array.size(); ++i) {
    if (array.IsNull(i)) AppendBig(int32_t{-1}, out);
    else AppendSized(element, array.bytes(i), out);
  }
}

void AppendRecordBinary(Type type, std::string_view bytes, std::string& out) {
  const RecordDefinition* definition = FindRecord(type);
  RecordReader record(bytes);
  AppendBig(static_cast<int32_t>(record.fields()), out);
  for (int i = 0; i < record.fields(); ++i) {
    const RecordReader::Field field = record.Next();
    const Type full = definition == nullptr ? field.type : definition->types[static_cast<size_t>(i)];
    AppendBig(full.oid(), out);
    if (field.physical) AppendSized(full, *field.physical, out);
    else AppendBig(int32_t{-1}, out);
  }
}

void AppendPhysicalBinary(Type type, std::string_view physical, std::string& out) {
  switch (type.id) {
    case TypeId::kBool: out += physical[0]; return;
    case TypeId::kInt2: return AppendBig(Load<int16_t>(physical), out);
    case TypeId::kInt4:
    case TypeId::kFloat4: return AppendBig(Load<int32_t>(physical), out);
    case TypeId::kInt8:
    case TypeId::kTime:
    case TypeId::kFloat8: return AppendBig(Load<int64_t>(physical), out);
    case TypeId::kOid: return AppendBig(static_cast<uint32_t>(Load<int64_t>(physical)), out);
    case TypeId::kNumeric: return AppendNumericBinary(Numeric::FromBytes(physical), out);
    case TypeId::kDate: {
      int32_t date = Load<int32_t>(physical);
      return AppendBig(IsFiniteDate(date) ? static_cast<int32_t>(date - kPostgresEpochDays) : date, out);
    }
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return AppendBig(ToPostgresMicros(Load<int64_t>(physical)), out);
    case TypeId::kInterval: {
      Interval interval = Load<Interval>(physical);
      AppendBig(interval.micros, out);
      AppendBig(interval.days, out);
      return AppendBig(interval.months, out);
    }
    case TypeId::kJsonb:
      out += kJsonbVersion;
      out += physical;
      return;
    case TypeId::kArray: return AppendArrayBinary(ElementType(type), physical, out);
    case TypeId::kRecord: return AppendRecordBinary(type, physical, out);
    case TypeId::kUnknown:
    case TypeId::kText:
    case TypeId::kBytea:
    case TypeId::kUuid: out += physical; return;
    case TypeId::kEnum: out += EnumLabel(physical); return;
  }
}

template <typename T> Result<Value> ReadFixed(std::string_view bytes, Type type) {
  if (bytes.size() != sizeof(T)) return BadLength();
  ByteReader reader(bytes);
  return Value::Fixed(type, reader.Big<T>());
}

Result<Value> ReadTimestamp(std::string_view bytes, Type type) {
  if (bytes.size() != sizeof(int64_t)) return BadLength();
  int64_t since_2000 = ByteReader(bytes).Big<int64_t>();
  if (!IsFinite(since_2000)) return Value::Fixed(type, since_2000);
  int64_t micros;
  if (__builtin_add_overflow(since_2000, kPostgresEpochMicros, &micros) || micros < kFirstDay * kMicrosPerDay || !IsFinite(micros)) {
    return Error(sqlstate::kDatetimeFieldOverflow, "timestamp out of range");
  }
  return Value::Fixed(type, RoundTimestamp(micros, type.modifier));
}

Result<Value> ReadDate(std::string_view bytes, Type type) {
  if (bytes.size() != sizeof(int32_t)) return BadLength();
  int32_t since_2000 = ByteReader(bytes).Big<int32_t>();
  if (!IsFiniteDate(since_2000)) return Value::Fixed(type, since_2000);
  int64_t days = int64_t{since_2000} + kPostgresEpochDays;
  if (days < kFirstDay || days > kLastDay) return Error(sqlstate::kDatetimeFieldOverflow, "date out of range");
  return Value::Fixed(type, static_cast<int32_t>(days));
}

Result<Value> ReadArray(std::string_view bytes, Type type) {
  ByteReader reader(bytes);
  int32_t dimensions = reader.Big<int32_t>();
  int32_t flags = reader.Big<int32_t>();
  Type element = TypeFromOid(reader.Big<uint32_t>());
  if (!reader.ok()) return BadLength();
  if (dimensions < 0 || dimensions > kArrayDimensionsMax) return BadBinary("invalid number of dimensions: " + std::to_string(dimensions));
  if ((flags & ~1) != 0) return BadBinary("invalid array flags");
  if (element.id != type.element) {
    return Error(sqlstate::kDatatypeMismatch,
                 "binary data has array element type " + element.ToString() + " instead of expected " + Type(type.element).ToString());
  }
  element = element.WithModifier(type.modifier);
  std::vector<int32_t> lengths;
  uint64_t count = dimensions > 0 ? 1 : 0;
  for (int d = 0; d < dimensions; ++d) {
    int32_t length = reader.Big<int32_t>();
    int32_t lower_bound = reader.Big<int32_t>();
    if (!reader.ok() || length < 0) return BadLength();
    if (lower_bound != 1 && length > 0) return Error(sqlstate::kFeatureNotSupported, "array lower bounds are not supported");
    lengths.push_back(length);
    count *= static_cast<uint64_t>(length);
    if (count > bytes.size()) return BadLength();  // every element takes four bytes at least
  }
  ArrayBuilder builder(type.element);
  for (uint64_t i = 0; i < count; ++i) {
    int32_t size = reader.Big<int32_t>();
    if (size == -1 && reader.ok()) {
      builder.AppendNull();
      continue;
    }
    if (size < 0) return BadLength();
    std::string_view item = reader.Bytes(static_cast<size_t>(size));
    if (!reader.ok()) return BadLength();
    KAPPA_ASSIGN_OR_RETURN(Value value, FromBinary(item, element));
    builder.Append(value.bytes);
  }
  if (!reader.AtEnd()) return BadLength();
  return Value::Bytes(type, builder.Finish(std::move(lengths)));
}

}  // namespace

void AppendBinary(const Column& column, int64_t row, std::string& out) {
  Type type = column.type();
  if (type.is_variable()) return AppendPhysicalBinary(type, column.bytes(row), out);
  int64_t width = type.width();
  AppendPhysicalBinary(type, {column.data<char>() + row * width, static_cast<size_t>(width)}, out);
}

Result<Value> FromBinary(std::string_view bytes, Type type) {
  switch (type.id) {
    case TypeId::kBool:
      if (bytes.size() != 1) return BadLength();
      return Value::Bool(bytes[0] != 0);
    case TypeId::kInt2: return ReadFixed<int16_t>(bytes, type);
    case TypeId::kInt4: return ReadFixed<int32_t>(bytes, type);
    case TypeId::kInt8: return ReadFixed<int64_t>(bytes, type);
    case TypeId::kOid:
      if (bytes.size() != sizeof(uint32_t)) return BadLength();
      return Value::Fixed(type, int64_t{ByteReader(bytes).Big<uint32_t>()});
    case TypeId::kFloat4:
      if (bytes.size() != sizeof(uint32_t)) return BadLength();
      return Value::Fixed(type, std::bit_cast<float>(ByteReader(bytes).Big<uint32_t>()));
    case TypeId::kFloat8:
      if (bytes.size() != sizeof(uint64_t)) return BadLength();
      return Value::Fixed(type, std::bit_cast<double>(ByteReader(bytes).Big<uint64_t>()));
    case TypeId::kNumeric: {
      KAPPA_ASSIGN_OR_RETURN(Numeric number, ReadNumericBinary(bytes));
      KAPPA_ASSIGN_OR_RETURN(number, number.ApplyModifier(type.modifier));
      return Value::Bytes(type, number.ToBytes());
    }
    case TypeId::kDate: return ReadDate(bytes, type);
    case TypeId::kTime: {
      KAPPA_ASSIGN_OR_RETURN(Value time, ReadFixed<int64_t>(bytes, type));
      if (time.As<int64_t>() < 0 || time.As<int64_t>() > kMicrosPerDay) return Error(sqlstate::kDatetimeFieldOverflow, "time out of range");
      return time;
    }
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return ReadTimestamp(bytes, type);
    case TypeId::kInterval: {
      if (bytes.size() != sizeof(Interval)) return BadLength();
      ByteReader reader(bytes);
      Interval interval;
      interval.micros = reader.Big<int64_t>();
      interval.days = reader.Big<int32_t>();
      interval.months = reader.Big<int32_t>();
      KAPPA_ASSIGN_OR_RETURN(interval, ApplyIntervalModifier(interval, type.modifier));
      return Value::Fixed(type, interval);
    }
    case TypeId::kJsonb:
      if (bytes.empty() || bytes.front() != kJsonbVersion)
        return BadBinary("unsupported jsonb version number " + std::to_string(bytes.empty() ? 0 : bytes.front()));
      return FromText(bytes.substr(1), type);
    case TypeId::kUuid:
      if (bytes.size() != 16) return BadLength();
      return Value::Bytes(type, std::string(bytes));
    case TypeId::kBytea: return Value::Bytes(type, std::string(bytes));
    case TypeId::kUnknown:
    case TypeId::kEnum:
    case TypeId::kText: return FromText(bytes, type);
    case TypeId::kArray: return ReadArray(bytes, type);
    case TypeId::kRecord: break;
  }
  return Error(sqlstate::kFeatureNotSupported, "binary input of type " + type.ToString() + " is not supported");
}

}  // namespace kappa::data
