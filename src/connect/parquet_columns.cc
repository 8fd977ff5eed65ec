// What a Parquet (Arrow) type becomes:
//
//   in the file                           column
//   bool                                  bool
//   int8 .. uint64                        int2 int4 int8 oid (in range), numeric, float4, float8
//   float, double                         float4 (in range), float8
//   decimal                               numeric
//   string                                text; any other type through its input syntax
//   binary                                bytea, text (valid UTF-8)
//   fixed_size_binary(16)                 uuid
//   date32, date64                        date
//   timestamp[s ms us ns], with or        timestamp, timestamptz: microseconds since 1970 UTC; nanoseconds are cut
//   (floor)
//     without time zone
//   list of one of these                  array
#include "connect/parquet_columns.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/util/decimal.h>

#include <cmath>
#include <cstring>
#include <map>

#include "base/int128.h"
#include "data/array.h"
#include "data/datetime.h"
#include "data/numeric.h"
#include "format/json_diagnosis.h"

namespace kappa::connect {
namespace {

using data::TypeId;
using ArrowId = arrow::Type;

bool IsArrowInteger(arrow::Type::type id) { return id >= ArrowId::UINT8 && id <= ArrowId::INT64; }
bool IsArrowString(arrow::Type::type id) { return id == ArrowId::STRING || id == ArrowId::LARGE_STRING || id == ArrowId::STRING_VIEW; }
bool IsArrowBinary(arrow::Type::type id) { return id == ArrowId::BINARY || id == ArrowId::LARGE_BINARY || id == ArrowId::BINARY_VIEW; }
bool IsArrowDecimal(arrow::Type::type id) { return id == ArrowId::DECIMAL128 || id == ArrowId::DECIMAL256; }
bool IsArrowList(arrow::Type::type id) { return id == ArrowId::LIST || id == ArrowId::LARGE_LIST; }

int IntegerBits(arrow::Type::type id) {
  switch (id) {
    case ArrowId::INT8:
    case ArrowId::UINT8: return 8;
    case ArrowId::INT16:
    case ArrowId::UINT16: return 16;
    case ArrowId::INT32:
    case ArrowId::UINT32: return 32;
    default: return 64;
  }
}
bool IsUnsigned(arrow::Type::type id) { return id == ArrowId::UINT8 || id == ArrowId::UINT16 || id == ArrowId::UINT32 || id == ArrowId::UINT64; }

const arrow::DataType& ListElement(const arrow::DataType& list) { return *list.field(0)->type(); }

/// Calls each(row) for every row that is not NULL; NULLs are written, or refused.
template <typename Each> void ForEach(const arrow::Array& array, format::CellWriter& writer, const Failed& failed, Each&& each) {
  const bool any_null = array.null_count() > 0;
  for (int64_t row = 0; row < array.length(); ++row) {
    if (any_null && array.IsNull(row)) {
      ReadNull(row, writer, failed);
    } else {
      each(row);
    }
  }
}

/// Copies values that lie alike in the array and the column.
template <typename T> void CopyValues(const arrow::Array& array, format::CellWriter& writer, const Failed& failed) {
  const T* values = array.data()->GetValues<T>(1);
  if (array.null_count() == 0 && writer.build() && array.length() > 0) {
    std::memcpy(writer.values<T>(), values, static_cast<size_t>(array.length()) * sizeof(T));
    return;
  }
  ForEach(array, writer, failed, [&](int64_t row) { writer.Fixed(row, values[row]); });
}

std::string OutOfRange(const std::string& value, const data::Type& type) {
  return "value \"" + value + "\" is out of range for type " + type.WithoutModifier().ToString();
}

template <typename T> void ReadIntegers(const arrow::Array& array, format::CellWriter& writer, const Failed& failed) {
  const T* values = array.data()->GetValues<T>(1);
  const data::Type& type = writer.field().type;
  auto narrow = [&]<typename To>(To, int64_t low, int64_t high) {
    if constexpr (std::is_same_v<T, To>) return CopyValues<T>(array, writer, failed);
    ForEach(array, writer, failed, [&](int64_t row) {
      const auto value = static_cast<int128_t>(values[row]);
      if (value < low || value > high) return failed(row, OutOfRange(std::to_string(values[row]), type));
      writer.Fixed(row, static_cast<To>(value));
    });
  };
  switch (type.id) {
    case TypeId::kInt2: return narrow(int16_t{}, INT16_MIN, INT16_MAX);
    case TypeId::kInt4: return narrow(int32_t{}, INT32_MIN, INT32_MAX);
    case TypeId::kInt8: return narrow(int64_t{}, INT64_MIN, INT64_MAX);
    case TypeId::kOid:
      return ForEach(array, writer, failed, [&](int64_t row) {
        const auto value = static_cast<int128_t>(values[row]);
        if (value < 0 || value > UINT32_MAX) return failed(row, OutOfRange(std::to_string(values[row]), type));
        writer.Fixed(row, static_cast<int64_t>(value));
      });
    case TypeId::kFloat4: return ForEach(array, writer, failed, [&](int64_t row) { writer.Fixed(row, static_cast<float>(values[row])); });
    case TypeId::kFloat8: return ForEach(array, writer, failed, [&](int64_t row) { writer.Fixed(row, static_cast<double>(values[row])); });
    default:
      return ForEach(array, writer, failed, [&](int64_t row) {
        std::string reason;
        if (!writer.Numeric(row, std::to_string(values[row]), reason)) failed(row, std::move(reason));
      });
  }
}

void ReadFloats(const arrow::Array& array, format::CellWriter& writer, const Failed& failed) {
  const bool to_double = writer.field().type.id == TypeId::kFloat8;
  if (array.type_id() == ArrowId::DOUBLE) {
    if (to_double) return CopyValues<double>(array, writer, failed);
    const double* values = array.data()->GetValues<double>(1);
    return ForEach(array, writer, failed, [&](int64_t row) {
      const auto value = static_cast<float>(values[row]);
      if (std::isinf(value) && !std::isinf(values[row])) return failed(row, OutOfRange(std::to_string(values[row]), writer.field().type));
      writer.Fixed(row, value);
    });
  }
  if (!to_double) return CopyValues<float>(array, writer, failed);
  const float* values = array.data()->GetValues<float>(1);
  ForEach(array, writer, failed, [&](int64_t row) { writer.Fixed(row, static_cast<double>(values[row])); });
}

void ReadDecimals(const arrow::Array& array, format::CellWriter& writer, const Failed& failed) {
  const auto& type = static_cast<const arrow::DecimalType&>(*array.type());
  if (DecimalFits(type, writer.field().type)) {
    const auto& values = static_cast<const arrow::Decimal128Array&>(array);
    return ForEach(array, writer, failed, [&](int64_t row) {
      int128_t coefficient;
      std::memcpy(&coefficient, values.GetValue(row), sizeof coefficient);
      writer.Bytes(row, data::EncodeSmallNumeric(coefficient, type.scale()).view());
    });
  }
  std::string reason;
  ForEach(array, writer, failed, [&](int64_t row) {
    const std::string text = array.type_id() == ArrowId::DECIMAL128 ? static_cast<const arrow::Decimal128Array&>(array).FormatValue(row)
                                                                    : static_cast<const arrow::Decimal256Array&>(array).FormatValue(row);
    if (!writer.Numeric(row, text, reason)) failed(row, std::move(reason));
  });
}

template <typename ArrayType> void ReadStrings(const std::shared_ptr<arrow::Array>& array, format::CellWriter& writer, const Failed& failed) {
  const auto& values = static_cast<const ArrayType&>(*array);
  const data::Type& type = writer.field().type;
  const bool bytes = type.id == TypeId::kBytea && !IsArrowString(array->type_id());
  const bool text = type.id == TypeId::kText || type.id == TypeId::kUnknown;
  if (bytes || text) writer.Keep(array->data());
  std::string reason;
  ForEach(*array, writer, failed, [&](int64_t row) {
    const std::string_view value = values.GetView(row);
    if (bytes) return writer.Fixed(row, data::StringView(value));
    if (!IsText(value, reason)) return failed(row, std::move(reason));
    if (text && type.modifier < 0) return writer.Fixed(row, data::StringView(value));
    if (!writer.Text(row, value, format::Lifetime::kTemporary, reason)) failed(row, std::move(reason));
  });
}

void ReadTimestamps(const arrow::Array& array, format::CellWriter& writer, const Failed& failed) {
  const auto unit = static_cast<const arrow::TimestampType&>(*array.type()).unit();
  const data::Type& type = writer.field().type;
  const int64_t* values = array.data()->GetValues<int64_t>(1);
  if (unit == arrow::TimeUnit::MICRO && type.modifier < 0) return CopyValues<int64_t>(array, writer, failed);
  ForEach(array, writer, failed, [&](int64_t row) {
    int64_t micros = values[row];
    bool overflow = false;
    switch (unit) {
      case arrow::TimeUnit::SECOND: overflow = __builtin_mul_overflow(micros, int64_t{1'000'000}, &micros); break;
      case arrow::TimeUnit::MILLI: overflow = __builtin_mul_overflow(micros, int64_t{1'000}, &micros); break;
      case arrow::TimeUnit::MICRO: break;
      case arrow::TimeUnit::NANO: micros = data::FloorDiv(micros, 1'000); break;
    }
    if (overflow) return failed(row, "timestamp out of range");
    writer.Fixed(row, data::RoundTimestamp(micros, type.modifier));
  });
}

template <typename ListType> void ReadListsOf(const arrow::Array& array, format::CellWriter& writer, const Failed& failed) {
  const auto& lists = static_cast<const ListType&>(array);
  const data::Type& type = writer.field().type;
  format::CellWriter elements({writer.field().name, data::Type(type.element).WithModifier(type.modifier), true}, true);
  elements.Start(lists.values()->length());
  std::map<int64_t, std::string> refused;
  ReadArray(lists.values(), elements, [&](int64_t row, std::string reason) { refused.emplace(row, std::move(reason)); });
  const auto column = elements.Finish(nullptr);  // borrows from the list's values, which outlive it
  ForEach(array, writer, failed, [&](int64_t row) {
    const int64_t from = lists.value_offset(row), count = lists.value_length(row);
    auto bad = refused.lower_bound(from);
    if (bad != refused.end() && bad->first < from + count) return failed(row, bad->second);
    writer.Bytes(row, data::PackArray(*column, from, count));
  });
}

void ReadLists(const std::shared_ptr<arrow::Array>& array, format::CellWriter& writer, const Failed& failed) {
  if (array->type_id() == ArrowId::LIST) return ReadListsOf<arrow::ListArray>(*array, writer, failed);
  ReadListsOf<arrow::LargeListArray>(*array, writer, failed);
}

}  // namespace

Error ArrowError(const arrow::Status& status, const std::string& path) {
  const bool damaged = status.IsInvalid() || status.IsSerializationError() || status.IsTypeError();
  return Error(damaged                  ? sqlstate::kDataCorrupted
               : status.IsOutOfMemory() ? sqlstate::kOutOfMemory
                                        : sqlstate::kIoError,
               "file \"" + path + "\": " + status.message());
}

bool IsReadable(const arrow::DataType& from, const data::Type& to) {
  const auto id = from.id();
  if (id == ArrowId::DICTIONARY) return IsReadable(*static_cast<const arrow::DictionaryType&>(from).value_type(), to);
  if (IsArrowString(id)) return to.id != TypeId::kRecord;
  if (IsArrowInteger(id)) return data::IsNumber(to.id) || to.id == TypeId::kOid;
  if (IsArrowDecimal(id)) return to.id == TypeId::kNumeric;
  if (IsArrowBinary(id)) return to.id == TypeId::kBytea || to.id == TypeId::kText;
  if (IsArrowList(id)) {
    data::Type element(to.element);
    element.modifier = to.modifier;
    return to.is_array() && !IsArrowList(ListElement(from).id()) && IsReadable(ListElement(from), element);
  }
  switch (id) {
    case ArrowId::NA: return true;
    case ArrowId::BOOL: return to.id == TypeId::kBool;
    case ArrowId::FLOAT:
    case ArrowId::DOUBLE: return to.id == TypeId::kFloat4 || to.id == TypeId::kFloat8;
    case ArrowId::DATE32:
    case ArrowId::DATE64: return to.id == TypeId::kDate;
    case ArrowId::TIMESTAMP: return to.id == TypeId::kTimestamp || to.id == TypeId::kTimestamptz;
    case ArrowId::FIXED_SIZE_BINARY: return to.id == TypeId::kUuid && static_cast<const arrow::FixedSizeBinaryType&>(from).byte_width() == 16;
    default: return false;
  }
}

void ReadNull(int64_t row, format::CellWriter& writer, const Failed& failed) {
  if (writer.field().nullable) {
    writer.Null(row);
  } else {
    failed(row, "null value violates not-null constraint");
  }
}

bool DecimalFits(const arrow::DataType& from, const data::Type& to) {
  if (from.id() != ArrowId::DECIMAL128) return false;
  const auto& type = static_cast<const arrow::DecimalType&>(from);
  return type.scale() >= 0 &&
         (to.modifier < 0 || (data::NumericScale(to.modifier) == type.scale() && data::NumericPrecision(to.modifier) >= type.precision()));
}

bool IsText(std::string_view bytes, std::string& reason) {
  if (const size_t at = format::InvalidUtf8At(bytes); at != std::string_view::npos) {
    reason = "invalid byte sequence for encoding \"UTF8\" at byte " + std::to_string(at);
    return false;
  }
  if (bytes.find('\0') == std::string_view::npos) return true;
  reason = "invalid byte sequence for encoding \"UTF8\": 0x00";
  return false;
}

bool MayRefuse(const arrow::DataType& from, const data::Type& to) {
  const auto id = from.id();
  if (id == ArrowId::DICTIONARY) return MayRefuse(*static_cast<const arrow::DictionaryType&>(from).value_type(), to);
  if (IsArrowInteger(id)) {
    const int bits = IntegerBits(id) + IsUnsigned(id);
    switch (to.id) {
      case TypeId::kInt2: return bits > 16;
      case TypeId::kInt4: return bits > 32;
      case TypeId::kInt8: return bits > 64;
      case TypeId::kFloat4:
      case TypeId::kFloat8: return false;
      case TypeId::kNumeric: return to.modifier >= 0;
      default: return true;
    }
  }
  if (IsArrowString(id)) return (to.id != TypeId::kText && to.id != TypeId::kUnknown) || to.modifier >= 0;
  switch (id) {
    case ArrowId::BOOL:
    case ArrowId::FLOAT:
    case ArrowId::DATE32: return false;
    case ArrowId::DOUBLE: return to.id != TypeId::kFloat8;
    case ArrowId::TIMESTAMP: {
      const auto unit = static_cast<const arrow::TimestampType&>(from).unit();
      return unit == arrow::TimeUnit::SECOND || unit == arrow::TimeUnit::MILLI;
    }
    case ArrowId::FIXED_SIZE_BINARY:
    case ArrowId::NA: return false;
    case ArrowId::DECIMAL128: return !DecimalFits(from, to);
    default: return true;  // bytes may be no UTF-8
  }
}

void ReadArray(const std::shared_ptr<arrow::Array>& array, format::CellWriter& writer, const Failed& failed) {
  switch (array->type_id()) {
    case ArrowId::NA: return ForEach(*array, writer, failed, [](int64_t) {});
    case ArrowId::BOOL: {
      const auto& values = static_cast<const arrow::BooleanArray&>(*array);
      return ForEach(*array, writer, failed, [&](int64_t row) { writer.Fixed(row, static_cast<uint8_t>(values.Value(row))); });
    }
    case ArrowId::INT8: return ReadIntegers<int8_t>(*array, writer, failed);
    case ArrowId::INT16: return ReadIntegers<int16_t>(*array, writer, failed);
    case ArrowId::INT32: return ReadIntegers<int32_t>(*array, writer, failed);
    case ArrowId::INT64: return ReadIntegers<int64_t>(*array, writer, failed);
    case ArrowId::UINT8: return ReadIntegers<uint8_t>(*array, writer, failed);
    case ArrowId::UINT16: return ReadIntegers<uint16_t>(*array, writer, failed);
    case ArrowId::UINT32: return ReadIntegers<uint32_t>(*array, writer, failed);
    case ArrowId::UINT64: return ReadIntegers<uint64_t>(*array, writer, failed);
    case ArrowId::FLOAT:
    case ArrowId::DOUBLE: return ReadFloats(*array, writer, failed);
    case ArrowId::DECIMAL128:
    case ArrowId::DECIMAL256: return ReadDecimals(*array, writer, failed);
    case ArrowId::STRING: return ReadStrings<arrow::StringArray>(array, writer, failed);
    case ArrowId::LARGE_STRING: return ReadStrings<arrow::LargeStringArray>(array, writer, failed);
    case ArrowId::STRING_VIEW: return ReadStrings<arrow::StringViewArray>(array, writer, failed);
    case ArrowId::BINARY: return ReadStrings<arrow::BinaryArray>(array, writer, failed);
    case ArrowId::LARGE_BINARY: return ReadStrings<arrow::LargeBinaryArray>(array, writer, failed);
    case ArrowId::BINARY_VIEW: return ReadStrings<arrow::BinaryViewArray>(array, writer, failed);
    case ArrowId::FIXED_SIZE_BINARY: {
      const auto& values = static_cast<const arrow::FixedSizeBinaryArray&>(*array);
      return ForEach(*array, writer, failed, [&](int64_t row) { writer.Bytes(row, values.GetView(row)); });
    }
    case ArrowId::DATE32: return CopyValues<int32_t>(*array, writer, failed);
    case ArrowId::DATE64: {
      const int64_t* values = array->data()->GetValues<int64_t>(1);
      return ForEach(*array, writer, failed, [&](int64_t row) {
        const int64_t days = data::FloorDiv(values[row], 86'400'000);
        if (days < data::kFirstDay || days > data::kLastDay) return failed(row, "date out of range");
        writer.Fixed(row, static_cast<int32_t>(days));
      });
    }
    case ArrowId::TIMESTAMP: return ReadTimestamps(*array, writer, failed);
    case ArrowId::LIST:
    case ArrowId::LARGE_LIST: return ReadLists(array, writer, failed);
    case ArrowId::DICTIONARY: {
      auto plain = arrow::compute::Cast(*array, static_cast<const arrow::DictionaryType&>(*array->type()).value_type());
      if (plain.ok()) return ReadArray(*plain, writer, failed);
      for (int64_t row = 0; row < array->length(); ++row) failed(row, plain.status().message());
      return;
    }
    default: KAPPA_CHECK(false);  // IsReadable said no
  }
}

}  // namespace kappa::connect
