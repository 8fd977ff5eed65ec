// Record decoders: bytes of records in, typed columns out.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/batch.h"

namespace kappa::format {

/// How JSON numbers become timestamps. ISO strings are always taken.
enum class JsonTimestamps : uint8_t { kIso, kSeconds, kMillis, kMicros };

struct DecodeOptions {
  JsonTimestamps json_timestamps = JsonTimestamps::kIso;
  size_t record_bytes_max = 16 << 20;
};

/// One record's value as it lies in memory. At least kPadding readable bytes must follow the last value of a call
/// (simdjson reads past the end).
inline constexpr size_t kPadding = 64;

/// A record that could not be decoded.
struct BadRecord {
  int64_t index;       // into the values of the call
  std::string reason;  // "invalid JSON at byte 17: ...", "column \"amount\": invalid input syntax for type integer: \"x\""
};

/// The reason of a record that is longer than record_bytes_max.
std::string RecordTooLong(size_t bytes, size_t bytes_max);

/// Decodes JSON objects, one a record. A missing member or null gives NULL; unknown members are skipped; a NOT NULL column
/// without value makes a bad record; a member of the wrong type makes a bad record. Objects and arrays may go to jsonb
/// columns and to text columns (as their JSON text); JSON arrays to array columns.
/// Threads: one decoder per thread.
class JsonDecoder {
 public:
  /// `columns`: indexes into the schema, in output order. The other declared columns are checked just as strictly (type, range,
  /// NOT NULL) but not built: whether a record is good depends on the record and the schema alone, never on who asks for what,
  /// else a replay that needs fewer columns would keep rows that the live view dropped.
  JsonDecoder(const data::Schema& schema, std::vector<int> columns, DecodeOptions options);
  ~JsonDecoder();
  /// `storage` keeps the values' memory alive: string columns point into it. Rows of the result are the good records in
  /// order; `good` receives their indexes into `values`, `bad` the others. nullopt values (tombstones) are bad records here.
  Result<data::Batch> Decode(std::span<const std::string_view> values, data::Keepalive storage, std::vector<int32_t>& good,
                             std::vector<BadRecord>& bad);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Appends the row as a JSON object ({"a":1,"b":"x"}), as PostgreSQL's row_to_json spells values: numbers bare, NaN and
/// Infinity as strings, timestamps ISO 8601 with T, jsonb verbatim, arrays as JSON arrays.
void AppendJsonRow(const data::Schema& schema, const data::Batch& batch, int64_t row, std::string& out);
/// One value of that.
void AppendJsonValue(const data::Column& column, int64_t row, std::string& out);
/// Appends a JSON string with quotes and escapes.
void AppendJsonString(std::string_view text, std::string& out);

/// COPY .. CSV as PostgreSQL writes it: header, quoting only where needed, NULL as nothing, empty string as "".
void AppendCsvHeader(const data::Schema& schema, std::string& out);
void AppendCsvRow(const data::Batch& batch, int64_t row, std::string& out);

/// Splits CSV text into records and fields (RFC 4180 quoting, as COPY CSV reads it). Decodes rows into typed columns by
/// header names.
class CsvDecoder {
 public:
  /// `header`: the file's column names. As with JSON, columns not asked for are checked too. Fails with undefined_column when a NOT NULL column is missing.
  static Result<std::unique_ptr<CsvDecoder>> Make(const data::Schema& schema, std::vector<int> columns, const std::vector<std::string>& header);
  virtual ~CsvDecoder() = default;
  /// `values` are whole records without their line end.
  virtual Result<data::Batch> Decode(std::span<const std::string_view> values, std::vector<int32_t>& good, std::vector<BadRecord>& bad) = 0;
};
/// The fields of one CSV record; nullopt for an unquoted empty field. Fails on bad quoting.
Result<std::vector<std::optional<std::string>>> SplitCsvRecord(std::string_view record);
/// Length of the first record of `text` including its line end; 0 when `text` holds no whole record (unless `at_end`).
size_t CsvRecordLength(std::string_view text, bool at_end);

}  // namespace kappa::format
