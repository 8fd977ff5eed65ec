// Patterns in the templates of to_char(), to_timestamp() and to_date().
#pragma once

#include <cstdint>
#include <string_view>

namespace kappa::expr {

enum class TimePattern : uint8_t {
  kHour12,
  kHour24,
  kMinute,
  kSecond,
  kMillis,
  kMicros,
  kFraction,
  kSecondsOfDay,
  kMeridiem,
  kMeridiemDots,
  kYearComma,
  kYear,
  kIsoYear,
  kEra,
  kEraDots,
  kMonthName,
  kMonthShort,
  kMonth,
  kDayName,
  kDayShort,
  kDayOfYear,
  kIsoDayOfYear,
  kDay,
  kDayOfWeek,
  kIsoDayOfWeek,
  kWeekOfMonth,
  kWeek,
  kIsoWeek,
  kCentury,
  kJulian,
  kQuarter,
  kRoman,
  kZone,
  kZoneHours,
  kZoneMinutes,
  kZoneOffset,
};
/// How letters follow the template's own case.
enum class LetterCase : uint8_t { kUpper, kCapital, kLower };

struct TimeKeyword {
  std::string_view name;
  TimePattern pattern;
  int digits = 0;  // of years and fractions
  LetterCase letters = LetterCase::kUpper;
};

/// The longest pattern that the template begins with; null when it begins with none.
const TimeKeyword* FindTimeKeyword(std::string_view format);

inline constexpr std::string_view kMonthNames[] = {"January", "February", "March",     "April",   "May",      "June",
                                                   "July",    "August",   "September", "October", "November", "December"};
inline constexpr std::string_view kDayNames[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
inline constexpr std::string_view kRomanMonths[] = {"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"};

}  // namespace kappa::expr
