// Writing dates, timestamps and intervals.
#include <cstdlib>

#include "data/datetime.h"

namespace kappa::data {
namespace {

void AppendPadded(int64_t value, int width, std::string& out) {
  char digits[24];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  for (int i = count; i < width; ++i) out += '0';
  while (count > 0) out += digits[--count];
}

void AppendTwo(int value, std::string& out) {
  out += static_cast<char>('0' + value / 10);
  out += static_cast<char>('0' + value % 10);
}

// ".5", ".000001", or nothing.
void AppendFraction(int64_t micros, std::string& out) {
  if (micros == 0) return;
  int width = 6;
  while (micros % 10 == 0) {
    micros /= 10;
    --width;
  }
  out += '.';
  AppendPadded(micros, width, out);
}

void AppendCivil(const CivilDate& date, std::string& out) {
  AppendPadded(date.year > 0 ? date.year : 1 - date.year, 4, out);
  out += '-';
  AppendTwo(date.month, out);
  out += '-';
  AppendTwo(date.day, out);
}

void AppendClock(int64_t time, std::string& out) {
  int seconds = static_cast<int>(time / kMicrosPerSecond);
  AppendTwo(seconds / 3600, out);
  out += ':';
  AppendTwo(seconds / 60 % 60, out);
  out += ':';
  AppendTwo(seconds % 60, out);
  AppendFraction(time % kMicrosPerSecond, out);
}

// Without the era.
void AppendLocal(int64_t micros, const CivilDate& date, std::string& out) {
  AppendCivil(date, out);
  out += ' ';
  AppendClock(FloorMod(micros, kMicrosPerDay), out);
}

bool AppendInfinity(int64_t micros, std::string& out) {
  if (IsFinite(micros)) return false;
  out += micros == kTimestampInfinity ? "infinity" : "-infinity";
  return true;
}

// One field of an interval in PostgreSQL's style: " -3 days".
void AppendIntervalField(int64_t value, const char* unit, bool& first, bool& negative, std::string& out) {
  if (value == 0) return;
  if (!first) out += ' ';
  if (negative && value > 0) out += '+';
  out += std::to_string(value);
  out += ' ';
  out += unit;
  if (value != 1) out += 's';
  negative = value < 0;
  first = false;
}

}  // namespace

void AppendDate(int32_t date, std::string& out) {
  if (!IsFiniteDate(date)) {
    out += date == kDateInfinity ? "infinity" : "-infinity";
    return;
  }
  CivilDate civil = CivilFromDays(date);
  AppendCivil(civil, out);
  if (civil.year <= 0) out += " BC";
}

void AppendTime(int64_t micros, std::string& out) { AppendClock(micros, out); }

void AppendTimestamp(int64_t micros, std::string& out) {
  if (AppendInfinity(micros, out)) return;
  CivilDate date = CivilFromDays(FloorDiv(micros, kMicrosPerDay));
  AppendLocal(micros, date, out);
  if (date.year <= 0) out += " BC";
}

void AppendTimestamptz(int64_t micros, const TimeZone& zone, std::string& out) {
  if (AppendInfinity(micros, out)) return;
  int offset = zone.OffsetAt(micros);
  int64_t local;
  if (__builtin_add_overflow(micros, int64_t{offset} * kMicrosPerSecond, &local)) {  // within a day of the last moment
    offset = 0;
    local = micros;
  }
  CivilDate date = CivilFromDays(FloorDiv(local, kMicrosPerDay));
  AppendLocal(local, date, out);
  out += offset < 0 ? '-' : '+';
  int seconds = std::abs(offset);
  AppendTwo(seconds / 3600, out);
  if (seconds % 3600 != 0) {
    out += ':';
    AppendTwo(seconds / 60 % 60, out);
    if (seconds % 60 != 0) {
      out += ':';
      AppendTwo(seconds % 60, out);
    }
  }
  if (date.year <= 0) out += " BC";
}

void AppendInterval(const Interval& interval, std::string& out) {
  bool first = true;
  bool negative = false;
  AppendIntervalField(interval.months / 12, "year", first, negative, out);
  AppendIntervalField(interval.months % 12, "mon", first, negative, out);
  AppendIntervalField(interval.days, "day", first, negative, out);
  if (!first && interval.micros == 0) return;
  if (!first) out += ' ';
  if (interval.micros < 0) out += '-';
  else if (negative) out += '+';
  uint64_t time = interval.micros < 0 ? ~static_cast<uint64_t>(interval.micros) + 1 : static_cast<uint64_t>(interval.micros);
  uint64_t seconds = time / kMicrosPerSecond;
  AppendPadded(static_cast<int64_t>(seconds / 3600), 2, out);
  out += ':';
  AppendTwo(static_cast<int>(seconds / 60 % 60), out);
  out += ':';
  AppendTwo(static_cast<int>(seconds % 60), out);
  AppendFraction(static_cast<int64_t>(time % kMicrosPerSecond), out);
}

}  // namespace kappa::data
