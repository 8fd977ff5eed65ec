// Dates and times in SQL/JSON paths: what .datetime() and .datetime("template") read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace kappa::expr {

struct JsonDatetime {
  enum class Kind : uint8_t { kDate, kTime, kTimetz, kTimestamp, kTimestamptz };
  Kind kind = Kind::kDate;
  int64_t days = 0;         // since 1970-01-01, by the wall clock; 0 of times
  int64_t micros = 0;       // of the day, by the wall clock
  int32_t zone_seconds = 0; // east of UTC

  bool dated() const { return kind != Kind::kTime && kind != Kind::kTimetz; }
  bool zoned() const { return kind == Kind::kTimetz || kind == Kind::kTimestamptz; }
  /// "timestamp without time zone"
  std::string_view TypeName() const;
  /// As JSON spells it: 2024-02-29T10:20:30+02:00
  std::string ToString() const;
};

/// By the first of the ISO 8601 formats that fits. Fails with 22031.
Result<JsonDatetime> ReadJsonDatetime(std::string_view text);
/// Fails with 22007 and 22008.
Result<JsonDatetime> ReadJsonDatetime(std::string_view text, std::string_view pattern);

}  // namespace kappa::expr
