#include "expr/functions/json_path_datetime.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <vector>

#include "data/datetime.h"

namespace kappa::expr {
namespace {

constexpr const char* kBadArgument = "22031";  // invalid_argument_for_sql_json_datetime_function

enum class Part : uint8_t {
  kLiteral,
  kYear,
  kMonth,
  kDay,
  kDayOfYear,
  kHour24,
  kHour12,
  kMinute,
  kSecond,
  kSecondOfDay,
  kFraction,
  kMeridian,
  kZoneHour,
  kZoneMinute
};

/// A part of a template: a field of at most so many digits, or a character.
struct Element {
  Part part = Part::kLiteral;
  int digits = 0;
  char character = 0;
};

struct Keyword {
  std::string_view name;
  Part part;
  int digits;
};
// Longer ones before those that begin like them.
constexpr Keyword kKeywords[] = {
    {"SSSSS", Part::kSecondOfDay, 5}, {"SSSS", Part::kSecondOfDay, 5}, {"YYYY", Part::kYear, 4},      {"HH24", Part::kHour24, 2},
    {"HH12", Part::kHour12, 2},       {"A.M.", Part::kMeridian, 4},    {"P.M.", Part::kMeridian, 4},  {"YYY", Part::kYear, 3},
    {"DDD", Part::kDayOfYear, 3},     {"TZH", Part::kZoneHour, 2},     {"TZM", Part::kZoneMinute, 2}, {"FF1", Part::kFraction, 1},
    {"FF2", Part::kFraction, 2},      {"FF3", Part::kFraction, 3},     {"FF4", Part::kFraction, 4},   {"FF5", Part::kFraction, 5},
    {"FF6", Part::kFraction, 6},      {"YY", Part::kYear, 2},          {"MM", Part::kMonth, 2},       {"DD", Part::kDay, 2},
    {"HH", Part::kHour12, 2},         {"MI", Part::kMinute, 2},        {"SS", Part::kSecond, 2},      {"MS", Part::kFraction, 3},
    {"US", Part::kFraction, 6},       {"AM", Part::kMeridian, 2},      {"PM", Part::kMeridian, 2},    {"Y", Part::kYear, 1},
};

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
bool StartsWithWord(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i)
    if (Upper(text[i]) != word[i]) return false;
  return true;
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

Result<std::vector<Element>> Parse(std::string_view pattern) {
  std::vector<Element> elements;
  while (!pattern.empty()) {
    const Keyword* keyword = nullptr;
    for (const Keyword& candidate : kKeywords) {
      if (!StartsWithWord(pattern, candidate.name)) continue;
      keyword = &candidate;
      break;
    }
    if (keyword != nullptr) {
      elements.push_back({keyword->part, keyword->digits, 0});
      pattern.remove_prefix(keyword->name.size());
      continue;
    }
    if (pattern.front() == '"') {
      pattern.remove_prefix(1);
      for (; !pattern.empty() && pattern.front() != '"'; pattern.remove_prefix(1)) {
        if (pattern.front() == '\\' && pattern.size() > 1) pattern.remove_prefix(1);
        elements.push_back({Part::kLiteral, 0, pattern.front()});
      }
      if (!pattern.empty()) pattern.remove_prefix(1);
      continue;
    }
    if (std::string_view("-./,':; ").find(pattern.front()) == std::string_view::npos)
      return Error(sqlstate::kInvalidDatetimeFormat, fmt::format("invalid datetime format separator: \"{}\"", pattern.front()));
    elements.push_back({Part::kLiteral, 0, pattern.front()});
    pattern.remove_prefix(1);
  }
  return elements;
}

Error OutOfRange(std::string_view text) {
  return Error(sqlstate::kDatetimeFieldOverflow, fmt::format("date/time field value out of range: \"{}\"", text));
}

class Reader {
 public:
  Reader(std::string_view text, const std::vector<Element>& elements) : text_(text), rest_(text), elements_(elements) {}

  Result<JsonDatetime> Read() {
    for (size_t i = 0; i < elements_.size(); ++i) {
      const Element& element = elements_[i];
      if (element.part == Part::kLiteral) {
        if (rest_.empty()) return TooShort();
        if (rest_.front() != element.character)
          return Error(sqlstate::kInvalidDatetimeFormat, fmt::format("unmatched format character \"{}\"", element.character));
        rest_.remove_prefix(1);
        continue;
      }
      // Before another field a number has its digits alone; else all that come.
      const bool alone = i + 1 == elements_.size() || elements_[i + 1].part == Part::kLiteral || elements_[i + 1].part == Part::kZoneHour;
      KAPPA_RETURN_IF_ERROR(Field(element, alone));
    }
    if (!rest_.empty()) return Error(sqlstate::kInvalidDatetimeFormat, "trailing characters remain in input string after datetime format");
    return Finish();
  }

 private:
  Error TooShort() const { return Error(sqlstate::kInvalidDatetimeFormat, "input string is too short for datetime format"); }

  Result<int64_t> Number(const Element& element, bool alone) {
    size_t end = 0;
    constexpr size_t kDigitsMax = 9;
    while (end < rest_.size() && IsDigit(rest_[end]) &&
           end < (alone && element.part == Part::kYear ? kDigitsMax : static_cast<size_t>(element.digits)))
      ++end;
    if (rest_.empty()) return TooShort();
    if (end == 0)
      return Error(sqlstate::kInvalidDatetimeFormat,
                   fmt::format("invalid value \"{}\" in datetime", rest_.substr(0, static_cast<size_t>(element.digits))))
          .Detail("Value must be an integer.");
    int64_t value = 0;
    for (size_t i = 0; i < end; ++i) value = value * 10 + (rest_[i] - '0');
    rest_.remove_prefix(end);
    taken_ = end;
    return value;
  }

  Status Field(const Element& element, bool alone) {
    switch (element.part) {
      case Part::kYear:
      case Part::kMonth:
      case Part::kDay:
      case Part::kDayOfYear: dated_ = true; break;
      case Part::kZoneHour:
      case Part::kZoneMinute: zoned_ = true; break;
      default: timed_ = true;
    }
    if (element.part == Part::kMeridian) {
      for (const std::string_view word : {"A.M.", "P.M.", "AM", "PM"}) {
        if (!StartsWithWord(rest_, word)) continue;
        afternoon_ = word[0] == 'P';
        rest_.remove_prefix(word.size());
        return {};
      }
      return Error(sqlstate::kInvalidDatetimeFormat, fmt::format("invalid value \"{}\" for \"AM\"", rest_.substr(0, 2)));
    }
    if (element.part == Part::kZoneHour) {
      if (rest_.empty()) return TooShort();
      negative_zone_ = rest_.front() == '-';
      if (rest_.front() == '+' || rest_.front() == '-' || rest_.front() == ' ') rest_.remove_prefix(1);
    }
    KAPPA_ASSIGN_OR_RETURN(const int64_t value, Number(element, alone));
    switch (element.part) {
      case Part::kYear:
        year_ = value;
        // Two digits are of the years nearest to 2020.
        if (taken_ < 4) year_ = taken_ == 3 ? (value < 520 ? 2000 : 1000) + value : value < 70 ? 2000 + value : 1900 + value;
        return {};
      case Part::kMonth: month_ = value; return {};
      case Part::kDay: day_ = value; return {};
      case Part::kDayOfYear: day_of_year_ = value; return {};
      case Part::kHour24: hour_ = value; return {};
      case Part::kHour12:
        twelve_ = true;
        hour_ = value;
        return {};
      case Part::kMinute: minute_ = value; return {};
      case Part::kSecond: second_ = value; return {};
      case Part::kSecondOfDay: second_of_day_ = value; return {};
      case Part::kFraction:
        micros_ = value;
        for (size_t digits = taken_; digits < 6; ++digits) micros_ *= 10;
        return {};
      case Part::kZoneHour: zone_hours_ = value; return {};
      case Part::kZoneMinute: zone_minutes_ = value; return {};
      default: return {};
    }
  }

  Result<JsonDatetime> Finish() {
    using Kind = JsonDatetime::Kind;
    JsonDatetime result;
    if (!dated_ && !timed_)
      return Error(sqlstate::kInvalidDatetimeFormat,
                   zoned_ ? "datetime format is zoned but not timed" : "datetime format is not dated and not timed");
    if (zoned_ && !timed_) return Error(sqlstate::kInvalidDatetimeFormat, "datetime format is zoned but not timed");
    if (dated_) {
      Result<int32_t> date = data::MakeDate(year_, day_of_year_ ? 1 : month_, day_of_year_ ? 1 : day_);
      if (!date.ok() || year_ == 0) return OutOfRange(text_);
      result.days = *date;
      if (day_of_year_) {
        const bool leap = year_ % 4 == 0 && (year_ % 100 != 0 || year_ % 400 == 0);
        if (*day_of_year_ < 1 || *day_of_year_ > (leap ? 366 : 365)) return OutOfRange(text_);
        result.days += *day_of_year_ - 1;
      }
    }
    if (second_of_day_) {
      hour_ = *second_of_day_ / 3600;
      minute_ = *second_of_day_ / 60 % 60;
      second_ = *second_of_day_ % 60;
    }
    if (twelve_) {
      if (hour_ < 1 || hour_ > 12)
        return Error(sqlstate::kInvalidDatetimeFormat, fmt::format("hour \"{}\" is invalid for the 12-hour clock", hour_))
            .Hint("Use the 24-hour clock, or give an hour between 1 and 12.");
      hour_ = hour_ % 12 + (afternoon_ ? 12 : 0);
    }
    if (hour_ > 23 || minute_ > 59 || second_ > 59 || zone_hours_ > 15 || zone_minutes_ > 59) return OutOfRange(text_);
    result.micros = ((hour_ * 60 + minute_) * 60 + second_) * 1'000'000 + micros_;
    result.zone_seconds = static_cast<int32_t>((zone_hours_ * 60 + zone_minutes_) * 60) * (negative_zone_ ? -1 : 1);
    result.kind = dated_ ? (!timed_ ? Kind::kDate : zoned_ ? Kind::kTimestamptz : Kind::kTimestamp) : zoned_ ? Kind::kTimetz : Kind::kTime;
    return result;
  }

  std::string_view text_, rest_;
  const std::vector<Element>& elements_;
  size_t taken_ = 0;  // digits of the last number
  bool dated_ = false, timed_ = false, zoned_ = false, twelve_ = false, afternoon_ = false, negative_zone_ = false;
  int64_t year_ = 1, month_ = 1, day_ = 1, hour_ = 0, minute_ = 0, second_ = 0, micros_ = 0, zone_hours_ = 0, zone_minutes_ = 0;
  std::optional<int64_t> day_of_year_, second_of_day_;
};

}  // namespace

std::string_view JsonDatetime::TypeName() const {
  switch (kind) {
    case Kind::kDate: return "date";
    case Kind::kTime: return "time without time zone";
    case Kind::kTimetz: return "time with time zone";
    case Kind::kTimestamp: return "timestamp without time zone";
    case Kind::kTimestamptz: break;
  }
  return "timestamp with time zone";
}

std::string JsonDatetime::ToString() const {
  std::string text;
  if (dated()) data::AppendDate(static_cast<int32_t>(days), text);
  if (kind == Kind::kDate) return text;
  if (dated()) text += 'T';
  const int64_t seconds = micros / 1'000'000, fraction = micros % 1'000'000;
  text += fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (fraction != 0) {
    std::string digits = fmt::format("{:06}", fraction);
    digits.erase(digits.find_last_not_of('0') + 1);
    text += '.' + digits;
  }
  if (zoned()) {
    const int32_t zone = std::abs(zone_seconds);
    text += fmt::format("{}{:02}:{:02}", zone_seconds < 0 ? '-' : '+', zone / 3600, zone / 60 % 60);
  }
  return text;
}

Result<JsonDatetime> ReadJsonDatetime(std::string_view text, std::string_view pattern) {
  KAPPA_ASSIGN_OR_RETURN(const std::vector<Element> elements, Parse(pattern));
  return Reader(text, elements).Read();
}

Result<JsonDatetime> ReadJsonDatetime(std::string_view text) {
  static constexpr std::array<std::string_view, 10> kPatterns = {"yyyy-mm-dd",
                                                                 "HH24:MI:SSTZH:TZM",
                                                                 "HH24:MI:SSTZH",
                                                                 "HH24:MI:SS",
                                                                 "yyyy-mm-dd HH24:MI:SSTZH:TZM",
                                                                 "yyyy-mm-dd HH24:MI:SSTZH",
                                                                 "yyyy-mm-dd HH24:MI:SS",
                                                                 "yyyy-mm-dd\"T\"HH24:MI:SSTZH:TZM",
                                                                 "yyyy-mm-dd\"T\"HH24:MI:SSTZH",
                                                                 "yyyy-mm-dd\"T\"HH24:MI:SS"};
  for (const std::string_view pattern : kPatterns)
    if (Result<JsonDatetime> read = ReadJsonDatetime(text, pattern); read.ok()) return read;
  return Error(kBadArgument, fmt::format("datetime format is not recognized: \"{}\"", text))
      .Hint("Use a datetime template argument to specify the input data format.");
}

}  // namespace kappa::expr
