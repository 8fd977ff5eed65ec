// Rows as JSON objects, values as PostgreSQL's row_to_json spells them.
#include "data/array.h"
#include "data/enum_type.h"
#include "data/record.h"
#include "data/text.h"
#include "data/value.h"
#include "format/decoder.h"

namespace kappa::format {
namespace {

using data::TypeId;

const data::TextOptions kUtc;

/// "2026-01-01 10:00:00+00" is "2026-01-01T10:00:00+00:00" in JSON.
void AppendTime(std::string text, bool zone, std::string& out) {
  const size_t space = text.find(' ');
  if (space != std::string::npos && space + 1 < text.size() && text[space + 1] >= '0' && text[space + 1] <= '9') text[space] = 'T';
  if (zone) {
    const size_t offset = text.find("+00");
    if (offset != std::string::npos) text.insert(offset + 3, ":00");
  }
  out.push_back('"');
  out += text;
  out.push_back('"');
}

/// The elements from `next` on that belong to one sub-array of this dimension.
void AppendDimension(const data::Type& element, const data::ArrayView& array, int dimension, int32_t& next, std::string& out) {
  out.push_back('[');
  for (int32_t i = 0; i < array.length(dimension); ++i) {
    if (i > 0) out.push_back(',');
    if (dimension + 1 < array.dimensions()) {
      AppendDimension(element, array, dimension + 1, next, out);
      continue;
    }
    const int32_t at = next++;
    if (array.IsNull(at)) {
      out += "null";
    } else if (array.element() == TypeId::kText) {
      AppendJsonString(array.bytes(at), out);
    } else {
      AppendJsonValue(*data::ConstantColumn(data::Value::Bytes(element, std::string(array.bytes(at))), 1), 0, out);
    }
  }
  out.push_back(']');
}

}  // namespace

void AppendJsonValue(const data::Column& column, int64_t row, std::string& out) {
  if (column.IsNull(row)) {
    out += "null";
    return;
  }
  switch (column.type().id) {
    case TypeId::kBool: out += column.data<uint8_t>()[row] != 0 ? "true" : "false"; return;
    case TypeId::kInt2:
    case TypeId::kInt4:
    case TypeId::kInt8:
    case TypeId::kOid: data::AppendText(column, row, kUtc, out); return;
    case TypeId::kText:
    case TypeId::kUnknown: AppendJsonString(column.bytes(row), out); return;
    case TypeId::kJsonb: data::AppendText(column, row, kUtc, out); return;
    case TypeId::kArray: {
      const data::ArrayView array(column.bytes(row));
      int32_t next = 0;
      if (array.dimensions() == 0) {
        out += "[]";
      } else {
        AppendDimension(data::ElementType(column.type()), array, 0, next, out);
      }
      return;
    }
    case TypeId::kRecord: {
      const data::RecordDefinition* definition = data::FindRecord(column.type());
      KAPPA_CHECK(definition != nullptr);
      data::RecordReader record(column.bytes(row));
      out.push_back('{');
      for (size_t i = 0; i < definition->names.size(); ++i) {
        if (i > 0) out.push_back(',');
        AppendJsonString(definition->names[i], out);
        out.push_back(':');
        AppendJsonValue(*record.Next().Column(definition->types[i]), 0, out);
      }
      out.push_back('}');
      return;
    }
    default: break;
  }
  if (const TypeId id = column.type().id; id == TypeId::kFloat4 || id == TypeId::kFloat8 || id == TypeId::kNumeric) {
    const size_t before = out.size();
    data::AppendText(column, row, kUtc, out);
    const char last = out.back();
    if (last != 'N' && last != 'y') return;
    out.insert(before, 1, '"');  // NaN, Infinity, -Infinity
    out.push_back('"');
    return;
  }
  std::string text;
  data::AppendText(column, row, kUtc, text);
  switch (column.type().id) {
    case TypeId::kTimestamp: AppendTime(std::move(text), false, out); return;
    case TypeId::kTimestamptz: AppendTime(std::move(text), true, out); return;
    default: AppendJsonString(text, out); return;
  }
}

void AppendJsonRow(const data::Schema& schema, const data::Batch& batch, int64_t row, std::string& out) {
  out.push_back('{');
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    if (c > 0) out.push_back(',');
    AppendJsonString(schema.fields[c].name, out);
    out.push_back(':');
    AppendJsonValue(*batch.columns[c], row, out);
  }
  out.push_back('}');
}

}  // namespace kappa::format
