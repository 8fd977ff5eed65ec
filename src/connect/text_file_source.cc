// A worker takes the next chunk of the file under a lock, decodes it without one, and hands it over by its number.
#include "connect/text_file_source.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "connect/record_chunks.h"

namespace kappa::connect {
namespace {

/// Decodes chunks; one per thread. Record numbers count from the chunk's start.
class ChunkDecoder {
 public:
  virtual ~ChunkDecoder() = default;
  Result<FileBatch> Decode(const Chunk& chunk, size_t record_bytes_max) {
    FileBatch out;
    if (chunk.too_long) {
      out.records = 1;
      out.rows = no_rows_;
      out.bad.push_back({0, format::RecordTooLong(chunk.too_long->bytes, record_bytes_max), chunk.too_long->beginning});
      return out;
    }
    records_.clear();
    Split(chunk.text);
    out.records = static_cast<int64_t>(records_.size());
    KAPPA_ASSIGN_OR_RETURN(out.rows, DecodeRecords(chunk));
    for (format::BadRecord& bad : bad_) {
      const std::string_view bytes = records_[static_cast<size_t>(bad.index)];
      const size_t kept = bytes.size() > record_bytes_max ? kTooLongBytesKept : bytes.size();
      out.bad.push_back({bad.index, std::move(bad.reason), std::string(bytes.substr(0, kept))});
    }
    if (!out.bad.empty()) out.offsets.assign(good_.begin(), good_.end());
    return out;
  }

 protected:
  explicit ChunkDecoder(data::Batch no_rows) : no_rows_(std::move(no_rows)) {}
  virtual void Split(std::string_view text) = 0;
  virtual Result<data::Batch> DecodeRecords(const Chunk& chunk) = 0;

  data::Batch no_rows_;
  std::vector<std::string_view> records_;
  std::vector<int32_t> good_;
  std::vector<format::BadRecord> bad_;
};

data::Batch NoRows(const data::Schema& schema, const std::vector<int>& columns) {
  data::Schema chosen;
  for (int c : columns) chosen.fields.push_back(schema.fields[static_cast<size_t>(c)]);
  return data::EmptyBatch(chosen);
}

/// A line of nothing but whitespace is no record.
bool IsBlank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

class JsonChunkDecoder final : public ChunkDecoder {
 public:
  JsonChunkDecoder(const data::Schema& schema, const std::vector<int>& columns, const format::DecodeOptions& options)
      : ChunkDecoder(NoRows(schema, columns)), decoder_(schema, columns, options) {}

 private:
  void Split(std::string_view text) override {
    const char* at = text.data();
    const char* end = at + text.size();
    while (at < end) {
      const char* line_end = static_cast<const char*>(std::memchr(at, '\n', static_cast<size_t>(end - at)));
      if (line_end == nullptr) line_end = end;
      std::string_view line(at, static_cast<size_t>(line_end - at));
      at = line_end + 1;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty() || (line[0] != '{' && IsBlank(line))) continue;
      records_.push_back(line);
    }
  }
  Result<data::Batch> DecodeRecords(const Chunk& chunk) override { return decoder_.Decode(records_, chunk.memory, good_, bad_); }

  format::JsonDecoder decoder_;
};

class CsvChunkDecoder final : public ChunkDecoder {
 public:
  CsvChunkDecoder(const data::Schema& schema, const std::vector<int>& columns, std::unique_ptr<format::CsvDecoder> decoder, bool one_column,
                  size_t record_bytes_max)
      : ChunkDecoder(NoRows(schema, columns)), decoder_(std::move(decoder)), one_column_(one_column), record_bytes_max_(record_bytes_max) {}

 private:
  void Split(std::string_view text) override {
    while (!text.empty()) {
      const size_t length = format::CsvRecordLength(text, /*at_end=*/true);
      std::string_view record = text.substr(0, length);
      text.remove_prefix(length);
      if (record.ends_with('\n')) record.remove_suffix(1);
      if (record.ends_with('\r')) record.remove_suffix(1);
      // The only field of a one-column file may be NULL, which is written as nothing.
      if (record.empty() && !one_column_) continue;
      records_.push_back(record);
    }
  }
  Result<data::Batch> DecodeRecords(const Chunk&) override {
    if (std::all_of(records_.begin(), records_.end(), [&](std::string_view r) { return r.size() <= record_bytes_max_; })) {
      return decoder_->Decode(records_, good_, bad_);
    }
    std::vector<std::string_view> whole;
    std::vector<int32_t> index;
    std::vector<format::BadRecord> too_long;
    for (size_t i = 0; i < records_.size(); ++i) {
      if (records_[i].size() <= record_bytes_max_) {
        whole.push_back(records_[i]);
        index.push_back(static_cast<int32_t>(i));
      } else {
        too_long.push_back({static_cast<int64_t>(i), format::RecordTooLong(records_[i].size(), record_bytes_max_)});
      }
    }
    KAPPA_ASSIGN_OR_RETURN(data::Batch batch, decoder_->Decode(whole, good_, bad_));
    for (int32_t& good : good_) good = index[static_cast<size_t>(good)];
    for (format::BadRecord& bad : bad_) bad.index = index[static_cast<size_t>(bad.index)];
    bad_.insert(bad_.end(), too_long.begin(), too_long.end());
    std::sort(bad_.begin(), bad_.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
    return batch;
  }

  std::unique_ptr<format::CsvDecoder> decoder_;
  const bool one_column_;
  const size_t record_bytes_max_;
};

class TextFileSource final : public FileSource {
 public:
  TextFileSource(std::string path, std::unique_ptr<RecordChunks> chunks, std::vector<std::unique_ptr<ChunkDecoder>> decoders, bool ahead,
                 size_t record_bytes_max)
      : path_(std::move(path)), chunks_(std::move(chunks)), decoders_(std::move(decoders)), ahead_(ahead), record_bytes_max_(record_bytes_max) {}
  ~TextFileSource() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    space_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Result<std::optional<FileBatch>> Next(size_t target_bytes) override {
    if (ended_) return std::optional<FileBatch>();
    Result<std::optional<FileBatch>> step = ahead_ ? Await(target_bytes) : Step(target_bytes);
    ended_ = !step.ok() || !step->has_value();
    if (ended_) return step;
    FileBatch& batch = **step;
    batch.first_offset = records_;
    for (int64_t& offset : batch.offsets) offset += records_;
    for (FileBatch::Bad& bad : batch.bad) bad.offset += records_;
    records_ += batch.records;
    return step;
  }

 private:
  using Step_t = Result<std::optional<FileBatch>>;

  Step_t Step(size_t target_bytes) {
    KAPPA_ASSIGN_OR_RETURN(std::optional<Chunk> chunk, chunks_->Next(target_bytes));
    if (!chunk) return std::optional<FileBatch>();
    KAPPA_ASSIGN_OR_RETURN(FileBatch batch, decoders_[0]->Decode(*chunk, record_bytes_max_));
    return std::optional<FileBatch>(std::move(batch));
  }

  Step_t Await(size_t target_bytes) {
    target_bytes_ = target_bytes;
    if (threads_.empty()) {
      for (auto& decoder : decoders_) threads_.emplace_back([this, &decoder] { Work(*decoder); });
    }
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return done_.contains(delivered_); });
    Step_t step = std::move(done_.extract(delivered_).mapped());
    ++delivered_;
    lock.unlock();
    space_.notify_all();
    return step;
  }

  void Work(ChunkDecoder& decoder) {
    const auto ahead_max = static_cast<int64_t>(2 * decoders_.size());
    for (;;) {
      std::unique_lock reading(reading_);
      {
        std::unique_lock lock(mutex_);
        space_.wait(lock, [&] { return stopping_ || taken_ - delivered_ < ahead_max; });
        if (stopping_ || read_ended_) return;
      }
      Result<std::optional<Chunk>> chunk = chunks_->Next(target_bytes_);
      const int64_t number = taken_++;
      read_ended_ = !chunk.ok() || !chunk->has_value();
      const bool ended = read_ended_;
      reading.unlock();
      if (!chunk.ok()) return Hand(number, chunk.error());
      if (ended) return Hand(number, std::optional<FileBatch>());
      Result<FileBatch> batch = decoder.Decode(**chunk, record_bytes_max_);
      chunk = std::optional<Chunk>();
      if (!batch.ok()) return Hand(number, batch.error());
      Hand(number, std::optional<FileBatch>(std::move(*batch)));
    }
  }

  void Hand(int64_t number, Step_t step) {
    {
      std::lock_guard lock(mutex_);
      done_.emplace(number, std::move(step));
    }
    ready_.notify_one();
  }

  const std::string path_;
  std::unique_ptr<RecordChunks> chunks_;  // by the holder of reading_
  std::vector<std::unique_ptr<ChunkDecoder>> decoders_;
  const bool ahead_;  // each decoder has a thread
  const size_t record_bytes_max_;
  int64_t records_ = 0;
  bool ended_ = false;

  std::atomic<size_t> target_bytes_{1 << 20};
  std::mutex reading_;
  std::atomic<int64_t> taken_{0};  // chunks numbered so far; advanced by the holder of reading_
  bool read_ended_ = false;        // by the holder of reading_
  std::mutex mutex_;
  std::condition_variable ready_, space_;
  std::map<int64_t, Step_t> done_;  // by mutex_
  int64_t delivered_ = 0;           // by mutex_
  bool stopping_ = false;           // by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<FileSource>> OpenTextFileSource(const std::string& path, const FileKind& kind, const data::Schema& schema,
                                                       std::vector<int> columns, const format::DecodeOptions& options, int threads) {
  KAPPA_ASSIGN_OR_RETURN(std::unique_ptr<ByteStream> stream, OpenByteStream(path, kind.compression));
  const bool csv = kind.extension == ".csv";
  auto chunks = std::make_unique<RecordChunks>(std::move(stream), csv ? Framing::kCsvRecords : Framing::kLines, options.record_bytes_max);
  std::vector<std::string> header;
  if (csv) {
    KAPPA_ASSIGN_OR_RETURN(std::optional<std::string> record, chunks->TakeHeader());
    if (!record || record->empty()) {
      return Error(sqlstate::kDataException, "file \"" + path + "\" has no header").Hint("The first line of a .csv file must name its columns.");
    }
    KAPPA_ASSIGN_OR_RETURN(auto names, format::SplitCsvRecord(*record));
    for (auto& name : names) header.push_back(name.value_or(""));
  }
  std::vector<std::unique_ptr<ChunkDecoder>> decoders;
  for (int i = 0; i < std::max(threads, 1); ++i) {
    if (csv) {
      KAPPA_ASSIGN_OR_RETURN(auto decoder, format::CsvDecoder::Make(schema, columns, header));
      decoders.push_back(std::make_unique<CsvChunkDecoder>(schema, columns, std::move(decoder), header.size() == 1, options.record_bytes_max));
    } else {
      decoders.push_back(std::make_unique<JsonChunkDecoder>(schema, columns, options));
    }
  }
  return std::unique_ptr<FileSource>(new TextFileSource(path, std::move(chunks), std::move(decoders), threads > 0, options.record_bytes_max));
}

}  // namespace kappa::connect
