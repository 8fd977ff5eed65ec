// Which JSON value becomes which SQL value.
//
//   column                  JSON
//   any                     null, or no such member: NULL · string: the type's input syntax
//   bool                    true, false
//   int2 int4 int8 oid      number, when integral (1.0 and 1e3 are) and in range
//   float4 float8 numeric   number; numeric is read from the text, never through a float
//   text                    string: its characters · any other value: its JSON text
//   date timestamp[tz]      number of seconds, milliseconds or microseconds since 1970, when the stream says which
//   jsonb                   any value
//   arrays                  array of the element's values, or arrays of equal lengths for more dimensions
//   composite types         object: its members are the fields, others are skipped, those that are not there NULL
#include "format/json_values.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "data/array.h"
#include "data/datetime.h"
#include "data/json.h"
#include "data/numeric_bytes.h"
#include "data/record.h"
#include "format/decimal.h"
#include "format/json_arrays.h"
#include "format/json_escape.h"

namespace kappa::format {
namespace {

using data::TypeId;

const char* KindName(JsonToken::Kind kind) {
  switch (kind) {
    case JsonToken::kTrue:
    case JsonToken::kFalse: return "a boolean";
    case JsonToken::kInteger:
    case JsonToken::kNumber: return "a number";
    case JsonToken::kString:
    case JsonToken::kEscaped: return "a string";
    case JsonToken::kArray: return "an array";
    case JsonToken::kObject: return "an object";
    default: return "null";
  }
}

/// The common case of an integer: up to 16 digits. False: the general way decides. 16 bytes are readable at a token.
inline bool UpToSixteenDigits(const JsonToken& token, int64_t& value) {
  if (token.kind != JsonToken::kInteger) return false;
  const size_t minus = token.data[0] == '-';
  const char* digits = token.data + minus;
  const size_t count = token.size - minus;
  uint64_t magnitude;
  if (count <= 8) {
    magnitude = UpToEightDigits(digits, count);
  } else if (count <= 16) {
    magnitude = UpToEightDigits(digits, count - 8) * 100'000'000 + UpToEightDigits(digits + count - 8, 8);
  } else {
    return false;
  }
  value = minus ? -static_cast<int64_t>(magnitude) : static_cast<int64_t>(magnitude);
  return true;
}

template <typename T> bool ShortInteger(const JsonToken& token, CellWriter& writer, int64_t row) {
  int64_t value;
  if (!UpToSixteenDigits(token, value) || value != static_cast<T>(value)) return false;
  writer.Fixed(row, static_cast<T>(value));
  return true;
}

/// A time of up to 16 digits of this unit that any timestamp can hold: later ones, and those before 1970, go the general way.
template <int64_t kMicrosPerUnit> bool ShortTime(const JsonToken& token, CellWriter& writer, int64_t row) {
  constexpr int64_t kLast = 253'402'300'800'000'000;  // the year 10000
  int64_t value;
  if (!UpToSixteenDigits(token, value) || value < 0 || value >= kLast / kMicrosPerUnit) return false;
  writer.Fixed(row, value * kMicrosPerUnit);
  return true;
}

/// The common case of a numeric: up to 8 digits before the point and up to 8 behind it.
bool ShortNumeric(const JsonToken& token, CellWriter& writer, int64_t row) {
  if (token.kind != JsonToken::kInteger && token.kind != JsonToken::kNumber) return false;
  if (token.size > 16) return false;
  const char* digits = token.data;
  size_t size = token.size;
  const bool minus = *digits == '-';
  digits += minus;
  size -= minus;
  size_t whole = size;
  if (token.kind == JsonToken::kNumber) {
    if (std::memchr(digits, 'e', size) != nullptr || std::memchr(digits, 'E', size) != nullptr) return false;
    whole = static_cast<size_t>(static_cast<const char*>(std::memchr(digits, '.', size)) - digits);
  }
  const size_t scale = size > whole ? size - whole - 1 : 0;
  if (whole > 8 || scale > 8) return false;
  uint64_t coefficient = UpToEightDigits(digits, whole);
  static constexpr uint64_t kPowers[] = {1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};
  if (scale > 0) coefficient = coefficient * kPowers[scale] + UpToEightDigits(digits + whole + 1, scale);
  size_t shown = scale;
  if (const int32_t modifier = writer.field().type.modifier; modifier >= 0) {
    const int wanted = data::NumericScale(modifier);
    const int precision = data::NumericPrecision(modifier);
    if (wanted < static_cast<int>(scale) || wanted > 8 || precision - wanted < static_cast<int>(whole)) return false;
    shown = static_cast<size_t>(wanted);
    coefficient *= kPowers[shown - scale];
  }
  const auto value = minus ? -static_cast<int64_t>(coefficient) : static_cast<int64_t>(coefficient);
  struct {
    uint32_t size;
    uint16_t head;
    int64_t coefficient;
    uint16_t zero;
  } __attribute__((packed)) raw = {10, static_cast<uint16_t>(shown), value, 0};
  writer.Fixed(row, std::bit_cast<data::StringView>(raw));
  return true;
}

}  // namespace

/// `quick` writes the value and is true, or leaves the token to One.
template <typename Quick>
void JsonValues::ConvertWith(std::span<const JsonToken> tokens, CellWriter& writer, int64_t first_row, const Failed& failed, Quick&& quick) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int64_t row = first_row + static_cast<int64_t>(i);
    if (quick(tokens[i], writer, row)) [[likely]]
      continue;
    if (!One(tokens[i], writer, row)) [[unlikely]]
      failed(i, std::move(reason_));
  }
}

bool JsonValues::Mismatch(const JsonToken& token, const CellWriter& writer) {
  reason_ = "JSON has " + std::string(KindName(token.kind)) + " where " + writer.field().type.ToString() + " is expected";
  return false;
}

void JsonValues::Convert(std::span<const JsonToken> tokens, CellWriter& writer, int64_t first_row, const Failed& failed) {
  const data::Type& type = writer.field().type;
  switch (type.id) {
    case TypeId::kInt2: return ConvertWith(tokens, writer, first_row, failed, ShortInteger<int16_t>);
    case TypeId::kInt4: return ConvertWith(tokens, writer, first_row, failed, ShortInteger<int32_t>);
    case TypeId::kInt8: return ConvertWith(tokens, writer, first_row, failed, ShortInteger<int64_t>);
    case TypeId::kNumeric: return ConvertWith(tokens, writer, first_row, failed, ShortNumeric);
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz:
      if (type.modifier >= 0) break;
      switch (timestamps_) {
        case JsonTimestamps::kIso: break;
        case JsonTimestamps::kSeconds: return ConvertWith(tokens, writer, first_row, failed, ShortTime<1'000'000>);
        case JsonTimestamps::kMillis: return ConvertWith(tokens, writer, first_row, failed, ShortTime<1'000>);
        case JsonTimestamps::kMicros: return ConvertWith(tokens, writer, first_row, failed, ShortTime<1>);
      }
      break;
    case TypeId::kText:
      if (type.modifier >= 0) break;
      return ConvertWith(tokens, writer, first_row, failed, [](const JsonToken& token, CellWriter& w, int64_t row) {
        if (token.kind != JsonToken::kString) return false;
        w.Borrow(row, token.data, token.size);
        return true;
      });
    default: break;
  }
  ConvertWith(tokens, writer, first_row, failed, [](const JsonToken&, CellWriter&, int64_t) { return false; });
}

bool JsonValues::One(const JsonToken& token, CellWriter& writer, int64_t row) {
  const TypeId id = writer.field().type.id;
  switch (token.kind) {
    case JsonToken::kMissing:
    case JsonToken::kNull:
      if (!writer.field().nullable) {
        reason_ = "null value violates not-null constraint";
        return false;
      }
      writer.Null(row);
      return true;
    case JsonToken::kString:
      if (id == TypeId::kJsonb) return Jsonb({token.data - 1, size_t{token.size} + 2}, writer, row);
      return writer.Text(row, token.text(), Lifetime::kBorrowed, reason_);
    case JsonToken::kEscaped:
      if (id == TypeId::kJsonb) return Jsonb({token.data - 1, size_t{token.size} + 2}, writer, row);
      if (!UnescapeJsonString(token.text(), unescaped_, reason_)) return false;
      return writer.Text(row, unescaped_, Lifetime::kTemporary, reason_);
    case JsonToken::kTrue:
    case JsonToken::kFalse:
      if (id == TypeId::kBool) {
        writer.Fixed(row, static_cast<uint8_t>(token.kind == JsonToken::kTrue));
        return true;
      }
      break;
    case JsonToken::kInteger:
    case JsonToken::kNumber:
      if (id != TypeId::kText && id != TypeId::kUnknown && id != TypeId::kJsonb) return Number(token, writer, row);
      break;
    case JsonToken::kArray:
      if (id == TypeId::kArray) return Array(token.text(), writer, row);
      break;
    case JsonToken::kObject:
      if (id == TypeId::kRecord) return Record(token.text(), writer, row);
      break;
  }
  if (id == TypeId::kText || id == TypeId::kUnknown) return writer.Text(row, token.text(), Lifetime::kBorrowed, reason_);
  if (id == TypeId::kJsonb) return Jsonb(token.text(), writer, row);
  return Mismatch(token, writer);
}

bool JsonValues::Number(const JsonToken& token, CellWriter& writer, int64_t row) {
  switch (writer.field().type.id) {
    case TypeId::kInt2:
    case TypeId::kInt4:
    case TypeId::kInt8:
    case TypeId::kOid: return writer.Integer(row, token.text(), reason_);
    case TypeId::kFloat4:
    case TypeId::kFloat8: return writer.Float(row, token.text(), reason_);
    case TypeId::kNumeric: return writer.Numeric(row, token.text(), reason_);
    case TypeId::kDate:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return Time(token.text(), writer, row);
    default: return Mismatch(token, writer);
  }
}

bool JsonValues::Time(std::string_view number, CellWriter& writer, int64_t row) {
  const data::Type& type = writer.field().type;
  int shift = 6;
  switch (timestamps_) {
    case JsonTimestamps::kIso: reason_ = "JSON has a number where an ISO 8601 string is expected for type " + type.ToString(); return false;
    case JsonTimestamps::kSeconds: shift = 6; break;
    case JsonTimestamps::kMillis: shift = 3; break;
    case JsonTimestamps::kMicros: shift = 0; break;
  }
  int64_t micros;
  if (DecimalToInteger(number, shift, Rounding::kNearest, micros) != DecimalOutcome::kOk || micros < data::kFirstDay * data::kMicrosPerDay ||
      !data::IsFinite(micros)) {
    reason_ = (type.id == TypeId::kDate ? "date out of range: \"" : "timestamp out of range: \"") + std::string(number) + "\"";
    return false;
  }
  if (type.id == TypeId::kDate) {
    writer.Fixed(row, data::TimestampToDate(micros));
    return true;
  }
  writer.Fixed(row, data::RoundTimestamp(micros, type.modifier));
  return true;
}

bool JsonValues::Jsonb(std::string_view text, CellWriter& writer, int64_t row) {
  normalized_.clear();
  if (Status status = data::NormalizeJson(text, normalized_); !status.ok()) {
    reason_ = status.error().message();
    if (!status.error().detail().empty()) reason_ += ". " + status.error().detail();
    return false;
  }
  writer.Bytes(row, normalized_);
  return true;
}

bool JsonValues::Array(std::string_view text, CellWriter& writer, int64_t row) {
  std::vector<int32_t> lengths;
  std::vector<JsonToken> own;  // elements may have arrays themselves
  std::vector<JsonToken>& elements = writer.field().type.is_record() ? own : elements_;
  if (!SplitJsonArray(text, elements, lengths, reason_)) return false;
  const data::Type& type = writer.field().type;
  data::ArrayBuilder builder(type.element);
  auto simple = [](const JsonToken& t) { return t.kind == JsonToken::kString || t.kind == JsonToken::kEscaped || t.kind == JsonToken::kNull; };
  if (type.element == TypeId::kText && type.modifier < 0 && std::all_of(elements.begin(), elements.end(), simple)) {
    for (const JsonToken& element : elements) {
      if (element.kind == JsonToken::kNull) {
        builder.AppendNull();
      } else if (element.kind == JsonToken::kString) {
        builder.Append(element.text());
      } else {
        if (!UnescapeJsonString(element.text(), unescaped_, reason_)) return false;
        builder.Append(unescaped_);
      }
    }
  } else {
    CellWriter values({writer.field().name, data::Type(type.element).WithModifier(type.modifier), true}, true);
    values.Start(static_cast<int64_t>(elements.size()));
    for (size_t i = 0; i < elements.size(); ++i) {
      if (!One(elements[i], values, static_cast<int64_t>(i))) return false;
    }
    const auto column = values.Finish(nullptr);  // its strings borrow from `text`, which outlives it
    for (int64_t i = 0; i < column->size(); ++i) builder.AppendFrom(*column, i);
  }
  writer.Bytes(row, lengths.size() > 1 ? builder.Finish(std::move(lengths)) : builder.Finish());
  return true;
}

bool JsonValues::Record(std::string_view text, CellWriter& writer, int64_t row) {
  const data::RecordDefinition* definition = data::FindRecord(writer.field().type);
  KAPPA_CHECK(definition != nullptr);
  const std::vector<JsonToken> members = SplitJsonObject(text, definition->names);
  data::RecordBuilder builder;
  for (size_t i = 0; i < members.size(); ++i) {
    CellWriter field({definition->names[i], definition->types[i], true}, true);
    field.Start(1);
    if (!One(members[i], field, 0)) {
      reason_ = "field \"" + definition->names[i] + "\": " + reason_;
      return false;
    }
    builder.AppendFrom(*field.Finish(nullptr), 0);  // its bytes borrow from `text`
  }
  writer.Bytes(row, builder.Finish());
  return true;
}

}  // namespace kappa::format
