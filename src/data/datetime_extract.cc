// Fields of dates, timestamps and intervals: extract() and date_trunc().
#include <algorithm>
#include <array>
#include <cctype>

#include "base/int128.h"
#include "data/datetime.h"

namespace kappa::data {
namespace {

using FieldValue = std::optional<Numeric>;

struct FieldName {
  std::string_view name;
  DateField field;
};
constexpr std::array kFieldNames = {
    FieldName{"us", DateField::kMicroseconds},
    FieldName{"usec", DateField::kMicroseconds},
    FieldName{"usecs", DateField::kMicroseconds},
    FieldName{"usecond", DateField::kMicroseconds},
    FieldName{"useconds", DateField::kMicroseconds},
    FieldName{"microsecond", DateField::kMicroseconds},
    FieldName{"microseconds", DateField::kMicroseconds},
    FieldName{"ms", DateField::kMilliseconds},
    FieldName{"msec", DateField::kMilliseconds},
    FieldName{"msecs", DateField::kMilliseconds},
    FieldName{"msecond", DateField::kMilliseconds},
    FieldName{"mseconds", DateField::kMilliseconds},
    FieldName{"millisecond", DateField::kMilliseconds},
    FieldName{"milliseconds", DateField::kMilliseconds},
    FieldName{"s", DateField::kSecond},
    FieldName{"sec", DateField::kSecond},
    FieldName{"secs", DateField::kSecond},
    FieldName{"second", DateField::kSecond},
    FieldName{"seconds", DateField::kSecond},
    FieldName{"m", DateField::kMinute},
    FieldName{"min", DateField::kMinute},
    FieldName{"mins", DateField::kMinute},
    FieldName{"minute", DateField::kMinute},
    FieldName{"minutes", DateField::kMinute},
    FieldName{"h", DateField::kHour},
    FieldName{"hr", DateField::kHour},
    FieldName{"hrs", DateField::kHour},
    FieldName{"hour", DateField::kHour},
    FieldName{"hours", DateField::kHour},
    FieldName{"d", DateField::kDay},
    FieldName{"day", DateField::kDay},
    FieldName{"days", DateField::kDay},
    FieldName{"w", DateField::kWeek},
    FieldName{"week", DateField::kWeek},
    FieldName{"weeks", DateField::kWeek},
    FieldName{"mon", DateField::kMonth},
    FieldName{"mons", DateField::kMonth},
    FieldName{"month", DateField::kMonth},
    FieldName{"months", DateField::kMonth},
    FieldName{"qtr", DateField::kQuarter},
    FieldName{"quarter", DateField::kQuarter},
    FieldName{"y", DateField::kYear},
    FieldName{"yr", DateField::kYear},
    FieldName{"yrs", DateField::kYear},
    FieldName{"year", DateField::kYear},
    FieldName{"years", DateField::kYear},
    FieldName{"dec", DateField::kDecade},
    FieldName{"decs", DateField::kDecade},
    FieldName{"decade", DateField::kDecade},
    FieldName{"decades", DateField::kDecade},
    FieldName{"c", DateField::kCentury},
    FieldName{"cent", DateField::kCentury},
    FieldName{"century", DateField::kCentury},
    FieldName{"centuries", DateField::kCentury},
    FieldName{"mil", DateField::kMillennium},
    FieldName{"mils", DateField::kMillennium},
    FieldName{"millennium", DateField::kMillennium},
    FieldName{"millennia", DateField::kMillennium},
    FieldName{"dow", DateField::kDayOfWeek},
    FieldName{"isodow", DateField::kIsoDayOfWeek},
    FieldName{"doy", DateField::kDayOfYear},
    FieldName{"isoyear", DateField::kIsoYear},
    FieldName{"j", DateField::kJulian},
    FieldName{"jd", DateField::kJulian},
    FieldName{"julian", DateField::kJulian},
    FieldName{"epoch", DateField::kEpoch},
    FieldName{"timezone", DateField::kTimezone},
    FieldName{"timezone_h", DateField::kTimezoneHour},
    FieldName{"timezone_hour", DateField::kTimezoneHour},
    FieldName{"timezone_m", DateField::kTimezoneMinute},
    FieldName{"timezone_minute", DateField::kTimezoneMinute},
};

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// PostgreSQL's rounding of years, 0 being 1 BC.
int64_t Decade(int64_t year) { return year >= 0 ? year / 10 : -((8 - (year - 1)) / 10); }
int64_t Century(int64_t year) { return year > 0 ? (year + 99) / 100 : -((99 - (year - 1)) / 100); }
int64_t Millennium(int64_t year) { return year > 0 ? (year + 999) / 1000 : -((999 - (year - 1)) / 1000); }

// Years without a year 0.
int64_t ShownYear(int64_t year) { return year > 0 ? year : year - 1; }

int64_t IsoYear(int64_t days) {
  int64_t thursday = days - (DayOfWeek(days) + 6) % 7 + 3;
  return CivilFromDays(thursday).year;
}

// The fields that depend on the date alone; nullopt for others.
std::optional<int64_t> DatePart(DateField field, int64_t days) {
  CivilDate date = CivilFromDays(days);
  switch (field) {
    case DateField::kDay: return date.day;
    case DateField::kWeek: return (days - FirstIsoWeek(IsoYear(days))) / 7 + 1;
    case DateField::kMonth: return date.month;
    case DateField::kQuarter: return (date.month - 1) / 3 + 1;
    case DateField::kYear: return ShownYear(date.year);
    case DateField::kDecade: return Decade(date.year);
    case DateField::kCentury: return Century(date.year);
    case DateField::kMillennium: return Millennium(date.year);
    case DateField::kDayOfWeek: return DayOfWeek(days);
    case DateField::kIsoDayOfWeek: return (DayOfWeek(days) + 6) % 7 + 1;
    case DateField::kDayOfYear: return days - DaysFromCivil(date.year, 1, 1) + 1;
    case DateField::kIsoYear: return ShownYear(IsoYear(days));
    default: return std::nullopt;
  }
}

// The fields that depend on the time of day alone; nullopt for others.
FieldValue TimePart(DateField field, int64_t time) {
  switch (field) {
    case DateField::kMicroseconds: return Numeric(time % kMicrosPerMinute);
    case DateField::kMilliseconds: return Numeric(time % kMicrosPerMinute, 3);
    case DateField::kSecond: return Numeric(time % kMicrosPerMinute, 6);
    case DateField::kMinute: return Numeric(time / kMicrosPerMinute % 60);
    case DateField::kHour: return Numeric(time / kMicrosPerHour);
    default: return std::nullopt;
  }
}

bool IsMonotonic(DateField field) {
  switch (field) {
    case DateField::kYear:
    case DateField::kDecade:
    case DateField::kCentury:
    case DateField::kMillennium:
    case DateField::kJulian:
    case DateField::kIsoYear:
    case DateField::kEpoch: return true;
    default: return false;
  }
}

FieldValue OfInfinity(DateField field, bool positive) {
  if (!IsMonotonic(field)) return std::nullopt;
  return positive ? Numeric::Infinity() : Numeric::NegativeInfinity();
}

// Fields of a finite wall clock.
Result<FieldValue> LocalPart(DateField field, int64_t local) {
  int64_t days = FloorDiv(local, kMicrosPerDay);
  int64_t time = local - days * kMicrosPerDay;
  if (FieldValue part = TimePart(field, time)) return part;
  if (field != DateField::kJulian) return FieldValue(Numeric(*DatePart(field, days)));
  KAPPA_ASSIGN_OR_RETURN(Numeric fraction, Divide(Numeric(time), Numeric(kMicrosPerDay)));
  KAPPA_ASSIGN_OR_RETURN(Numeric julian, Add(Numeric(days - kFirstDay), fraction));
  return FieldValue(julian);
}

int64_t StartOfDay(CivilDate date) { return DaysFromCivil(date) * kMicrosPerDay; }

// Truncates a wall clock.
Result<int64_t> TruncateLocal(DateField field, std::string_view unit, int64_t local, Type type) {
  int64_t days = FloorDiv(local, kMicrosPerDay);
  int64_t time = local - days * kMicrosPerDay;
  CivilDate date = CivilFromDays(days);
  switch (field) {
    case DateField::kMicroseconds: return local;
    case DateField::kMilliseconds: return local - time % 1000;
    case DateField::kSecond: return local - time % kMicrosPerSecond;
    case DateField::kMinute: return local - time % kMicrosPerMinute;
    case DateField::kHour: return local - time % kMicrosPerHour;
    case DateField::kDay: return local - time;
    case DateField::kWeek: return (days - (DayOfWeek(days) + 6) % 7) * kMicrosPerDay;
    case DateField::kMonth: return StartOfDay({date.year, date.month, 1});
    case DateField::kQuarter: return StartOfDay({date.year, (date.month - 1) / 3 * 3 + 1, 1});
    case DateField::kYear: return StartOfDay({date.year, 1, 1});
    case DateField::kDecade: return StartOfDay({Decade(date.year) * 10, 1, 1});
    case DateField::kCentury: return StartOfDay({date.year > 0 ? Century(date.year) * 100 - 99 : Century(date.year) * 100 + 1, 1, 1});
    case DateField::kMillennium: return StartOfDay({date.year > 0 ? Millennium(date.year) * 1000 - 999 : Millennium(date.year) * 1000 + 1, 1, 1});
    case DateField::kTimezone:
    case DateField::kTimezoneHour:
    case DateField::kTimezoneMinute: return UnitNotSupported(unit, type);
    default: return UnitNotRecognized(unit, type);
  }
}

}  // namespace

std::optional<DateField> ParseDateField(std::string_view name) {
  std::string lower = LowerCase(name);
  auto found = std::find_if(kFieldNames.begin(), kFieldNames.end(), [&](const FieldName& f) { return f.name == lower; });
  return found == kFieldNames.end() ? std::nullopt : std::optional(found->field);
}

Error UnitNotRecognized(std::string_view unit, Type type) {
  return Error(sqlstate::kInvalidParameterValue, "unit \"" + LowerCase(unit) + "\" not recognized for type " + type.WithoutModifier().ToString());
}

Error UnitNotSupported(std::string_view unit, Type type) {
  return Error(sqlstate::kFeatureNotSupported, "unit \"" + LowerCase(unit) + "\" not supported for type " + type.WithoutModifier().ToString());
}

Result<int64_t> TruncateTimestamp(DateField field, std::string_view unit, int64_t timestamp) {
  if (!IsFinite(timestamp)) return timestamp;
  KAPPA_ASSIGN_OR_RETURN(int64_t truncated, TruncateLocal(field, unit, timestamp, TypeId::kTimestamp));
  if (truncated < kFirstDay * kMicrosPerDay) return Error(sqlstate::kDatetimeFieldOverflow, "timestamp out of range");
  return truncated;
}

Result<int64_t> TruncateTimestamptz(DateField field, std::string_view unit, int64_t timestamptz, const TimeZone& zone) {
  if (!IsFinite(timestamptz)) return timestamptz;
  KAPPA_ASSIGN_OR_RETURN(int64_t local, TimestamptzToTimestamp(timestamptz, zone));
  KAPPA_ASSIGN_OR_RETURN(int64_t truncated, TruncateLocal(field, unit, local, TypeId::kTimestamptz));
  bool keeps_offset = field <= DateField::kHour;  // within an hour that came twice, stay in the same one
  if (keeps_offset) return timestamptz - (local - truncated);
  return TimestampToTimestamptz(truncated, zone);
}

Result<Interval> TruncateInterval(DateField field, std::string_view unit, const Interval& interval) {
  Interval out = interval;
  auto keep_months = [&](int32_t step) { out = {0, 0, out.months / step * step}; };
  switch (field) {
    case DateField::kMicroseconds: break;
    case DateField::kMilliseconds: out.micros -= out.micros % 1000; break;
    case DateField::kSecond: out.micros -= out.micros % kMicrosPerSecond; break;
    case DateField::kMinute: out.micros -= out.micros % kMicrosPerMinute; break;
    case DateField::kHour: out.micros -= out.micros % kMicrosPerHour; break;
    case DateField::kDay: out.micros = 0; break;
    case DateField::kMonth: keep_months(1); break;
    case DateField::kQuarter: keep_months(3); break;
    case DateField::kYear: keep_months(12); break;
    case DateField::kDecade: keep_months(120); break;
    case DateField::kCentury: keep_months(1200); break;
    case DateField::kMillennium: keep_months(12000); break;
    case DateField::kWeek: return UnitNotSupported(unit, TypeId::kInterval).Detail("Months usually have fractional weeks.");
    case DateField::kTimezone:
    case DateField::kTimezoneHour:
    case DateField::kTimezoneMinute: return UnitNotSupported(unit, TypeId::kInterval);
    default: return UnitNotRecognized(unit, TypeId::kInterval);
  }
  return out;
}

Result<FieldValue> ExtractTimestamp(DateField field, std::string_view unit, int64_t timestamp) {
  bool zone_field = field == DateField::kTimezone || field == DateField::kTimezoneHour || field == DateField::kTimezoneMinute;
  if (!IsFinite(timestamp)) return OfInfinity(field, timestamp == kTimestampInfinity);
  if (zone_field) return UnitNotSupported(unit, TypeId::kTimestamp);
  if (field == DateField::kEpoch) return FieldValue(Numeric(timestamp, 6));
  return LocalPart(field, timestamp);
}

Result<FieldValue> ExtractTimestamptz(DateField field, std::string_view, int64_t timestamptz, const TimeZone& zone) {
  if (!IsFinite(timestamptz)) return OfInfinity(field, timestamptz == kTimestampInfinity);
  int offset = zone.OffsetAt(timestamptz);
  switch (field) {
    case DateField::kEpoch: return FieldValue(Numeric(timestamptz, 6));
    case DateField::kTimezone: return FieldValue(Numeric(offset));
    case DateField::kTimezoneHour: return FieldValue(Numeric(offset / 3600));
    case DateField::kTimezoneMinute: return FieldValue(Numeric(offset / 60 % 60));
    default: break;
  }
  KAPPA_ASSIGN_OR_RETURN(int64_t local, TimestamptzToTimestamp(timestamptz, zone));
  return LocalPart(field, local);
}

Result<FieldValue> ExtractDate(DateField field, std::string_view unit, int32_t date) {
  if (field != DateField::kEpoch && field != DateField::kJulian && !DatePart(field, 0)) return UnitNotSupported(unit, TypeId::kDate);
  if (!IsFiniteDate(date)) return OfInfinity(field, date == kDateInfinity);
  if (field == DateField::kEpoch) return FieldValue(Numeric(int128_t{date} * 86'400));
  if (field == DateField::kJulian) return FieldValue(Numeric(date - kFirstDay));
  return FieldValue(Numeric(*DatePart(field, date)));
}

Result<FieldValue> ExtractTime(DateField field, std::string_view unit, int64_t time) {
  if (field == DateField::kEpoch) return FieldValue(Numeric(time, 6));
  if (FieldValue part = TimePart(field, time)) return part;
  return UnitNotSupported(unit, TypeId::kTime);
}

Result<FieldValue> ExtractInterval(DateField field, std::string_view unit, const Interval& interval) {
  int64_t years = interval.months / 12;
  switch (field) {
    case DateField::kMicroseconds: return FieldValue(Numeric(interval.micros % kMicrosPerMinute));
    case DateField::kMilliseconds: return FieldValue(Numeric(interval.micros % kMicrosPerMinute, 3));
    case DateField::kSecond: return FieldValue(Numeric(interval.micros % kMicrosPerMinute, 6));
    case DateField::kMinute: return FieldValue(Numeric(interval.micros / kMicrosPerMinute % 60));
    case DateField::kHour: return FieldValue(Numeric(interval.micros / kMicrosPerHour));
    case DateField::kDay: return FieldValue(Numeric(interval.days));
    case DateField::kMonth: return FieldValue(Numeric(interval.months % 12));
    case DateField::kQuarter: return FieldValue(Numeric(interval.months % 12 / 3 + 1));
    case DateField::kYear: return FieldValue(Numeric(years));
    case DateField::kDecade: return FieldValue(Numeric(years / 10));
    case DateField::kCentury: return FieldValue(Numeric(years / 100));
    case DateField::kMillennium: return FieldValue(Numeric(years / 1000));
    case DateField::kEpoch: {
      // A year is 365.25 days, a month of the rest 30: in quarters of days.
      int128_t quarter_days = int128_t{1461} * years + int128_t{120} * (interval.months % 12) + int128_t{4} * interval.days;
      return FieldValue(Numeric(quarter_days * (kMicrosPerDay / 4) + interval.micros, 6));
    }
    default: return UnitNotSupported(unit, TypeId::kInterval);
  }
}

}  // namespace kappa::data
