// COPY .. CSV: encoding as PostgreSQL's CopyAttributeOutCSV, splitting as its CopyReadAttributesCSV.
#include <algorithm>
#include <cstring>

#include "data/text.h"
#include "format/cell_writer.h"
#include "format/decoder.h"
#include "format/json_diagnosis.h"

namespace kappa::format {
namespace {

/// `single`: the record has one field, so that an unquoted \. would be read as the end of the data.
void AppendCsvField(std::string_view text, bool single, std::string& out) {
  const bool quote = text.empty() || text.find_first_of("\",\n\r") != std::string_view::npos || (single && text == "\\.");
  if (!quote) {
    out.append(text);
    return;
  }
  out.push_back('"');
  for (char c : text) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
}

}  // namespace

void AppendCsvHeader(const data::Schema& schema, std::string& out) {
  for (int i = 0; i < schema.size(); ++i) {
    if (i > 0) out.push_back(',');
    // PostgreSQL passes single_attr = false for names.
    AppendCsvField(schema.fields[static_cast<size_t>(i)].name, false, out);
  }
  out.push_back('\n');
}

void AppendCsvRow(const data::Batch& batch, int64_t row, std::string& out) {
  static const data::TextOptions kUtc;
  const bool single = batch.columns.size() == 1;
  std::string text;
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    if (c > 0) out.push_back(',');
    const data::Column& column = *batch.columns[c];
    if (column.IsNull(row)) continue;
    switch (column.type().id) {
      case data::TypeId::kText:
      case data::TypeId::kUnknown: AppendCsvField(column.bytes(row), single, out); break;
      case data::TypeId::kJsonb:
      case data::TypeId::kArray:
        text.clear();
        data::AppendText(column, row, kUtc, text);
        AppendCsvField(text, single, out);
        break;
      default: data::AppendText(column, row, kUtc, out); break;  // never empty, and no character that needs quotes
    }
  }
  out.push_back('\n');
}

size_t CsvRecordLength(std::string_view text, bool at_end) {
  bool quoted = false;
  for (size_t at = 0;; quoted = !quoted) {
    const size_t quote = std::min(text.find('"', at), text.size());
    if (!quoted) {
      const size_t line_end = text.substr(at, quote - at).find('\n');
      if (line_end != std::string_view::npos) return at + line_end + 1;
    }
    if (quote == text.size()) return at_end ? text.size() : 0;
    at = quote + 1;
  }
}

namespace {

/// One field: its bytes, unquoted.
struct CsvField {
  std::string_view text;
  bool null = false;      // empty and never quoted
};

/// Splits a record. `scratch` holds the fields that had to be unquoted in pieces; it must not grow while they are used,
/// so it is reserved to the record's size. False when a quote is not closed.
bool SplitFields(std::string_view record, std::vector<CsvField>& fields, std::string& scratch) {
  fields.clear();
  scratch.clear();
  scratch.reserve(record.size());
  size_t at = 0;
  for (;;) {
    const size_t start = at;
    while (at < record.size() && record[at] != ',' && record[at] != '"') ++at;
    if (at == record.size() || record[at] == ',') {
      fields.push_back({record.substr(start, at - start), at == start});
    } else {
      // A quote may open and close anywhere in a field; inside quotes a doubled quote is one quote.
      const size_t from = scratch.size();
      scratch.append(record, start, at - start);
      bool quoted = false;
      for (; at < record.size(); ++at) {
        const char c = record[at];
        if (!quoted && c == ',') break;
        if (c != '"') {
          scratch.push_back(c);
        } else if (quoted && at + 1 < record.size() && record[at + 1] == '"') {
          scratch.push_back('"');
          ++at;
        } else {
          quoted = !quoted;
        }
      }
      if (quoted) return false;
      fields.push_back({std::string_view(scratch).substr(from), false});
    }
    if (at == record.size()) return true;
    ++at;  // the comma
  }
}

class Decoder final : public CsvDecoder {
 public:
  Decoder(const data::Schema& schema, std::vector<int> columns, const std::vector<std::string>& header)
      : columns_(std::move(columns)), header_(header) {
    for (int c = 0; c < schema.size(); ++c) {
      const bool build = std::find(columns_.begin(), columns_.end(), c) != columns_.end();
      writers_.emplace_back(schema.fields[static_cast<size_t>(c)], build);
      const auto found = std::find(header.begin(), header.end(), schema.fields[static_cast<size_t>(c)].name);
      field_of_column_.push_back(found == header.end() ? SIZE_MAX : static_cast<size_t>(found - header.begin()));
    }
  }

  Result<data::Batch> Decode(std::span<const std::string_view> values, std::vector<int32_t>& good, std::vector<BadRecord>& bad) override {
    good.clear();
    bad.clear();
    for (CellWriter& writer : writers_) writer.Start(static_cast<int64_t>(values.size()));
    std::string reason;
    for (size_t i = 0; i < values.size(); ++i) {
      if (Record(values[i], static_cast<int64_t>(i), reason)) {
        good.push_back(static_cast<int32_t>(i));
      } else {
        bad.push_back({static_cast<int64_t>(i), std::move(reason)});
      }
    }
    data::Batch batch;
    batch.rows = static_cast<int64_t>(good.size());
    std::vector<data::ColumnPtr> built;
    for (CellWriter& writer : writers_) {
      data::ColumnPtr column = writer.Finish(nullptr);
      if (writer.build() && !bad.empty()) column = data::Gather(*column, good);
      built.push_back(std::move(column));
    }
    for (int c : columns_) batch.columns.push_back(built[static_cast<size_t>(c)]);
    return batch;
  }

 private:
  bool Record(std::string_view record, int64_t row, std::string& reason) {
    if (const size_t at = InvalidUtf8At(record); at != std::string_view::npos) {
      reason = "invalid byte sequence for encoding \"UTF8\" at byte " + std::to_string(at);
      return false;
    }
    if (const size_t at = record.find('\0'); at != std::string_view::npos) {
      reason = "invalid byte sequence for encoding \"UTF8\": 0x00 at byte " + std::to_string(at);
      return false;
    }
    if (!SplitFields(record, fields_, scratch_)) {
      reason = "unterminated CSV quoted field";
      return false;
    }
    if (fields_.size() > header_.size()) {
      reason = "extra data after last expected column";
      return false;
    }
    if (fields_.size() < header_.size()) {
      reason = "missing data for column \"" + header_[fields_.size()] + "\"";
      return false;
    }
    for (size_t c = 0; c < writers_.size(); ++c) {
      const CsvField* field = field_of_column_[c] == SIZE_MAX ? nullptr : &fields_[field_of_column_[c]];
      if (field == nullptr || field->null) {
        if (!writers_[c].field().nullable) {
          reason = "column \"" + writers_[c].field().name + "\": null value violates not-null constraint";
          return false;
        }
        writers_[c].Null(row);
      } else if (!writers_[c].Text(row, field->text, Lifetime::kTemporary, reason)) {
        reason = "column \"" + writers_[c].field().name + "\": " + reason;
        return false;
      }
    }
    return true;
  }

  std::vector<int> columns_;
  std::vector<std::string> header_;
  std::vector<CellWriter> writers_;
  std::vector<size_t> field_of_column_;  // SIZE_MAX: the file has no such column
  std::vector<CsvField> fields_;
  std::string scratch_;
};

}  // namespace

Result<std::unique_ptr<CsvDecoder>> CsvDecoder::Make(const data::Schema& schema, std::vector<int> columns, const std::vector<std::string>& header) {
  for (const data::Field& field : schema.fields) {
    const auto count = std::count(header.begin(), header.end(), field.name);
    if (count > 1) return Error(sqlstate::kDuplicateColumn, "column \"" + field.name + "\" occurs more than once in the header");
    if (count == 1 || field.nullable) continue;
    std::string names;
    for (const std::string& name : header) names += (names.empty() ? "" : ", ") + name;
    return Error(sqlstate::kUndefinedColumn, "column \"" + field.name + "\" is not in the header")
        .Detail("The header has the columns " + names + ".");
  }
  return std::unique_ptr<CsvDecoder>(new Decoder(schema, std::move(columns), header));
}

Result<std::vector<std::optional<std::string>>> SplitCsvRecord(std::string_view record) {
  std::vector<CsvField> fields;
  std::string scratch;
  if (!SplitFields(record, fields, scratch)) return Error(sqlstate::kInvalidTextRepresentation, "unterminated CSV quoted field");
  std::vector<std::optional<std::string>> out;
  for (const CsvField& field : fields) out.push_back(field.null ? std::nullopt : std::optional<std::string>(field.text));
  return out;
}

}  // namespace kappa::format
