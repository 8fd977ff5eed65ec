// Arrays of what set-returning functions give: the binder turns generate_series(..), jsonb_array_elements(..) and their kin into
// unnest of one of these. Users can call them too, but they are not part of the documented language.
#include "data/array.h"
#include "data/datetime.h"
#include "data/json.h"
#include "expr/functions/numeric_rows.h"
#include "expr/functions/register.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

using data::ArrayBuilder;
using data::JsonKind;
using data::Numeric;
using data::TypeId;
using View = std::string_view;

constexpr int64_t kSeriesMax = 10'000'000;  // elements for one row: 80 MB of timestamps

Error TooLong() {
  return Error(sqlstate::kProgramLimitExceeded, "generate_series gives too many rows")
      .Hint("At most 10,000,000 for one row. Choose a larger step or a shorter range.");
}
Error ZeroStep() { return Error(sqlstate::kInvalidParameterValue, "step size cannot equal zero"); }

template <typename T> View Physical(const T& value) { return {reinterpret_cast<const char*>(&value), sizeof value}; }

template <typename T> Result<std::string> Series(TypeId type, T from, T to, T step) {
  if (step == 0) return ZeroStep();
  ArrayBuilder builder(type);
  for (T at = from; step > 0 ? at <= to : at >= to;) {
    if (builder.size() == kSeriesMax) return TooLong();
    builder.Append(Physical(at));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return builder.Finish();
}

Result<std::string> NumericSeries(const Numeric& from, const Numeric& to, const Numeric& step) {
  for (const auto& [value, name] : {std::pair(&from, "start value"), std::pair(&to, "stop value"), std::pair(&step, "step size")}) {
    if (value->is_nan()) return Error(sqlstate::kInvalidParameterValue, std::string(name) + " cannot be NaN");
    if (!value->is_finite()) return Error(sqlstate::kInvalidParameterValue, std::string(name) + " cannot be infinity");
  }
  if (step.is_zero()) return ZeroStep();
  const int direction = data::Compare(step, Numeric());
  ArrayBuilder builder(TypeId::kNumeric);
  for (Numeric at = from; data::Compare(at, to) * direction <= 0;) {
    if (builder.size() == kSeriesMax) return TooLong();
    builder.Append(at.ToBytes());
    KAPPA_ASSIGN_OR_RETURN(at, data::Add(at, step));
  }
  return builder.Finish();
}

Result<std::string> TimeSeries(TypeId type, int64_t from, int64_t to, const data::Interval& step) {
  if (step == data::Interval{}) return ZeroStep();
  const bool down = step.months < 0 || (step.months == 0 && (step.days < 0 || (step.days == 0 && step.micros < 0)));
  ArrayBuilder builder(type);
  for (int64_t at = from; down ? at >= to : at <= to;) {
    if (builder.size() == kSeriesMax) return TooLong();
    builder.Append(Physical(at));
    KAPPA_ASSIGN_OR_RETURN(at, data::AddInterval(at, step));
  }
  return builder.Finish();
}

void AppendValue(ArrayBuilder& builder, View json, bool text) {
  if (!text) {
    builder.Append(json);
    return;
  }
  if (data::JsonKindOf(json) == JsonKind::kNull) {
    builder.AppendNull();
    return;
  }
  std::string out;
  data::AppendJsonText(json, out);
  builder.Append(out);
}

Result<std::string> Elements(View json, bool text) {
  const JsonKind kind = data::JsonKindOf(json);
  if (kind == JsonKind::kObject) return Error(sqlstate::kInvalidParameterValue, "cannot extract elements from an object");
  if (kind != JsonKind::kArray) return Error(sqlstate::kInvalidParameterValue, "cannot extract elements from a scalar");
  ArrayBuilder builder(text ? TypeId::kText : TypeId::kJsonb);
  for (data::JsonIterator it(json); it.Next();) AppendValue(builder, it.value(), text);
  return builder.Finish();
}

Result<std::string> Keys(View json, View function) {
  const JsonKind kind = data::JsonKindOf(json);
  const bool each = function == "jsonb_each";
  if (kind != JsonKind::kObject) {
    return Error(sqlstate::kInvalidParameterValue, each                       ? "cannot call jsonb_each on a non-object"
                                                   : kind == JsonKind::kArray ? "cannot call jsonb_object_keys on an array"
                                                                              : "cannot call jsonb_object_keys on a scalar");
  }
  ArrayBuilder builder(TypeId::kText);
  for (data::JsonIterator it(json); it.Next();) builder.Append(it.key());
  return builder.Finish();
}

Result<std::string> Values(View json, bool text) {
  if (data::JsonKindOf(json) != JsonKind::kObject) return Error(sqlstate::kInvalidParameterValue, "cannot call jsonb_each on a non-object");
  ArrayBuilder builder(text ? TypeId::kText : TypeId::kJsonb);
  for (data::JsonIterator it(json); it.Next();) AppendValue(builder, it.value(), text);
  return builder.Finish();
}

/// What jsonb_to_recordset (or jsonb_to_record: one) reads: all elements are objects.
Result<std::string> Objects(View json) {
  if (data::JsonKindOf(json) != JsonKind::kArray) return Error(sqlstate::kInvalidParameterValue, "cannot call jsonb_to_recordset on a non-array");
  ArrayBuilder builder(TypeId::kJsonb);
  for (data::JsonIterator it(json); it.Next();) {
    if (data::JsonKindOf(it.value()) != JsonKind::kObject)
      return Error(sqlstate::kInvalidParameterValue, "argument of jsonb_to_recordset must be an array of objects");
    builder.Append(it.value());
  }
  return builder.Finish();
}
Result<std::string> Object(View json) {
  const JsonKind kind = data::JsonKindOf(json);
  if (kind != JsonKind::kObject)
    return Error(sqlstate::kInvalidParameterValue,
                 kind == JsonKind::kArray ? "cannot call populate_composite on an array" : "cannot call populate_composite on a scalar");
  ArrayBuilder builder(TypeId::kJsonb);
  builder.Append(json);
  return builder.Finish();
}

}  // namespace

void RegisterSets(Registry& registry) {
  const auto note = "rows of a set-returning function as an array";
  registry.System("kappa_series", "int4, int4, int4 -> int4[]",
                  Rowwise([](int32_t from, int32_t to, int32_t step) { return Series<int32_t>(TypeId::kInt4, from, to, step); }), note);
  registry.System("kappa_series", "int8, int8, int8 -> int8[]",
                  Rowwise([](int64_t from, int64_t to, int64_t step) { return Series<int64_t>(TypeId::kInt8, from, to, step); }), note);
  registry.System("kappa_series", "numeric, numeric, numeric -> numeric[]",
                  Rowwise([](const Numeric& from, const Numeric& to, const Numeric& step) { return NumericSeries(from, to, step); }), note);
  registry.System("kappa_series", "timestamp, timestamp, interval -> timestamp[]",
                  Rowwise([](int64_t from, int64_t to, data::Interval step) { return TimeSeries(TypeId::kTimestamp, from, to, step); }), note);
  registry.System("kappa_series", "timestamptz, timestamptz, interval -> timestamptz[]",
                  Rowwise([](int64_t from, int64_t to, data::Interval step) { return TimeSeries(TypeId::kTimestamptz, from, to, step); }), note);
  registry.System("kappa_json_elements", "jsonb -> jsonb[]", Rowwise([](View json) { return Elements(json, false); }), note);
  registry.System("kappa_json_objects", "jsonb -> jsonb[]", Rowwise([](View json) { return Objects(json); }), note);
  registry.System("kappa_json_object", "jsonb -> jsonb[]", Rowwise([](View json) { return Object(json); }), note);
  registry.System("kappa_json_elements_text", "jsonb -> text[]", Rowwise([](View json) { return Elements(json, true); }), note);
  registry.System("kappa_json_object_keys", "jsonb -> text[]", Rowwise([](View json) { return Keys(json, "jsonb_object_keys"); }), note);
  registry.System("kappa_json_keys", "jsonb -> text[]", Rowwise([](View json) { return Keys(json, "jsonb_each"); }), note);
  registry.System("kappa_json_values", "jsonb -> jsonb[]", Rowwise([](View json) { return Values(json, false); }), note);
  registry.System("kappa_json_values_text", "jsonb -> text[]", Rowwise([](View json) { return Values(json, true); }), note);
}

}  // namespace kappa::expr
