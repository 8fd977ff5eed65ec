// Templates of to_char().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "data/numeric.h"
#include "data/type.h"

namespace kappa::expr {

/// A wall clock as to_char prints it.
struct CharClock {
  int64_t year = 1970;
  int month = 1;
  int day = 1;
  int64_t hour = 0;
  int minute = 0;
  int second = 0;
  int micros = 0;
  int64_t day_number = 0;             // since 1970-01-01
  bool is_interval = false;           // no calendar: names of days and months have no meaning
  std::optional<int> zone_offset;     // seconds east of Greenwich, of timestamptz
  std::string_view zone_name;         // abbreviation, when known
};

/// Microseconds within which the text of a time cannot change: a day, hour, minute or second; 1 when the zone is shown.
int64_t FinestUnit(std::string_view format);
/// Fails with feature_not_supported for template patterns that are not known here, invalid_datetime_format for patterns that
/// have no meaning for intervals.
Result<std::string> FormatTime(const CharClock& clock, std::string_view format);
/// Fails with feature_not_supported for EEEE, RN and V.
Result<std::string> FormatNumber(const data::Numeric& number, std::string_view format);

}  // namespace kappa::expr
