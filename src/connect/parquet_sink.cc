// Writes .parquet files: zstd, row groups of up to 128 Ki rows, through the same temporary file as text sinks.
#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "connect/byte_stream.h"
#include "connect/parquet.h"
#include "connect/parquet_columns.h"

namespace kappa::connect {
namespace {

constexpr int64_t kRowGroupRows = 128 << 10;

/// Arrow's view of a ByteSink. The first error is kept: Arrow's own status would lose the SQLSTATE.
class SinkStream final : public arrow::io::OutputStream {
 public:
  explicit SinkStream(ByteSink& sink) : sink_(sink) {}
  arrow::Status Write(const void* bytes, int64_t size) override {
    Status written = sink_.Write({static_cast<const char*>(bytes), static_cast<size_t>(size)});
    if (!written.ok()) {
      if (error_.ok()) error_ = written;
      return arrow::Status::IOError(written.error().message());
    }
    position_ += size;
    return arrow::Status::OK();
  }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  const Status& error() const { return error_; }

 private:
  ByteSink& sink_;
  Status error_;
  int64_t position_ = 0;
  bool closed_ = false;
};

class ParquetSink final : public FileSink {
 public:
  ParquetSink(std::string path, data::Schema schema) : path_(std::move(path)), schema_(std::move(schema)) {}

  Status Open() {
    arrow::FieldVector fields;
    for (const data::Field& field : schema_.fields) {
      KAPPA_ASSIGN_OR_RETURN(std::shared_ptr<arrow::DataType> type, ArrowTypeOf(field));
      fields.push_back(arrow::field(field.name, std::move(type), field.nullable));
    }
    arrow_schema_ = arrow::schema(std::move(fields));
    KAPPA_ASSIGN_OR_RETURN(bytes_, OpenByteSink(path_, Compression::kNone));
    stream_ = std::make_shared<SinkStream>(*bytes_);
    auto properties = parquet::WriterProperties::Builder().compression(parquet::Compression::ZSTD)->max_row_group_length(kRowGroupRows)->build();
    auto writer = parquet::arrow::FileWriter::Open(*arrow_schema_, arrow::default_memory_pool(), stream_, properties);
    if (!writer.ok()) return Failure(writer.status());
    writer_ = std::move(*writer);
    return {};
  }
  Status Write(const data::Batch& rows) override {
    if (rows.rows == 0) return {};
    arrow::ArrayVector arrays;
    for (size_t c = 0; c < rows.columns.size(); ++c) {
      KAPPA_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Array> array, ToArrowArray(*rows.columns[c], schema_.fields[c]));
      arrays.push_back(std::move(array));
    }
    auto written = writer_->WriteRecordBatch(*arrow::RecordBatch::Make(arrow_schema_, rows.rows, std::move(arrays)));
    return written.ok() ? Status() : Failure(written);
  }
  Status Close() override {
    auto closed = writer_->Close();
    if (!closed.ok()) return Failure(closed);
    return bytes_->Close();
  }

 private:
  Status Failure(const arrow::Status& status) { return stream_->error().ok() ? Status(ArrowError(status, path_)) : stream_->error(); }

  const std::string path_;
  const data::Schema schema_;
  std::shared_ptr<arrow::Schema> arrow_schema_;
  std::unique_ptr<ByteSink> bytes_;  // outlives the writer, which flushes into it when destroyed
  std::shared_ptr<SinkStream> stream_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

}  // namespace

Result<std::unique_ptr<FileSink>> OpenParquetSink(const std::string& path, const data::Schema& schema) {
  auto sink = std::make_unique<ParquetSink>(path, schema);
  KAPPA_RETURN_IF_ERROR(sink->Open());
  return std::unique_ptr<FileSink>(std::move(sink));
}

}  // namespace kappa::connect
