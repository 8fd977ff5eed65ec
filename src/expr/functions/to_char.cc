// Registration of to_char() and of its inverses.
#include "expr/functions/to_char.h"

#include <array>
#include <deque>

#include "data/datetime.h"
#include "expr/functions/from_char.h"
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

/// Equal texts of neighbouring rows are made once: with a constant template a text changes only when its finest unit does.
/// `to_local` gives the local microseconds of a row's time, `each` handles everything else.
template <typename ToLocal> Kernel ByUnit(ToLocal to_local, Kernel each) {
  return [to_local, each = std::move(each)](KernelCall& call) -> Result<data::ColumnPtr> {
    const Argument &times = call.arguments[0], &format = call.arguments[1];
    if (!format.constant || times.constant || format.IsNull(0) || format.bytes(0).empty()) return each(call);
    const int64_t unit = FinestUnit(format.bytes(0));
    if (unit == 1) return each(call);
    KAPPA_ASSIGN_OR_RETURN(const auto local_of, to_local(call.context));
    constexpr size_t kSlots = 64;
    struct Slot {
      int64_t from = 1, to = 0;  // local times
      data::StringView text;
    };
    std::array<Slot, kSlots> slots;
    auto heap = std::make_shared<std::deque<std::string>>();  // texts that are too long to lie in their views
    auto column = std::make_shared<data::Column>(call.type, call.rows);
    auto* out = column->template mutable_data<data::StringView>();
    const int64_t* values = times.column->data<int64_t>();
    Slot* last = slots.data();
    for (int64_t row = 0; row < call.rows; ++row) {
      if (times.column->IsNull(row) || !data::IsFinite(values[row])) {
        column->SetNull(row);
        continue;
      }
      const int64_t local = local_of(values[row]);
      if (local < last->from || local >= last->to) {
        if (local > INT64_MAX - data::kMicrosPerDay || local < INT64_MIN + data::kMicrosPerDay) return each(call);
        const int64_t number = data::FloorDiv(local, unit);
        last = &slots[static_cast<uint64_t>(number) % kSlots];
        if (local < last->from || local >= last->to) {
          Result<std::string> text = FormatTime(ClockOf(local), format.bytes(0));
          if (!text.ok()) return each(call);  // it is the template's fault: the same for all rows
          *last = {number * unit, number * unit + unit, {}};
          last->text = text->size() > data::StringView::kInlineMax ? data::StringView(heap->emplace_back(std::move(*text))) : data::StringView(*text);
        }
      }
      out[row] = last->text;
    }
    if (!heap->empty()) column->AddKeepalive(std::move(heap));
    return data::ColumnPtr(std::move(column));
  };
}

/// `read(context, reader, text)` for each row; a template that does not change is read once.
template <typename T, typename Read> Kernel ByTimeTemplate(Read read) {
  return [read](KernelCall& call) -> Result<data::ColumnPtr> {
    data::ColumnBuilder builder(call.type, call.rows);
    std::optional<TimeReader> reader;
    std::string known;  // the reader's template
    for (int64_t row = 0; row < call.rows; ++row) {
      if (call.AnyNull(row)) {
        builder.AppendNull();
        continue;
      }
      if (const View format = call.arguments[1].bytes(row); !reader || format != known) {
        known = format;
        reader.emplace(known);
      }
      const Result<T> value = read(call.context, *reader, call.arguments[0].bytes(row));
      if (value.ok()) {
        builder.Append(*value);
      } else {
        if (!call.Tolerate(value.error())) return value.error();
        builder.AppendNull();
      }
    }
    return builder.Finish();
  };
}

Result<int64_t> TimestampFromTemplate(EvalContext& context, const TimeReader& reader, View text) {
  KAPPA_ASSIGN_OR_RETURN(const TimeReading reading, reader.Read(text));
  int64_t local = 0;
  if (reading.days < data::kFirstDay || __builtin_mul_overflow(reading.days, data::kMicrosPerDay, &local) ||
      __builtin_add_overflow(local, reading.micros, &local))
    return Error(sqlstate::kDatetimeFieldOverflow, "timestamp out of range");
  data::TimeZone zone;
  if (reading.zone_offset) {
    zone = data::TimeZone::Fixed(*reading.zone_offset);
  } else {
    KAPPA_ASSIGN_OR_RETURN(zone, SessionZone(context));
  }
  KAPPA_ASSIGN_OR_RETURN(const int64_t time, data::TimestampToTimestamptz(local, zone));
  return data::RoundTimestamp(time, reading.precision);
}

Result<int32_t> DateFromTemplate(EvalContext&, const TimeReader& reader, View text) {
  KAPPA_ASSIGN_OR_RETURN(const TimeReading reading, reader.Read(text));
  if (reading.days < data::kFirstDay || reading.days > data::kLastDay)
    return Error(sqlstate::kDatetimeFieldOverflow, "date out of range: \"" + std::string(text) + "\"");
  return static_cast<int32_t>(reading.days);
}

}  // namespace

void RegisterToChar(Registry& registry) {
  const char* time = "time by a template such as YYYY-MM-DD HH24:MI:SS";
  const auto as_it_is = [](EvalContext&) -> Result<int64_t (*)(int64_t)> { return +[](int64_t t) { return t; }; };
  const auto in_zone = [](EvalContext& context) -> Result<std::function<int64_t(int64_t)>> {
    KAPPA_ASSIGN_OR_RETURN(const data::TimeZone zone, SessionZone(context));
    return std::function<int64_t(int64_t)>([zone](int64_t t) { return zone.ToLocal(t); });
  };
  registry.Function("to_char", "timestamp, text -> text",
                    ByUnit(as_it_is, Rowwise([](int64_t t, View format) { return TimestampToChar(t, format); })), time);
  registry
      .Function("to_char", "timestamptz, text -> text",
                ByUnit(in_zone, Rowwise([](EvalContext& context, int64_t t, View format) { return TimestamptzToChar(context, t, format); })), time)
      .Session();
  registry.Function("to_char", "interval, text -> text",
                    Rowwise([](data::Interval interval, View format) { return IntervalToChar(interval, format); }), time);
  const char* number = "number by a template such as 999,990.00";
  registry.Function("to_char", "numeric, text -> text", Rowwise([](Numeric n, View format) { return FormatNumber(n, format); }), number);
  registry.Function("to_char", "int4, text -> text", Rowwise([](int32_t n, View format) { return FormatNumber(Numeric(n), format); }), number);
  registry.Function("to_char", "int8, text -> text", Rowwise([](int64_t n, View format) { return FormatNumber(Numeric(n), format); }), number);
  registry.Function("to_char", "float4, text -> text", Rowwise([](float n, View format) { return FormatNumber(Numeric::FromFloat(n), format); }),
                    number);
  registry.Function("to_char", "float8, text -> text", Rowwise([](double n, View format) { return FormatNumber(Numeric::FromDouble(n), format); }),
                    number);
  registry
      .Function("to_timestamp", "text, text -> timestamptz", ByTimeTemplate<int64_t>(TimestampFromTemplate),
                "moment from a text by a template such as YYYY-MM-DD HH24:MI:SS, in the session's time zone unless the text has TZH")
      .Session();
  registry.Function("to_date", "text, text -> date", ByTimeTemplate<int32_t>(DateFromTemplate), "date from a text by a template such as DD Mon YYYY");
  registry.Function("to_number", "text, text -> numeric", Rowwise([](View text, View format) -> Result<std::optional<Numeric>> {
                      if (format.empty()) return std::optional<Numeric>();
                      KAPPA_ASSIGN_OR_RETURN(Numeric number, ReadNumber(text, format));
                      return std::optional(std::move(number));
                    }),
                    "number from a text by a template such as 999,990.00");
}

}  // namespace kappa::expr
