// Chooses how to read and write a file by its name.
#include "connect/file_source.h"

#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
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

/// Reads another source on a thread of its own, two batches ahead.
class AheadSource final : public FileSource {
 public:
  explicit AheadSource(std::unique_ptr<FileSource> source) : source_(std::move(source)) {}
  ~AheadSource() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    space_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  Result<std::optional<FileBatch>> Next(size_t target_bytes) override {
    if (ended_) return std::optional<FileBatch>();
    target_bytes_ = target_bytes;
    if (!thread_.joinable()) thread_ = std::thread([this] { Work(); });
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return !batches_.empty(); });
    Step step = std::move(batches_.front());
    batches_.pop_front();
    lock.unlock();
    space_.notify_one();
    ended_ = !step.ok() || !step->has_value();
    return step;
  }

 private:
  using Step = Result<std::optional<FileBatch>>;
  static constexpr size_t kAheadMax = 2;

  void Work() {
    for (bool more = true; more;) {
      Step step = source_->Next(target_bytes_);
      more = step.ok() && step->has_value();
      std::unique_lock lock(mutex_);
      space_.wait(lock, [&] { return stopping_ || batches_.size() < kAheadMax; });
      if (stopping_) return;
      batches_.push_back(std::move(step));
      lock.unlock();
      ready_.notify_one();
    }
  }

  std::unique_ptr<FileSource> source_;  // the thread's, once there is one
  bool ended_ = false;
  std::atomic<size_t> target_bytes_{0};
  std::mutex mutex_;
  std::condition_variable ready_, space_;
  std::deque<Step> batches_;  // by mutex_
  bool stopping_ = false;     // by mutex_
  std::thread thread_;
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
  if (parquet) {
    KAPPA_ASSIGN_OR_RETURN(auto source, OpenParquetSource(path, schema, std::move(columns), threads));
    if (threads == 0) return source;
    return std::unique_ptr<FileSource>(new AheadSource(std::move(source)));
  }
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
