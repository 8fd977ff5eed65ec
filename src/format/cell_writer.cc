// Fast paths for integers, floats, short numerics, dates, timestamps and text; everything else through data::FromText.
#include "format/cell_writer.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/int128.h"
#include "data/datetime.h"
#include "data/numeric_bytes.h"
#include "data/text.h"
#include "data/utf8.h"
#include "format/decimal.h"

namespace kappa::format {
namespace {

using data::TypeId;

constexpr size_t kHeapChunkBytes = 64 << 10;

constexpr bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

/// Optional minus and 1 to 18 digits, nothing else.
bool PlainInteger(std::string_view text, int64_t& value) {
  const char* at = text.data();
  const char* end = at + text.size();
  const bool negative = at < end && *at == '-';
  at += negative;
  if (at == end || end - at > 18) return false;
  int64_t sum = 0;
  for (; at < end; ++at) {
    if (!IsDigit(*at)) return false;
    sum = sum * 10 + (*at - '0');
  }
  value = negative ? -sum : sum;
  return true;
}

/// YYYY-MM-DDTHH:MM:SS.ffffff without the Z or +HH:MM behind it.
std::string_view WithoutZone(std::string_view text) {
  constexpr size_t kSecondsEnd = 19;
  return text.size() <= kSecondsEnd ? text : text.substr(0, text.find_first_of("Z+-", kSecondsEnd));
}

}  // namespace

void CellWriter::Start(int64_t rows) { Start(std::make_shared<data::Column>(field_.type, build_ ? rows : 1)); }

void CellWriter::Start(std::shared_ptr<data::Column> column) {
  column_ = std::move(column);
  heap_.reset();
  borrowed_ = false;
}

std::shared_ptr<data::Column> CellWriter::Finish(const data::Keepalive& storage) {
  if (borrowed_) column_->AddKeepalive(storage);
  return std::move(column_);
}

void CellWriter::Bytes(int64_t row, std::string_view bytes) {
  if (bytes.size() <= data::StringView::kInlineMax) return Fixed(row, data::StringView(bytes));
  if (build_) Fixed(row, Copied(bytes));
}

data::StringView CellWriter::Copied(std::string_view bytes) {
  if (bytes.size() <= data::StringView::kInlineMax) return data::StringView(bytes);
  if (heap_ == nullptr || heap_->capacity() - heap_->size() < bytes.size()) {
    heap_ = std::make_shared<std::string>();
    heap_->reserve(std::max(kHeapChunkBytes, bytes.size()));
    column_->AddKeepalive(heap_);
  }
  const size_t at = heap_->size();
  heap_->append(bytes);
  return {heap_->data() + at, bytes.size()};
}

bool CellWriter::StoreInteger(int64_t row, int64_t value, std::string_view text, std::string& reason) {
  int64_t low = INT64_MIN, high = INT64_MAX;
  switch (field_.type.id) {
    case TypeId::kInt2:
      low = INT16_MIN;
      high = INT16_MAX;
      break;
    case TypeId::kInt4:
      low = INT32_MIN;
      high = INT32_MAX;
      break;
    case TypeId::kOid:
      low = 0;
      high = UINT32_MAX;
      break;
    default: break;
  }
  if (value < low || value > high) [[unlikely]] {
    reason = "value \"" + std::string(text) + "\" is out of range for type " + field_.type.WithoutModifier().ToString();
    return false;
  }
  switch (field_.type.id) {
    case TypeId::kInt2: Fixed(row, static_cast<int16_t>(value)); break;
    case TypeId::kInt4: Fixed(row, static_cast<int32_t>(value)); break;
    default: Fixed(row, value); break;
  }
  return true;
}

bool CellWriter::Integer(int64_t row, std::string_view number, std::string& reason) {
  int64_t value;
  if (PlainInteger(number, value)) [[likely]]
    return StoreInteger(row, value, number, reason);
  switch (DecimalToInteger(number, 0, Rounding::kRefuse, value)) {
    case DecimalOutcome::kOk: return StoreInteger(row, value, number, reason);
    case DecimalOutcome::kOutOfRange:
      reason = "value \"" + std::string(number) + "\" is out of range for type " + field_.type.WithoutModifier().ToString();
      return false;
    default: reason = "invalid input syntax for type " + field_.type.WithoutModifier().ToString() + ": \"" + std::string(number) + "\""; return false;
  }
}

bool CellWriter::Float(int64_t row, std::string_view number, std::string& reason) {
  const char* end = number.data() + number.size();
  if (!number.empty() && (IsDigit(number.back()) || number.back() == '.')) {  // neither inf nor nan nor spaces
    if (field_.type.id == TypeId::kFloat4) {
      float value;
      auto [stop, error] = std::from_chars(number.data(), end, value);
      if (stop == end && error == std::errc() && std::isfinite(value)) {
        Fixed(row, value);
        return true;
      }
    } else {
      double value;
      auto [stop, error] = std::from_chars(number.data(), end, value);
      if (stop == end && error == std::errc() && std::isfinite(value)) [[likely]] {
        Fixed(row, value);
        return true;
      }
    }
  }
  return General(row, number, reason);
}

bool CellWriter::Numeric(int64_t row, std::string_view number, std::string& reason) {
  const char* at = number.data();
  const char* end = at + number.size();
  const bool negative = at < end && *at == '-';
  at += negative;
  const char* first = at;
  int64_t coefficient = 0;
  int scale = -1;  // digits after the point
  if (end - at <= 19) {
    for (; at < end; ++at) {
      if (IsDigit(*at)) {
        coefficient = coefficient * 10 + (*at - '0');
        scale += scale >= 0;
      } else if (*at == '.' && scale < 0) {
        scale = 0;
      } else {
        break;
      }
    }
    const int64_t digits = at - first - (scale >= 0);
    if (at == end && digits > 0 && digits <= 18) {
      scale = std::max(scale, 0);
      const int32_t modifier = field_.type.modifier;
      bool fits = true;
      if (modifier >= 0) {
        const int precision = data::NumericPrecision(modifier);
        const int wanted = data::NumericScale(modifier);
        fits = wanted >= scale && wanted <= 18 && digits + (wanted - scale) <= std::min(precision, 18);
        if (fits) {
          for (; scale < wanted; ++scale) coefficient *= 10;
        }
      }
      if (fits) [[likely]] {
        const auto bytes = data::EncodeSmallNumeric(negative ? -coefficient : coefficient, scale);
        Fixed(row, data::StringView(bytes.bytes, bytes.size));  // at most 10 bytes: the coefficient has 18 digits
        return true;
      }
    }
  }
  return General(row, number, reason);
}

bool CellWriter::StoreText(int64_t row, std::string_view text, Lifetime lifetime, std::string& reason) {
  if (field_.type.modifier >= 0) {
    const auto limit = static_cast<size_t>(std::max(field_.type.modifier - 4, 0));
    if (text.size() > limit && static_cast<size_t>(data::CharacterCount(text)) > limit) return General(row, text, reason);
  }
  if (lifetime == Lifetime::kBorrowed) {
    Borrow(row, text.data(), text.size());
  } else {
    Bytes(row, text);
  }
  return true;
}

bool CellWriter::General(int64_t row, std::string_view text, std::string& reason) {
  Result<data::Value> value = data::FromText(text, field_.type);
  if (!value.ok()) {
    reason = value.error().message();
    if (!value.error().detail().empty()) reason += ". " + value.error().detail();
    return false;
  }
  if (field_.type.is_variable()) {
    Bytes(row, value->bytes);
  } else {
    std::memcpy(column_->mutable_data<char>() + (build_ ? row : 0) * field_.type.width(), value->bytes.data(), value->bytes.size());
  }
  return true;
}

bool CellWriter::Text(int64_t row, std::string_view text, Lifetime lifetime, std::string& reason) {
  switch (field_.type.id) {
    case TypeId::kUnknown:
    case TypeId::kText: return StoreText(row, text, lifetime, reason);
    case TypeId::kInt2:
    case TypeId::kInt4:
    case TypeId::kInt8:
    case TypeId::kOid: {
      int64_t value;
      if (PlainInteger(text, value)) [[likely]]
        return StoreInteger(row, value, text, reason);
      return General(row, text, reason);
    }
    case TypeId::kFloat4:
    case TypeId::kFloat8: return Float(row, text, reason);
    case TypeId::kNumeric: return Numeric(row, text, reason);
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: {
      // A timestamp without time zone ignores a zone in the text.
      const std::string_view iso = field_.type.id == TypeId::kTimestamptz ? text : WithoutZone(text);
      int64_t micros;
      if (!data::ParseIsoTimestamp(iso, &micros)) return General(row, text, reason);
      if (field_.type.modifier >= 0) [[unlikely]]
        micros = data::RoundTimestamp(micros, field_.type.modifier);
      Fixed(row, micros);
      return true;
    }
    case TypeId::kDate: {
      Result<int32_t> date = data::ParseDate(text);
      if (!date.ok()) return General(row, text, reason);
      Fixed(row, *date);
      return true;
    }
    default: return General(row, text, reason);
  }
}

}  // namespace kappa::format
