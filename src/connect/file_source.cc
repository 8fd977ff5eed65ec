// Chooses how to read and write a file by its name.
#include "connect/file_source.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "connect/byte_stream.h"
#include "connect/parquet.h"
#include "connect/text_file_source.h"
#include "io/file.h"

namespace kappa::connect {
namespace {

bool IsJsonLines(const FileKind& kind) { return kind.extension == ".jsonl" || kind.extension == ".ndjson"; }

Error UnknownExtension(const std::string& path) {
  return Error(sqlstate::kInvalidParameterValue, "unknown extension of file \"" + path + "\"")
      .Hint("Known are .jsonl, .ndjson and .csv, also with .zst or .gz behind, and .parquet.");
}

/// Rows as text, one record a line.
class TextSink final : public FileSink {
 public:
  TextSink(std::unique_ptr<ByteSink> bytes, data::Schema schema, bool csv) : bytes_(std::move(bytes)), schema_(std::move(schema)), csv_(csv) {
    if (csv_) format::AppendCsvHeader(schema_, text_);
  }
  Status Write(const data::Batch& rows) override {
    for (int64_t row = 0; row < rows.rows; ++row) {
      if (csv_) {
        format::AppendCsvRow(rows, row, text_);
      } else {
        format::AppendJsonRow(schema_, rows, row, text_);
        text_.push_back('\n');
      }
      if (text_.size() >= (256 << 10)) KAPPA_RETURN_IF_ERROR(Flush());
    }
    return {};
  }
  Status Close() override {
    KAPPA_RETURN_IF_ERROR(Flush());
    return bytes_->Close();
  }

 private:
  Status Flush() {
    Status written = bytes_->Write(text_);
    text_.clear();
    return written;
  }
  std::unique_ptr<ByteSink> bytes_;
  data::Schema schema_;
  bool csv_;
  std::string text_;
};

}  // namespace

Result<std::unique_ptr<FileSource>> OpenFileSource(const std::string& path, const data::Schema& schema, std::vector<int> columns,
                                                   const format::DecodeOptions& options, int threads) {
  const FileKind kind = KindOfFile(path);
  const bool parquet = kind.extension == ".parquet" && kind.compression == Compression::kNone;
  if (!parquet && !IsJsonLines(kind) && kind.extension != ".csv") return UnknownExtension(path);
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return io::FileError("open file", path, errno);
  if (S_ISDIR(info.st_mode)) return io::FileError("read file", path, EISDIR);
  if (parquet) return OpenParquetSource(path, schema, std::move(columns), threads);
  return OpenTextFileSource(path, kind, schema, std::move(columns), options, threads);
}

Result<std::unique_ptr<FileSink>> OpenFileSink(const std::string& path, const data::Schema& schema) {
  const FileKind kind = KindOfFile(path);
  if (kind.extension == ".parquet" && kind.compression == Compression::kNone) return OpenParquetSink(path, schema);
  const bool csv = kind.extension == ".csv";
  if (!csv && !IsJsonLines(kind)) return UnknownExtension(path);
  KAPPA_ASSIGN_OR_RETURN(std::unique_ptr<ByteSink> bytes, OpenByteSink(path, kind.compression));
  return std::unique_ptr<FileSink>(new TextSink(std::move(bytes), schema, csv));
}

}  // namespace kappa::connect
