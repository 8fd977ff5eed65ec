// INSERT, UPDATE, DELETE: rows become records of the log; the statement returns when they are visible.
#include <fmt/format.h>

#include <algorithm>

#include "data/row_key.h"
#include "engine/core.h"
#include "format/decoder.h"
#include "log/record_batch.h"

namespace kappa::engine {
namespace {

constexpr size_t kBatchBytes = 1 << 20;

Status CheckNotNull(std::string_view relation, const data::Schema& schema, const data::Batch& rows) {
  for (int c = 0; c < schema.size(); ++c) {
    const data::Field& field = schema.fields[static_cast<size_t>(c)];
    if (field.nullable || !rows.columns[static_cast<size_t>(c)]->has_nulls()) continue;
    return Error(sqlstate::kNotNullViolation,
                 fmt::format("null value in column \"{}\" of relation \"{}\" violates not-null constraint", field.name, relation));
  }
  return {};
}

std::string KeyJson(const data::Schema& schema, const std::vector<int>& key, const data::Batch& rows, int64_t row) {
  data::Schema key_schema;
  data::Batch key_rows;
  key_rows.rows = rows.rows;
  for (int column : key) {
    key_schema.fields.push_back(schema.fields[static_cast<size_t>(column)]);
    key_rows.columns.push_back(rows.columns[static_cast<size_t>(column)]);
  }
  std::string json;
  format::AppendJsonRow(key_schema, key_rows, row, json);
  return json;
}

std::string KeyDetail(const data::Schema& schema, const std::vector<int>& key, const data::Batch& rows, int64_t row) {
  std::string names, values;
  for (int column : key) {
    names += (names.empty() ? "" : ", ") + schema.fields[static_cast<size_t>(column)].name;
    values += (values.empty() ? "" : ", ") + data::ToText(data::ValueAt(*rows.columns[static_cast<size_t>(column)], row));
  }
  return fmt::format("Key ({})=({}) already exists.", names, values);
}

}  // namespace

TableRuntime* Core::FindTableRuntime(const std::string& name) {
  std::lock_guard guard(publish_);
  auto it = tables_.find(name);
  return it == tables_.end() ? nullptr : it->second.get();
}

Result<int64_t> Core::AppendRecords(log::Topic& topic, uint32_t relation,
                                    const std::vector<std::pair<std::optional<std::string>, std::optional<std::string>>>& records, bool by_key,
                                    const std::function<bool()>& cancelled) {
  const int32_t partitions = topic.partition_count();
  std::vector<log::BatchBuilder> batches(static_cast<size_t>(partitions));
  std::vector<log::Offset> wanted(static_cast<size_t>(partitions), 0);
  const int64_t now_ms = clock_.WallMicros() / 1000;
  std::mutex mutex;
  std::condition_variable done;
  int waiting = 0;
  log::KafkaError failure = log::KafkaError::kNone;
  std::string message;
  auto flush = [&](size_t p) {
    if (batches[p].count() == 0) return true;
    {
      std::lock_guard guard(mutex);
      ++waiting;
    }
    log::AppendResult result = topic.partition(static_cast<int32_t>(p)).Append(batches[p].Finish(), [&](log::KafkaError error) {
      std::lock_guard guard(mutex);
      --waiting;
      if (error != log::KafkaError::kNone) failure = error;
      done.notify_all();
    });
    batches[p] = {};
    if (result.error != log::KafkaError::kNone) {
      std::lock_guard guard(mutex);
      --waiting;
      failure = result.error;
      message = result.message;
      return false;
    }
    wanted[p] = result.next_offset;
    return true;
  };
  for (const auto& [key, value] : records) {
    const auto p = static_cast<size_t>(by_key && key ? log::PartitionForKey(*key, partitions)
                                                     : static_cast<int32_t>(insert_counter_++ % static_cast<uint64_t>(partitions)));
    batches[p].Add(now_ms, key, value);
    if (batches[p].size() >= kBatchBytes && !flush(p)) break;
  }
  for (size_t p = 0; p < batches.size() && failure == log::KafkaError::kNone; ++p) flush(p);
  {
    std::unique_lock guard(mutex);
    done.wait(guard, [&] { return waiting == 0; });
    if (failure != log::KafkaError::kNone) {
      return Error(failure == log::KafkaError::kKafkaStorageError ? sqlstate::kDiskFull : sqlstate::kIoError,
                   fmt::format("could not append to topic \"{}\"{}", topic.name(), message.empty() ? "" : ": " + message));
    }
  }
  KAPPA_RETURN_IF_ERROR(WaitForVisible(relation, wanted, cancelled));
  return static_cast<int64_t>(records.size());
}

Result<int64_t> Core::InsertIntoStream(const std::string& name, const data::Batch& rows, const std::function<bool()>& cancelled) {
  const catalog::SnapshotPtr snapshot = catalog();
  const catalog::Stream* stream = snapshot->FindStream(name);
  if (stream == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("stream \"{}\" does not exist", name));
  KAPPA_RETURN_IF_ERROR(CheckNotNull(name, stream->schema, rows));
  auto topic = log_->FindTopic(stream->topic);
  if (!topic) return Error(sqlstate::kDataCorrupted, fmt::format("topic \"{}\" is missing", stream->topic));
  const int key = stream->key.empty() ? -1 : stream->schema.Find(stream->key);
  std::vector<std::pair<std::optional<std::string>, std::optional<std::string>>> records;
  for (int64_t row = 0; row < rows.rows; ++row) {
    std::string json;
    format::AppendJsonRow(stream->schema, rows, row, json);
    std::optional<std::string> key_text;
    if (key >= 0 && !rows.columns[static_cast<size_t>(key)]->IsNull(row))
      key_text = data::ToText(data::ValueAt(*rows.columns[static_cast<size_t>(key)], row));
    records.emplace_back(std::move(key_text), std::move(json));
  }
  return AppendRecords(*topic, stream->id, records, true, cancelled);
}

Result<int64_t> Core::InsertIntoTable(const std::string& name, const data::Batch& rows, sql::InsertStatement::Conflict conflict,
                                      const std::function<bool()>& cancelled) {
  const catalog::SnapshotPtr snapshot = catalog();
  const catalog::Table* table = snapshot->FindTable(name);
  TableRuntime* runtime = FindTableRuntime(name);
  if (table == nullptr || runtime == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("table \"{}\" does not exist", name));
  KAPPA_RETURN_IF_ERROR(CheckNotNull(name, table->schema, rows));
  auto topic = log_->FindTopic(table->topic);
  if (!topic) return Error(sqlstate::kDataCorrupted, fmt::format("topic \"{}\" is missing", table->topic));
  std::lock_guard writer(runtime->dml);
  std::optional<ops::ViewSnapshot> current;
  {
    std::lock_guard guard(publish_);
    current = runtime->store->Snapshot();
  }
  std::vector<data::ColumnPtr> key_columns;
  for (int column : table->primary_key) key_columns.push_back(rows.columns[static_cast<size_t>(column)]);
  data::RowKeys keys(key_columns, rows.rows);
  std::set<std::string> seen;
  std::vector<std::pair<std::optional<std::string>, std::optional<std::string>>> records;
  for (int64_t row = 0; row < rows.rows; ++row) {
    const bool exists = !seen.insert(std::string(keys.key(row))).second || current->Lookup(keys.key(row), std::vector<int>{0}).rows > 0;
    if (exists && conflict == sql::InsertStatement::Conflict::kNothing) continue;
    if (exists && conflict == sql::InsertStatement::Conflict::kError) {
      return Error(sqlstate::kUniqueViolation, fmt::format("duplicate key value violates unique constraint \"{}_pkey\"", name))
          .Detail(KeyDetail(table->schema, table->primary_key, rows, row));
    }
    std::string json;
    format::AppendJsonRow(table->schema, rows, row, json);
    records.emplace_back(KeyJson(table->schema, table->primary_key, rows, row), std::move(json));
  }
  if (records.empty()) return int64_t{0};
  return AppendRecords(*topic, table->id, records, true, cancelled);
}

Result<int64_t> Core::UpdateTable(const std::string& name, const data::Batch& rows, bool remove, const std::function<bool()>& cancelled) {
  const catalog::SnapshotPtr snapshot = catalog();
  const catalog::Table* table = snapshot->FindTable(name);
  if (table == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("table \"{}\" does not exist", name));
  if (!remove) KAPPA_RETURN_IF_ERROR(CheckNotNull(name, table->schema, rows));
  auto topic = log_->FindTopic(table->topic);
  if (!topic) return Error(sqlstate::kDataCorrupted, fmt::format("topic \"{}\" is missing", table->topic));
  if (rows.rows == 0) return int64_t{0};
  std::vector<std::pair<std::optional<std::string>, std::optional<std::string>>> records;
  for (int64_t row = 0; row < rows.rows; ++row) {
    std::optional<std::string> value;
    if (!remove) {
      value.emplace();
      format::AppendJsonRow(table->schema, rows, row, *value);
    }
    records.emplace_back(KeyJson(table->schema, table->primary_key, rows, row), std::move(value));
  }
  return AppendRecords(*topic, table->id, records, true, cancelled);
}

}  // namespace kappa::engine
