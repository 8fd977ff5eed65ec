// Registration of to_char(), and of its inverses, which are refused.
#include "expr/functions/to_char.h"

#include "data/datetime.h"
#include "expr/functions/numeric_rows.h"
#include "expr/functions/register.h"
#include "expr/functions/session_zone.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

using data::Numeric;
using View = std::string_view;

CharClock ClockOf(int64_t local_micros) {
  CharClock clock;
  clock.day_number = data::FloorDiv(local_micros, data::kMicrosPerDay);
  const data::CivilDate date = data::CivilFromDays(clock.day_number);
  clock.year = date.year;
  clock.month = date.month;
  clock.day = date.day;
  const int64_t time = data::FloorMod(local_micros, data::kMicrosPerDay);
  clock.hour = time / data::kMicrosPerHour;
  clock.minute = static_cast<int>(time / data::kMicrosPerMinute % 60);
  clock.second = static_cast<int>(time / data::kMicrosPerSecond % 60);
  clock.micros = static_cast<int>(time % data::kMicrosPerSecond);
  return clock;
}

Result<std::optional<std::string>> TimestampToChar(int64_t time, View format) {
  if (!data::IsFinite(time) || format.empty()) return std::optional<std::string>();
  KAPPA_ASSIGN_OR_RETURN(std::string text, FormatTime(ClockOf(time), format));
  return std::optional(std::move(text));
}

Result<std::optional<std::string>> TimestamptzToChar(EvalContext& context, int64_t time, View format) {
  if (!data::IsFinite(time) || format.empty()) return std::optional<std::string>();
  KAPPA_ASSIGN_OR_RETURN(const data::TimeZone zone, SessionZone(context));
  CharClock clock = ClockOf(zone.ToLocal(time));
  clock.zone_offset = zone.OffsetAt(time);
  if (context.text.time_zone == "UTC") clock.zone_name = "UTC";
  KAPPA_ASSIGN_OR_RETURN(std::string text, FormatTime(clock, format));
  return std::optional(std::move(text));
}

Result<std::optional<std::string>> IntervalToChar(const data::Interval& interval, View format) {
  if (format.empty()) return std::optional<std::string>();
  CharClock clock;
  clock.is_interval = true;
  clock.year = interval.months / 12;
  clock.month = interval.months % 12;
  clock.day = interval.days;
  clock.hour = interval.micros / data::kMicrosPerHour;
  clock.minute = static_cast<int>(interval.micros / data::kMicrosPerMinute % 60);
  clock.second = static_cast<int>(interval.micros / data::kMicrosPerSecond % 60);
  clock.micros = static_cast<int>(interval.micros % data::kMicrosPerSecond);
  KAPPA_ASSIGN_OR_RETURN(std::string text, FormatTime(clock, format));
  return std::optional(std::move(text));
}

Kernel Refused(std::string_view what) {
  return Rowwise([message = std::string(what)](View, View) -> Result<std::string> { return Error(sqlstate::kFeatureNotSupported, message); });
}

}  // namespace

void RegisterToChar(Registry& registry) {
  const char* time = "time by a template such as YYYY-MM-DD HH24:MI:SS";
  registry.Function("to_char", "timestamp, text -> text", Rowwise([](int64_t t, View format) { return TimestampToChar(t, format); }), time);
  registry.Function("to_char", "timestamptz, text -> text", Rowwise([](EvalContext& context, int64_t t, View format) { return TimestamptzToChar(context, t, format); }), time).Session();
  registry.Function("to_char", "interval, text -> text", Rowwise([](data::Interval interval, View format) { return IntervalToChar(interval, format); }), time);
  const char* number = "number by a template such as 999,990.00";
  registry.Function("to_char", "numeric, text -> text", Rowwise([](Numeric n, View format) { return FormatNumber(n, format); }), number);
  registry.Function("to_char", "int4, text -> text", Rowwise([](int32_t n, View format) { return FormatNumber(Numeric(n), format); }), number);
  registry.Function("to_char", "int8, text -> text", Rowwise([](int64_t n, View format) { return FormatNumber(Numeric(n), format); }), number);
  registry.Function("to_char", "float4, text -> text", Rowwise([](float n, View format) { return FormatNumber(Numeric::FromFloat(n), format); }), number);
  registry.Function("to_char", "float8, text -> text", Rowwise([](double n, View format) { return FormatNumber(Numeric::FromDouble(n), format); }), number);
  registry.Function("to_timestamp", "text, text -> timestamptz", Refused("to_timestamp with a template is not supported"), "not supported");
  registry.Function("to_date", "text, text -> date", Refused("to_date with a template is not supported"), "not supported");
  registry.Function("to_number", "text, text -> numeric", Refused("to_number with a template is not supported"), "not supported");
}

}  // namespace kappa::expr
