// The tokenizer and the words of date and time text.
#include "data/datetime_fields.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <climits>
#include <cmath>

#include "data/calendar.h"

namespace kappa::data {
namespace {

constexpr size_t kTextMax = 4096;        // far beyond any date
constexpr const char* kIntervalFieldOverflow = "22015";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDateSeparator(char c) { return c == '-' || c == '/' || c == '.'; }
char Lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

struct NamedWord {
  std::string_view name;
  Word word;
};
constexpr std::array kWords = {
    NamedWord{"jan", {WordType::kMonth, 1}},
    NamedWord{"january", {WordType::kMonth, 1}},
    NamedWord{"feb", {WordType::kMonth, 2}},
    NamedWord{"february", {WordType::kMonth, 2}},
    NamedWord{"mar", {WordType::kMonth, 3}},
    NamedWord{"march", {WordType::kMonth, 3}},
    NamedWord{"apr", {WordType::kMonth, 4}},
    NamedWord{"april", {WordType::kMonth, 4}},
    NamedWord{"may", {WordType::kMonth, 5}},
    NamedWord{"jun", {WordType::kMonth, 6}},
    NamedWord{"june", {WordType::kMonth, 6}},
    NamedWord{"jul", {WordType::kMonth, 7}},
    NamedWord{"july", {WordType::kMonth, 7}},
    NamedWord{"aug", {WordType::kMonth, 8}},
    NamedWord{"august", {WordType::kMonth, 8}},
    NamedWord{"sep", {WordType::kMonth, 9}},
    NamedWord{"sept", {WordType::kMonth, 9}},
    NamedWord{"september", {WordType::kMonth, 9}},
    NamedWord{"oct", {WordType::kMonth, 10}},
    NamedWord{"october", {WordType::kMonth, 10}},
    NamedWord{"nov", {WordType::kMonth, 11}},
    NamedWord{"november", {WordType::kMonth, 11}},
    NamedWord{"dec", {WordType::kMonth, 12}},
    NamedWord{"december", {WordType::kMonth, 12}},
    NamedWord{"sun", {WordType::kWeekday, 0}},
    NamedWord{"sunday", {WordType::kWeekday, 0}},
    NamedWord{"mon", {WordType::kWeekday, 1}},
    NamedWord{"monday", {WordType::kWeekday, 1}},
    NamedWord{"tue", {WordType::kWeekday, 2}},
    NamedWord{"tues", {WordType::kWeekday, 2}},
    NamedWord{"tuesday", {WordType::kWeekday, 2}},
    NamedWord{"wed", {WordType::kWeekday, 3}},
    NamedWord{"weds", {WordType::kWeekday, 3}},
    NamedWord{"wednesday", {WordType::kWeekday, 3}},
    NamedWord{"thu", {WordType::kWeekday, 4}},
    NamedWord{"thur", {WordType::kWeekday, 4}},
    NamedWord{"thurs", {WordType::kWeekday, 4}},
    NamedWord{"thursday", {WordType::kWeekday, 4}},
    NamedWord{"fri", {WordType::kWeekday, 5}},
    NamedWord{"friday", {WordType::kWeekday, 5}},
    NamedWord{"sat", {WordType::kWeekday, 6}},
    NamedWord{"saturday", {WordType::kWeekday, 6}},
    NamedWord{"am", {WordType::kMeridian, 0}},
    NamedWord{"pm", {WordType::kMeridian, 1}},
    NamedWord{"ad", {WordType::kEra, 0}},
    NamedWord{"bc", {WordType::kEra, 1}},
    NamedWord{"at", {WordType::kIgnored, 0}},
    NamedWord{"on", {WordType::kIgnored, 0}},
    NamedWord{"j", {WordType::kJulian, 0}},
    NamedWord{"jd", {WordType::kJulian, 0}},
    NamedWord{"julian", {WordType::kJulian, 0}},
    NamedWord{"t", {WordType::kIsoTime, 0}},
    NamedWord{"infinity", {WordType::kInfinity, 0}},
    NamedWord{"+infinity", {WordType::kInfinity, 0}},
    NamedWord{"-infinity", {WordType::kMinusInfinity, 0}},
    NamedWord{"epoch", {WordType::kEpoch, 0}},
    NamedWord{"now", {WordType::kNow, 0}},
    NamedWord{"today", {WordType::kNow, 0}},
    NamedWord{"tomorrow", {WordType::kNow, 0}},
    NamedWord{"yesterday", {WordType::kNow, 0}},
    NamedWord{"dst", {WordType::kDaylight, 0}},
    NamedWord{"d", {WordType::kUnit, 0}},
    NamedWord{"h", {WordType::kUnit, 0}},
    NamedWord{"m", {WordType::kUnit, 0}},
    NamedWord{"mm", {WordType::kUnit, 0}},
    NamedWord{"s", {WordType::kUnit, 0}},
    NamedWord{"y", {WordType::kUnit, 0}},
    NamedWord{"dow", {WordType::kUnit, 0}},
    NamedWord{"doy", {WordType::kUnit, 0}},
    NamedWord{"isodow", {WordType::kUnit, 0}},
    NamedWord{"isoyear", {WordType::kUnit, 0}},
};

}  // namespace

Word FindWord(std::string_view lower) {
  auto found = std::find_if(kWords.begin(), kWords.end(), [&](const NamedWord& w) { return w.name == lower; });
  return found == kWords.end() ? Word{} : found->word;
}

bool SplitDateText(std::string_view text, std::vector<DateTextField>& fields) {
  if (text.size() > kTextMax) return false;
  size_t at = 0;
  auto peek = [&] { return at < text.size() ? text[at] : '\0'; };
  while (at < text.size()) {
    if (IsSpace(peek())) {
      ++at;
      continue;
    }
    DateTextField field{FieldType::kNumber, {}};
    auto take = [&] { field.text.push_back(Lower(text[at++])); };
    auto take_while = [&](auto accepts) {
      while (at < text.size() && accepts(text[at])) take();
    };
    if (IsDigit(peek())) {
      take_while(IsDigit);
      if (peek() == ':') {
        field.type = FieldType::kTime;
        take_while([](char c) { return IsDigit(c) || c == ':' || c == '.'; });
      } else if (IsDateSeparator(peek())) {
        char separator = peek();
        take();
        if (IsDigit(peek())) {
          field.type = separator == '.' ? FieldType::kNumber : FieldType::kDate;
          take_while(IsDigit);
          if (peek() == separator) {
            field.type = FieldType::kDate;
            take_while([&](char c) { return IsDigit(c) || c == separator; });
          }
        } else {
          field.type = FieldType::kDate;
          take_while([&](char c) { return IsDigit(c) || IsAlpha(c) || c == separator; });
        }
      }
    } else if (peek() == '.') {
      take();
      take_while(IsDigit);
    } else if (IsAlpha(peek())) {
      field.type = FieldType::kText;
      take_while(IsAlpha);
      bool is_date = IsDateSeparator(peek()) || ((peek() == '+' || IsDigit(peek())) && FindWord(field.text).type == WordType::kUnknown);
      if (is_date) {
        field.type = FieldType::kDate;
        take_while([](char c) { return IsDigit(c) || IsAlpha(c) || IsDateSeparator(c) || c == '+' || c == '_' || c == ':'; });
      }
    } else if (peek() == '+' || peek() == '-') {
      take();
      while (IsSpace(peek())) ++at;
      if (IsDigit(peek())) {
        field.type = FieldType::kZone;
        take_while([](char c) { return IsDigit(c) || c == ':' || c == '.' || c == '-'; });
      } else if (IsAlpha(peek())) {
        field.type = FieldType::kSpecial;
        take_while(IsAlpha);
      } else {
        return false;
      }
    } else if (std::ispunct(static_cast<unsigned char>(peek()))) {
      ++at;
      continue;
    } else {
      return false;
    }
    fields.push_back(std::move(field));
    if (fields.size() > 25) return false;  // PostgreSQL's MAXDATEFIELDS
  }
  return true;
}

Error MakeDateError(DateError error, std::string_view text, std::string_view type_name, std::string_view zone) {
  std::string quoted = "\"" + std::string(text) + "\"";
  switch (error) {
    case DateError::kFieldOverflow: return Error(sqlstate::kDatetimeFieldOverflow, "date/time field value out of range: " + quoted);
    case DateError::kMonthDayOverflow:
      return Error(sqlstate::kDatetimeFieldOverflow, "date/time field value out of range: " + quoted)
          .Hint("Perhaps you need a different \"datestyle\" setting.");
    case DateError::kIntervalOverflow: return Error(kIntervalFieldOverflow, "interval field value out of range: " + quoted);
    case DateError::kZoneOverflow: return Error(sqlstate::kInvalidTimeZone, "time zone displacement out of range: " + quoted);
    case DateError::kUnknownZone: return Error(sqlstate::kInvalidParameterValue, "time zone \"" + std::string(zone) + "\" not recognized");
    case DateError::kReserved:
      return Error(sqlstate::kFeatureNotSupported, "the value " + quoted + " depends on the time at which it is read")
          .Hint("Use now() or current_date.");
    case DateError::kNone:
    case DateError::kBadFormat: break;
  }
  return Error(sqlstate::kInvalidDatetimeFormat, "invalid input syntax for type " + std::string(type_name) + ": " + quoted);
}

bool TakeInt(std::string_view& text, int& value) {
  value = 0;
  if (text.empty() || !IsDigit(text.front())) return true;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return error == std::errc();
}

bool FractionMicros(std::string_view text, int64_t& micros) {
  micros = 0;
  if (text.empty() || text.front() != '.') return false;
  text.remove_prefix(1);
  if (!std::all_of(text.begin(), text.end(), IsDigit)) return false;
  if (text.size() <= 6) {
    int64_t scale = kMicrosPerSecond;
    for (char c : text) {
      scale /= 10;
      micros += (c - '0') * scale;
    }
    return true;
  }
  // Through a double, as PostgreSQL rounds.
  std::string fraction = "0." + std::string(text);
  double value = 0;
  std::from_chars(fraction.data(), fraction.data() + fraction.size(), value);
  micros = static_cast<int64_t>(std::rint(value * 1e6));
  return true;
}

DateError ReadClock(std::string_view text, bool minute_to_second, ClockTime& clock) {
  int64_t parts[3] = {0, 0, 0};
  int64_t micros = 0;
  auto take = [&](int64_t& value) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return error != std::errc::result_out_of_range;
  };
  if (!take(parts[0])) return DateError::kFieldOverflow;
  if (text.empty() || text.front() != ':') return DateError::kBadFormat;
  text.remove_prefix(1);
  if (!take(parts[1])) return DateError::kFieldOverflow;
  bool shift = false;
  if (text.empty()) {
    shift = minute_to_second;
  } else if (text.front() == '.') {
    if (!FractionMicros(text, micros)) return DateError::kBadFormat;
    shift = true;
  } else if (text.front() == ':') {
    text.remove_prefix(1);
    if (!take(parts[2])) return DateError::kFieldOverflow;
    if (!text.empty() && !FractionMicros(text, micros)) return DateError::kBadFormat;
  } else {
    return DateError::kBadFormat;
  }
  if (shift) {
    parts[2] = parts[1];
    parts[1] = parts[0];
    parts[0] = 0;
  }
  if (parts[0] < 0 || parts[1] < 0 || parts[1] > 59 || parts[2] < 0 || parts[2] > 60) return DateError::kFieldOverflow;
  clock = {parts[0], static_cast<int>(parts[1]), static_cast<int>(parts[2]), micros};
  return DateError::kNone;
}

}  // namespace kappa::data
