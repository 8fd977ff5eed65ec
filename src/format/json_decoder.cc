// JSON records into columns: scan a window, convert it column by column, take out the rows that failed.
#include <algorithm>
#include <memory>

#include "base/check.h"
#include "format/cell_writer.h"
#include "format/decoder.h"
#include "format/json_diagnosis.h"
#include "format/json_scan.h"
#include "format/json_values.h"

namespace kappa::format {
namespace {

std::vector<std::string> Names(const data::Schema& schema) {
  std::vector<std::string> names;
  for (const data::Field& field : schema.fields) names.push_back(field.name);
  return names;
}

}  // namespace

struct JsonDecoder::Impl {
  Impl(const data::Schema& schema, std::vector<int> wanted, DecodeOptions opts)
      : columns(std::move(wanted)), options(opts), scanner(Names(schema)), values(opts.json_timestamps) {
    for (int c = 0; c < schema.size(); ++c) {
      const bool build = std::find(columns.begin(), columns.end(), c) != columns.end();
      writers.emplace_back(schema.fields[static_cast<size_t>(c)], build);
    }
  }

  Result<data::Batch> Decode(std::span<const std::string_view> records, const data::Keepalive& storage, std::vector<int32_t>& good,
                             std::vector<BadRecord>& bad);
  /// Scans and converts records[from, to), none of which is empty or too long.
  void DecodeRun(std::span<const std::string_view> records, size_t from, size_t to, std::vector<BadRecord>& bad);

  std::vector<int> columns;
  DecodeOptions options;
  JsonScanner scanner;
  JsonValues values;
  std::vector<CellWriter> writers;
  // Of the call in progress: rows are written for every record that scans, then those that did not convert are taken
  // out.
  std::vector<int32_t> record_of_row;
  std::vector<std::pair<int64_t, std::string>> failed_rows;  // row, reason; the first failing column's reason stays
};

void JsonDecoder::Impl::DecodeRun(std::span<const std::string_view> records, size_t from, size_t to, std::vector<BadRecord>& bad) {
  while (from < to) {
    const JsonScanner::Window window = scanner.Scan(records.subspan(from, to - from));
    const auto first_row = static_cast<int64_t>(record_of_row.size());
    for (size_t i = 0; i < window.good; ++i) record_of_row.push_back(static_cast<int32_t>(from + i));
    for (size_t c = 0; window.good > 0 && c < writers.size(); ++c) {
      values.Convert({scanner.tokens(c), window.good}, writers[c], first_row, [&](size_t i, std::string reason) {
        failed_rows.emplace_back(first_row + static_cast<int64_t>(i), "column \"" + writers[c].field().name + "\": " + std::move(reason));
      });
    }
    from += window.records;
    if (!window.bad) continue;
    std::string reason = JsonDiagnosis(records[from - 1]);
    KAPPA_DCHECK(!reason.empty());
    if (reason.empty()) reason = "invalid JSON";
    bad.push_back({static_cast<int64_t>(from - 1), std::move(reason)});
  }
}

Result<data::Batch> JsonDecoder::Impl::Decode(std::span<const std::string_view> records, const data::Keepalive& storage, std::vector<int32_t>& good,
                                              std::vector<BadRecord>& bad) {
  good.clear();
  bad.clear();
  record_of_row.clear();
  failed_rows.clear();
  for (CellWriter& writer : writers) writer.Start(static_cast<int64_t>(records.size()));
  size_t from = 0;
  for (size_t i = 0; i <= records.size(); ++i) {
    const bool end = i == records.size();
    if (!end && !records[i].empty() && records[i].size() <= options.record_bytes_max) [[likely]]
      continue;
    DecodeRun(records, from, i, bad);
    from = i + 1;
    if (end) break;
    if (records[i].empty()) {
      bad.push_back({static_cast<int64_t>(i), records[i].data() == nullptr ? "record has no value" : "invalid JSON at byte 0: empty record"});
    } else {
      bad.push_back({static_cast<int64_t>(i), RecordTooLong(records[i].size(), options.record_bytes_max)});
    }
  }

  std::vector<int32_t> kept;  // rows without those that failed
  std::stable_sort(failed_rows.begin(), failed_rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  auto failed = failed_rows.begin();
  for (size_t row = 0; row < record_of_row.size(); ++row) {
    if (failed == failed_rows.end() || failed->first != static_cast<int64_t>(row)) {
      if (!failed_rows.empty()) kept.push_back(static_cast<int32_t>(row));
      good.push_back(record_of_row[row]);
      continue;
    }
    bad.push_back({record_of_row[row], std::move(failed->second)});
    while (failed != failed_rows.end() && failed->first == static_cast<int64_t>(row)) ++failed;
  }
  std::sort(bad.begin(), bad.end(), [](const BadRecord& a, const BadRecord& b) { return a.index < b.index; });

  data::Batch batch;
  batch.rows = static_cast<int64_t>(good.size());
  std::vector<data::ColumnPtr> built(writers.size());
  for (size_t c = 0; c < writers.size(); ++c) {
    data::ColumnPtr column = writers[c].Finish(storage);
    if (!writers[c].build()) continue;
    if (!failed_rows.empty()) {
      column = data::Gather(*column, kept);
    } else if (column->size() != batch.rows) {
      column = data::Slice(column, 0, batch.rows);
    }
    built[c] = std::move(column);
  }
  for (int c : columns) batch.columns.push_back(built[static_cast<size_t>(c)]);
  return batch;
}

std::string RecordTooLong(size_t bytes, size_t bytes_max) {
  return "record of " + std::to_string(bytes) + " bytes is longer than record_bytes_max (" + std::to_string(bytes_max) + ")";
}

JsonDecoder::JsonDecoder(const data::Schema& schema, std::vector<int> columns, DecodeOptions options)
    : impl_(std::make_unique<Impl>(schema, std::move(columns), options)) {}
JsonDecoder::~JsonDecoder() = default;

Result<data::Batch> JsonDecoder::Decode(std::span<const std::string_view> values, data::Keepalive storage, std::vector<int32_t>& good,
                                        std::vector<BadRecord>& bad) {
  return impl_->Decode(values, storage, good, bad);
}

}  // namespace kappa::format
