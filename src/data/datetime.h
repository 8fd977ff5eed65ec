// Dates, timestamps and intervals: text, arithmetic, truncation and fields, as PostgreSQL 15 does them with
// DateStyle ISO, MDY and IntervalStyle postgres.
//
// Units: dates are days, timestamps microseconds, both since 1970-01-01; timestamptz in UTC. The lowest and highest
// integers are -infinity and infinity. Because of the epoch, timestamps end at 294247-01-10 (PostgreSQL: 294276-12-31).
// The words now, today, tomorrow and yesterday are refused as input: a value must not depend on when it is read.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "data/calendar.h"
#include "data/interval_fields.h"
#include "data/numeric.h"
#include "data/time_zone.h"
#include "data/type.h"

namespace kappa::data {

inline constexpr int64_t kTimestampInfinity = std::numeric_limits<int64_t>::max();
inline constexpr int64_t kTimestampMinusInfinity = std::numeric_limits<int64_t>::min();
inline constexpr int32_t kDateInfinity = std::numeric_limits<int32_t>::max();
inline constexpr int32_t kDateMinusInfinity = std::numeric_limits<int32_t>::min();
/// Julian day 0, 24 November 4714 BC: the first date and timestamp.
inline constexpr int64_t kFirstDay = -2440588;
inline constexpr int64_t kLastDay = 2145042905;  // 5874897-12-31
/// Days and microseconds from kappa's epoch to PostgreSQL's (2000-01-01), for its binary formats.
inline constexpr int64_t kPostgresEpochDays = 10957;
inline constexpr int64_t kPostgresEpochMicros = kPostgresEpochDays * kMicrosPerDay;

inline bool IsFinite(int64_t timestamp) { return timestamp != kTimestampInfinity && timestamp != kTimestampMinusInfinity; }
inline bool IsFiniteDate(int32_t date) { return date != kDateInfinity && date != kDateMinusInfinity; }

// ---- Text. Errors: invalid_datetime_format, datetime_field_overflow, in PostgreSQL's wording.

Result<int32_t> ParseDate(std::string_view text);
/// The time of a day, microseconds since midnight; a date and a time zone in the text are ignored.
Result<int64_t> ParseTime(std::string_view text);
/// A time zone in the text is ignored, as PostgreSQL does.
Result<int64_t> ParseTimestamp(std::string_view text);
/// Text without a zone is read in `zone`.
Result<int64_t> ParseTimestamptz(std::string_view text, const TimeZone& zone);
/// `modifier`: fields and precision (interval_fields.h), as of INTERVAL '5' MINUTE; -1 for any.
Result<Interval> ParseInterval(std::string_view text, int32_t modifier = -1);

void AppendDate(int32_t date, std::string& out);
void AppendTime(int64_t micros, std::string& out);
void AppendTimestamp(int64_t micros, std::string& out);
void AppendTimestamptz(int64_t micros, const TimeZone& zone, std::string& out);
void AppendInterval(const Interval& interval, std::string& out);

/// Bulk decoding: exactly YYYY-MM-DD[T| ]HH:MM:SS[.f{1,6}][Z|±HH|±HH:MM|±HHMM], UTC when no zone is given. False for anything
/// else; the caller then tries ParseTimestamptz.
bool ParseIsoTimestamp(std::string_view text, int64_t* micros);

/// Rounds to timestamp(p); p outside 0..5 changes nothing.
int64_t RoundTimestamp(int64_t micros, int precision);
/// Clears the fields that an interval modifier leaves out and rounds the seconds.
Result<Interval> ApplyIntervalModifier(Interval interval, int32_t modifier);

// ---- Conversion. Errors: datetime_field_overflow.

Result<int64_t> DateToTimestamp(int32_t date);
Result<int64_t> DateToTimestamptz(int32_t date, const TimeZone& zone);
/// Also timestamptz to date when given the local time.
int32_t TimestampToDate(int64_t timestamp);
/// Wall clock to moment and back; infinities stay.
Result<int64_t> TimestampToTimestamptz(int64_t timestamp, const TimeZone& zone);
Result<int64_t> TimestamptzToTimestamp(int64_t timestamptz, const TimeZone& zone);

// ---- Arithmetic. Errors: datetime_field_overflow ("timestamp out of range", "interval out of range").

Result<int64_t> AddInterval(int64_t timestamp, const Interval& interval);
/// Months and days by the wall clock of `zone`.
Result<int64_t> AddIntervalInZone(int64_t timestamptz, const Interval& interval, const TimeZone& zone);
Result<Interval> SubtractTimestamps(int64_t a, int64_t b);
Result<int32_t> AddDays(int32_t date, int64_t days);
Result<int32_t> SubtractDates(int32_t a, int32_t b);  // days
Result<Interval> Negate(const Interval& interval);
Result<Interval> Add(const Interval& a, const Interval& b);
Result<Interval> Subtract(const Interval& a, const Interval& b);
Result<Interval> Multiply(const Interval& interval, double factor);
Result<Interval> Divide(const Interval& interval, double divisor);
/// Years, months, days and time between two wall clocks.
Result<Interval> Age(int64_t later, int64_t earlier);
Result<Interval> JustifyHours(const Interval& interval);
Result<Interval> JustifyDays(const Interval& interval);
Result<Interval> JustifyInterval(const Interval& interval);
/// By length, a month counting 30 days and a day 24 hours.
int Compare(const Interval& a, const Interval& b);

/// make_date(year, month, day); a negative year is BC.
Result<int32_t> MakeDate(int64_t year, int64_t month, int64_t day);
/// 24:00:00 is the last time. Errors: datetime_field_overflow.
Result<int64_t> MakeTime(int64_t hour, int64_t minute, double second);
Result<int64_t> MakeTimestamp(int64_t year, int64_t month, int64_t day, int64_t hour, int64_t minute, double second);
Result<Interval> MakeInterval(int64_t years, int64_t months, int64_t weeks, int64_t days, int64_t hours, int64_t minutes, double seconds);
/// to_timestamp(seconds since 1970).
Result<int64_t> TimestampFromEpoch(double seconds);

// ---- Fields.

enum class DateField : uint8_t {
  kMicroseconds,
  kMilliseconds,
  kSecond,
  kMinute,
  kHour,
  kDay,
  kWeek,
  kMonth,
  kQuarter,
  kYear,
  kDecade,
  kCentury,
  kMillennium,
  kDayOfWeek,
  kIsoDayOfWeek,
  kDayOfYear,
  kIsoYear,
  kJulian,
  kEpoch,
  kTimezone,
  kTimezoneHour,
  kTimezoneMinute,
};
/// "hour", "hours", "h", ... in any case; nullopt when it is none. The caller reports UnitNotRecognized.
std::optional<DateField> ParseDateField(std::string_view name);
/// unit "x" not recognized (22023) or not supported (0A000) for type y.
Error UnitNotRecognized(std::string_view unit, Type type);
Error UnitNotSupported(std::string_view unit, Type type);

/// `unit` is only named in errors.
Result<int64_t> TruncateTimestamp(DateField field, std::string_view unit, int64_t timestamp);
Result<int64_t> TruncateTimestamptz(DateField field, std::string_view unit, int64_t timestamptz, const TimeZone& zone);
Result<Interval> TruncateInterval(DateField field, std::string_view unit, const Interval& interval);

/// extract(); nullopt where PostgreSQL gives NULL (most fields of infinity).
Result<std::optional<Numeric>> ExtractTimestamp(DateField field, std::string_view unit, int64_t timestamp);
Result<std::optional<Numeric>> ExtractTimestamptz(DateField field, std::string_view unit, int64_t timestamptz, const TimeZone& zone);
Result<std::optional<Numeric>> ExtractDate(DateField field, std::string_view unit, int32_t date);
Result<std::optional<Numeric>> ExtractTime(DateField field, std::string_view unit, int64_t time);
Result<std::optional<Numeric>> ExtractInterval(DateField field, std::string_view unit, const Interval& interval);

/// date_bin(stride, timestamp, origin).
Result<int64_t> BinTimestamp(const Interval& stride, int64_t timestamp, int64_t origin);

}  // namespace kappa::data
