// The proleptic Gregorian calendar: days since 1970-01-01 to year, month, day and back.
#pragma once

#include <cstdint>

namespace kappa::data {

inline constexpr int64_t kMicrosPerSecond = 1'000'000;
inline constexpr int64_t kMicrosPerMinute = 60 * kMicrosPerSecond;
inline constexpr int64_t kMicrosPerHour = 60 * kMicrosPerMinute;
inline constexpr int64_t kMicrosPerDay = 24 * kMicrosPerHour;

/// Year 0 is 1 BC.
struct CivilDate {
  int64_t year = 1970;
  int month = 1;
  int day = 1;
};

constexpr int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
constexpr int64_t FloorMod(int64_t a, int64_t b) { return a - FloorDiv(a, b) * b; }

/// Month and day must be in range. Works in eras of 400 years that begin on 1 March.
constexpr int64_t DaysFromCivil(int64_t year, int month, int day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  uint32_t year_of_era = static_cast<uint32_t>(year - era * 400);
  uint32_t day_of_year = (153 * static_cast<uint32_t>(month + (month > 2 ? -3 : 9)) + 2) / 5 + static_cast<uint32_t>(day) - 1;
  uint32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + static_cast<int64_t>(day_of_era) - 719468;
}
constexpr int64_t DaysFromCivil(const CivilDate& date) { return DaysFromCivil(date.year, date.month, date.day); }

constexpr CivilDate CivilFromDays(int64_t days) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  uint32_t day_of_era = static_cast<uint32_t>(days - era * 146097);
  uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  uint32_t shifted_month = (5 * day_of_year + 2) / 153;
  CivilDate date;
  date.day = static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  date.month = static_cast<int>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  date.year = static_cast<int64_t>(year_of_era) + era * 400 + (date.month <= 2);
  return date;
}

constexpr bool IsLeapYear(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }
constexpr int DaysInMonth(int64_t year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && IsLeapYear(year) ? 29 : kDays[month - 1];
}
/// 0 is Sunday.
constexpr int DayOfWeek(int64_t days) { return static_cast<int>(FloorMod(days + 4, 7)); }
/// Monday of ISO week 1 of an ISO year.
constexpr int64_t FirstIsoWeek(int64_t year) {
  int64_t fourth = DaysFromCivil(year, 1, 4);
  return fourth - FloorMod(DayOfWeek(fourth) + 6, 7);
}

}  // namespace kappa::data
