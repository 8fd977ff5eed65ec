// to_char() of timestamps and intervals.
#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "data/datetime.h"
#include "expr/functions/time_template.h"
#include "expr/functions/to_char.h"
#include "expr/functions/utf8.h"

namespace kappa::expr {
namespace {

using View = std::string_view;

using Case = LetterCase;
using Keyword = TimeKeyword;
using Pattern = TimePattern;

std::string InCase(View text, Case letters) {
  switch (letters) {
    case Case::kUpper: return Upper(text);
    case Case::kLower: return Lower(text);
    case Case::kCapital: return std::string(text);
  }
  return std::string(text);
}

View OrdinalSuffix(View digits) {
  const char last = digits.back();
  const bool teen = digits.size() > 1 && digits[digits.size() - 2] == '1';
  if (teen || last < '1' || last > '3') return "th";
  return last == '1' ? "st" : last == '2' ? "nd" : "rd";
}

class TimeFormatter {
 public:
  TimeFormatter(const CharClock& clock) : clock_(clock) {}

  Result<std::string> Run(View format) {
    for (size_t i = 0; i < format.size();) {
      if (format[i] == '"') {
        i = Quoted(format, i + 1);
        continue;
      }
      if (format[i] == '\\' && i + 1 < format.size()) {
        if (format[i + 1] != '"') out_ += format[i];
        out_ += format[i + 1];
        i += 2;
        continue;
      }
      bool fill = true;
      size_t at = i;
      for (;;) {  // prefixes
        const View rest = format.substr(at);
        if (rest.starts_with("FM") || rest.starts_with("fm")) fill = false;
        else if (!rest.starts_with("TM") && !rest.starts_with("tm") && !rest.starts_with("FX") && !rest.starts_with("fx")) break;
        at += 2;
      }
      const Keyword* keyword = FindTimeKeyword(format.substr(at));
      if (keyword == nullptr) {
        if (at > i) {
          i = at;
          continue;
        }
        out_ += format[i++];
        continue;
      }
      KAPPA_ASSIGN_OR_RETURN(std::string text, Apply(*keyword, fill));
      i = at + keyword->name.size();
      if (!text.empty() && text.back() >= '0' && text.back() <= '9') {
        const View suffix = format.substr(i, 2);
        if (suffix == "TH" || suffix == "th") {
          text += suffix == "TH" ? Upper(OrdinalSuffix(text)) : std::string(OrdinalSuffix(text));
          i += 2;
        }
      }
      out_ += text;
    }
    return std::move(out_);
  }

 private:
  size_t Quoted(View format, size_t i) {
    for (; i < format.size() && format[i] != '"'; ++i) {
      if (format[i] == '\\' && i + 1 < format.size()) ++i;
      out_ += format[i];
    }
    return i + 1;
  }

  static std::string Number(int64_t value, int width, bool fill) {
    return fill ? fmt::format("{:0{}}", value, value < 0 ? width + 1 : width) : fmt::format("{}", value);
  }
  static std::string Name(View name, Case letters, bool fill, size_t width) {
    std::string text = InCase(name, letters);
    if (fill && text.size() < width) text.resize(width, ' ');
    return text;
  }
  /// Years count from 1 in both directions.
  static int64_t Shown(int64_t year) { return year <= 0 ? 1 - year : year; }
  std::string Year(int64_t year, int digits, bool fill) const {
    const int64_t shown = clock_.is_interval ? year : Shown(year);
    constexpr int64_t kModulus[] = {1, 10, 100, 1000};
    return digits == 4 ? Number(shown, 4, fill) : Number(shown % kModulus[digits], digits, fill);
  }

  Result<std::string> Apply(const Keyword& keyword, bool fill) const {
    const CharClock& c = clock_;
    const int64_t first_of_year = data::DaysFromCivil(c.year, 1, 1);
    switch (keyword.pattern) {
      case Pattern::kHour12: {
        const int64_t hour = c.hour % 12 == 0 ? 12 : c.hour % 12;
        return Number(hour, 2, fill);
      }
      case Pattern::kHour24: return Number(c.hour, 2, fill);
      case Pattern::kMinute: return Number(c.minute, 2, fill);
      case Pattern::kSecond: return Number(c.second, 2, fill);
      case Pattern::kMillis: return Number(c.micros / 1000, 3, true);
      case Pattern::kMicros: return Number(c.micros, 6, true);
      case Pattern::kFraction: return Number(c.micros, 6, true).substr(0, static_cast<size_t>(keyword.digits));
      case Pattern::kSecondsOfDay: return fmt::format("{}", c.hour * 3600 + c.minute * 60 + c.second);
      case Pattern::kMeridiem: return InCase(c.hour % 24 >= 12 ? "PM" : "AM", keyword.letters);
      case Pattern::kMeridiemDots: return InCase(c.hour % 24 >= 12 ? "P.M." : "A.M.", keyword.letters);
      case Pattern::kYear: return Year(c.year, keyword.digits, fill);
      case Pattern::kYearComma: return fmt::format("{},{:03}", Shown(c.year) / 1000, Shown(c.year) % 1000);
      case Pattern::kMonth: return Number(c.month, 2, fill);
      case Pattern::kDay: return Number(c.day, 2, fill);
      case Pattern::kQuarter: return c.month == 0 ? std::string() : fmt::format("{}", (c.month - 1) / 3 + 1);
      case Pattern::kDayOfYear: return Number(c.is_interval ? c.year * 360 + c.month * 30 + c.day : c.day_number - first_of_year + 1, 3, fill);
      case Pattern::kRoman:
        if (c.month == 0) return std::string();
        return Name(kRomanMonths[static_cast<size_t>(std::abs(c.month)) - 1], keyword.letters, fill, 4);
      default: break;
    }
    if (c.is_interval) {
      return Error(sqlstate::kInvalidDatetimeFormat, "invalid format specification for an interval value")
          .Hint("Intervals are not tied to specific calendar dates.");
    }
    const auto day_of_week = static_cast<size_t>(data::DayOfWeek(c.day_number));
    switch (keyword.pattern) {
      case Pattern::kEra: return InCase(c.year <= 0 ? "BC" : "AD", keyword.letters);
      case Pattern::kEraDots: return InCase(c.year <= 0 ? "B.C." : "A.D.", keyword.letters);
      case Pattern::kMonthName: return Name(kMonthNames[c.month - 1], keyword.letters, fill, 9);
      case Pattern::kMonthShort: return InCase(kMonthNames[c.month - 1].substr(0, 3), keyword.letters);
      case Pattern::kDayName: return Name(kDayNames[day_of_week], keyword.letters, fill, 9);
      case Pattern::kDayShort: return InCase(kDayNames[day_of_week].substr(0, 3), keyword.letters);
      case Pattern::kDayOfWeek: return fmt::format("{}", day_of_week + 1);
      case Pattern::kIsoDayOfWeek: return fmt::format("{}", day_of_week == 0 ? 7 : day_of_week);
      case Pattern::kWeekOfMonth: return fmt::format("{}", (c.day - 1) / 7 + 1);
      case Pattern::kWeek: return Number((c.day_number - first_of_year) / 7 + 1, 2, fill);
      case Pattern::kCentury: return Number(c.year > 0 ? (c.year + 99) / 100 : -((99 - (c.year - 1)) / 100), 2, fill);
      case Pattern::kJulian: return fmt::format("{}", c.day_number - data::kFirstDay);
      case Pattern::kIsoYear:
      case Pattern::kIsoWeek:
      case Pattern::kIsoDayOfYear: {
        int64_t iso_year = c.year + 1;
        while (c.day_number < data::FirstIsoWeek(iso_year)) --iso_year;
        const int64_t day = c.day_number - data::FirstIsoWeek(iso_year);
        if (keyword.pattern == Pattern::kIsoYear) return Year(iso_year, keyword.digits, fill);
        return keyword.pattern == Pattern::kIsoWeek ? Number(day / 7 + 1, 2, fill) : Number(day + 1, 3, fill);
      }
      case Pattern::kZone:
        if (!c.zone_offset) return std::string();
        if (c.zone_name.empty())
          return Error(sqlstate::kFeatureNotSupported, "to_char pattern TZ is supported for time zone UTC only").Hint("Use OF or TZH:TZM.");
        return InCase(c.zone_name, keyword.letters);
      case Pattern::kZoneHours: return fmt::format("{}{:02}", c.zone_offset.value_or(0) < 0 ? '-' : '+', std::abs(c.zone_offset.value_or(0)) / 3600);
      case Pattern::kZoneMinutes: return fmt::format("{:02}", std::abs(c.zone_offset.value_or(0)) / 60 % 60);
      case Pattern::kZoneOffset: {
        const int offset = c.zone_offset.value_or(0);
        std::string text = fmt::format("{}{:0{}}", offset < 0 ? '-' : '+', std::abs(offset) / 3600, fill ? 2 : 1);
        if (offset / 60 % 60 != 0) text += fmt::format(":{:02}", std::abs(offset) / 60 % 60);
        return text;
      }
      default: break;
    }
    return Error(sqlstate::kFeatureNotSupported, fmt::format("to_char pattern {} is not supported", keyword.name));
  }

  const CharClock& clock_;
  std::string out_;
};

}  // namespace

int64_t FinestUnit(std::string_view format) {
  int64_t unit = data::kMicrosPerDay;
  for (size_t i = 0; i < format.size(); ++i) {  // also inside of words and quotes: a unit that is too fine does no harm
    if (const Keyword* keyword = FindTimeKeyword(format.substr(i)); keyword != nullptr) {
      switch (keyword->pattern) {
        case Pattern::kHour12:
        case Pattern::kHour24:
        case Pattern::kMeridiem:
        case Pattern::kMeridiemDots: unit = std::min(unit, data::kMicrosPerHour); break;
        case Pattern::kMinute: unit = std::min(unit, data::kMicrosPerMinute); break;
        case Pattern::kSecond:
        case Pattern::kSecondsOfDay: unit = std::min(unit, data::kMicrosPerSecond); break;
        case Pattern::kMillis:
        case Pattern::kMicros:
        case Pattern::kFraction:
        case Pattern::kZone:
        case Pattern::kZoneHours:
        case Pattern::kZoneMinutes:
        case Pattern::kZoneOffset: return 1;
        default: break;
      }
    }
  }
  return unit;
}

Result<std::string> FormatTime(const CharClock& clock, std::string_view format) { return TimeFormatter(clock).Run(format); }

}  // namespace kappa::expr
