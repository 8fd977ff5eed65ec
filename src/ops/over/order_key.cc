// Encoding of sort columns, a column at a time where all keys are of one width, else a row at a time.
#include "ops/over/order_key.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/int128.h"
#include "data/array.h"
#include "data/json.h"
#include "data/numeric.h"
#include "data/record.h"

namespace kappa::ops {
namespace {

using data::TypeId;

template <typename T> void PutBig(T value, std::string& out) {
  for (int shift = (static_cast<int>(sizeof(T)) - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

template <typename T> T LoadAs(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

uint64_t FloatBits(double value) {
  constexpr uint64_t kSign = 1ULL << 63;
  if (std::isnan(value)) return UINT64_MAX;
  if (value == 0) return kSign;
  const auto bits = std::bit_cast<uint64_t>(value);
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

/// Text that may hold any byte, ordered bytewise.
void PutText(std::string_view text, std::string& out) {
  size_t from = 0;
  for (size_t zero = text.find('\0'); zero != std::string_view::npos; zero = text.find('\0', from)) {
    out.append(text, from, zero - from);
    out.append("\0\xff", 2);
    from = zero + 1;
  }
  out.append(text, from);
  out.append("\0\0", 2);
}

/// A class byte, then for finite values other than 0 the decimal exponent and the digits without trailing zeros; inverted for
/// negative ones.
void PutNumeric(std::string_view bytes, std::string& out) {
  const data::Numeric number = data::Numeric::FromBytes(bytes);
  switch (number.kind()) {
    case data::Numeric::Kind::kNan: out += '\6'; return;
    case data::Numeric::Kind::kInfinity: out += '\5'; return;
    case data::Numeric::Kind::kNegativeInfinity: out += '\1'; return;
    case data::Numeric::Kind::kFinite: break;
  }
  const int sign = number.sign();
  out += sign == 0 ? '\3' : sign > 0 ? '\4' : '\2';
  if (sign == 0) return;
  std::string digits;
  int64_t point = 0;  // digits before the decimal point
  bool fraction = false;
  for (const char c : number.ToString()) {
    if (c == '-') continue;
    if (c == '.') {
      fraction = true;
      continue;
    }
    if (digits.empty() && c == '0') {
      if (fraction) --point;
      continue;
    }
    digits += static_cast<char>(c - '0' + 1);
    if (!fraction) ++point;
  }
  while (digits.back() == '\1') digits.pop_back();
  const size_t from = out.size();
  PutBig(static_cast<uint32_t>(point) ^ 0x80000000U, out);
  out += digits;
  out += '\0';
  if (sign < 0)
    for (size_t i = from; i < out.size(); ++i) out[i] = static_cast<char>(~out[i]);
}

/// PostgreSQL's order of jsonb: kinds, then the number of parts, then the parts.
void PutJson(std::string_view json, bool top, std::string& out) {
  const data::JsonKind kind = data::JsonKindOf(json);
  const bool container = kind == data::JsonKind::kArray || kind == data::JsonKind::kObject;
  if (top) out += json == "[]" ? '\0' : !container ? '\1' : kind == data::JsonKind::kArray ? '\2' : '\3';
  out += static_cast<char>(kind);
  std::string text;
  switch (kind) {
    case data::JsonKind::kNull: break;
    case data::JsonKind::kBoolean: out += json == "true" ? '\1' : '\0'; break;
    case data::JsonKind::kString:
      data::AppendJsonUnquoted(json, text);
      PutText(text, out);
      break;
    case data::JsonKind::kNumber: {
      const Result<data::Numeric> number = data::Numeric::Parse(json);
      KAPPA_CHECK(number.ok());  // canonical text
      PutNumeric(number->ToBytes(), out);
      break;
    }
    case data::JsonKind::kArray:
    case data::JsonKind::kObject:
      PutBig(static_cast<uint32_t>(data::JsonLength(json)), out);
      for (data::JsonIterator it(json); it.Next();) {
        if (kind == data::JsonKind::kObject) PutText(it.key(), out);
        PutJson(it.value(), false, out);
      }
      break;
  }
}

void PutValue(TypeId type, std::string_view bytes, std::string& out) {
  switch (type) {
    case TypeId::kBool: out += bytes[0]; return;
    case TypeId::kInt2: return PutBig(static_cast<uint16_t>(LoadAs<int16_t>(bytes) ^ INT16_MIN), out);
    case TypeId::kInt4:
    case TypeId::kDate: return PutBig(static_cast<uint32_t>(LoadAs<int32_t>(bytes)) ^ 0x80000000U, out);
    case TypeId::kInt8:
    case TypeId::kOid:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return PutBig(static_cast<uint64_t>(LoadAs<int64_t>(bytes)) ^ 1ULL << 63, out);
    case TypeId::kFloat4: return PutBig(FloatBits(LoadAs<float>(bytes)), out);
    case TypeId::kFloat8: return PutBig(FloatBits(LoadAs<double>(bytes)), out);
    case TypeId::kInterval: {
      const auto interval = LoadAs<data::Interval>(bytes);
      const int128_t span = interval.micros + (interval.days + static_cast<int128_t>(interval.months) * 30) * 86'400'000'000;
      PutBig(static_cast<uint64_t>(static_cast<uint128_t>(span) >> 64) ^ 1ULL << 63, out);
      return PutBig(static_cast<uint64_t>(static_cast<uint128_t>(span)), out);
    }
    case TypeId::kNumeric: return PutNumeric(bytes, out);
    case TypeId::kJsonb: return PutJson(bytes, true, out);
    case TypeId::kRecord: {
      data::RecordReader record(bytes);
      for (int i = 0; i < record.fields(); ++i) {
        const data::RecordReader::Field field = record.Next();
        out += field.physical ? '\1' : '\2';
        if (field.physical) PutValue(field.type.id, *field.physical, out);
      }
      return;
    }
    case TypeId::kArray: {
      const data::ArrayView array(bytes);
      for (int32_t i = 0; i < array.size(); ++i) {
        out += array.IsNull(i) ? '\2' : '\1';
        if (!array.IsNull(i)) PutValue(array.element(), array.bytes(i), out);
      }
      out += '\0';
      out += static_cast<char>(array.dimensions());
      for (int d = 0; d < array.dimensions(); ++d) PutBig(static_cast<uint32_t>(array.length(d)), out);
      return;
    }
    case TypeId::kUnknown:
    case TypeId::kText:
    case TypeId::kBytea:
    case TypeId::kUuid:
    case TypeId::kEnum: return PutText(bytes, out);
  }
}

std::string_view Physical(const data::Column& column, int64_t row) {
  if (column.type().is_variable()) return column.bytes(row);
  const auto width = static_cast<size_t>(column.type().width());
  return {column.data<char>() + static_cast<size_t>(row) * width, width};
}

bool IsFixedKey(const data::Column& column) {
  switch (column.type().id) {
    case TypeId::kInt4:
    case TypeId::kDate:
    case TypeId::kInt8:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return !column.has_nulls();
    default: return false;
  }
}

/// Writes the keys of one column without NULLs, `stride` bytes apart.
template <typename T> void FillFixed(const SortColumn& by, char* out, size_t stride) {
  using Unsigned = std::make_unsigned_t<T>;
  const T* values = by.column->data<T>();
  const Unsigned flip = (Unsigned{1} << (sizeof(T) * 8 - 1)) ^ (by.descending ? static_cast<Unsigned>(~Unsigned{0}) : Unsigned{0});
  for (int64_t i = 0; i < by.column->size(); ++i, out += stride) {
    Unsigned value = static_cast<Unsigned>(values[i]) ^ flip;
    value = sizeof(T) == 8 ? static_cast<Unsigned>(__builtin_bswap64(value)) : static_cast<Unsigned>(__builtin_bswap32(static_cast<uint32_t>(value)));
    *out = 1;
    std::memcpy(out + 1, &value, sizeof value);
  }
}

}  // namespace

OrderKeys::OrderKeys(std::span<const SortColumn> columns, int64_t rows) {
  offsets_.resize(static_cast<size_t>(rows) + 1);
  bool fixed = true;
  size_t stride = 0;
  for (const SortColumn& by : columns) {
    fixed = fixed && IsFixedKey(*by.column);
    stride += 1 + static_cast<size_t>(by.column->type().is_variable() ? 0 : by.column->type().width());
  }
  if (fixed) {
    bytes_.resize(stride * static_cast<size_t>(rows));
    for (size_t i = 0; i < offsets_.size(); ++i) offsets_[i] = i * stride;
    size_t at = 0;
    for (const SortColumn& by : columns) {
      if (by.column->type().width() == 8) FillFixed<int64_t>(by, bytes_.data() + at, stride);
      else FillFixed<int32_t>(by, bytes_.data() + at, stride);
      at += 1 + static_cast<size_t>(by.column->type().width());
    }
    return;
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (const SortColumn& by : columns) {
      if (by.column->IsNull(i)) {
        bytes_ += by.nulls_first ? '\0' : '\2';
        continue;
      }
      bytes_ += '\1';
      const size_t from = bytes_.size();
      PutValue(by.column->type().id, Physical(*by.column, i), bytes_);
      if (by.descending)
        for (size_t k = from; k < bytes_.size(); ++k) bytes_[k] = static_cast<char>(~bytes_[k]);
    }
    offsets_[static_cast<size_t>(i) + 1] = bytes_.size();
  }
}

uint64_t OrderPrefix(std::string_view key) {
  if (key.empty()) return 0;
  if (key[0] != 1) return key[0] == 0 ? 0 : UINT64_MAX;
  uint64_t prefix = 0;
  std::memcpy(&prefix, key.data() + 1, std::min<size_t>(key.size() - 1, 8));
  return __builtin_bswap64(prefix);
}

}  // namespace kappa::ops
