// Values as text, exactly as PostgreSQL 15 reads and writes them (DateStyle ISO, IntervalStyle postgres, bytea hex).
#pragma once

#include <string>
#include <string_view>

#include "data/value.h"

namespace kappa::data {

/// How text depends on the session. Timestamptz is shown in `time_zone` (an IANA name, or "UTC").
struct TextOptions {
  std::string time_zone = "UTC";
};

/// Appends the text of a non-NULL row.
void AppendText(const Column& column, int64_t row, const TextOptions& options, std::string& out);
/// Text of a value; NULL gives an empty string.
std::string ToText(const Value& value, const TextOptions& options = {});
/// Reads PostgreSQL's input syntax. Fails with invalid_text_representation, datetime_field_overflow,
/// numeric_value_out_of_range ..., in PostgreSQL's wording. Applies the type's modifier (numeric scale, varchar length).
Result<Value> FromText(std::string_view text, Type type, const TextOptions& options = {});

/// PostgreSQL's binary wire form of a non-NULL row, without the length word.
void AppendBinary(const Column& column, int64_t row, std::string& out);
/// Reads the binary wire form. Fails with invalid_binary_representation.
Result<Value> FromBinary(std::string_view bytes, Type type);

}  // namespace kappa::data
