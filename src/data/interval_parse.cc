// Reading intervals: PostgreSQL's units, SQL's fields, and ISO 8601 durations.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "data/datetime.h"
#include "data/datetime_fields.h"

namespace kappa::data {
namespace {

enum class Unit : uint8_t {
  kMicrosecond,
  kMillisecond,
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
  kAgo,
  kNone,
};

struct UnitName {
  std::string_view name;
  Unit unit;
};
constexpr std::array kUnits = {
    UnitName{"us", Unit::kMicrosecond},
    UnitName{"usec", Unit::kMicrosecond},
    UnitName{"usecond", Unit::kMicrosecond},
    UnitName{"useconds", Unit::kMicrosecond},
    UnitName{"usecs", Unit::kMicrosecond},
    UnitName{"microsecond", Unit::kMicrosecond},
    UnitName{"microseconds", Unit::kMicrosecond},
    UnitName{"microsecon", Unit::kMicrosecond},
    UnitName{"ms", Unit::kMillisecond},
    UnitName{"msec", Unit::kMillisecond},
    UnitName{"mseconds", Unit::kMillisecond},
    UnitName{"msecond", Unit::kMillisecond},
    UnitName{"msecs", Unit::kMillisecond},
    UnitName{"millisecond", Unit::kMillisecond},
    UnitName{"milliseconds", Unit::kMillisecond},
    UnitName{"millisecon", Unit::kMillisecond},
    UnitName{"s", Unit::kSecond},
    UnitName{"sec", Unit::kSecond},
    UnitName{"secs", Unit::kSecond},
    UnitName{"second", Unit::kSecond},
    UnitName{"seconds", Unit::kSecond},
    UnitName{"m", Unit::kMinute},
    UnitName{"min", Unit::kMinute},
    UnitName{"mins", Unit::kMinute},
    UnitName{"minute", Unit::kMinute},
    UnitName{"minutes", Unit::kMinute},
    UnitName{"h", Unit::kHour},
    UnitName{"hr", Unit::kHour},
    UnitName{"hrs", Unit::kHour},
    UnitName{"hour", Unit::kHour},
    UnitName{"hours", Unit::kHour},
    UnitName{"d", Unit::kDay},
    UnitName{"day", Unit::kDay},
    UnitName{"days", Unit::kDay},
    UnitName{"w", Unit::kWeek},
    UnitName{"week", Unit::kWeek},
    UnitName{"weeks", Unit::kWeek},
    UnitName{"mon", Unit::kMonth},
    UnitName{"mons", Unit::kMonth},
    UnitName{"month", Unit::kMonth},
    UnitName{"months", Unit::kMonth},
    UnitName{"qtr", Unit::kQuarter},
    UnitName{"quarter", Unit::kQuarter},
    UnitName{"y", Unit::kYear},
    UnitName{"yr", Unit::kYear},
    UnitName{"yrs", Unit::kYear},
    UnitName{"year", Unit::kYear},
    UnitName{"years", Unit::kYear},
    UnitName{"dec", Unit::kDecade},
    UnitName{"decs", Unit::kDecade},
    UnitName{"decade", Unit::kDecade},
    UnitName{"decades", Unit::kDecade},
    UnitName{"c", Unit::kCentury},
    UnitName{"cent", Unit::kCentury},
    UnitName{"century", Unit::kCentury},
    UnitName{"centuries", Unit::kCentury},
    UnitName{"mil", Unit::kMillennium},
    UnitName{"mils", Unit::kMillennium},
    UnitName{"millennium", Unit::kMillennium},
    UnitName{"millennia", Unit::kMillennium},
    UnitName{"ago", Unit::kAgo},
};

Unit FindUnit(std::string_view word) {
  auto found = std::find_if(kUnits.begin(), kUnits.end(), [&](const UnitName& u) { return u.name == word; });
  return found == kUnits.end() ? Unit::kNone : found->unit;
}

// Sums up parts with overflow checks; fractions cascade to smaller units as PostgreSQL does.
class IntervalSum {
 public:
  bool AddMonths(int64_t value, int64_t scale) { return AddTo(months_, value, scale, std::numeric_limits<int32_t>::max()); }
  bool AddDays(int64_t value, int64_t scale) { return AddTo(days_, value, scale, std::numeric_limits<int32_t>::max()); }
  bool AddMicros(int64_t value, int64_t scale) { return AddTo(micros_, value, scale, std::numeric_limits<int64_t>::max()); }
  bool AddFractionalMicros(double fraction, int64_t scale) {
    if (fraction == 0) return true;
    fraction *= static_cast<double>(scale);
    int64_t whole = static_cast<int64_t>(fraction);
    double rest = fraction - static_cast<double>(whole);
    return AddMicros(whole + (rest > 0.5) - (rest < -0.5), 1);
  }
  bool AddFractionalDays(double fraction, int64_t scale) {
    if (fraction == 0) return true;
    fraction *= static_cast<double>(scale);
    int64_t whole = static_cast<int64_t>(fraction);
    return AddDays(whole, 1) && AddFractionalMicros(fraction - static_cast<double>(whole), kMicrosPerDay);
  }
  bool AddFractionalYears(double fraction, int64_t scale) {
    return AddMonths(static_cast<int64_t>(std::rint(fraction * static_cast<double>(scale * 12))), 1);
  }

  // `value` and `fraction` (same sign, |fraction| < 1) of a unit.
  bool Add(Unit unit, int64_t value, double fraction) {
    switch (unit) {
      case Unit::kMicrosecond: return AddTime(value, fraction, 1);
      case Unit::kMillisecond: return AddTime(value, fraction, 1000);
      case Unit::kSecond: return AddTime(value, fraction, kMicrosPerSecond);
      case Unit::kMinute: return AddTime(value, fraction, kMicrosPerMinute);
      case Unit::kHour: return AddTime(value, fraction, kMicrosPerHour);
      case Unit::kDay: return AddDays(value, 1) && AddFractionalMicros(fraction, kMicrosPerDay);
      case Unit::kWeek: return AddDays(value, 7) && AddFractionalDays(fraction, 7);
      case Unit::kMonth: return AddMonths(value, 1) && AddFractionalDays(fraction, 30);
      case Unit::kYear: return AddMonths(value, 12) && AddFractionalYears(fraction, 1);
      case Unit::kDecade: return AddMonths(value, 120) && AddFractionalYears(fraction, 10);
      case Unit::kCentury: return AddMonths(value, 1200) && AddFractionalYears(fraction, 100);
      case Unit::kMillennium: return AddMonths(value, 12000) && AddFractionalYears(fraction, 1000);
      case Unit::kQuarter:
      case Unit::kAgo:
      case Unit::kNone: break;
    }
    return false;
  }
  bool Negate() {
    if (micros_ == std::numeric_limits<int64_t>::min() || days_ == std::numeric_limits<int32_t>::min() ||
        months_ == std::numeric_limits<int32_t>::min()) {
      return false;
    }
    micros_ = -micros_;
    days_ = -days_;
    months_ = -months_;
    return true;
  }
  Interval Value() const { return {micros_, static_cast<int32_t>(days_), static_cast<int32_t>(months_)}; }

 private:
  bool AddTime(int64_t value, double fraction, int64_t scale) { return AddMicros(value, scale) && AddFractionalMicros(fraction, scale); }
  static bool AddTo(int64_t& sum, int64_t value, int64_t scale, int64_t max) {
    int64_t product, total;
    if (__builtin_mul_overflow(value, scale, &product) || __builtin_add_overflow(sum, product, &total)) return false;
    if (total > max || total < -max - 1) return false;
    sum = total;
    return true;
  }
  int64_t months_ = 0, days_ = 0, micros_ = 0;
};

// The unit of a number without one, by the modifier's fields: its last.
Unit DefaultUnit(int32_t range) {
  if (range == kIntervalFullRange || (range & kIntervalSecond) != 0) return Unit::kSecond;
  if ((range & kIntervalMinute) != 0) return Unit::kMinute;
  if ((range & kIntervalHour) != 0) return Unit::kHour;
  if ((range & kIntervalDay) != 0) return Unit::kDay;
  return (range & kIntervalMonth) != 0 ? Unit::kMonth : Unit::kYear;
}

// What has been given already: a unit may come once. Seconds cover their parts when they have a fraction.
uint32_t UnitMask(Unit unit, double fraction) {
  uint32_t mask = 1u << static_cast<int>(unit);
  if (unit == Unit::kSecond && fraction != 0) mask |= 1u << static_cast<int>(Unit::kMillisecond) | 1u << static_cast<int>(Unit::kMicrosecond);
  return mask;
}
constexpr uint32_t kClockMask = 1u << static_cast<int>(Unit::kHour) | 1u << static_cast<int>(Unit::kMinute) | 1u << static_cast<int>(Unit::kSecond);

DateError AddClock(std::string_view text, int32_t range, bool negative, IntervalSum& sum) {
  ClockTime clock;
  if (DateError error = ReadClock(text, range == (kIntervalMinute | kIntervalSecond), clock); error != DateError::kNone) return error;
  int64_t sign = negative ? -1 : 1;
  bool ok = sum.AddMicros(sign * clock.hour, kMicrosPerHour) && sum.AddMicros(sign * clock.minute, kMicrosPerMinute) &&
            sum.AddMicros(sign * clock.second, kMicrosPerSecond) && sum.AddMicros(sign * clock.micros, 1);
  return ok ? DateError::kNone : DateError::kFieldOverflow;
}

// "12", "-1.5", "1-2" (years and months). `unit` becomes months in the last case.
DateError ReadQuantity(std::string_view text, Unit& unit, int64_t& value, double& fraction) {
  bool negative = text.front() == '-';
  if (text.front() == '+') text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  if (error == std::errc::result_out_of_range) return DateError::kFieldOverflow;
  if (error != std::errc()) {  // ".5" and "-.5"
    value = 0;
    rest = text.substr(negative ? 1 : 0);
    if (rest.empty() || rest.front() != '.') return DateError::kBadFormat;
  }
  fraction = 0;
  if (rest.empty()) return DateError::kNone;
  if (rest.front() == '-') {
    rest.remove_prefix(1);
    int months = 0;
    if (!TakeInt(rest, months) || months >= 12) return DateError::kFieldOverflow;
    if (!rest.empty()) return DateError::kBadFormat;
    unit = Unit::kMonth;
    if (__builtin_mul_overflow(value, 12, &value) || __builtin_add_overflow(value, negative ? -months : months, &value)) {
      return DateError::kFieldOverflow;
    }
    return DateError::kNone;
  }
  if (rest.front() != '.') return DateError::kBadFormat;
  if (rest.size() == 1) return DateError::kNone;
  auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), fraction, std::chars_format::fixed);
  if (parsed.ec != std::errc() || parsed.ptr != rest.data() + rest.size()) return DateError::kBadFormat;
  if (negative) fraction = -fraction;
  return DateError::kNone;
}

// Fields from right to left, so that a unit is known before its number.
DateError ReadFields(std::string_view text, int32_t range, IntervalSum& sum) {
  std::vector<DateTextField> fields;
  if (!SplitDateText(text, fields)) return DateError::kBadFormat;
  uint32_t seen = 0;
  bool ago = false;
  Unit unit = Unit::kNone;
  for (size_t i = fields.size(); i-- > 0;) {
    const std::string& field = fields[i].text;
    uint32_t mask = 0;
    switch (fields[i].type) {
      case FieldType::kTime:
        if (DateError error = AddClock(field, range, false, sum); error != DateError::kNone) return error;
        mask = kClockMask;
        unit = Unit::kDay;
        break;
      case FieldType::kZone:
        if (field.find(':') != std::string::npos) {
          if (DateError error = AddClock(std::string_view(field).substr(1), range, field.front() == '-', sum); error != DateError::kNone)
            return error;
          mask = kClockMask;
          unit = Unit::kDay;
          break;
        }
        [[fallthrough]];
      case FieldType::kDate:
      case FieldType::kNumber: {
        if (unit == Unit::kNone) unit = DefaultUnit(range);
        int64_t value = 0;
        double fraction = 0;
        if (DateError error = ReadQuantity(field, unit, value, fraction); error != DateError::kNone) return error;
        if (unit == Unit::kQuarter || unit == Unit::kAgo) return DateError::kBadFormat;
        if (!sum.Add(unit, value, fraction)) return DateError::kFieldOverflow;
        mask = UnitMask(unit, fraction);
        break;
      }
      case FieldType::kText:
      case FieldType::kSpecial: {
        Unit found = FindUnit(field);
        if (found == Unit::kNone) {
          if (FindWord(field).type == WordType::kIgnored) continue;
          return DateError::kBadFormat;
        }
        if (found == Unit::kAgo) ago = true;
        unit = found == Unit::kAgo ? unit : found;
        break;
      }
    }
    if ((mask & seen) != 0) return DateError::kBadFormat;
    seen |= mask;
  }
  if (seen == 0) return DateError::kBadFormat;
  return ago && !sum.Negate() ? DateError::kFieldOverflow : DateError::kNone;
}

// A signed decimal of an ISO duration: whole part and fraction, both with its sign.
bool TakeIsoNumber(std::string_view& text, int64_t& whole, double& fraction, size_t& integer_digits) {
  std::string_view number = text;
  bool negative = !number.empty() && number.front() == '-';
  if (!number.empty() && (number.front() == '-' || number.front() == '+')) number.remove_prefix(1);
  double value = 0;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value, std::chars_format::fixed);
  if (error != std::errc() || number.empty() || !(std::isdigit(static_cast<unsigned char>(number.front())) || number.front() == '.') ||
      value > 1e15) {
    return false;
  }
  integer_digits = number.find_first_not_of("0123456789");
  if (integer_digits == std::string_view::npos) integer_digits = number.size();
  text = number.substr(static_cast<size_t>(end - number.data()));
  whole = static_cast<int64_t>(value);
  fraction = value - static_cast<double>(whole);
  if (negative) {
    whole = -whole;
    fraction = -fraction;
  }
  return true;
}

// The alternative format after P or T: 0001-02-03 or 04:05:06, with the separator already at the front.
DateError ReadIsoAlternative(std::string_view text, bool date, int64_t first, double first_fraction, IntervalSum& sum) {
  constexpr Unit kDateUnits[] = {Unit::kYear, Unit::kMonth, Unit::kDay};
  constexpr Unit kTimeUnits[] = {Unit::kHour, Unit::kMinute, Unit::kSecond};
  const Unit* units = date ? kDateUnits : kTimeUnits;
  if (!sum.Add(units[0], first, first_fraction)) return DateError::kFieldOverflow;
  for (int i = 1; i < 3 && !text.empty() && text.front() == (date ? '-' : ':'); ++i) {
    text.remove_prefix(1);
    int64_t whole;
    double fraction;
    size_t digits;
    if (!TakeIsoNumber(text, whole, fraction, digits)) return DateError::kBadFormat;
    if (!sum.Add(units[i], whole, fraction)) return DateError::kFieldOverflow;
  }
  if (text.empty()) return DateError::kNone;
  if (!date || text.front() != 'T') return DateError::kBadFormat;
  text.remove_prefix(1);
  int64_t whole;
  double fraction;
  size_t digits;
  if (!TakeIsoNumber(text, whole, fraction, digits)) return DateError::kBadFormat;
  return ReadIsoAlternative(text, false, whole, fraction, sum);
}

// P1Y2M3DT4H5M6.5S, P1W, P0001-02-03T04:05:06
DateError ReadIsoDuration(std::string_view text, IntervalSum& sum) {
  if (text.size() < 2 || text.front() != 'P') return DateError::kBadFormat;
  text.remove_prefix(1);
  bool date = true;
  bool any = false;
  while (!text.empty()) {
    if (text.front() == 'T') {
      date = false;
      any = false;
      text.remove_prefix(1);
      continue;
    }
    int64_t whole;
    double fraction;
    size_t digits;
    if (!TakeIsoNumber(text, whole, fraction, digits)) return DateError::kBadFormat;
    char letter = text.empty() ? '\0' : text.front();
    if (letter == (date ? '-' : ':') || (letter == 'T' && date && !any) || letter == '\0') {
      if (any) return DateError::kBadFormat;
      if (digits == 8 && date && letter != '-') {  // 00010203
        if (!sum.AddMonths(whole / 10000, 12) || !sum.AddMonths(whole / 100 % 100, 1) || !sum.AddDays(whole % 100, 1))
          return DateError::kFieldOverflow;
        if (letter == '\0') return DateError::kNone;
        continue;
      }
      if (digits == 6 && !date && letter == '\0') {  // 040506
        bool ok = sum.AddMicros(whole / 10000, kMicrosPerHour) && sum.AddMicros(whole / 100 % 100, kMicrosPerMinute) &&
                  sum.AddMicros(whole % 100, kMicrosPerSecond) && sum.AddFractionalMicros(fraction, kMicrosPerSecond);
        return ok ? DateError::kNone : DateError::kFieldOverflow;
      }
      return ReadIsoAlternative(text, date, whole, fraction, sum);
    }
    Unit unit = Unit::kNone;
    switch (letter) {
      case 'Y': unit = date ? Unit::kYear : Unit::kNone; break;
      case 'M': unit = date ? Unit::kMonth : Unit::kMinute; break;
      case 'W': unit = date ? Unit::kWeek : Unit::kNone; break;
      case 'D': unit = date ? Unit::kDay : Unit::kNone; break;
      case 'H': unit = date ? Unit::kNone : Unit::kHour; break;
      case 'S': unit = date ? Unit::kNone : Unit::kSecond; break;
      default: break;
    }
    if (unit == Unit::kNone) return DateError::kBadFormat;
    if (!sum.Add(unit, whole, fraction)) return DateError::kFieldOverflow;
    any = true;
    text.remove_prefix(1);
  }
  return DateError::kNone;
}

}  // namespace

Result<Interval> ParseInterval(std::string_view text, int32_t modifier) {
  IntervalSum sum;
  DateError error = ReadFields(text, IntervalRange(modifier), sum);
  if (error == DateError::kBadFormat) {
    std::string_view trimmed = text;
    while (!trimmed.empty() && trimmed.front() == ' ') trimmed.remove_prefix(1);
    if (!trimmed.empty() && trimmed.front() == 'P') {
      sum = IntervalSum();
      error = ReadIsoDuration(trimmed, sum);
    }
  }
  if (error == DateError::kFieldOverflow) error = DateError::kIntervalOverflow;
  if (error != DateError::kNone) return MakeDateError(error, text, "interval");
  return ApplyIntervalModifier(sum.Value(), modifier);
}

}  // namespace kappa::data
