#include "serve/http/json.h"

#include "data/text.h"
#include "format/decoder.h"

namespace kappa::serve::http {

int HttpStatus(const Error& error) {
  const std::string_view state = error.sqlstate();
  if (state == sqlstate::kUndefinedTable || state == sqlstate::kUndefinedObject) return 404;
  if (state == sqlstate::kObjectNotInPrerequisiteState || state == sqlstate::kObjectInUse || state == sqlstate::kDependentObjectsStillExist ||
      state == sqlstate::kUniqueViolation || state == sqlstate::kDuplicateTable || state == sqlstate::kDuplicateObject) {
    return 409;
  }
  if (state.starts_with("53") || state.starts_with("57")) return 503;
  if (state == sqlstate::kFeatureNotSupported) return 501;
  if (state.starts_with("58") || state.starts_with("XX")) return 500;
  return 400;
}

void AppendKey(std::string_view key, std::string& out) {
  format::AppendJsonString(key, out);
  out += ':';
}

void AppendError(const Error& error, std::string& out) {
  out += "{\"sqlstate\":";
  format::AppendJsonString(error.sqlstate(), out);
  out += ",\"message\":";
  format::AppendJsonString(error.message(), out);
  out += ",\"detail\":";
  format::AppendJsonString(error.detail(), out);
  out += ",\"hint\":";
  format::AppendJsonString(error.hint(), out);
  out += ",\"position\":" + std::to_string(error.position()) + "}";
}

std::string ErrorJson(const Error& error) {
  std::string out;
  AppendError(error, out);
  out += '\n';
  return out;
}

bool AppendRowObjects(const engine::QueryResult& result, int64_t rows_max, std::string& out) {
  int64_t rows = 0;
  out += '[';
  for (const data::Batch& batch : result.batches) {
    for (int64_t row = 0; row < batch.rows; ++row, ++rows) {
      if (rows == rows_max) {
        out += ']';
        return true;
      }
      if (rows > 0) out += ',';
      format::AppendJsonRow(result.schema, batch, row, out);
    }
  }
  out += ']';
  return false;
}

namespace {

void AppendCell(const data::Column& column, int64_t row, bool as_text, const data::TextOptions& text, std::string& out) {
  if (column.IsNull(row)) {
    out += "null";
  } else if (column.type().id == data::TypeId::kUnknown) {
    format::AppendJsonString(column.bytes(row), out);
  } else if (as_text) {
    std::string value;
    data::AppendText(column, row, text, value);
    format::AppendJsonString(value, out);
  } else {
    format::AppendJsonValue(column, row, out);
  }
}

}  // namespace

void AppendSqlResult(const engine::QueryResult& result, int64_t rows_max, bool as_text, const data::TextOptions& text, std::string& out) {
  out += "{\"tag\":";
  format::AppendJsonString(result.tag, out);
  out += ",\"epoch\":" + std::to_string(result.epoch);
  if (result.has_rows) {
    out += ",\"columns\":[";
    for (size_t i = 0; i < result.schema.fields.size(); ++i) {
      const data::Field& field = result.schema.fields[i];
      out += i > 0 ? ",{\"name\":" : "{\"name\":";
      format::AppendJsonString(field.name, out);
      out += ",\"type\":";
      format::AppendJsonString(field.type.id == data::TypeId::kUnknown ? "text" : field.type.ToString(), out);
      out += '}';
    }
    out += "],\"rows\":[";
    int64_t rows = 0;
    bool truncated = false;
    for (const data::Batch& batch : result.batches) {
      for (int64_t row = 0; row < batch.rows && !truncated; ++row) {
        truncated = rows == rows_max;
        if (truncated) break;
        out += rows++ > 0 ? ",[" : "[";
        for (size_t i = 0; i < batch.columns.size(); ++i) {
          if (i > 0) out += ',';
          AppendCell(*batch.columns[i], row, as_text, text, out);
        }
        out += ']';
      }
    }
    out += truncated ? "],\"truncated\":true" : "],\"truncated\":false";
  }
  out += ",\"notices\":[";
  for (size_t i = 0; i < result.notices.size(); ++i) {
    if (i > 0) out += ',';
    format::AppendJsonString(result.notices[i], out);
  }
  out += "]}";
}

}  // namespace kappa::serve::http
