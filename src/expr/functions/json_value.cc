// SQL values as JSON, and JSON scalars as SQL values.
#include "expr/functions/json_value.h"

#include <fmt/format.h>

#include <cmath>

#include "data/array.h"
#include "data/datetime.h"
#include "data/enum_type.h"
#include "data/json.h"
#include "data/record.h"
#include "expr/functions/arrays.h"
#include "expr/functions/numeric_rows.h"
#include "expr/functions/session_zone.h"
#include "expr/rowwise.h"

namespace kappa::expr {

using data::JsonKind;
using data::Numeric;
using data::Type;
using data::TypeId;

namespace {

Error CannotCast(JsonKind kind, std::string_view type) {
  const char* name = "null";
  switch (kind) {
    case JsonKind::kNull: break;
    case JsonKind::kString: name = "string"; break;
    case JsonKind::kNumber: name = "numeric"; break;
    case JsonKind::kBoolean: name = "boolean"; break;
    case JsonKind::kArray: name = "array"; break;
    case JsonKind::kObject: name = "object"; break;
  }
  return Error(sqlstate::kInvalidParameterValue, fmt::format("cannot cast jsonb {} to type {}", name, type));
}

Result<Numeric> NumberOf(std::string_view json, std::string_view type) {
  const JsonKind kind = data::JsonKindOf(json);
  if (kind != JsonKind::kNumber) return CannotCast(kind, type);
  return Numeric::Parse(json);
}

template <typename T> Kernel NumberCast(std::string type, Result<T> (Numeric::*convert)() const) {
  return Rowwise([type, convert](std::string_view json) -> Result<T> {
    KAPPA_ASSIGN_OR_RETURN(const Numeric number, NumberOf(json, type));
    return (number.*convert)();
  });
}

/// "2020-01-01 10:00:00+00" becomes "2020-01-01T10:00:00+00:00".
void AppendIsoTime(std::string text, bool has_zone, std::string& out) {
  if (const size_t space = text.find(' ');
      space != std::string::npos && space + 1 < text.size() && text[space + 1] >= '0' && text[space + 1] <= '9') {
    text[space] = 'T';
    if (has_zone) {
      const size_t sign = text.find_first_of("+-", space);
      const size_t zone_end = sign == std::string::npos ? sign : std::min(text.find(' ', sign), text.size());
      if (sign != std::string::npos && zone_end - sign == 3) text.insert(zone_end, ":00");
    }
  }
  data::AppendJsonQuoted(text, out);
}

/// Elements from `at` on of the outermost of `lengths`, in row-major order.
Status AppendDimension(const data::Column& elements, std::span<const int32_t> lengths, int64_t& at, const EvalContext& context, std::string& out) {
  out += '[';
  for (int32_t i = 0; i < lengths[0]; ++i) {
    if (i > 0) out += ", ";
    if (lengths.size() > 1) {
      KAPPA_RETURN_IF_ERROR(AppendDimension(elements, lengths.subspan(1), at, context, out));
    } else {
      KAPPA_RETURN_IF_ERROR(AppendJsonValue(elements, at++, context, out));
    }
  }
  out += ']';
  return {};
}

Status AppendArray(const data::Column& column, int64_t row, const EvalContext& context, std::string& out) {
  const data::ArrayView array(column.bytes(row));
  if (array.dimensions() == 0) {
    out += "[]";
    return {};
  }
  data::ColumnBuilder elements(data::ElementType(column.type()), array.size());
  for (int32_t i = 0; i < array.size(); ++i) {
    if (array.IsNull(i)) elements.AppendNull();
    else data::AppendValue(elements, data::ArrayElement(array, i));
  }
  int64_t at = 0;
  return AppendDimension(*elements.Finish(), LengthsOf(array), at, context, out);
}

/// As jsonb has it: the keys in its order.
Status AppendRecord(const data::Column& column, int64_t row, const EvalContext& context, std::string& out) {
  const data::RecordDefinition* definition = data::FindRecord(column.type());
  KAPPA_CHECK(definition != nullptr);
  data::RecordReader record(column.bytes(row));
  std::vector<std::string> values(definition->names.size());
  std::vector<std::pair<std::string, std::string_view>> members;
  for (size_t i = 0; i < values.size(); ++i) {
    KAPPA_RETURN_IF_ERROR(AppendJsonValue(*record.Next().Column(definition->types[i]), 0, context, values[i]));
    members.emplace_back(definition->names[i], values[i]);
  }
  data::AppendJsonObject(std::move(members), out);
  return {};
}

}  // namespace

Status AppendJsonValue(const data::Column& column, int64_t row, const EvalContext& context, std::string& out) {
  if (column.IsNull(row)) {
    out += "null";
    return {};
  }
  switch (column.type().id) {
    case TypeId::kBool: out += column.data<uint8_t>()[row] != 0 ? "true" : "false"; return {};
    case TypeId::kJsonb: out += column.bytes(row); return {};
    case TypeId::kArray: return AppendArray(column, row, context, out);
    case TypeId::kRecord: return AppendRecord(column, row, context, out);
    default: break;
  }
  std::string text;
  data::AppendText(column, row, context.text, text);
  switch (column.type().id) {
    case TypeId::kInt2:
    case TypeId::kInt4:
    case TypeId::kInt8: out += text; return {};
    case TypeId::kNumeric:
    case TypeId::kFloat4:
    case TypeId::kFloat8:
      if (text.find_first_of("NnIi") != std::string::npos) data::AppendJsonQuoted(text, out);  // NaN, Infinity
      else return data::NormalizeJson(text, out);
      return {};
    case TypeId::kTimestamp: AppendIsoTime(std::move(text), false, out); return {};
    case TypeId::kTimestamptz: AppendIsoTime(std::move(text), true, out); return {};
    default: data::AppendJsonQuoted(text, out); return {};
  }
}

Kernel JsonScalarCastKernel(const Type& to) {
  switch (to.id) {
    case TypeId::kBool:
      return Rowwise([](std::string_view json) -> Result<bool> {
        const JsonKind kind = data::JsonKindOf(json);
        if (kind != JsonKind::kBoolean) return CannotCast(kind, "boolean");
        return json == "true";
      });
    case TypeId::kNumeric: return Rowwise([](std::string_view json) { return NumberOf(json, "numeric"); });
    case TypeId::kInt2: return NumberCast<int16_t>("smallint", &Numeric::ToInt2);
    case TypeId::kInt4: return NumberCast<int32_t>("integer", &Numeric::ToInt4);
    case TypeId::kInt8: return NumberCast<int64_t>("bigint", &Numeric::ToInt8);
    case TypeId::kFloat4: return NumberCast<float>("real", &Numeric::ToFloat);
    case TypeId::kFloat8: return NumberCast<double>("double precision", &Numeric::ToDouble);
    default: return nullptr;
  }
}

}  // namespace kappa::expr
