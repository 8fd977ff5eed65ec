// to_timestamp() and to_date() with a template.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "data/datetime.h"
#include "expr/functions/from_char.h"
#include "expr/functions/utf8.h"

namespace kappa::expr {
namespace {

using View = std::string_view;
using Pattern = TimePattern;

constexpr const char* kFillHint = "If your source string is not fixed-width, try using the \"FM\" modifier.";

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsSeparator(char c) { return c > 0x20 && c < 0x7F && !IsDigit(c) && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z'); }

/// Numbers, before which no other number can end.
bool StartsWithDigit(Pattern pattern) {
  switch (pattern) {
    case Pattern::kMeridiem:
    case Pattern::kMeridiemDots:
    case Pattern::kEra:
    case Pattern::kEraDots:
    case Pattern::kMonthName:
    case Pattern::kMonthShort:
    case Pattern::kDayName:
    case Pattern::kDayShort:
    case Pattern::kRoman:
    case Pattern::kZone:
    case Pattern::kZoneHours:
    case Pattern::kZoneOffset: return false;
    default: return true;
  }
}

enum class Calendar : uint8_t { kAny, kGregorian, kIsoWeek };
Calendar CalendarOf(Pattern pattern) {
  switch (pattern) {
    case Pattern::kIsoDayOfYear:
    case Pattern::kIsoDayOfWeek:
    case Pattern::kIsoWeek:
    case Pattern::kIsoYear: return Calendar::kIsoWeek;
    case Pattern::kDayOfYear:
    case Pattern::kDay:
    case Pattern::kDayOfWeek:
    case Pattern::kMonth:
    case Pattern::kMonthName:
    case Pattern::kMonthShort:
    case Pattern::kRoman:
    case Pattern::kWeek:
    case Pattern::kWeekOfMonth:
    case Pattern::kYear:
    case Pattern::kYearComma: return Calendar::kGregorian;
    default: return Calendar::kAny;
  }
}

/// Years of fewer than four digits are those nearest to 2020.
int YearNear2020(int year) {
  return year < 70 ? year + 2000 : year < 100 ? year + 1900 : year < 520 ? year + 2000 : year < 1000 ? year + 1000 : year;
}

Error FieldOverflow(View text) { return Error(sqlstate::kDatetimeFieldOverflow, fmt::format("date/time field value out of range: \"{}\"", text)); }

}  // namespace

TimeReader::TimeReader(View format) {
  for (size_t i = 0; i < format.size();) {
    Item item{.kind = Item::Kind::kField};
    const View prefix = format.substr(i, 2);
    if (prefix == "FM" || prefix == "fm") item.fill_mode = true;
    if (item.fill_mode || prefix == "TM" || prefix == "tm") i += 2;
    if (i >= format.size()) break;
    if (const View fixed = format.substr(i, 2); fixed == "FX" || fixed == "fx") {
      item.kind = Item::Kind::kFixed;
      i += 2;
    } else if (item.keyword = FindTimeKeyword(format.substr(i)); item.keyword != nullptr) {
      i += item.keyword->name.size();
    }
    if (item.keyword != nullptr || item.kind == Item::Kind::kFixed) {
      const View suffix = format.substr(i, 2);
      item.ordinal = suffix == "TH" || suffix == "th";
      if (item.ordinal || suffix == "SP") i += 2;
      items_.push_back(item);
      continue;
    }
    if (format[i] == '"') {
      for (++i; i < format.size() && format[i] != '"'; i += CharacterSize(format, i)) {
        if (format[i] == '\\' && i + 1 < format.size()) ++i;
        items_.push_back({.kind = Item::Kind::kCharacter, .digit = IsDigit(format[i])});
      }
      ++i;
      continue;
    }
    if (format[i] == '\\' && format.substr(i + 1).starts_with('"')) ++i;
    item.kind = IsSeparator(format[i]) ? Item::Kind::kSeparator : IsSpace(format[i]) ? Item::Kind::kSpace : Item::Kind::kCharacter;
    item.digit = IsDigit(format[i]);
    items_.push_back(item);
    i += CharacterSize(format, i);
  }
}

bool TimeReader::EndsNumber(size_t i) const {
  if (items_[i].ordinal || i + 1 >= items_.size()) return true;
  const Item& next = items_[i + 1];
  return next.keyword != nullptr ? !StartsWithDigit(next.keyword->pattern) : !next.digit;
}

/// The fields that one text gives; zero: not given.
class TimeFields {
 public:
  TimeFields(const TimeReader& reader, View text) : reader_(reader), text_(text), rest_(text) {}

  Status Scan() {
    bool fixed = false;
    int skipped = 0;  // characters more than the template has
    const auto skip_spaces = [&] {
      while (!rest_.empty() && IsSpace(rest_[0])) {
        rest_.remove_prefix(1);
        ++skipped;
      }
    };
    for (size_t i = 0; i < reader_.items_.size() && !rest_.empty(); ++i) {
      const TimeReader::Item& item = reader_.items_[i];
      using Kind = TimeReader::Item::Kind;
      if (!fixed && item.kind != Kind::kFixed && (item.kind == Kind::kField || i == 0)) skip_spaces();
      switch (item.kind) {
        case Kind::kSpace:
        case Kind::kSeparator:
          if (fixed) {
            SkipCharacter();
            break;
          }
          --skipped;
          if (!rest_.empty() && (IsSpace(rest_[0]) || IsSeparator(rest_[0]))) {
            rest_.remove_prefix(1);
            ++skipped;
          }
          break;
        case Kind::kCharacter:
          if (!fixed && skipped > 0) --skipped;
          else SkipCharacter();
          break;
        case Kind::kFixed: fixed = true; break;
        case Kind::kField: {
          const Calendar calendar = CalendarOf(item.keyword->pattern);
          if (calendar != Calendar::kAny && calendar_ != Calendar::kAny && calendar != calendar_)
            return Error(sqlstate::kInvalidDatetimeFormat, "invalid combination of date conventions")
                .Hint("Do not mix Gregorian and ISO week date conventions in a formatting template.");
          if (calendar != Calendar::kAny) calendar_ = calendar;
          KAPPA_RETURN_IF_ERROR(Field(i, skipped));
          if (!fixed) {
            skipped = 0;
            skip_spaces();
          }
          break;
        }
      }
    }
    return {};
  }

  Result<TimeReading> Finish() {
    KAPPA_RETURN_IF_ERROR(FinishClock());
    KAPPA_RETURN_IF_ERROR(FinishDate());
    const int64_t fraction = int64_t{millis_} * 1000 + micros_;
    if (hour_ < 0 || hour_ >= 24 || minute_ < 0 || minute_ >= 60 || second_ < 0 || second_ >= 60 || fraction < 0 ||
        fraction >= data::kMicrosPerSecond)
      return FieldOverflow(text_);
    TimeReading reading;
    reading.days = days_;
    reading.micros = hour_ * data::kMicrosPerHour + minute_ * data::kMicrosPerMinute + second_ * data::kMicrosPerSecond + fraction;
    if (fraction_digits_ > 0) reading.precision = fraction_digits_;
    if (zone_sign_ != 0) {
      if (zone_hours_ < 0 || zone_hours_ > 15 || zone_minutes_ < 0 || zone_minutes_ >= 60)
        return Error(sqlstate::kInvalidTimeZone, fmt::format("time zone displacement out of range: \"{}\"", text_));
      reading.zone_offset = zone_sign_ * (zone_hours_ * 3600 + zone_minutes_ * 60);
    }
    return reading;
  }

 private:
  void SkipCharacter() {
    if (!rest_.empty()) rest_.remove_prefix(CharacterSize(rest_, 0));
  }
  static Error Invalid(View value, View name) {
    return Error(sqlstate::kInvalidDatetimeFormat, fmt::format("invalid value \"{}\" for \"{}\"", value, name));
  }
  static Status Set(int* field, int value, View name) {
    if (*field != 0 && *field != value)
      return Error(sqlstate::kInvalidDatetimeFormat, fmt::format("conflicting values for \"{}\" field in formatting string", name))
          .Detail("This value contradicts a previous setting for the same field type.");
    *field = value;
    return {};
  }

  /// An integer of `width` characters, or of any number where something else ends it. `used` (may be null): how many were read.
  Status Integer(size_t item, int width, int* field, size_t* used = nullptr) {
    const View name = reader_.items_[item].keyword->name, before = rest_;
    while (!rest_.empty() && IsSpace(rest_[0])) rest_.remove_prefix(1);
    const bool bounded = !reader_.items_[item].fill_mode && !reader_.EndsNumber(item);
    const View copy = rest_.substr(0, static_cast<size_t>(width));
    const View source = bounded ? copy : rest_;
    if (bounded && copy.size() < static_cast<size_t>(width))
      return Error(sqlstate::kInvalidDatetimeFormat, fmt::format("source string too short for \"{}\" formatting field", name))
          .Detail(fmt::format("Field requires {} characters, but only {} remain.", width, copy.size()))
          .Hint(kFillHint);
    size_t end = 0;
    while (end < source.size() && IsSpace(source[end])) ++end;
    const bool negative = end < source.size() && source[end] == '-';
    if (end < source.size() && (source[end] == '-' || source[end] == '+')) ++end;
    const size_t first_digit = end;
    int64_t value = 0;
    for (; end < source.size() && IsDigit(source[end]); ++end) value = std::min<int64_t>(value * 10 + (source[end] - '0'), int64_t{1} << 40);
    if (end == first_digit) return Invalid(copy, name).Detail("Value must be an integer.");
    if (bounded && end < copy.size())
      return Invalid(copy, name).Detail(fmt::format("Field requires {} characters, but only {} could be parsed.", width, end)).Hint(kFillHint);
    if (negative) value = -value;
    if (value < INT32_MIN || value > INT32_MAX)
      return Error(sqlstate::kDatetimeFieldOverflow, fmt::format("value for \"{}\" in source string is out of range", name))
          .Detail(fmt::format("Value must be in the range {} to {}.", INT32_MIN, INT32_MAX));
    rest_.remove_prefix(end);
    if (used != nullptr) *used = before.size() - rest_.size();
    if (field != nullptr) KAPPA_RETURN_IF_ERROR(Set(field, static_cast<int>(value), name));
    if (reader_.items_[item].ordinal) {
      SkipCharacter();
      SkipCharacter();
    }
    return {};
  }
  /// As many characters as the pattern has.
  Status Integer(size_t item, int* field) { return Integer(item, static_cast<int>(reader_.items_[item].keyword->name.size()), field); }
  /// Digits behind the point: 25 is 0.25 s.
  Status Fraction(size_t item, int width, int* field) {
    size_t used = 0;
    KAPPA_RETURN_IF_ERROR(Integer(item, width, field, &used));
    const int whole = reader_.items_[item].keyword->pattern == Pattern::kMillis ? 3 : 6;
    for (; used < static_cast<size_t>(whole); ++used) *field *= 10;
    return {};
  }
  Status Year(size_t item, int digits) {
    size_t used = 0;
    KAPPA_RETURN_IF_ERROR(Integer(item, static_cast<int>(reader_.items_[item].keyword->name.size()), &year_, &used));
    if (digits < 4 && used < 4) year_ = YearNear2020(year_);
    year_digits_ = digits;
    return {};
  }
  Status YearWithComma(View name) {
    size_t end = rest_.starts_with('-') ? 1 : 0;
    int64_t millennia = 0, years = 0;
    const size_t first = end;
    for (; end < rest_.size() && IsDigit(rest_[end]) && end < first + 9; ++end) millennia = millennia * 10 + (rest_[end] - '0');
    const size_t comma = end;
    if (end == first || end >= rest_.size() || rest_[end] != ',')
      return Error(sqlstate::kInvalidDatetimeFormat, fmt::format("invalid input string for \"{}\"", name));
    for (++end; end < rest_.size() && IsDigit(rest_[end]) && end < comma + 4; ++end) years = years * 10 + (rest_[end] - '0');
    if (end == comma + 1) return Error(sqlstate::kInvalidDatetimeFormat, fmt::format("invalid input string for \"{}\"", name));
    years += (first == 1 ? -millennia : millennia) * 1000;
    if (years < INT32_MIN || years > INT32_MAX) return FieldOverflow(text_);
    rest_.remove_prefix(end);
    year_digits_ = 4;
    return Set(&year_, static_cast<int>(years), name);
  }
  /// The place of the first name that the text goes on with, in any case of letters.
  Result<int> Name(std::span<const View> names, size_t length, View pattern) {
    for (size_t i = 0; i < names.size(); ++i) {
      const View name = names[i].substr(0, length);
      if (rest_.size() < name.size() || Lower(rest_.substr(0, name.size())) != Lower(name)) continue;
      rest_.remove_prefix(name.size());
      return static_cast<int>(i);
    }
    const auto end = std::find_if(rest_.begin(), rest_.end(), IsSpace);
    return Invalid(View(rest_.begin(), end), pattern).Detail("The given value did not match any of the allowed values for this field.");
  }
  Status NameField(std::span<const View> names, size_t length, View pattern, int first, int* field) {
    KAPPA_ASSIGN_OR_RETURN(const int place, Name(names, length, pattern));
    return Set(field, place + first, pattern);
  }

  Status Field(size_t item, int skipped) {
    static constexpr View kMeridiems[] = {"am", "pm"}, kDottedMeridiems[] = {"a.m.", "p.m."};
    static constexpr View kEras[] = {"ad", "bc"}, kDottedEras[] = {"a.d.", "b.c."};
    static constexpr View kRomanFromTwelve[] = {"XII", "XI", "X", "IX", "VIII", "VII", "VI", "V", "IV", "III", "II", "I"};  // XI before X and I
    constexpr size_t kWhole = View::npos;
    const TimeKeyword& keyword = *reader_.items_[item].keyword;
    const View name = keyword.name;
    switch (keyword.pattern) {
      case Pattern::kMeridiem:
      case Pattern::kMeridiemDots:
        half_days_ = true;
        return NameField(keyword.pattern == Pattern::kMeridiem ? kMeridiems : kDottedMeridiems, kWhole, name, 0, &afternoon_);
      case Pattern::kHour12: half_days_ = true; return Integer(item, 2, &hour_field_);
      case Pattern::kHour24: return Integer(item, 2, &hour_field_);
      case Pattern::kMinute: return Integer(item, &minute_field_);
      case Pattern::kSecond: return Integer(item, &second_field_);
      case Pattern::kMillis: return Fraction(item, 3, &millis_);
      case Pattern::kMicros: return Fraction(item, 6, &micros_);
      case Pattern::kFraction: fraction_digits_ = keyword.digits; return Fraction(item, keyword.digits, &micros_);
      case Pattern::kSecondsOfDay: return Integer(item, &seconds_of_day_);
      case Pattern::kZone:
      case Pattern::kZoneOffset:
        return Error(sqlstate::kFeatureNotSupported, fmt::format("formatting field \"{}\" is only supported in to_char", name));
      case Pattern::kZoneHours:
        if (!rest_.empty() && (rest_[0] == '+' || rest_[0] == '-' || rest_[0] == ' ')) {
          zone_sign_ = rest_[0] == '-' ? -1 : 1;
          rest_.remove_prefix(1);
        } else {  // a separator of the template may have taken the minus
          zone_sign_ = skipped > 0 && text_[text_.size() - rest_.size() - 1] == '-' ? -1 : 1;
        }
        return Integer(item, 2, &zone_hours_);
      case Pattern::kZoneMinutes:
        if (zone_sign_ == 0) zone_sign_ = 1;
        return Integer(item, 2, &zone_minutes_);
      case Pattern::kEra: return NameField(kEras, kWhole, name, 0, &before_christ_);
      case Pattern::kEraDots: return NameField(kDottedEras, kWhole, name, 0, &before_christ_);
      case Pattern::kMonthName: return NameField(kMonthNames, kWhole, name, 1, &month_);
      case Pattern::kMonthShort: return NameField(kMonthNames, 3, name, 1, &month_);
      case Pattern::kMonth: return Integer(item, &month_);
      case Pattern::kDayName:
      case Pattern::kDayShort: {
        KAPPA_ASSIGN_OR_RETURN(const int day, Name(kDayNames, keyword.pattern == Pattern::kDayName ? kWhole : 3, name));
        KAPPA_RETURN_IF_ERROR(Set(&day_of_week_, day, name));
        ++day_of_week_;
        return {};
      }
      case Pattern::kDayOfYear: return Integer(item, &day_of_year_);
      case Pattern::kIsoDayOfYear: return Integer(item, 3, &day_of_year_);
      case Pattern::kDay: return Integer(item, &day_);
      case Pattern::kDayOfWeek: return Integer(item, &day_of_week_);
      case Pattern::kIsoDayOfWeek:
        KAPPA_RETURN_IF_ERROR(Integer(item, 1, &day_of_week_));
        if (++day_of_week_ > 7) day_of_week_ = 1;
        return {};
      case Pattern::kWeek:
      case Pattern::kIsoWeek: return Integer(item, &week_);
      case Pattern::kQuarter: return Integer(item, nullptr);  // no month follows from it
      case Pattern::kCentury: return Integer(item, &century_);
      case Pattern::kYearComma: return YearWithComma(name);
      case Pattern::kYear:
      case Pattern::kIsoYear: return Year(item, keyword.digits);
      case Pattern::kRoman: {
        KAPPA_ASSIGN_OR_RETURN(const int place, Name(kRomanFromTwelve, kWhole, name));
        return Set(&month_, 12 - place, name);
      }
      case Pattern::kWeekOfMonth: return Integer(item, &week_of_month_);
      case Pattern::kJulian: return Integer(item, &julian_);
    }
    return {};
  }

  Status FinishClock() {
    hour_ = seconds_of_day_ / 3600;
    minute_ = seconds_of_day_ / 60 % 60;
    second_ = seconds_of_day_ % 60;
    if (second_field_ != 0) second_ = second_field_;
    if (minute_field_ != 0) minute_ = minute_field_;
    if (hour_field_ != 0) hour_ = hour_field_;
    if (!half_days_) return {};
    if (hour_ < 1 || hour_ > 12)
      return Error(sqlstate::kInvalidDatetimeFormat, fmt::format("hour \"{}\" is invalid for the 12-hour clock", hour_))
          .Hint("Use the 24-hour clock, or give an hour between 1 and 12.");
    if (afternoon_ != 0 && hour_ < 12) hour_ += 12;
    else if (afternoon_ == 0 && hour_ == 12) hour_ = 0;
    return {};
  }

  /// The year, with the century where only its last digits are given; year 0 is 1 BC.
  int64_t FullYear(bool* given) const {
    *given = year_ != 0 || century_ != 0;
    const int64_t century = before_christ_ != 0 ? -int64_t{century_} : century_;
    if (year_ != 0 && century_ != 0 && year_digits_ <= 2) {
      const int64_t last = year_ % 100;
      if (last == 0) return century * 100 + (century >= 0 ? 0 : 1);
      return century >= 0 ? last + (century - 1) * 100 : (century + 1) * 100 - last + 1;
    }
    if (year_ != 0) {
      const int64_t year = before_christ_ != 0 ? -int64_t{year_} : year_;
      return year < 0 ? year + 1 : year;
    }
    return century_ == 0 ? 0 : century >= 0 ? (century - 1) * 100 + 1 : century * 100 + 1;
  }

  Status FinishDate() {
    bool has_year = false, has_month = false, has_day = false;
    data::CivilDate date{.year = FullYear(&has_year)};
    const auto set = [&](int64_t days) {
      date = data::CivilFromDays(days);
      has_year = has_month = has_day = true;
    };
    if (julian_ != 0) set(julian_ + data::kFirstDay);
    int64_t day_of_year = day_of_year_;
    if (week_ != 0 && calendar_ == Calendar::kIsoWeek) {
      const int weekday = day_of_week_ == 0 ? 0 : day_of_week_ > 1 ? day_of_week_ - 2 : 6;  // from Monday on
      set(data::FirstIsoWeek(date.year) + (int64_t{week_} - 1) * 7 + weekday);
    } else if (week_ != 0) {
      day_of_year = (int64_t{week_} - 1) * 7 + 1;
    }
    const int64_t day = week_of_month_ != 0 ? (int64_t{week_of_month_} - 1) * 7 + 1 : day_;
    if (day > INT32_MAX || day < INT32_MIN || month_ > 12 || month_ < 0) return FieldOverflow(text_);
    if (day != 0) {
      date.day = static_cast<int>(day);
      has_day = true;
    }
    if (month_ != 0) {
      date.month = month_;
      has_month = true;
    }
    if (day_of_year != 0 && (date.month <= 1 || date.day <= 1)) {
      if (date.year == 0 && before_christ_ == 0)
        return Error(sqlstate::kInvalidDatetimeFormat, "cannot calculate day of year without year information");
      if (calendar_ == Calendar::kIsoWeek) {
        set(data::FirstIsoWeek(date.year) - 1 + day_of_year);
      } else {
        int month = 1;
        int64_t before = 0;  // days of the months before
        while (month <= 12 && day_of_year > before + data::DaysInMonth(date.year, month)) before += data::DaysInMonth(date.year, month++);
        if (date.month <= 1) date.month = month;
        if (date.day <= 1) date.day = static_cast<int>(std::min<int64_t>(day_of_year - before, INT32_MAX));
        has_month = has_day = true;
      }
    }
    if (has_month && (date.month < 1 || date.month > 12)) return FieldOverflow(text_);
    if (has_day && (date.day < 1 || date.day > 31)) return FieldOverflow(text_);
    if (has_year && has_month && has_day && date.day > data::DaysInMonth(date.year, date.month)) return FieldOverflow(text_);
    days_ = data::DaysFromCivil(date.year, date.month, 1) + date.day - 1;
    return {};
  }

  const TimeReader& reader_;
  View text_, rest_;
  Calendar calendar_ = Calendar::kAny;
  bool half_days_ = false;
  int afternoon_ = 0, hour_field_ = 0, minute_field_ = 0, second_field_ = 0, seconds_of_day_ = 0;
  int millis_ = 0, micros_ = 0, fraction_digits_ = 0;
  int year_ = 0, year_digits_ = 0, century_ = 0, before_christ_ = 0, month_ = 0, day_ = 0, day_of_week_ = 0, day_of_year_ = 0;
  int week_ = 0, week_of_month_ = 0, julian_ = 0;
  int zone_sign_ = 0, zone_hours_ = 0, zone_minutes_ = 0;
  int hour_ = 0, minute_ = 0, second_ = 0;
  int64_t days_ = 0;
};

Result<TimeReading> TimeReader::Read(View text) const {
  TimeFields fields(*this, text);
  KAPPA_RETURN_IF_ERROR(fields.Scan());
  return fields.Finish();
}

}  // namespace kappa::expr
