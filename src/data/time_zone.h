// Time zones: IANA names, fixed offsets and common abbreviations.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace kappa::data {

/// Cheap to copy; threads may share it. Default: UTC.
class TimeZone {
 public:
  TimeZone() = default;
  /// Seconds east of Greenwich.
  static TimeZone Fixed(int offset_seconds) {
    TimeZone zone;
    zone.fixed_offset_ = offset_seconds;
    return zone;
  }
  /// "Europe/Berlin", "UTC", "EST", "+02:00", and the POSIX form "UTC-2". Fails with invalid_parameter_value: time zone
  /// "x" not recognized.
  static Result<TimeZone> Load(std::string_view name);

  /// Seconds east of Greenwich at a moment, microseconds since 1970 UTC.
  int OffsetAt(int64_t utc_micros) const { return rules_ ? RulesOffset(utc_micros) : fixed_offset_; }
  /// Local wall clock at a moment, as microseconds since 1970-01-01 00:00 local.
  int64_t ToLocal(int64_t utc_micros) const { return utc_micros + int64_t{OffsetAt(utc_micros)} * 1'000'000; }
  /// The moment of a wall clock. As in PostgreSQL, a time that the clock skipped is read with the offset before the gap, a
  /// time that came twice is the second one.
  int64_t ToUtc(int64_t local_micros) const;

 private:
  struct Rules;
  int RulesOffset(int64_t utc_micros) const;

  std::shared_ptr<const Rules> rules_;  // null: a fixed offset
  int fixed_offset_ = 0;
};

/// Offset in seconds of an abbreviation such as "pst" (lower case) in PostgreSQL's default set.
bool ZoneAbbreviationOffset(std::string_view lower, int& offset_seconds);

}  // namespace kappa::data
