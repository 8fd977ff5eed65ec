// Arithmetic on dates, timestamps and intervals.
#include <algorithm>
#include <cmath>

#include "base/int128.h"
#include "data/datetime.h"

namespace kappa::data {
namespace {

constexpr int64_t kFirstTimestamp = kFirstDay * kMicrosPerDay;
constexpr int kDaysPerMonth = 30;
constexpr int kSecondsPerDay = 86'400;

Error TimestampOutOfRange() { return Error(sqlstate::kDatetimeFieldOverflow, "timestamp out of range"); }
Error IntervalOutOfRange() { return Error(sqlstate::kDatetimeFieldOverflow, "interval out of range"); }
Error DateOutOfRange() { return Error(sqlstate::kDatetimeFieldOverflow, "date out of range"); }

Result<int64_t> CheckTimestamp(int128_t micros) {
  if (micros < kFirstTimestamp || micros >= kTimestampInfinity) return TimestampOutOfRange();
  return static_cast<int64_t>(micros);
}

// A wall clock some months later; the day is cut to the month's length.
Result<int64_t> AddMonths(int64_t local, int32_t months) {
  int64_t days = FloorDiv(local, kMicrosPerDay);
  int64_t time = local - days * kMicrosPerDay;
  CivilDate date = CivilFromDays(days);
  int64_t month = date.year * 12 + (date.month - 1) + months;
  int64_t year = FloorDiv(month, 12);
  int month_of_year = static_cast<int>(month - year * 12) + 1;
  int day = std::min(date.day, DaysInMonth(year, month_of_year));
  return CheckTimestamp(int128_t{DaysFromCivil(year, month_of_year, day)} * kMicrosPerDay + time);
}

// Rounds to microseconds what was computed in seconds or days.
double RoundMicros(double x) { return std::rint(x * 1e6) / 1e6; }

bool FitsInt32(double x) { return x >= -2147483648.0 && x <= 2147483647.0; }
bool FitsInt64(double x) { return x >= -9223372036854775808.0 && x < 9223372036854775808.0; }

// Scales months, days and time; what does not divide evenly goes to the next smaller unit.
template <typename Scale> Result<Interval> ScaleInterval(const Interval& span, Scale scale) {
  double months = scale(span.months), days = scale(span.days);
  if (std::isnan(months) || !FitsInt32(months) || std::isnan(days) || !FitsInt32(days)) return IntervalOutOfRange();
  Interval result;
  result.months = static_cast<int32_t>(months);
  int64_t whole_days = static_cast<int32_t>(days);
  double month_rest_days = RoundMicros((months - result.months) * kDaysPerMonth);
  double rest_seconds = RoundMicros((days - static_cast<double>(whole_days) + month_rest_days - static_cast<int>(month_rest_days)) * kSecondsPerDay);
  if (std::abs(rest_seconds) >= kSecondsPerDay) {
    int carried = static_cast<int>(rest_seconds / kSecondsPerDay);
    whole_days += carried;
    rest_seconds -= static_cast<double>(carried) * kSecondsPerDay;
  }
  whole_days += static_cast<int32_t>(month_rest_days);
  double micros = std::rint(scale(static_cast<double>(span.micros)) + rest_seconds * static_cast<double>(kMicrosPerSecond));
  if (std::isnan(micros) || !FitsInt64(micros) || whole_days != static_cast<int32_t>(whole_days)) return IntervalOutOfRange();
  result.days = static_cast<int32_t>(whole_days);
  result.micros = static_cast<int64_t>(micros);
  return result;
}

int128_t Span(const Interval& interval) {
  return interval.micros + int128_t{kMicrosPerDay} * (int128_t{interval.days} + int128_t{interval.months} * kDaysPerMonth);
}

}  // namespace

Result<int64_t> DateToTimestamp(int32_t date) {
  if (date == kDateInfinity) return kTimestampInfinity;
  if (date == kDateMinusInfinity) return kTimestampMinusInfinity;
  int128_t micros = int128_t{date} * kMicrosPerDay;
  if (micros >= kTimestampInfinity) return Error(sqlstate::kDatetimeFieldOverflow, "date out of range for timestamp");
  return static_cast<int64_t>(micros);
}

Result<int64_t> DateToTimestamptz(int32_t date, const TimeZone& zone) {
  KAPPA_ASSIGN_OR_RETURN(int64_t local, DateToTimestamp(date));
  return TimestampToTimestamptz(local, zone);
}

int32_t TimestampToDate(int64_t timestamp) {
  if (timestamp == kTimestampInfinity) return kDateInfinity;
  if (timestamp == kTimestampMinusInfinity) return kDateMinusInfinity;
  return static_cast<int32_t>(FloorDiv(timestamp, kMicrosPerDay));
}

Result<int64_t> TimestampToTimestamptz(int64_t timestamp, const TimeZone& zone) {
  if (!IsFinite(timestamp)) return timestamp;
  if (timestamp < kFirstTimestamp || timestamp > kTimestampInfinity - kMicrosPerDay) return TimestampOutOfRange();
  return CheckTimestamp(zone.ToUtc(timestamp));
}

Result<int64_t> TimestamptzToTimestamp(int64_t timestamptz, const TimeZone& zone) {
  if (!IsFinite(timestamptz)) return timestamptz;
  return CheckTimestamp(int128_t{timestamptz} + int64_t{zone.OffsetAt(timestamptz)} * kMicrosPerSecond);
}

Result<int64_t> AddInterval(int64_t timestamp, const Interval& interval) {
  if (!IsFinite(timestamp)) return timestamp;
  if (interval.months != 0) { KAPPA_ASSIGN_OR_RETURN(timestamp, AddMonths(timestamp, interval.months)); }
  return CheckTimestamp(int128_t{timestamp} + int128_t{interval.days} * kMicrosPerDay + interval.micros);
}

Result<int64_t> AddIntervalInZone(int64_t timestamptz, const Interval& interval, const TimeZone& zone) {
  if (!IsFinite(timestamptz)) return timestamptz;
  if (interval.months != 0 || interval.days != 0) {
    KAPPA_ASSIGN_OR_RETURN(int64_t local, TimestamptzToTimestamp(timestamptz, zone));
    if (interval.months != 0) {
      KAPPA_ASSIGN_OR_RETURN(local, AddMonths(local, interval.months));
      KAPPA_ASSIGN_OR_RETURN(timestamptz, TimestampToTimestamptz(local, zone));
      KAPPA_ASSIGN_OR_RETURN(local, TimestamptzToTimestamp(timestamptz, zone));
    }
    if (interval.days != 0) {
      KAPPA_ASSIGN_OR_RETURN(local, CheckTimestamp(int128_t{local} + int128_t{interval.days} * kMicrosPerDay));
      KAPPA_ASSIGN_OR_RETURN(timestamptz, TimestampToTimestamptz(local, zone));
    }
  }
  return CheckTimestamp(int128_t{timestamptz} + interval.micros);
}

Result<Interval> SubtractTimestamps(int64_t a, int64_t b) {
  if (!IsFinite(a) || !IsFinite(b)) return Error(sqlstate::kDatetimeFieldOverflow, "cannot subtract infinite timestamps");
  Interval difference;
  if (__builtin_sub_overflow(a, b, &difference.micros)) return IntervalOutOfRange();
  return JustifyHours(difference);
}

Result<int32_t> AddDays(int32_t date, int64_t days) {
  if (!IsFiniteDate(date)) return date;
  int64_t sum;
  if (__builtin_add_overflow(int64_t{date}, days, &sum) || sum < kFirstDay || sum > kLastDay) return DateOutOfRange();
  return static_cast<int32_t>(sum);
}

Result<int32_t> SubtractDates(int32_t a, int32_t b) {
  if (!IsFiniteDate(a) || !IsFiniteDate(b)) return Error(sqlstate::kDatetimeFieldOverflow, "cannot subtract infinite dates");
  return static_cast<int32_t>(int64_t{a} - b);
}

Result<Interval> Negate(const Interval& interval) { return Subtract(Interval{}, interval); }

Result<Interval> Add(const Interval& a, const Interval& b) {
  Interval sum;
  if (__builtin_add_overflow(a.months, b.months, &sum.months) || __builtin_add_overflow(a.days, b.days, &sum.days) ||
      __builtin_add_overflow(a.micros, b.micros, &sum.micros)) {
    return IntervalOutOfRange();
  }
  return sum;
}

Result<Interval> Subtract(const Interval& a, const Interval& b) {
  Interval difference;
  if (__builtin_sub_overflow(a.months, b.months, &difference.months) || __builtin_sub_overflow(a.days, b.days, &difference.days) ||
      __builtin_sub_overflow(a.micros, b.micros, &difference.micros)) {
    return IntervalOutOfRange();
  }
  return difference;
}

Result<Interval> Multiply(const Interval& interval, double factor) {
  return ScaleInterval(interval, [factor](double x) { return x * factor; });
}

Result<Interval> Divide(const Interval& interval, double divisor) {
  if (divisor == 0) return Error(sqlstate::kDivisionByZero, "division by zero");
  return ScaleInterval(interval, [divisor](double x) { return x / divisor; });
}

Result<Interval> Age(int64_t later, int64_t earlier) {
  if (!IsFinite(later) || !IsFinite(earlier)) return TimestampOutOfRange();
  bool negative = later < earlier;
  int64_t first = negative ? later : earlier, second = negative ? earlier : later;
  int64_t first_days = FloorDiv(first, kMicrosPerDay), second_days = FloorDiv(second, kMicrosPerDay);
  CivilDate from = CivilFromDays(first_days), to = CivilFromDays(second_days);
  int64_t micros = (second - second_days * kMicrosPerDay) - (first - first_days * kMicrosPerDay);
  int64_t months = (to.year - from.year) * 12 + (to.month - from.month);
  int64_t days = to.day - from.day;
  if (micros < 0) {
    micros += kMicrosPerDay;
    --days;
  }
  while (days < 0) {  // borrow the length of the earlier month
    days += DaysInMonth(from.year, from.month);
    --months;
  }
  Interval age{micros, static_cast<int32_t>(days), static_cast<int32_t>(months)};
  return negative ? Negate(age) : Result<Interval>(age);
}

Result<Interval> JustifyHours(const Interval& interval) {
  Interval out = interval;
  int64_t days = out.micros / kMicrosPerDay;
  out.micros -= days * kMicrosPerDay;
  if (__builtin_add_overflow(out.days, static_cast<int32_t>(days), &out.days)) return IntervalOutOfRange();
  if (out.days > 0 && out.micros < 0) {
    out.micros += kMicrosPerDay;
    --out.days;
  } else if (out.days < 0 && out.micros > 0) {
    out.micros -= kMicrosPerDay;
    ++out.days;
  }
  return out;
}

Result<Interval> JustifyDays(const Interval& interval) {
  Interval out = interval;
  int32_t months = out.days / kDaysPerMonth;
  out.days -= months * kDaysPerMonth;
  if (__builtin_add_overflow(out.months, months, &out.months)) return IntervalOutOfRange();
  if (out.months > 0 && out.days < 0) {
    out.days += kDaysPerMonth;
    --out.months;
  } else if (out.months < 0 && out.days > 0) {
    out.days -= kDaysPerMonth;
    ++out.months;
  }
  return out;
}

Result<Interval> JustifyInterval(const Interval& interval) {
  int64_t days = int64_t{interval.days} + interval.micros / kMicrosPerDay;
  int64_t micros = interval.micros % kMicrosPerDay;
  int64_t months = int64_t{interval.months} + days / kDaysPerMonth;
  days %= kDaysPerMonth;
  if (months > 0 && (days < 0 || (days == 0 && micros < 0))) {
    days += kDaysPerMonth;
    --months;
  } else if (months < 0 && (days > 0 || (days == 0 && micros > 0))) {
    days -= kDaysPerMonth;
    ++months;
  }
  if (days > 0 && micros < 0) {
    micros += kMicrosPerDay;
    --days;
  } else if (days < 0 && micros > 0) {
    micros -= kMicrosPerDay;
    ++days;
  }
  if (months != static_cast<int32_t>(months)) return IntervalOutOfRange();
  return Interval{micros, static_cast<int32_t>(days), static_cast<int32_t>(months)};
}

int Compare(const Interval& a, const Interval& b) {
  int128_t x = Span(a), y = Span(b);
  return (x > y) - (x < y);
}

Result<int32_t> MakeDate(int64_t year, int64_t month, int64_t day) {
  auto two = [](int64_t n) { return (n >= 0 && n < 10 ? "0" : "") + std::to_string(n); };
  Error error(sqlstate::kDatetimeFieldOverflow, "date field value out of range: " + std::to_string(year) + "-" + two(month) + "-" + two(day));
  int64_t astronomical = year < 0 ? year + 1 : year;
  if (year == 0 || year > std::numeric_limits<int32_t>::max() || year < std::numeric_limits<int32_t>::min() || month < 1 || month > 12 || day < 1 ||
      day > DaysInMonth(astronomical, static_cast<int>(month))) {
    return error;
  }
  int64_t days = DaysFromCivil(astronomical, static_cast<int>(month), static_cast<int>(day));
  if (days < kFirstDay || days > kLastDay) {
    return Error(sqlstate::kDatetimeFieldOverflow, "date out of range: " + std::to_string(astronomical) + "-" + two(month) + "-" + two(day));
  }
  return static_cast<int32_t>(days);
}

Result<int64_t> MakeTime(int64_t hour, int64_t minute, double second) {
  double micros = std::rint(second * 1e6);
  bool in_range = hour >= 0 && hour <= 24 && minute >= 0 && minute <= 59 && micros >= 0 && micros <= 60e6;
  int64_t time = in_range ? hour * kMicrosPerHour + minute * kMicrosPerMinute + static_cast<int64_t>(micros) : -1;
  if (time < 0 || time > kMicrosPerDay) {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%02g", second);
    std::string text = std::to_string(hour) + ":" + (minute >= 0 && minute < 10 ? "0" : "") + std::to_string(minute) + ":" + seconds;
    return Error(sqlstate::kDatetimeFieldOverflow, "time field value out of range: " + text);
  }
  return time;
}

Result<int64_t> MakeTimestamp(int64_t year, int64_t month, int64_t day, int64_t hour, int64_t minute, double second) {
  KAPPA_ASSIGN_OR_RETURN(int32_t date, MakeDate(year, month, day));
  KAPPA_ASSIGN_OR_RETURN(const int64_t time, MakeTime(hour, minute, second));
  return CheckTimestamp(int128_t{date} * kMicrosPerDay + time);
}

Result<Interval> MakeInterval(int64_t years, int64_t months, int64_t weeks, int64_t days, int64_t hours, int64_t minutes, double seconds) {
  int128_t all_months = int128_t{years} * 12 + months;
  int128_t all_days = int128_t{weeks} * 7 + days;
  double micros = std::rint(seconds * 1e6);
  if (!std::isfinite(seconds) || !FitsInt64(micros)) return IntervalOutOfRange();
  int128_t time = int128_t{hours} * kMicrosPerHour + int128_t{minutes} * kMicrosPerMinute + static_cast<int64_t>(micros);
  if (all_months != static_cast<int32_t>(all_months) || all_days != static_cast<int32_t>(all_days) || time != static_cast<int64_t>(time)) {
    return IntervalOutOfRange();
  }
  return Interval{static_cast<int64_t>(time), static_cast<int32_t>(all_days), static_cast<int32_t>(all_months)};
}

Result<int64_t> TimestampFromEpoch(double seconds) {
  if (std::isnan(seconds)) return Error(sqlstate::kDatetimeFieldOverflow, "timestamp cannot be NaN");
  if (std::isinf(seconds)) return seconds > 0 ? kTimestampInfinity : kTimestampMinusInfinity;
  // Rounded relative to PostgreSQL's epoch, as it does.
  double since_2000 = std::rint((seconds - static_cast<double>(kPostgresEpochDays * kSecondsPerDay)) * 1e6);
  if (!FitsInt64(since_2000) || since_2000 < static_cast<double>(kFirstTimestamp - kPostgresEpochMicros) ||
      static_cast<int64_t>(since_2000) >= kTimestampInfinity - kPostgresEpochMicros) {
    char text[48];
    std::snprintf(text, sizeof text, "%g", seconds);
    return Error(sqlstate::kDatetimeFieldOverflow, "timestamp out of range: \"" + std::string(text) + "\"");
  }
  return CheckTimestamp(int128_t{static_cast<int64_t>(since_2000)} + kPostgresEpochMicros);
}

int64_t RoundTimestamp(int64_t micros, int precision) {
  if (precision < 0 || precision > 5 || !IsFinite(micros)) return micros;
  int64_t unit = 1;
  for (int i = precision; i < 6; ++i) unit *= 10;
  int128_t since_2000 = int128_t{micros} - kPostgresEpochMicros;  // halves round away from PostgreSQL's epoch
  int128_t rounded = since_2000 >= 0 ? (since_2000 + unit / 2) / unit * unit : -((-since_2000 + unit / 2) / unit * unit);
  rounded += kPostgresEpochMicros;
  return rounded >= kTimestampInfinity ? micros : static_cast<int64_t>(rounded);
}

Result<Interval> ApplyIntervalModifier(Interval interval, int32_t modifier) {
  if (modifier < 0) return interval;
  int32_t range = IntervalRange(modifier);
  if (range != kIntervalFullRange) {
    int64_t unit = 1;  // of the time that is kept
    if ((range & (kIntervalHour | kIntervalMinute | kIntervalSecond)) == 0) unit = 0;
    else if ((range & (kIntervalMinute | kIntervalSecond)) == 0) unit = kMicrosPerHour;
    else if ((range & kIntervalSecond) == 0) unit = kMicrosPerMinute;
    interval.micros = unit == 0 ? 0 : interval.micros / unit * unit;
    if (unit == 0 && (range & kIntervalDay) == 0) interval.days = 0;
    if (range == kIntervalYear) interval.months = interval.months / 12 * 12;
  }
  int32_t precision = IntervalPrecision(modifier);
  if (precision < 6) {
    int64_t unit = 1;
    for (int i = precision; i < 6; ++i) unit *= 10;
    int64_t shifted;
    if (__builtin_add_overflow(interval.micros, interval.micros >= 0 ? unit / 2 : -unit / 2, &shifted)) return IntervalOutOfRange();
    interval.micros = shifted / unit * unit;
  }
  return interval;
}

Result<int64_t> BinTimestamp(const Interval& stride, int64_t timestamp, int64_t origin) {
  if (!IsFinite(timestamp)) return timestamp;
  if (!IsFinite(origin)) return Error(sqlstate::kDatetimeFieldOverflow, "origin out of range");
  if (stride.months != 0) { return Error(sqlstate::kFeatureNotSupported, "timestamps cannot be binned into intervals containing months or years"); }
  int128_t step = int128_t{stride.days} * kMicrosPerDay + stride.micros;
  if (step != static_cast<int64_t>(step)) return IntervalOutOfRange();
  if (step <= 0) return Error(sqlstate::kDatetimeFieldOverflow, "stride must be greater than zero");
  int128_t difference = int128_t{timestamp} - origin;
  int128_t rest = difference % step;
  if (rest < 0) rest += step;
  return CheckTimestamp(int128_t{timestamp} - rest);
}

}  // namespace kappa::data
