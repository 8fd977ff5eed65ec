// Reading dates and timestamps: a fast path for ISO 8601, and PostgreSQL's DecodeDateTime for all else (MDY order).
#include <algorithm>
#include <array>
#include <cstring>

#include "base/int128.h"
#include "data/datetime.h"
#include "data/datetime_fields.h"

namespace kappa::data {
namespace {

// Which parts have been seen.
enum : uint32_t {
  kYear = 1,
  kMonth = 2,
  kDay = 4,
  kDayOfYear = 8,
  kClock = 16,
  kZoneSeen = 32,
  kWeekdaySeen = 64,
  kMeridianSeen = 128,
  kEraSeen = 256,
  kSpecialSeen = 512,
  kDate = kYear | kMonth | kDay,
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlpha(char c) { return c >= 'a' && c <= 'z'; }  // fields are in lower case

int DigitsValue(std::string_view digits) {
  int value = 0;
  TakeInt(digits, value);
  return value;
}

class DateTimeReader {
 public:
  enum class Kind : uint8_t { kMoment, kInfinity, kMinusInfinity, kEpoch };

  DateError Read(std::string_view text);

  Kind kind() const { return kind_; }
  CivilDate date() const { return {year_, month_, day_}; }
  int64_t time_micros() const {
    return clock_.hour * kMicrosPerHour + clock_.minute * kMicrosPerMinute + clock_.second * kMicrosPerSecond + clock_.micros;
  }
  const std::optional<TimeZone>& zone() const { return zone_; }
  const std::string& unknown_zone() const { return unknown_zone_; }

 private:
  enum class Expect : uint8_t { kAny, kJulian, kTime };

  DateError ReadDateField(std::string_view field, uint32_t& mask);
  DateError ReadNumber(std::string_view field, bool text_month, uint32_t seen, uint32_t& mask);
  DateError ReadConcatenated(std::string_view field, uint32_t seen, uint32_t& mask);
  DateError ReadOffset(std::string_view field);
  DateError ReadZoneName(std::string_view field);
  DateError ReadWord(const std::vector<DateTextField>& fields, size_t i, uint32_t& mask);
  DateError ReadLabelled(std::string_view field, uint32_t& mask);
  DateError Validate();

  Kind kind_ = Kind::kMoment;
  uint32_t seen_ = 0;
  int64_t year_ = 0;
  int month_ = 0, day_ = 0, day_of_year_ = 0;
  ClockTime clock_;
  std::optional<TimeZone> zone_;
  std::string unknown_zone_;
  bool two_digit_year_ = false, text_month_ = false, bc_ = false, julian_ = false, ignored_ = false;
  int meridian_ = -1;
  Expect expect_ = Expect::kAny;
};

DateError DateTimeReader::ReadOffset(std::string_view field) {
  bool negative = field.front() == '-';
  std::string_view rest = field.substr(1);
  int hours = 0, minutes = 0, seconds = 0;
  if (!TakeInt(rest, hours)) return DateError::kZoneOverflow;
  if (!rest.empty() && rest.front() == ':') {
    rest.remove_prefix(1);
    if (!TakeInt(rest, minutes)) return DateError::kZoneOverflow;
    if (!rest.empty() && rest.front() == ':') {
      rest.remove_prefix(1);
      if (!TakeInt(rest, seconds)) return DateError::kZoneOverflow;
    }
  } else if (rest.empty() && field.size() > 3) {
    minutes = hours % 100;
    hours /= 100;
  }
  if (hours > 15 || minutes > 59 || seconds > 59) return DateError::kZoneOverflow;
  if (!rest.empty()) return DateError::kBadFormat;
  int offset = hours * 3600 + minutes * 60 + seconds;
  zone_ = TimeZone::Fixed(negative ? -offset : offset);
  return DateError::kNone;
}

DateError DateTimeReader::ReadZoneName(std::string_view field) {
  Result<TimeZone> zone = TimeZone::Load(field);
  if (!zone.ok()) {
    unknown_zone_ = field;
    return DateError::kUnknownZone;
  }
  zone_ = *std::move(zone);
  return DateError::kNone;
}

// 20240102, 240102, 102030, 1020, 102030.5
DateError DateTimeReader::ReadConcatenated(std::string_view field, uint32_t seen, uint32_t& mask) {
  std::string_view digits = field.substr(0, field.find('.'));
  if (!std::all_of(digits.begin(), digits.end(), IsDigit)) return DateError::kBadFormat;
  int64_t micros = 0;
  if (digits.size() < field.size()) {
    if (!FractionMicros(field.substr(digits.size()), micros)) return DateError::kBadFormat;
  } else if ((seen & kDate) != kDate && digits.size() >= 6) {
    if (digits.size() > 11) return DateError::kBadFormat;
    mask = kDate;
    size_t years = digits.size() - 4;
    year_ = DigitsValue(digits.substr(0, years));
    month_ = DigitsValue(digits.substr(years, 2));
    day_ = DigitsValue(digits.substr(years + 2, 2));
    two_digit_year_ = years == 2;
    return DateError::kNone;
  }
  if ((seen & kClock) == 0 && (digits.size() == 6 || digits.size() == 4)) {
    mask = kClock;
    clock_ = {DigitsValue(digits.substr(0, 2)), DigitsValue(digits.substr(2, 2)), digits.size() == 6 ? DigitsValue(digits.substr(4, 2)) : 0, micros};
    if (clock_.minute > 59 || clock_.second > 60 || time_micros() > kMicrosPerDay) return DateError::kFieldOverflow;
    return DateError::kNone;
  }
  return DateError::kBadFormat;
}

// One number of a date, placed by what is known already.
DateError DateTimeReader::ReadNumber(std::string_view field, bool text_month, uint32_t seen, uint32_t& mask) {
  std::string_view rest = field;
  if (rest.empty() || !IsDigit(rest.front())) return DateError::kBadFormat;
  int value = 0;
  if (!TakeInt(rest, value)) return DateError::kFieldOverflow;
  if (!rest.empty()) {
    if (rest.front() != '.') return DateError::kBadFormat;
    if (field.size() - rest.size() > 2) return ReadConcatenated(field, seen | kDate, mask);
    int64_t micros;
    if (!FractionMicros(rest, micros)) return DateError::kBadFormat;
  }
  if (field.size() == 3 && (seen & kDate) == kYear && value >= 1 && value <= 366) {
    mask = kDayOfYear | kMonth | kDay;
    day_of_year_ = value;
    return DateError::kNone;
  }
  bool long_number = field.size() >= 3;
  switch (seen & kDate) {
    case 0: mask = long_number ? kYear : kMonth; break;
    case kYear: mask = kMonth; break;
    case kMonth: mask = text_month && long_number ? kYear : kDay; break;
    case kYear | kMonth:
      if (text_month && long_number && two_digit_year_) {
        // The first number was the day after all: 08-jan-1999.
        mask = kDay;
        day_ = static_cast<int>(year_);
        year_ = value;
        two_digit_year_ = false;
        return DateError::kNone;
      }
      mask = kDay;
      break;
    case kDay: mask = kMonth; break;
    case kMonth | kDay: mask = kYear; break;
    case kDate: return ReadConcatenated(field, seen, mask);
    default: return DateError::kBadFormat;
  }
  if (mask == kYear) {
    year_ = value;
    two_digit_year_ = field.size() <= 2;
  } else if (mask == kMonth) {
    month_ = value;
  } else {
    day_ = value;
  }
  return DateError::kNone;
}

// 2024-01-02, 1/8/1999, 8-jan-1999
DateError DateTimeReader::ReadDateField(std::string_view field, uint32_t& mask) {
  std::vector<std::string_view> parts;
  size_t at = 0;
  while (at < field.size()) {
    while (at < field.size() && !IsDigit(field[at]) && !IsAlpha(field[at])) ++at;
    if (at == field.size()) return DateError::kBadFormat;
    size_t begin = at;
    bool digit = IsDigit(field[at]);
    while (at < field.size() && (digit ? IsDigit(field[at]) : IsAlpha(field[at]))) ++at;
    parts.push_back(field.substr(begin, at - begin));
    if (at < field.size()) ++at;
  }
  uint32_t seen = seen_;
  bool text_month = false;
  for (std::string_view& part : parts) {
    if (IsDigit(part.front())) continue;
    Word word = FindWord(part);
    if (word.type == WordType::kIgnored) continue;
    if (word.type != WordType::kMonth || (seen & kMonth) != 0) return DateError::kBadFormat;
    month_ = word.value;
    text_month = true;
    seen |= kMonth;
    mask |= kMonth;
    part = {};
  }
  for (std::string_view part : parts) {
    if (part.empty()) continue;
    uint32_t part_mask = 0;
    if (DateError error = ReadNumber(part, text_month, seen, part_mask); error != DateError::kNone) return error;
    if ((seen & part_mask) != 0) return DateError::kBadFormat;
    seen |= part_mask;
    mask |= part_mask;
  }
  return (seen & kDate) == kDate ? DateError::kNone : DateError::kBadFormat;
}

// The number after "J", or after "T".
DateError DateTimeReader::ReadLabelled(std::string_view field, uint32_t& mask) {
  Expect expect = expect_;
  expect_ = Expect::kAny;
  if (expect == Expect::kTime) {
    DateError error = ReadConcatenated(field, seen_ | kDate, mask);
    return error != DateError::kNone ? error : mask == kClock ? error : DateError::kBadFormat;
  }
  int julian = 0;
  std::string_view rest = field;
  if (!TakeInt(rest, julian)) return DateError::kFieldOverflow;
  CivilDate date = CivilFromDays(kFirstDay + julian);
  year_ = date.year;
  month_ = date.month;
  day_ = date.day;
  julian_ = true;
  mask = kDate;
  if (rest.empty()) return DateError::kNone;
  int64_t fraction;
  if (!FractionMicros(rest, fraction)) return DateError::kBadFormat;
  clock_ = {0, 0, 0, fraction * 86'400};  // a day's fraction, at the precision of microseconds of a day
  mask |= kClock;
  return DateError::kNone;
}

DateError DateTimeReader::ReadWord(const std::vector<DateTextField>& fields, size_t i, uint32_t& mask) {
  const std::string& text = fields[i].text;
  int offset = 0;
  if (ZoneAbbreviationOffset(text, offset)) {
    zone_ = TimeZone::Fixed(offset);
    mask = kZoneSeen;
    return DateError::kNone;
  }
  Word word = FindWord(text);
  switch (word.type) {
    case WordType::kIgnored: ignored_ = true; return DateError::kNone;
    case WordType::kInfinity:
      kind_ = Kind::kInfinity;
      mask = kSpecialSeen;
      return DateError::kNone;
    case WordType::kMinusInfinity:
      kind_ = Kind::kMinusInfinity;
      mask = kSpecialSeen;
      return DateError::kNone;
    case WordType::kEpoch:
      kind_ = Kind::kEpoch;
      mask = kSpecialSeen;
      return DateError::kNone;
    case WordType::kNow: return DateError::kReserved;
    case WordType::kMonth:
      mask = kMonth;
      if ((seen_ & kMonth) != 0 && !text_month_ && (seen_ & kDay) == 0 && month_ >= 1 && month_ <= 31) {
        day_ = month_;  // what was taken for the month was the day: 8 jan 1999
        mask = kDay;
      }
      text_month_ = true;
      month_ = word.value;
      return DateError::kNone;
    case WordType::kMeridian:
      mask = kMeridianSeen;
      meridian_ = word.value;
      return DateError::kNone;
    case WordType::kEra:
      mask = kEraSeen;
      bc_ = word.value == 1;
      return DateError::kNone;
    case WordType::kWeekday: mask = kWeekdaySeen; return DateError::kNone;
    case WordType::kJulian: expect_ = Expect::kJulian; return DateError::kNone;
    case WordType::kIsoTime: {
      bool next_fits = i + 1 < fields.size() &&
                       (fields[i + 1].type == FieldType::kNumber || fields[i + 1].type == FieldType::kTime || fields[i + 1].type == FieldType::kDate);
      if ((seen_ & kDate) != kDate || !next_fits) return DateError::kBadFormat;
      expect_ = Expect::kTime;
      return DateError::kNone;
    }
    case WordType::kUnit:
    case WordType::kDaylight: return DateError::kBadFormat;
    case WordType::kUnknown: break;
  }
  mask = kZoneSeen;
  DateError error = fields[i].type == FieldType::kText ? ReadZoneName(text) : DateError::kBadFormat;
  return error == DateError::kUnknownZone ? DateError::kBadFormat : error;
}

DateError DateTimeReader::Read(std::string_view text) {
  std::vector<DateTextField> fields;
  if (!SplitDateText(text, fields) || fields.empty()) return DateError::kBadFormat;
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::string& field = fields[i].text;
    uint32_t mask = 0;
    ignored_ = false;
    DateError error = DateError::kNone;
    switch (fields[i].type) {
      case FieldType::kDate:
        if (expect_ == Expect::kJulian) return DateError::kBadFormat;
        if (expect_ == Expect::kTime || (seen_ & (kMonth | kDay)) == (kMonth | kDay)) {
          if (IsDigit(field.front()) || expect_ == Expect::kTime) {  // 102030-08: a time with its zone
            expect_ = Expect::kAny;
            size_t dash = field.find('-');
            if ((seen_ & kClock) != 0 || dash == std::string::npos) return DateError::kBadFormat;
            error = ReadOffset(std::string_view(field).substr(dash));
            if (error == DateError::kNone) error = ReadConcatenated(std::string_view(field).substr(0, dash), seen_, mask);
            mask |= kZoneSeen;
          } else {
            error = ReadZoneName(field);
            mask = kZoneSeen;
          }
        } else {
          error = ReadDateField(field, mask);
        }
        break;
      case FieldType::kTime:
        if (expect_ == Expect::kJulian) return DateError::kBadFormat;
        expect_ = Expect::kAny;
        error = ReadClock(field, false, clock_);
        mask = kClock;
        if (error == DateError::kNone && (clock_.hour > 24 || time_micros() > kMicrosPerDay)) error = DateError::kFieldOverflow;
        break;
      case FieldType::kZone:
        error = ReadOffset(field);
        mask = kZoneSeen;
        break;
      case FieldType::kNumber: {
        size_t point = field.find('.');
        if (expect_ != Expect::kAny) error = ReadLabelled(field, mask);
        else if (point != std::string::npos && (seen_ & kDate) == 0) error = ReadDateField(field, mask);
        else if (point != std::string::npos && point > 2) error = ReadConcatenated(field, seen_, mask);
        else if (field.size() >= 6 && ((seen_ & kDate) == 0 || (seen_ & kClock) == 0)) error = ReadConcatenated(field, seen_, mask);
        else error = ReadNumber(field, text_month_, seen_, mask);
        break;
      }
      case FieldType::kText:
      case FieldType::kSpecial: error = ReadWord(fields, i, mask); break;
    }
    if (error != DateError::kNone) return error;
    if (ignored_) continue;
    if ((mask & seen_) != 0) return DateError::kBadFormat;
    seen_ |= mask;
  }
  if (kind_ != Kind::kMoment) return seen_ == kSpecialSeen ? DateError::kNone : DateError::kBadFormat;
  return Validate();
}

DateError DateTimeReader::Validate() {
  if ((seen_ & kYear) != 0 && !julian_) {
    if (bc_) {
      if (year_ <= 0) return DateError::kFieldOverflow;
      year_ = 1 - year_;
    } else if (two_digit_year_) {
      year_ += year_ < 70 ? 2000 : year_ < 100 ? 1900 : 0;
    } else if (year_ <= 0) {
      return DateError::kFieldOverflow;
    }
  }
  if ((seen_ & kDayOfYear) != 0) {
    CivilDate date = CivilFromDays(DaysFromCivil(year_, 1, 1) + day_of_year_ - 1);
    year_ = date.year;
    month_ = date.month;
    day_ = date.day;
  }
  if ((seen_ & kMonth) != 0 && (month_ < 1 || month_ > 12)) return DateError::kMonthDayOverflow;
  if ((seen_ & kDay) != 0 && (day_ < 1 || day_ > 31)) return DateError::kMonthDayOverflow;
  if ((seen_ & kDate) == kDate && day_ > DaysInMonth(year_, month_)) return DateError::kFieldOverflow;
  if (meridian_ >= 0 && clock_.hour > 12) return DateError::kFieldOverflow;
  if (meridian_ == 0 && clock_.hour == 12) clock_.hour = 0;
  if (meridian_ == 1 && clock_.hour != 12) clock_.hour += 12;
  return (seen_ & kDate) == kDate ? DateError::kNone : DateError::kBadFormat;
}

Error OutOfRange(const char* type, std::string_view text) {
  return Error(sqlstate::kDatetimeFieldOverflow, std::string(type) + " out of range: \"" + std::string(text) + "\"");
}

// 8 characters as a word, the first in the lowest byte.
uint64_t LoadWord(const char* text) {
  uint64_t word;
  std::memcpy(&word, text, sizeof word);
  return word;
}

// All bytes are digit values 0..9.
bool AllDigits(uint64_t values) { return ((values | (values + 0x7676767676767676ull)) & 0x8080808080808080ull) == 0; }

int TwoDigits(const char* text, bool& ok) {
  unsigned high = static_cast<unsigned char>(text[0] - '0'), low = static_cast<unsigned char>(text[1] - '0');
  ok &= high <= 9 && low <= 9;
  return static_cast<int>(high * 10 + low);
}

}  // namespace

bool ParseIsoTimestamp(std::string_view text, int64_t* micros) {
  if (text.size() < 19) return false;
  const char* p = text.data();
  // "YYYY-MM-" and "DDTHH:MM": separators are replaced by digit 0, then all bytes are checked at once.
  uint64_t a = LoadWord(p), b = LoadWord(p + 8);
  if ((a & 0xFF0000FF00000000ull) != 0x2D00002D00000000ull || (b & 0x0000FF0000000000ull) != 0x00003A0000000000ull || p[16] != ':' ||
      (p[10] != 'T' && p[10] != ' ' && p[10] != 't')) {
    return false;
  }
  a = ((a & ~0xFF0000FF00000000ull) | 0x3000003000000000ull) - 0x3030303030303030ull;
  b = ((b & ~0x0000FF0000FF0000ull) | 0x0000300000300000ull) - 0x3030303030303030ull;
  if (((a | b) & 0xF0F0F0F0F0F0F0F0ull) != 0 || !AllDigits(a) || !AllDigits(b)) return false;
  auto byte = [](uint64_t word, int i) { return static_cast<int>(word >> (8 * i) & 0xFF); };
  int year = byte(a, 0) * 1000 + byte(a, 1) * 100 + byte(a, 2) * 10 + byte(a, 3);
  int month = byte(a, 5) * 10 + byte(a, 6);
  int day = byte(b, 0) * 10 + byte(b, 1);
  int hour = byte(b, 3) * 10 + byte(b, 4);
  int minute = byte(b, 6) * 10 + byte(b, 7);
  bool ok = true;
  int second = TwoDigits(p + 17, ok);
  if (!ok || year == 0 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return false;
  if (day > 28 && day > DaysInMonth(year, month)) return false;
  int64_t fraction = 0;
  size_t at = 19;
  if (at < text.size() && text[at] == '.') {
    size_t begin = ++at;
    while (at < text.size() && IsDigit(text[at]) && at - begin < 6) fraction = fraction * 10 + (text[at++] - '0');
    if (at == begin) return false;
    for (size_t digits = at - begin; digits < 6; ++digits) fraction *= 10;
  }
  int offset = 0;
  if (at < text.size()) {
    char sign = text[at];
    if (sign == 'Z' || sign == 'z') {
      if (++at != text.size()) return false;
    } else if (sign == '+' || sign == '-') {
      size_t left = text.size() - ++at;
      if (left != 2 && left != 4 && left != 5) return false;
      int hours = TwoDigits(text.data() + at, ok);
      int minutes = left == 2 ? 0 : TwoDigits(text.data() + text.size() - 2, ok);
      if (!ok || hours > 15 || minutes > 59 || (left == 5 && text[at + 2] != ':')) return false;
      offset = (hours * 60 + minutes) * 60;
      if (sign == '-') offset = -offset;
    } else {
      return false;
    }
  }
  int64_t seconds = DaysFromCivil(year, month, day) * 86'400 + hour * 3600 + minute * 60 + second - offset;
  *micros = seconds * kMicrosPerSecond + fraction;
  return true;
}

Result<int32_t> ParseDate(std::string_view text) {
  DateTimeReader reader;
  if (DateError error = reader.Read(text); error != DateError::kNone) return MakeDateError(error, text, "date", reader.unknown_zone());
  switch (reader.kind()) {
    case DateTimeReader::Kind::kInfinity: return kDateInfinity;
    case DateTimeReader::Kind::kMinusInfinity: return kDateMinusInfinity;
    case DateTimeReader::Kind::kEpoch: return 0;
    case DateTimeReader::Kind::kMoment: break;
  }
  int64_t days = DaysFromCivil(reader.date());
  if (days < kFirstDay || days > kLastDay) return OutOfRange("date", text);
  return static_cast<int32_t>(days);
}

namespace {
Result<int64_t> ParseMoment(std::string_view text, const TimeZone* default_zone) {
  const char* type = default_zone ? "timestamp with time zone" : "timestamp";
  DateTimeReader reader;
  if (DateError error = reader.Read(text); error != DateError::kNone) return MakeDateError(error, text, type, reader.unknown_zone());
  switch (reader.kind()) {
    case DateTimeReader::Kind::kInfinity: return kTimestampInfinity;
    case DateTimeReader::Kind::kMinusInfinity: return kTimestampMinusInfinity;
    case DateTimeReader::Kind::kEpoch: return int64_t{0};
    case DateTimeReader::Kind::kMoment: break;
  }
  int64_t days = DaysFromCivil(reader.date());
  int128_t micros = int128_t{days} * kMicrosPerDay + reader.time_micros();
  constexpr int128_t kFirst = int128_t{kFirstDay} * kMicrosPerDay;
  // One day of slack for the zone; the result is checked again below.
  if (micros < kFirst - kMicrosPerDay || micros > kTimestampInfinity - kMicrosPerDay) return OutOfRange("timestamp", text);
  int64_t local = static_cast<int64_t>(micros);
  if (default_zone) local = (reader.zone() ? *reader.zone() : *default_zone).ToUtc(local);
  if (local < kFirst) return OutOfRange("timestamp", text);
  return local;
}
}  // namespace

Result<int64_t> ParseTime(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  const bool digits = std::any_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  const bool clock = text.find(':') != std::string_view::npos;
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  std::string_view trimmed = text;
  while (!trimmed.empty() && blank(trimmed.front())) trimmed.remove_prefix(1);
  // hhmm and hhmmss without colons are times only in these lengths.
  const size_t count = std::min(trimmed.find_first_not_of("0123456789"), trimmed.size());
  const Error bad = MakeDateError(DateError::kBadFormat, text, "time");
  if (!digits || trimmed.front() == '-' || trimmed.front() == '+' || (!clock && count != 4 && count != 6)) return bad;
  std::string padded(trimmed);
  if (!clock && count == 4) padded.insert(4, "00");
  constexpr int64_t kDay = 10957 * kMicrosPerDay;  // 2000-01-01
  Result<int64_t> moment = ParseTimestamp("2000-01-01 " + padded);
  if (moment.ok() && IsFinite(*moment)) {  // the last second may be 60, and 24:00:00 is a time
    const int64_t time = *moment - kDay;
    return time >= 0 && time <= kMicrosPerDay ? Result<int64_t>(time) : Result<int64_t>(MakeDateError(DateError::kFieldOverflow, text, "time"));
  }
  if (!moment.ok() && moment.error().Is(sqlstate::kDatetimeFieldOverflow)) return MakeDateError(DateError::kFieldOverflow, text, "time");
  moment = ParseTimestamp(text);  // with a date of its own
  if (!moment.ok() || !IsFinite(*moment) || !clock) return bad;
  return FloorMod(*moment, kMicrosPerDay);
}

Result<int64_t> ParseTimestamp(std::string_view text) { return ParseMoment(text, nullptr); }

Result<int64_t> ParseTimestamptz(std::string_view text, const TimeZone& zone) { return ParseMoment(text, &zone); }

}  // namespace kappa::data
