// Text forms of all types.
#include "data/text.h"
#include "data/enum_type.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "data/array_text.h"
#include "data/datetime.h"
#include "data/float_text.h"
#include "data/json.h"
#include "data/numeric.h"
#include "data/record.h"
#include "data/record_text.h"
#include "data/utf8.h"

namespace kappa::data {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

Error BadSyntax(std::string_view text, const char* type) {
  return Error(sqlstate::kInvalidTextRepresentation, std::string("invalid input syntax for type ") + type + ": \"" + std::string(text) + "\"");
}

template <typename T> T Load(std::string_view physical) {
  T value;
  std::memcpy(&value, physical.data(), sizeof value);
  return value;
}

// The last zone that this thread used: loading one by name for every row would cost more than printing it.
const TimeZone& CachedZone(const std::string& name) {
  thread_local std::string cached_name = "UTC";
  thread_local TimeZone cached;
  if (cached_name != name) {
    Result<TimeZone> zone = TimeZone::Load(name);
    cached = zone.ok() ? *zone : TimeZone();  // the session validated the name when it was set
    cached_name = name;
  }
  return cached;
}

template <typename T> void AppendInteger(T value, std::string& out) {
  char buffer[24];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, static_cast<size_t>(end - buffer));
}

void AppendHex(std::string_view bytes, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  for (unsigned char c : bytes) {
    out += kHex[c >> 4];
    out += kHex[c & 15];
  }
}

void AppendUuid(std::string_view bytes, std::string& out) {
  constexpr size_t kGroups[] = {4, 2, 2, 2, 6};
  size_t at = 0;
  for (size_t group : kGroups) {
    if (at > 0) out += '-';
    AppendHex(bytes.substr(std::min(at, bytes.size()), group), out);
    at += group;
  }
}

void AppendPhysical(Type type, std::string_view physical, const TextOptions& options, std::string& out) {
  switch (type.id) {
    case TypeId::kBool: out += physical[0] != 0 ? 't' : 'f'; return;
    case TypeId::kInt2: return AppendInteger(Load<int16_t>(physical), out);
    case TypeId::kInt4: return AppendInteger(Load<int32_t>(physical), out);
    case TypeId::kInt8:
    case TypeId::kOid: return AppendInteger(Load<int64_t>(physical), out);
    case TypeId::kFloat4: return AppendFloat(Load<float>(physical), out);
    case TypeId::kFloat8: return AppendFloat(Load<double>(physical), out);
    case TypeId::kNumeric: return Numeric::FromBytes(physical).AppendText(out);
    case TypeId::kBytea: out += "\\x"; return AppendHex(physical, out);
    case TypeId::kDate: return AppendDate(Load<int32_t>(physical), out);
    case TypeId::kTime: return AppendTime(Load<int64_t>(physical), out);
    case TypeId::kTimestamp: return AppendTimestamp(Load<int64_t>(physical), out);
    case TypeId::kTimestamptz: return AppendTimestamptz(Load<int64_t>(physical), CachedZone(options.time_zone), out);
    case TypeId::kInterval: return AppendInterval(Load<Interval>(physical), out);
    case TypeId::kUuid: return AppendUuid(physical, out);
    case TypeId::kArray: return AppendArrayText(physical, options, out);
    case TypeId::kRecord: return AppendRecordText(physical, options, out);
    case TypeId::kUnknown:
    case TypeId::kText:
    case TypeId::kJsonb: out += physical; return;
    case TypeId::kEnum: out += EnumLabel(physical); return;
  }
}

Result<Value> ParseBool(std::string_view text) {
  std::string word = LowerCase(Trim(text));
  auto prefix_of = [&](std::string_view full) { return !word.empty() && full.starts_with(word); };
  if (prefix_of("true") || prefix_of("yes") || word == "on" || word == "1") return Value::Bool(true);
  if (prefix_of("false") || prefix_of("no") || word == "of" || word == "off" || word == "0") return Value::Bool(false);
  return BadSyntax(text, "boolean");
}

template <typename T> Result<Value> ParseInteger(std::string_view text, Type type, const char* name) {
  std::string_view digits = Trim(text);
  if (digits.size() > 1 && digits.front() == '+' && digits[1] != '-') digits.remove_prefix(1);
  T value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::invalid_argument || end != digits.data() + digits.size()) return BadSyntax(text, name);
  if (error == std::errc::result_out_of_range) {
    return Error(sqlstate::kNumericValueOutOfRange, "value \"" + std::string(text) + "\" is out of range for type " + name);
  }
  return Value::Fixed(type, value);
}

Result<Value> ParseOid(std::string_view text) {
  std::string_view digits = Trim(text);
  if (digits.size() > 1 && digits.front() == '+' && digits[1] != '-') digits.remove_prefix(1);
  int64_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::invalid_argument || end != digits.data() + digits.size()) return BadSyntax(text, "oid");
  if (error != std::errc() || value > std::numeric_limits<uint32_t>::max() || value < std::numeric_limits<int32_t>::min()) {
    return Error(sqlstate::kNumericValueOutOfRange, "value \"" + std::string(text) + "\" is out of range for type oid");
  }
  return Value::Fixed(TypeId::kOid, int64_t{static_cast<uint32_t>(value)});
}

template <typename T> Result<Value> ParseFloating(std::string_view text, Type type, const char* name) {
  std::string_view number = Trim(text);
  T value = 0;
  switch (ParseFloat(number, value)) {
    case FloatParse::kOk: return Value::Fixed(type, value);
    case FloatParse::kMalformed: return BadSyntax(text, name);
    case FloatParse::kOutOfRange: break;
  }
  return Error(sqlstate::kNumericValueOutOfRange, "\"" + std::string(number) + "\" is out of range for type " + name);
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<Value> ParseBytea(std::string_view text) {
  std::string bytes;
  if (text.starts_with("\\x")) {
    for (size_t i = 2; i < text.size(); ++i) {
      if (IsSpace(text[i])) continue;
      int high = HexDigit(text[i]);
      if (high < 0) return Error(sqlstate::kInvalidParameterValue, "invalid hexadecimal digit: \"" + std::string(1, text[i]) + "\"");
      if (++i >= text.size()) return Error(sqlstate::kInvalidParameterValue, "invalid hexadecimal data: odd number of digits");
      int low = HexDigit(text[i]);
      if (low < 0) return Error(sqlstate::kInvalidParameterValue, "invalid hexadecimal digit: \"" + std::string(1, text[i]) + "\"");
      bytes += static_cast<char>(high << 4 | low);
    }
    return Value::Bytes(TypeId::kBytea, std::move(bytes));
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    auto octal = [&](size_t at, char max) { return at < text.size() && text[at] >= '0' && text[at] <= max; };
    if (i + 1 < text.size() && text[i + 1] == '\\') {
      bytes += '\\';
      ++i;
    } else if (octal(i + 1, '3') && octal(i + 2, '7') && octal(i + 3, '7')) {
      bytes += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
      i += 3;
    } else {
      return Error(sqlstate::kInvalidTextRepresentation, "invalid input syntax for type bytea");
    }
  }
  return Value::Bytes(TypeId::kBytea, std::move(bytes));
}

Result<Value> ParseUuid(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with('{') && rest.ends_with('}')) rest = rest.substr(1, rest.size() - 2);
  std::string bytes;
  for (int i = 0; i < 16; ++i) {
    if (i > 0 && i % 2 == 0 && rest.starts_with('-')) rest.remove_prefix(1);
    if (rest.size() < 2 || HexDigit(rest[0]) < 0 || HexDigit(rest[1]) < 0) return BadSyntax(text, "uuid");
    bytes += static_cast<char>(HexDigit(rest[0]) << 4 | HexDigit(rest[1]));
    rest.remove_prefix(2);
  }
  if (!rest.empty()) return BadSyntax(text, "uuid");
  return Value::Bytes(TypeId::kUuid, std::move(bytes));
}

Result<Value> ParseString(std::string_view text, Type type) {
  KAPPA_RETURN_IF_ERROR(CheckUtf8(text));
  if (type.id != TypeId::kText || type.modifier < 4) return Value::Bytes(type, std::string(text));
  KAPPA_ASSIGN_OR_RETURN(std::string_view cut, FitToLength(text, type.modifier - 4));
  return Value::Bytes(type, std::string(cut));
}

template <typename T> Result<Value> Wrap(Result<T> result, Type type) {
  if (!result.ok()) return result.error();
  return Value::Fixed(type, *result);
}

}  // namespace

void AppendText(const Column& column, int64_t row, const TextOptions& options, std::string& out) {
  Type type = column.type();
  if (type.is_variable()) return AppendPhysical(type, column.bytes(row), options, out);
  int64_t width = type.width();
  AppendPhysical(type, {column.data<char>() + row * width, static_cast<size_t>(width)}, options, out);
}

std::string ToText(const Value& value, const TextOptions& options) {
  std::string out;
  if (!value.null) AppendPhysical(value.type, value.bytes, options, out);
  return out;
}

Result<Value> FromText(std::string_view text, Type type, const TextOptions& options) {
  switch (type.id) {
    case TypeId::kBool: return ParseBool(text);
    case TypeId::kInt2: return ParseInteger<int16_t>(text, type, "smallint");
    case TypeId::kInt4: return ParseInteger<int32_t>(text, type, "integer");
    case TypeId::kInt8: return ParseInteger<int64_t>(text, type, "bigint");
    case TypeId::kOid: return ParseOid(text);
    case TypeId::kFloat4: return ParseFloating<float>(text, type, "real");
    case TypeId::kFloat8: return ParseFloating<double>(text, type, "double precision");
    case TypeId::kNumeric: {
      KAPPA_ASSIGN_OR_RETURN(Numeric number, Numeric::Parse(text));
      KAPPA_ASSIGN_OR_RETURN(number, number.ApplyModifier(type.modifier));
      return Value::Bytes(type, number.ToBytes());
    }
    case TypeId::kUnknown:
    case TypeId::kText: return ParseString(text, type);
    case TypeId::kBytea: return ParseBytea(text);
    case TypeId::kDate: return Wrap(ParseDate(text), type);
    case TypeId::kTime: return Wrap(ParseTime(text), type);
    case TypeId::kTimestamp: {
      KAPPA_ASSIGN_OR_RETURN(int64_t micros, ParseTimestamp(text));
      return Value::Fixed(type, RoundTimestamp(micros, type.modifier));
    }
    case TypeId::kTimestamptz: {
      KAPPA_ASSIGN_OR_RETURN(int64_t micros, ParseTimestamptz(text, CachedZone(options.time_zone)));
      return Value::Fixed(type, RoundTimestamp(micros, type.modifier));
    }
    case TypeId::kInterval: return Wrap(ParseInterval(text, type.modifier), type);
    case TypeId::kJsonb: {
      KAPPA_RETURN_IF_ERROR(CheckUtf8(text));
      std::string json;
      KAPPA_RETURN_IF_ERROR(NormalizeJson(text, json));
      return Value::Bytes(type, std::move(json));
    }
    case TypeId::kUuid: return ParseUuid(text);
    case TypeId::kArray: return ParseArrayText(text, type, options);
    case TypeId::kEnum: return EnumValue(text, type);
    case TypeId::kRecord:
      if (FindRecord(type) != nullptr) return ParseRecordText(text, type, options);
      break;
  }
  return Error(sqlstate::kFeatureNotSupported, "input of type " + type.ToString() + " is not supported");
}

}  // namespace kappa::data
