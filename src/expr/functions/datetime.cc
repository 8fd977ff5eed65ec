// Dates, timestamps and intervals: arithmetic, fields, truncation, construction, now().
#include "data/datetime.h"

#include <fmt/format.h>

#include <cmath>

#include "expr/functions/failures.h"
#include "expr/functions/numeric_rows.h"
#include "expr/functions/register.h"
#include "expr/functions/session_zone.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

using data::DateField;
using data::Interval;
using data::Numeric;
using data::TimeZone;
using data::TypeId;
using View = std::string_view;

constexpr const char* kInvalidZoneDisplacement = "22009";

Result<int32_t> AddDays(int32_t date, int64_t days) { return data::AddDays(date, days); }

Result<int64_t> DatePlusInterval(int32_t date, const Interval& interval) {
  KAPPA_ASSIGN_OR_RETURN(const int64_t timestamp, data::DateToTimestamp(date));
  return data::AddInterval(timestamp, interval);
}
Result<int64_t> Minus(int64_t timestamp, const Interval& interval) {
  KAPPA_ASSIGN_OR_RETURN(const Interval negated, data::Negate(interval));
  return data::AddInterval(timestamp, negated);
}
Result<int64_t> PlusInSession(EvalContext& context, int64_t timestamptz, const Interval& interval) {
  KAPPA_ASSIGN_OR_RETURN(const TimeZone zone, SessionZone(context));
  return data::AddIntervalInZone(timestamptz, interval, zone);
}

/// timestamp[tz] + interval, the watermark's and the windows' arithmetic: a constant of hours or less is a plain addition in
/// every zone. Rows that leave the range of timestamps, and all other intervals, go to `slow`.
template <typename Slow> Kernel PlusInterval(size_t time_index, bool negative, Slow slow) {
  return [time_index, negative, slow](KernelCall& call) -> Result<data::ColumnPtr> {
    const Argument& times = call.arguments[time_index];
    const Argument& intervals = call.arguments[1 - time_index];
    auto out = MakeOutput(call);
    int64_t* values = out->mutable_data<int64_t>();
    bool fast = false;
    int64_t by = 0;
    if (intervals.constant) {
      const Interval interval = intervals.Get<Interval>(0);
      fast = interval.months == 0 && interval.days == 0 && std::abs(interval.micros) < INT64_MAX / 4;
      by = negative ? -interval.micros : interval.micros;
    }
    constexpr int64_t kLowest = data::kFirstDay * data::kMicrosPerDay;
    for (int64_t row = 0; row < call.rows; ++row) {
      const int64_t time = times.Get<int64_t>(row);
      int64_t sum;
      if (fast && !__builtin_add_overflow(time, by, &sum) && sum >= kLowest && sum < INT64_MAX / 2 && time < INT64_MAX / 2) [[likely]] {
        values[row] = sum;
        continue;
      }
      values[row] = 0;
      if (call.AnyNull(row)) continue;
      Result<int64_t> result = slow(call.context, time, intervals.Get<Interval>(row));
      if (result.ok()) {
        values[row] = *result;
      } else {
        if (!call.Tolerate(result.error())) return result.error();
        out->SetNull(row);
      }
    }
    FinishNulls(call, *out);
    return data::ColumnPtr(std::move(out));
  };
}

Result<int64_t> Plus(EvalContext&, int64_t time, const Interval& by) { return data::AddInterval(time, by); }
Result<int64_t> MinusInSession(EvalContext& context, int64_t time, const Interval& by) {
  KAPPA_ASSIGN_OR_RETURN(const Interval negated, data::Negate(by));
  return PlusInSession(context, time, negated);
}

void RegisterOperators(Registry& registry) {
  registry.Operator("+", "date, int4 -> date", Rowwise([](int32_t date, int32_t days) { return AddDays(date, days); }), "days later");
  registry.Operator("+", "int4, date -> date", Rowwise([](int32_t days, int32_t date) { return AddDays(date, days); }), "days later");
  registry.Operator("-", "date, int4 -> date", Rowwise([](int32_t date, int32_t days) { return AddDays(date, -static_cast<int64_t>(days)); }),
                    "days earlier");
  registry.Operator("-", "date, date -> int4", Rowwise([](int32_t a, int32_t b) { return data::SubtractDates(a, b); }), "days between");
  registry.Operator("+", "date, interval -> timestamp", Rowwise([](int32_t date, Interval by) { return DatePlusInterval(date, by); }),
                    "later by an interval");
  registry.Operator("+", "interval, date -> timestamp", Rowwise([](Interval by, int32_t date) { return DatePlusInterval(date, by); }),
                    "later by an interval");
  const auto at = [](int32_t date, int64_t time) -> Result<int64_t> {
    KAPPA_ASSIGN_OR_RETURN(const int64_t midnight, data::DateToTimestamp(date));
    return data::AddInterval(midnight, {time, 0, 0});
  };
  registry.Operator("+", "date, time -> timestamp", Rowwise(at), "time of a day");
  registry.Operator("+", "time, date -> timestamp", Rowwise([at](int64_t time, int32_t date) { return at(date, time); }), "time of a day");
  const auto later = [](int64_t time, int64_t by) { return data::FloorMod(time + data::FloorMod(by, data::kMicrosPerDay), data::kMicrosPerDay); };
  registry.Operator("+", "time, interval -> time", Rowwise([later](int64_t time, Interval by) { return later(time, by.micros); }),
                    "later by an interval, on the clock");
  registry.Operator("+", "interval, time -> time", Rowwise([later](Interval by, int64_t time) { return later(time, by.micros); }),
                    "later by an interval, on the clock");
  registry.Operator("-", "time, interval -> time",
                    Rowwise([later](int64_t time, Interval by) { return later(time, -data::FloorMod(by.micros, data::kMicrosPerDay)); }),
                    "earlier by an interval, on the clock");
  registry.Operator("-", "time, time -> interval", Rowwise([](int64_t a, int64_t b) { return Interval{a - b, 0, 0}; }), "time between");
  registry.Operator("-", "date, interval -> timestamp", Rowwise([](int32_t date, Interval by) -> Result<int64_t> {
                      KAPPA_ASSIGN_OR_RETURN(const int64_t timestamp, data::DateToTimestamp(date));
                      return Minus(timestamp, by);
                    }),
                    "earlier by an interval");
  registry.Operator("+", "timestamp, interval -> timestamp", PlusInterval(0, false, Plus), "later by an interval");
  registry.Operator("+", "interval, timestamp -> timestamp", PlusInterval(1, false, Plus), "later by an interval");
  registry.Operator("-", "timestamp, interval -> timestamp",
                    PlusInterval(0, true, [](EvalContext&, int64_t time, const Interval& by) { return Minus(time, by); }), "earlier by an interval");
  registry.Operator("-", "timestamp, timestamp -> interval", Rowwise([](int64_t a, int64_t b) { return data::SubtractTimestamps(a, b); }),
                    "days and time between");
  // Months and days follow the wall clock of the session's zone.
  registry.Operator("+", "timestamptz, interval -> timestamptz", PlusInterval(0, false, PlusInSession), "later by an interval").Session();
  registry.Operator("+", "interval, timestamptz -> timestamptz", PlusInterval(1, false, PlusInSession), "later by an interval").Session();
  registry.Operator("-", "timestamptz, interval -> timestamptz", PlusInterval(0, true, MinusInSession), "earlier by an interval").Session();
  registry.Operator("-", "timestamptz, timestamptz -> interval", Rowwise([](int64_t a, int64_t b) { return data::SubtractTimestamps(a, b); }),
                    "days and time between");
  registry.Operator("+", "interval, interval -> interval", Rowwise([](Interval a, Interval b) { return data::Add(a, b); }), "sum");
  registry.Operator("-", "interval, interval -> interval", Rowwise([](Interval a, Interval b) { return data::Subtract(a, b); }), "difference");
  registry.Operator("-", "interval -> interval", Rowwise([](Interval a) { return data::Negate(a); }), "negated interval");
  registry.Operator("*", "interval, float8 -> interval", Rowwise([](Interval a, double b) { return data::Multiply(a, b); }), "product");
  registry.Operator("*", "float8, interval -> interval", Rowwise([](double b, Interval a) { return data::Multiply(a, b); }), "product");
  registry.Operator("/", "interval, float8 -> interval", Rowwise([](Interval a, double b) -> Result<Interval> {
                      if (b == 0) return DivisionByZero();
                      return data::Divide(a, b);
                    }),
                    "quotient");
}

// ---- Fields

/// The unit argument of date_trunc and extract, parsed again only when it changes from row to row.
class Unit {
 public:
  explicit Unit(data::Type type) : type_(type) {}
  Result<DateField> Field(View name) {
    if (!field_ || name != name_) {
      field_ = data::ParseDateField(name);
      if (!field_) return data::UnitNotRecognized(name, type_);
      name_ = name;
    }
    return *field_;
  }

 private:
  data::Type type_;
  std::string name_;
  std::optional<DateField> field_;
};

/// A kernel of (unit text, value T): function(context, field, unit, value).
template <typename T, typename F> Kernel WithUnit(data::Type type, F function) {
  return [type, function](KernelCall& call) -> Result<data::ColumnPtr> {
    Unit unit(type);
    const auto row_function = [&unit, function](EvalContext& context, View name, T value) -> decltype(function(context, DateField{}, name, value)) {
      auto field = unit.Field(name);
      if (!field.ok()) return field.error();
      return function(context, *field, name, value);
    };
    return Rowwise(row_function)(call);
  };
}

Result<std::optional<double>> ToDouble(Result<std::optional<Numeric>> value) {
  if (!value.ok()) return value.error();
  if (!value->has_value()) return std::optional<double>();
  KAPPA_ASSIGN_OR_RETURN(const double number, (*value)->ToDouble());
  return std::optional(number);
}

Result<std::optional<Numeric>> ExtractInSession(EvalContext& context, DateField field, View name, int64_t time) {
  KAPPA_ASSIGN_OR_RETURN(const TimeZone zone, SessionZone(context));
  return data::ExtractTimestamptz(field, name, time, zone);
}

/// Units of equal length: microseconds, and where one of them starts. Length 0 for other units.
struct EvenUnit {
  int64_t length = 0;
  int64_t origin = 0;
};
EvenUnit FindEvenUnit(View name) {
  const auto field = data::ParseDateField(name);
  if (!field) return {};
  switch (*field) {
    case DateField::kSecond: return {data::kMicrosPerSecond, 0};
    case DateField::kMinute: return {data::kMicrosPerMinute, 0};
    case DateField::kHour: return {data::kMicrosPerHour, 0};
    case DateField::kDay: return {data::kMicrosPerDay, 0};
    case DateField::kWeek: return {7 * data::kMicrosPerDay, 4 * data::kMicrosPerDay};  // 1970-01-05 was a Monday
    default: return {};
  }
}

/// date_trunc by a constant even unit on a wall clock without gaps is a division; the rest is `slow`'s.
Kernel TruncateFast(bool in_session, Kernel slow) {
  return [in_session, slow = std::move(slow)](KernelCall& call) -> Result<data::ColumnPtr> {
    const bool plain_clock = !in_session || call.context.text.time_zone == "UTC";
    const EvenUnit unit = plain_clock && call.arguments[0].constant ? FindEvenUnit(call.arguments[0].bytes(0)) : EvenUnit();
    if (unit.length == 0) return slow(call);
    auto out = MakeOutput(call);
    int64_t* values = out->mutable_data<int64_t>();
    const int64_t* times = call.arguments[1].column->data<int64_t>();
    int64_t start = unit.origin;  // of the unit of the row before: event times are nearly in order
    for (int64_t row = 0; row < call.rows; ++row) {
      const int64_t time = times[row];
      const bool same = static_cast<uint64_t>(time) - static_cast<uint64_t>(start) < static_cast<uint64_t>(unit.length);
      if (!same && data::IsFinite(time)) start = time - data::FloorMod(time - unit.origin, unit.length);
      values[row] = same || data::IsFinite(time) ? start : time;
    }
    FinishNulls(call, *out);
    return data::ColumnPtr(std::move(out));
  };
}

/// extract and date_part of a type whose fields depend on nothing but the value.
template <typename T, auto kExtract> void RegisterExtract(Registry& registry, View name, TypeId type, const char* description) {
  registry.Function("extract", fmt::format("text, {} -> numeric", name),
                    WithUnit<T>(type, [](EvalContext&, DateField field, View unit, T value) { return kExtract(field, unit, value); }), description);
  registry.Function("date_part", fmt::format("text, {} -> float8", name),
                    WithUnit<T>(type, [](EvalContext&, DateField field, View unit, T value) { return ToDouble(kExtract(field, unit, value)); }),
                    description);
}

void RegisterFields(Registry& registry) {
  registry.Function(
      "date_trunc", "text, timestamp -> timestamp",
      TruncateFast(false, WithUnit<int64_t>(TypeId::kTimestamp, [](EvalContext&, DateField field, View name,
                                                                   int64_t time) { return data::TruncateTimestamp(field, name, time); })),
      "start of the second, hour, day, week, month, ... that a time lies in");
  registry
      .Function("date_trunc", "text, timestamptz -> timestamptz",
                TruncateFast(true, WithUnit<int64_t>(TypeId::kTimestamptz,
                                                     [](EvalContext& context, DateField field, View name, int64_t time) -> Result<int64_t> {
                                                       KAPPA_ASSIGN_OR_RETURN(const TimeZone zone, SessionZone(context));
                                                       return data::TruncateTimestamptz(field, name, time, zone);
                                                     })),
                "start of the second, hour, day, week, month, ... in the session's time zone")
      .Session();
  registry.Function("date_trunc", "text, timestamptz, text -> timestamptz", Rowwise([](View unit, int64_t time, View zone_name) -> Result<int64_t> {
                      const auto field = data::ParseDateField(unit);
                      if (!field) return data::UnitNotRecognized(unit, TypeId::kTimestamptz);
                      KAPPA_ASSIGN_OR_RETURN(const TimeZone zone, data::TimeZone::Load(zone_name));
                      return data::TruncateTimestamptz(*field, unit, time, zone);
                    }),
                    "start of the second, hour, day, week, month, ... in a time zone");
  registry.Function("date_trunc", "text, interval -> interval",
                    WithUnit<Interval>(TypeId::kInterval, [](EvalContext&, DateField field, View name,
                                                             Interval value) { return data::TruncateInterval(field, name, value); }),
                    "interval cut to a field");

  const char* extract = "a field of a time: year, month, day, hour, dow, epoch, ...";
  RegisterExtract<int64_t, data::ExtractTime>(registry, "time", TypeId::kTime, extract);
  RegisterExtract<int64_t, data::ExtractTimestamp>(registry, "timestamp", TypeId::kTimestamp, extract);
  registry.Function("extract", "text, timestamptz -> numeric", WithUnit<int64_t>(TypeId::kTimestamptz, ExtractInSession), extract).Session();
  registry.Function(
      "extract", "text, date -> numeric",
      WithUnit<int32_t>(TypeId::kDate, [](EvalContext&, DateField field, View name, int32_t date) { return data::ExtractDate(field, name, date); }),
      extract);
  registry
      .Function("date_part", "text, timestamptz -> float8",
                WithUnit<int64_t>(TypeId::kTimestamptz, [](EvalContext& context, DateField field, View name,
                                                           int64_t time) { return ToDouble(ExtractInSession(context, field, name, time)); }),
                extract)
      .Session();
  registry.Function("date_part", "text, date -> float8",
                    WithUnit<int32_t>(TypeId::kTimestamp,
                                      [](EvalContext&, DateField field, View name, int32_t date) -> Result<std::optional<double>> {
                                        KAPPA_ASSIGN_OR_RETURN(const int64_t time, data::DateToTimestamp(date));
                                        return ToDouble(data::ExtractTimestamp(field, name, time));
                                      }),
                    extract);
  RegisterExtract<Interval, data::ExtractInterval>(registry, "interval", TypeId::kInterval, extract);

  for (View type : {"timestamp", "timestamptz"}) {
    registry.Function("date_bin", fmt::format("interval, {0}, {0} -> {0}", type),
                      Rowwise([](Interval stride, int64_t time, int64_t origin) { return data::BinTimestamp(stride, time, origin); }),
                      "start of the bin of this width, counted from an origin, that a time lies in");
    registry.Function("isfinite", fmt::format("{} -> bool", type), Rowwise([](int64_t time) { return data::IsFinite(time); }),
                      "neither infinity nor -infinity");
  }
  registry.Function("isfinite", "date -> bool", Rowwise([](int32_t date) { return data::IsFiniteDate(date); }), "neither infinity nor -infinity");
  registry.Function("isfinite", "interval -> bool", Rowwise([](Interval) { return true; }), "true");
}

// ---- AT TIME ZONE

Result<TimeZone> IntervalZone(const Interval& interval) {
  if (interval.months != 0 || interval.days != 0) {
    std::string text;
    data::AppendInterval(interval, text);
    return Error(sqlstate::kInvalidParameterValue, fmt::format("interval time zone \"{}\" must not include months or days", text));
  }
  if (std::abs(interval.micros) >= data::kMicrosPerDay * 7) return Error(kInvalidZoneDisplacement, "time zone displacement out of range");
  return TimeZone::Fixed(static_cast<int>(interval.micros / data::kMicrosPerSecond));
}

/// Zones by name, the last one kept: the zone is nearly always the same for all rows.
class NamedZone {
 public:
  Result<TimeZone> Find(View name) {
    if (!known_ || name != name_) {
      KAPPA_ASSIGN_OR_RETURN(zone_, TimeZone::Load(name));
      name_ = name;
      known_ = true;
    }
    return zone_;
  }

 private:
  bool known_ = false;
  std::string name_;
  TimeZone zone_;
};

template <typename F> Kernel InNamedZone(F function) {
  return [function](KernelCall& call) -> Result<data::ColumnPtr> {
    NamedZone zones;
    return Rowwise([&zones, function](View name, int64_t time) -> Result<int64_t> {
      KAPPA_ASSIGN_OR_RETURN(const TimeZone zone, zones.Find(name));
      return function(time, zone);
    })(call);
  };
}

void RegisterZones(Registry& registry) {
  registry.Function("timezone", "text, timestamp -> timestamptz",
                    InNamedZone([](int64_t time, const TimeZone& zone) { return data::TimestampToTimestamptz(time, zone); }),
                    "AT TIME ZONE: the moment of a wall clock");
  registry.Function("timezone", "text, timestamptz -> timestamp",
                    InNamedZone([](int64_t time, const TimeZone& zone) { return data::TimestamptzToTimestamp(time, zone); }),
                    "AT TIME ZONE: the wall clock at a moment");
  registry.Function("timezone", "interval, timestamp -> timestamptz", Rowwise([](Interval offset, int64_t time) -> Result<int64_t> {
                      KAPPA_ASSIGN_OR_RETURN(const TimeZone zone, IntervalZone(offset));
                      return data::TimestampToTimestamptz(time, zone);
                    }),
                    "AT TIME ZONE with an offset");
  registry.Function("timezone", "interval, timestamptz -> timestamp", Rowwise([](Interval offset, int64_t time) -> Result<int64_t> {
                      KAPPA_ASSIGN_OR_RETURN(const TimeZone zone, IntervalZone(offset));
                      return data::TimestamptzToTimestamp(time, zone);
                    }),
                    "AT TIME ZONE with an offset");
}

// ---- Making and measuring

Result<int64_t> LocalTime(EvalContext& context, int64_t timestamptz) {
  KAPPA_ASSIGN_OR_RETURN(const TimeZone zone, SessionZone(context));
  return data::TimestamptzToTimestamp(timestamptz, zone);
}
Result<int64_t> Midnight(EvalContext& context) {
  KAPPA_ASSIGN_OR_RETURN(const int64_t now, LocalTime(context, context.now_us));
  return data::FloorDiv(now, data::kMicrosPerDay) * data::kMicrosPerDay;
}

void RegisterConstruction(Registry& registry) {
  registry.Function("age", "timestamp, timestamp -> interval", Rowwise([](int64_t a, int64_t b) { return data::Age(a, b); }),
                    "years, months, days and time between");
  registry
      .Function("age", "timestamptz, timestamptz -> interval", Rowwise([](EvalContext& context, int64_t a, int64_t b) -> Result<Interval> {
                  KAPPA_ASSIGN_OR_RETURN(const int64_t later, LocalTime(context, a));
                  KAPPA_ASSIGN_OR_RETURN(const int64_t earlier, LocalTime(context, b));
                  return data::Age(later, earlier);
                }),
                "years, months, days and time between")
      .Session();
  registry
      .Function("age", "timestamp -> interval", Rowwise([](EvalContext& context, int64_t time) -> Result<Interval> {
                  KAPPA_ASSIGN_OR_RETURN(const int64_t midnight, Midnight(context));
                  return data::Age(midnight, time);
                }),
                "age at the start of today")
      .Stable();
  registry
      .Function("age", "timestamptz -> interval", Rowwise([](EvalContext& context, int64_t time) -> Result<Interval> {
                  KAPPA_ASSIGN_OR_RETURN(const int64_t midnight, Midnight(context));
                  KAPPA_ASSIGN_OR_RETURN(const int64_t local, LocalTime(context, time));
                  return data::Age(midnight, local);
                }),
                "age at the start of today")
      .Stable();
  registry.Function("to_timestamp", "float8 -> timestamptz", Rowwise([](double seconds) { return data::TimestampFromEpoch(seconds); }),
                    "moment of so many seconds since 1970");
  registry.Function("make_date", "int4, int4, int4 -> date",
                    Rowwise([](int32_t year, int32_t month, int32_t day) { return data::MakeDate(year, month, day); }), "date from year, month, day");
  registry.Function("make_time", "int4, int4, float8 -> time",
                    Rowwise([](int32_t hour, int32_t minute, double second) { return data::MakeTime(hour, minute, second); }),
                    "time from hour, minute, second");
  registry.Function("make_timestamp", "int4, int4, int4, int4, int4, float8 -> timestamp",
                    Rowwise([](int32_t year, int32_t month, int32_t day, int32_t hour, int32_t minute, double second) {
                      return data::MakeTimestamp(year, month, day, hour, minute, second);
                    }),
                    "timestamp from year, month, day, hour, minute, second");
  registry
      .Function(
          "make_timestamptz", "int4, int4, int4, int4, int4, float8 -> timestamptz",
          Rowwise([](EvalContext& context, int32_t year, int32_t month, int32_t day, int32_t hour, int32_t minute, double second) -> Result<int64_t> {
            KAPPA_ASSIGN_OR_RETURN(const int64_t local, data::MakeTimestamp(year, month, day, hour, minute, second));
            KAPPA_ASSIGN_OR_RETURN(const TimeZone zone, SessionZone(context));
            return data::TimestampToTimestamptz(local, zone);
          }),
          "moment from year, month, day, hour, minute, second in the session's time zone")
      .Session();
  registry.Function("make_timestamptz", "int4, int4, int4, int4, int4, float8, text -> timestamptz",
                    Rowwise([](int32_t year, int32_t month, int32_t day, int32_t hour, int32_t minute, double second, View name) -> Result<int64_t> {
                      KAPPA_ASSIGN_OR_RETURN(const int64_t local, data::MakeTimestamp(year, month, day, hour, minute, second));
                      KAPPA_ASSIGN_OR_RETURN(const TimeZone zone, TimeZone::Load(name));
                      return data::TimestampToTimestamptz(local, zone);
                    }),
                    "moment from year, month, day, hour, minute, second in a time zone");
  // make_interval(years, months, weeks, days, hours, mins, secs): all may be left out from the end.
  std::string types;
  for (int count = 0; count <= 7; ++count) {
    if (count > 0) types += count == 7 ? ", float8" : count == 1 ? "int4" : ", int4";
    const Kernel kernel = [count](KernelCall& call) -> Result<data::ColumnPtr> {
      data::ColumnBuilder builder(call.type, call.rows);
      for (int64_t row = 0; row < call.rows; ++row) {
        if (call.AnyNull(row)) {
          builder.AppendNull();
          continue;
        }
        int64_t parts[6] = {};
        for (int i = 0; i < std::min(count, 6); ++i) parts[i] = call.arguments[static_cast<size_t>(i)].Get<int32_t>(row);
        auto interval =
            data::MakeInterval(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], count == 7 ? call.arguments[6].Get<double>(row) : 0.0);
        if (!interval.ok()) {
          if (!call.Tolerate(interval.error())) return interval.error();
          builder.AppendNull();
          continue;
        }
        builder.Append(*interval);
      }
      return builder.Finish();
    };
    registry.Function("make_interval", types + " -> interval", kernel, "interval from years, months, weeks, days, hours, minutes, seconds");
  }
  registry.Function("justify_hours", "interval -> interval", Rowwise([](Interval a) { return data::JustifyHours(a); }), "24 hours as a day");
  registry.Function("justify_days", "interval -> interval", Rowwise([](Interval a) { return data::JustifyDays(a); }), "30 days as a month");
  registry.Function("justify_interval", "interval -> interval", Rowwise([](Interval a) { return data::JustifyInterval(a); }),
                    "24 hours as a day, 30 days as a month, one sign");
  for (View name : {"now", "current_timestamp", "transaction_timestamp", "statement_timestamp", "clock_timestamp"}) {
    registry
        .Function(name, "-> timestamptz", Rowwise([](EvalContext& context) { return context.now_us; }),
                  "start of the statement; in a view, of the epoch")
        .Stable();
  }
  registry
      .Function("localtimestamp", "-> timestamp", Rowwise([](EvalContext& context) { return LocalTime(context, context.now_us); }),
                "now() on the session's wall clock")
      .Stable();
  registry
      .Function("localtime", "-> time", Rowwise([](EvalContext& context) -> Result<int64_t> {
                  KAPPA_ASSIGN_OR_RETURN(const int64_t local, LocalTime(context, context.now_us));
                  return data::FloorMod(local, data::kMicrosPerDay);
                }),
                "time of now() on the session's wall clock")
      .Stable();
  registry
      .Function("current_date", "-> date", Rowwise([](EvalContext& context) -> Result<int32_t> {
                  KAPPA_ASSIGN_OR_RETURN(const int64_t local, LocalTime(context, context.now_us));
                  return data::TimestampToDate(local);
                }),
                "today in the session's time zone")
      .Stable();
}

}  // namespace

void RegisterDateTime(Registry& registry) {
  RegisterOperators(registry);
  RegisterFields(registry);
  RegisterZones(registry);
  RegisterConstruction(registry);
}

}  // namespace kappa::expr
