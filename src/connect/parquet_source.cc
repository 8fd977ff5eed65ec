// Reads .parquet files row group by row group, only the columns that are asked for or that may refuse a row.
#include <arrow/api.h>
#include <arrow/compute/initialize.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "connect/file_parts.h"
#include "connect/parquet.h"
#include "connect/parquet_chunk.h"
#include "connect/parquet_columns.h"
#include "connect/parquet_pages.h"

namespace kappa::connect {
namespace {

/// As many as the engine's operators take at once, so that batches need not be cut: 128 KiB a column, which stays in the cache.
constexpr int64_t kBatchRowsMax = 8192;

/// How the declared columns are made of those of the file. Shared by the threads that read it.
struct ParquetPlan {
  struct Column {
    data::Field field;
    bool build = false;
    int leaf = -1;   // read from its pages
    int array = -1;  // read by Arrow: position in its batches
    std::shared_ptr<arrow::DataType> type;
    bool read() const { return leaf >= 0 || array >= 0; }
  };
  std::string path;
  std::vector<Column> columns;     // one per declared column
  std::vector<int> wanted;         // indexes of columns: what batches hold
  std::vector<int> array_leaves;   // what Arrow reads
  std::atomic<int> next_group{0};  // not taken yet
  double row_bytes = 1;
};

/// An open file, for one thread.
struct FileReader {
  std::shared_ptr<arrow::io::RandomAccessFile> input;
  std::unique_ptr<parquet::arrow::FileReader> reader;
};

class RowGroupDecoder final : public PartDecoder {
 public:
  RowGroupDecoder(std::shared_ptr<ParquetPlan> plan, FileReader file)
      : plan_(std::move(plan)),
        input_(std::move(file.input)),
        reader_(std::move(file.reader)),
        file_(*reader_->parquet_reader()),
        chunks_(plan_->columns.size()),
        pages_(plan_->columns.size()) {
    for (const ParquetPlan::Column& column : plan_->columns) writers_.emplace_back(column.field, column.build);
  }

  Result<bool> Take(size_t) override {
    const int group = plan_->next_group++;
    if (group >= reader_->num_row_groups()) return false;
    Status status = Guarded([&]() -> Status {
      rows_left_ = file_.metadata()->RowGroup(group)->num_rows();
      for (size_t c = 0; c < pages_.size(); ++c) {
        const ParquetPlan::Column& column = plan_->columns[c];
        if (column.leaf < 0) continue;
        pages_[c] = OpenPageColumn(*file_.metadata()->schema()->Column(column.leaf), *column.type, column.field.type,
                                   chunks_[c].Open(*input_, file_, group, column.leaf));
      }
      arrays_ = nullptr;
      rest_ = nullptr;
      if (plan_->array_leaves.empty()) return {};
      auto arrays = reader_->GetRecordBatchReader({group}, plan_->array_leaves);
      if (!arrays.ok()) return ArrowError(arrays.status(), plan_->path);
      arrays_ = std::move(*arrays);
      return {};
    });
    if (!status.ok()) return status.error();
    return true;
  }

  Result<std::optional<FileBatch>> Next(size_t target_bytes) override {
    if (rows_left_ == 0) return std::optional<FileBatch>();
    const auto fitting = static_cast<int64_t>(static_cast<double>(target_bytes) / plan_->row_bytes);
    const int64_t rows = std::min(rows_left_, std::clamp<int64_t>(fitting, 1, kBatchRowsMax));
    rows_left_ -= rows;
    std::map<int64_t, std::string> refused;  // row, reason of the first column
    Status status = Guarded([&] { return Read(rows, refused); });
    if (!status.ok()) return status.error();
    return std::optional<FileBatch>(Finish(rows, std::move(refused)));
  }

 private:
  /// Arrow's page readers and decoders throw.
  template <typename Body> Status Guarded(Body&& body) {
    try {
      return body();
    } catch (const parquet::ParquetStatusException& error) {
      return ArrowError(error.status(), plan_->path);
    } catch (const parquet::ParquetException& error) { return Error(sqlstate::kDataCorrupted, "file \"" + plan_->path + "\": " + error.what()); }
  }

  /// The next rows into the writers.
  Status Read(int64_t rows, std::map<int64_t, std::string>& refused) {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (arrays_ != nullptr) { KAPPA_ASSIGN_OR_RETURN(batch, NextArrays(rows)); }
    for (size_t c = 0; c < writers_.size(); ++c) {
      const ParquetPlan::Column& column = plan_->columns[c];
      if (!column.read()) continue;
      const auto failed = [&](int64_t row, std::string reason) {
        refused.emplace(row, "column \"" + column.field.name + "\": " + std::move(reason));
      };
      if (column.leaf >= 0) {
        pages_[c]->Read(rows, writers_[c], failed);
      } else {
        writers_[c].Start(rows);
        ReadArray(batch->column(column.array), writers_[c], failed);
      }
    }
    return {};
  }

  /// The next rows of what Arrow reads, whose batches have sizes of their own.
  Result<std::shared_ptr<arrow::RecordBatch>> NextArrays(int64_t rows) {
    std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
    while (rows > 0) {
      if (rest_ == nullptr || rest_->num_rows() == 0) {
        auto read = arrays_->ReadNext(&rest_);
        if (!read.ok()) return ArrowError(read, plan_->path);
        if (rest_ == nullptr) return Error(sqlstate::kDataCorrupted, "file \"" + plan_->path + "\": a column ends before its row group does");
      }
      const int64_t count = std::min(rows, rest_->num_rows());
      parts.push_back(rest_->Slice(0, count));
      rest_ = rest_->Slice(count);
      rows -= count;
    }
    if (parts.size() == 1) return parts[0];
    auto whole = arrow::ConcatenateRecordBatches(parts);
    if (!whole.ok()) return ArrowError(whole.status(), plan_->path);
    return *whole;
  }

  FileBatch Finish(int64_t rows, std::map<int64_t, std::string> refused) {
    FileBatch out;
    out.records = rows;
    out.input_bytes = static_cast<size_t>(static_cast<double>(rows) * plan_->row_bytes);
    std::vector<int32_t> kept;
    if (!refused.empty()) {
      for (int64_t row = 0; row < rows; ++row) {
        if (refused.contains(row)) continue;
        kept.push_back(static_cast<int32_t>(row));
        out.offsets.push_back(row);
      }
      for (auto& [row, reason] : refused) out.bad.push_back({row, std::move(reason), {}});
    }
    out.rows.rows = refused.empty() ? rows : static_cast<int64_t>(kept.size());
    std::vector<data::ColumnPtr> built(writers_.size());
    for (size_t c = 0; c < writers_.size(); ++c) {
      if (!writers_[c].build()) continue;
      if (!plan_->columns[c].read()) {
        built[c] = data::NullColumn(writers_[c].field().type, out.rows.rows);
        continue;
      }
      built[c] = writers_[c].Finish(nullptr);
      if (!refused.empty()) built[c] = data::Gather(*built[c], kept);
    }
    for (int c : plan_->wanted) out.rows.columns.push_back(built[static_cast<size_t>(c)]);
    return out;
  }

  const std::shared_ptr<ParquetPlan> plan_;
  const std::shared_ptr<arrow::io::RandomAccessFile> input_;
  const std::unique_ptr<parquet::arrow::FileReader> reader_;
  parquet::ParquetFileReader& file_;
  std::vector<format::CellWriter> writers_;  // one per declared column
  int64_t rows_left_ = 0;                    // of the row group
  // One per declared column.
  std::vector<ChunkReader> chunks_;
  std::vector<std::unique_ptr<PageColumn>> pages_;
  std::unique_ptr<arrow::RecordBatchReader> arrays_;
  std::shared_ptr<arrow::RecordBatch> rest_;  // of Arrow's last batch
};

Result<FileReader> OpenReader(const std::string& path, std::shared_ptr<parquet::FileMetaData> metadata) {
  auto file = arrow::io::ReadableFile::Open(path);
  if (!file.ok()) return ArrowError(file.status(), path);
  parquet::ArrowReaderProperties properties;
  properties.set_use_threads(false);
  properties.set_pre_buffer(false);  // streaming: do not hold whole row groups
  properties.set_batch_size(kBatchRowsMax);
  parquet::arrow::FileReaderBuilder builder;
  auto opened = builder.Open(*file, parquet::default_reader_properties(), std::move(metadata));
  if (!opened.ok()) return Error(sqlstate::kDataCorrupted, "file \"" + path + "\" is not a Parquet file: " + opened.message());
  auto reader = builder.properties(properties)->Build();
  if (!reader.ok()) return ArrowError(reader.status(), path);
  return FileReader{std::move(*file), std::move(*reader)};
}

/// Decides which columns are read and how each declared column is made.
Result<std::shared_ptr<ParquetPlan>> MakePlan(const std::string& path, const data::Schema& schema, std::vector<int> wanted,
                                              parquet::arrow::FileReader& reader) {
  std::shared_ptr<arrow::Schema> file_schema;
  auto got = reader.GetSchema(&file_schema);
  if (!got.ok()) return ArrowError(got, path);
  const parquet::FileMetaData& metadata = *reader.parquet_reader()->metadata();
  std::map<int, std::vector<int>> leaves_of_field;
  for (int leaf = 0; leaf < metadata.num_columns(); ++leaf) {
    const parquet::schema::Node* root = metadata.schema()->GetColumnRoot(leaf);
    leaves_of_field[metadata.schema()->group_node()->FieldIndex(*root)].push_back(leaf);
  }
  auto plan = std::make_shared<ParquetPlan>();
  plan->path = path;
  plan->wanted = std::move(wanted);
  std::map<int, int> array_of_field;  // fields that Arrow reads, in the file's order
  std::vector<int> field_of_column;
  int64_t bytes = 0;
  for (int c = 0; c < schema.size(); ++c) {
    ParquetPlan::Column& column = plan->columns.emplace_back();
    column.field = schema.fields[static_cast<size_t>(c)];
    column.build = std::find(plan->wanted.begin(), plan->wanted.end(), c) != plan->wanted.end();
    field_of_column.push_back(-1);
    const std::string& name = column.field.name;
    const std::vector<int> found = file_schema->GetAllFieldIndices(name);
    if (found.size() > 1) return Error(sqlstate::kDuplicateColumn, "file \"" + path + "\" has more than one column \"" + name + "\"");
    if (found.empty()) {
      if (column.field.nullable) continue;
      return Error(sqlstate::kUndefinedColumn, "file \"" + path + "\" has no column \"" + name + "\"").Detail("The column is NOT NULL.");
    }
    const arrow::Field& in_file = *file_schema->field(found[0]);
    if (!IsReadable(*in_file.type(), column.field.type)) {
      return Error(sqlstate::kDatatypeMismatch, "column \"" + name + "\" of file \"" + path + "\" is of type " + in_file.type()->ToString() +
                                                    ", which cannot be read as " + column.field.type.ToString());
    }
    if (!column.build && !MayRefuse(*in_file.type(), column.field.type) && (column.field.nullable || !in_file.nullable())) continue;
    const std::vector<int>& leaves = leaves_of_field[found[0]];
    for (const int leaf : leaves) {
      for (int group = 0; group < metadata.num_row_groups(); ++group) bytes += metadata.RowGroup(group)->ColumnChunk(leaf)->total_uncompressed_size();
    }
    if (leaves.size() == 1 && IsPageColumn(*metadata.schema()->Column(leaves[0]), *in_file.type(), column.field.type)) {
      column.leaf = leaves[0];
      column.type = in_file.type();
      continue;
    }
    field_of_column.back() = found[0];
    array_of_field.emplace(found[0], 0);
  }
  for (auto& [field, array] : array_of_field) {
    array = static_cast<int>(std::distance(array_of_field.begin(), array_of_field.find(field)));
    plan->array_leaves.insert(plan->array_leaves.end(), leaves_of_field[field].begin(), leaves_of_field[field].end());
  }
  for (size_t c = 0; c < plan->columns.size(); ++c) {
    if (field_of_column[c] >= 0) plan->columns[c].array = array_of_field.at(field_of_column[c]);
  }
  plan->row_bytes = std::max(1.0, static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(1, metadata.num_rows())));
  return plan;
}

}  // namespace

Result<std::unique_ptr<FileSource>> OpenParquetSource(const std::string& path, const data::Schema& schema, std::vector<int> columns, int threads) {
  auto initialized = arrow::compute::Initialize();
  if (!initialized.ok()) return ArrowError(initialized, path);
  KAPPA_ASSIGN_OR_RETURN(auto file, OpenReader(path, nullptr));
  const auto metadata = file.reader->parquet_reader()->metadata();
  KAPPA_ASSIGN_OR_RETURN(const auto plan, MakePlan(path, schema, std::move(columns), *file.reader));
  std::vector<std::unique_ptr<PartDecoder>> decoders;
  decoders.push_back(std::make_unique<RowGroupDecoder>(plan, std::move(file)));
  for (int i = 1; i < std::min(threads, metadata->num_row_groups()); ++i) {
    KAPPA_ASSIGN_OR_RETURN(auto another, OpenReader(path, metadata));
    decoders.push_back(std::make_unique<RowGroupDecoder>(plan, std::move(another)));
  }
  return MakePartSource(std::move(decoders));
}

}  // namespace kappa::connect
