// JSON that goes out: errors with their HTTP status, and results.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace kappa::serve::http {

/// The HTTP status of an error, by SQLSTATE (docs/http.md).
int HttpStatus(const Error& error);
/// {"sqlstate":..,"message":..,"detail":..,"hint":..,"position":..}
void AppendError(const Error& error, std::string& out);
std::string ErrorJson(const Error& error);

/// [{"a":1},..]: at most `rows_max` rows; gives whether there were more.
bool AppendRowObjects(const engine::QueryResult& result, int64_t rows_max, std::string& out);
/// One member of "results" of POST /v1/sql. `as_text`: values as PostgreSQL's text instead of JSON values.
void AppendSqlResult(const engine::QueryResult& result, int64_t rows_max, bool as_text, const data::TextOptions& text, std::string& out);
/// "key": with quotes and colon.
void AppendKey(std::string_view key, std::string& out);

}  // namespace kappa::serve::http
