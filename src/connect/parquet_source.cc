// Reads .parquet files row group by row group, only the columns that are asked for or that may refuse a row.
#include <arrow/api.h>
#include <arrow/compute/initialize.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <algorithm>
#include <map>

#include "connect/parquet.h"
#include "connect/parquet_columns.h"

namespace kappa::connect {
namespace {

constexpr int64_t kBatchRowsMax = 1 << 17;

class ParquetSource final : public FileSource {
 public:
  ParquetSource(std::string path, const data::Schema& schema, std::vector<int> columns)
      : path_(std::move(path)), schema_(schema), columns_(std::move(columns)) {}

  Status Open(int threads) {
    auto initialized = arrow::compute::Initialize();
    if (!initialized.ok()) return ArrowError(initialized, path_);
    auto file = arrow::io::ReadableFile::Open(path_);
    if (!file.ok()) return ArrowError(file.status(), path_);
    parquet::ArrowReaderProperties properties;
    properties.set_use_threads(threads > 1);
    properties.set_pre_buffer(false);  // streaming: do not hold whole row groups
    parquet::arrow::FileReaderBuilder builder;
    auto opened = builder.Open(*file);
    if (!opened.ok()) return Error(sqlstate::kDataCorrupted, "file \"" + path_ + "\" is not a Parquet file: " + opened.message());
    auto reader = builder.properties(properties)->Build();
    if (!reader.ok()) return ArrowError(reader.status(), path_);
    reader_ = std::move(*reader);
    std::shared_ptr<arrow::Schema> file_schema;
    auto got = reader_->GetSchema(&file_schema);
    if (!got.ok()) return ArrowError(got, path_);
    return Plan(*file_schema);
  }

  Result<std::optional<FileBatch>> Next(size_t target_bytes) override {
    if (ended_) return std::optional<FileBatch>();
    Result<std::optional<FileBatch>> step = Step(target_bytes);
    ended_ = !step.ok() || !step->has_value();
    return step;
  }

 private:
  /// Decides which leaf columns are read and how each declared column is made.
  Status Plan(const arrow::Schema& file_schema) {
    const parquet::FileMetaData& metadata = *reader_->parquet_reader()->metadata();
    std::vector<bool> field_wanted(static_cast<size_t>(file_schema.num_fields()));
    for (int c = 0; c < schema_.size(); ++c) {
      const data::Field& field = schema_.fields[static_cast<size_t>(c)];
      const bool build = std::find(columns_.begin(), columns_.end(), c) != columns_.end();
      const std::vector<int> found = file_schema.GetAllFieldIndices(field.name);
      if (found.size() > 1) return Error(sqlstate::kDuplicateColumn, "file \"" + path_ + "\" has more than one column \"" + field.name + "\"");
      writers_.emplace_back(field, build);
      field_of_column_.push_back(-1);
      if (found.empty()) {
        if (!field.nullable) {
          return Error(sqlstate::kUndefinedColumn, "file \"" + path_ + "\" has no column \"" + field.name + "\"").Detail("The column is NOT NULL.");
        }
        continue;
      }
      const arrow::Field& in_file = *file_schema.field(found[0]);
      if (!IsReadable(*in_file.type(), field.type)) {
        return Error(sqlstate::kDatatypeMismatch, "column \"" + field.name + "\" of file \"" + path_ + "\" is of type " + in_file.type()->ToString() +
                                                      ", which cannot be read as " + field.type.ToString());
      }
      if (!build && !MayRefuse(*in_file.type(), field.type) && (field.nullable || !in_file.nullable())) continue;
      field_of_column_.back() = found[0];
      field_wanted[static_cast<size_t>(found[0])] = true;
    }
    std::vector<int> leaves;
    int64_t bytes = 0;
    std::map<int, int> position_of_field;  // in the batches read
    for (int leaf = 0; leaf < metadata.num_columns(); ++leaf) {
      const parquet::schema::Node* root = metadata.schema()->GetColumnRoot(leaf);
      const int field = metadata.schema()->group_node()->FieldIndex(*root);
      if (field < 0 || !field_wanted[static_cast<size_t>(field)]) continue;
      leaves.push_back(leaf);
      position_of_field.emplace(field, static_cast<int>(position_of_field.size()));
      for (int group = 0; group < metadata.num_row_groups(); ++group) bytes += metadata.RowGroup(group)->ColumnChunk(leaf)->total_uncompressed_size();
    }
    for (int& field : field_of_column_) {
      if (field >= 0) field = position_of_field.at(field);
    }
    leaves_ = std::move(leaves);
    rows_left_ = metadata.num_rows();
    row_bytes_ = std::max(1.0, static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(1, rows_left_)));
    return {};
  }

  Result<std::optional<FileBatch>> Step(size_t target_bytes) {
    const auto wanted = std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(target_bytes) / row_bytes_), 1, kBatchRowsMax);
    if (leaves_.empty()) {  // only the number of rows matters
      const int64_t rows = std::min(rows_left_, wanted);
      if (rows == 0) return std::optional<FileBatch>();
      rows_left_ -= rows;
      return Convert(nullptr, rows);
    }
    if (batches_ == nullptr) {
      reader_->set_batch_size(wanted);
      std::vector<int> groups;
      for (int group = 0; group < reader_->num_row_groups(); ++group) groups.push_back(group);
      auto batches = reader_->GetRecordBatchReader(groups, leaves_);
      if (!batches.ok()) return ArrowError(batches.status(), path_);
      batches_ = std::move(*batches);
    }
    for (;;) {
      std::shared_ptr<arrow::RecordBatch> batch;
      auto read = batches_->ReadNext(&batch);
      if (!read.ok()) return ArrowError(read, path_);
      if (batch == nullptr) return std::optional<FileBatch>();
      if (batch->num_rows() > 0) return Convert(batch.get(), batch->num_rows());
    }
  }

  Result<std::optional<FileBatch>> Convert(const arrow::RecordBatch* batch, int64_t rows) {
    std::map<int64_t, std::string> refused;  // row, reason of the first column
    for (size_t c = 0; c < writers_.size(); ++c) {
      if (field_of_column_[c] < 0) continue;
      writers_[c].Start(rows);
      ReadArray(batch->column(field_of_column_[c]), writers_[c],
                [&](int64_t row, std::string reason) { refused.emplace(row, "column \"" + writers_[c].field().name + "\": " + std::move(reason)); });
    }
    FileBatch out;
    out.records = rows;
    out.first_offset = records_;
    std::vector<int32_t> kept;
    if (!refused.empty()) {
      for (int64_t row = 0; row < rows; ++row) {
        if (refused.contains(row)) continue;
        kept.push_back(static_cast<int32_t>(row));
        out.offsets.push_back(records_ + row);
      }
      for (auto& [row, reason] : refused) out.bad.push_back({records_ + row, std::move(reason), {}});
    }
    out.rows.rows = refused.empty() ? rows : static_cast<int64_t>(kept.size());
    std::vector<data::ColumnPtr> built(writers_.size());
    for (size_t c = 0; c < writers_.size(); ++c) {
      if (!writers_[c].build()) continue;
      if (field_of_column_[c] < 0) {
        built[c] = data::NullColumn(writers_[c].field().type, out.rows.rows);
        continue;
      }
      built[c] = writers_[c].Finish(nullptr);
      if (!refused.empty()) built[c] = data::Gather(*built[c], kept);
    }
    for (int c : columns_) out.rows.columns.push_back(built[static_cast<size_t>(c)]);
    records_ += rows;
    return std::optional<FileBatch>(std::move(out));
  }

  const std::string path_;
  const data::Schema schema_;
  const std::vector<int> columns_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::vector<format::CellWriter> writers_;  // one per declared column
  std::vector<int> field_of_column_;         // position in the batches read; -1: not read
  std::vector<int> leaves_;
  int64_t rows_left_ = 0;  // while no column is read
  double row_bytes_ = 1;
  int64_t records_ = 0;
  bool ended_ = false;
};

}  // namespace

Result<std::unique_ptr<FileSource>> OpenParquetSource(const std::string& path, const data::Schema& schema, std::vector<int> columns, int threads) {
  auto source = std::make_unique<ParquetSource>(path, schema, std::move(columns));
  KAPPA_RETURN_IF_ERROR(source->Open(threads));
  return std::unique_ptr<FileSource>(std::move(source));
}

}  // namespace kappa::connect
