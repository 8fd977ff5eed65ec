// Splits date, time and interval text into typed fields, and knows the words in it. For datetime's .cc files.
// The field types and rules are those of PostgreSQL's ParseDateTime, so that the same texts are understood.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kappa::data {

enum class FieldType : uint8_t {
  kNumber,   // 12, 1.5
  kText,     // jan (lower case)
  kDate,     // 2024-01-02, 2-jan-24, america/new_york
  kTime,     // 10:20:30.5
  kZone,     // +02:00; also a signed number
  kSpecial,  // -infinity
};

struct DateTextField {
  FieldType type;
  std::string text;
};

/// False when a character belongs to no field.
bool SplitDateText(std::string_view text, std::vector<DateTextField>& fields);

enum class WordType : uint8_t {
  kUnknown,
  kIgnored,
  kMonth,
  kWeekday,
  kMeridian /* 0 am, 1 pm */,
  kEra /* 0 ad, 1 bc */,
  kJulian,
  kIsoTime,
  kInfinity,
  kMinusInfinity,
  kEpoch,
  kNow /* today ... */,
  kDaylight,
  kUnit /* d, h ...: only with intervals */,
};
struct Word {
  WordType type = WordType::kUnknown;
  int value = 0;
};
Word FindWord(std::string_view lower);

/// How reading a date, time or interval failed.
enum class DateError : uint8_t { kNone, kBadFormat, kFieldOverflow, kMonthDayOverflow, kIntervalOverflow, kZoneOverflow, kUnknownZone, kReserved };
/// PostgreSQL's message for it; `type_name` as in "timestamp with time zone". `zone` names an unknown zone.
Error MakeDateError(DateError error, std::string_view text, std::string_view type_name, std::string_view zone = {});

/// Reads a decimal int at the front of `text` and advances; false on overflow of int32. No digits read as 0.
bool TakeInt(std::string_view& text, int& value);
/// ".5" to 500000, rounded; false unless only digits follow the point.
bool FractionMicros(std::string_view text, int64_t& micros);
/// hh:mm, hh:mm:ss[.f], or mm:ss[.f] when `minute_to_second` or when a fraction follows two parts.
struct ClockTime {
  int64_t hour = 0;
  int minute = 0;
  int second = 0;
  int64_t micros = 0;
};
DateError ReadClock(std::string_view text, bool minute_to_second, ClockTime& clock);

}  // namespace kappa::data
