// The parts of a text file are chunks of whole records.
#include "connect/text_file_source.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "connect/file_parts.h"
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

/// The chunks of a file, which its decoders share.
class TextPartDecoder final : public PartDecoder {
 public:
  TextPartDecoder(std::shared_ptr<RecordChunks> chunks, std::unique_ptr<ChunkDecoder> decoder, size_t record_bytes_max)
      : chunks_(std::move(chunks)), decoder_(std::move(decoder)), record_bytes_max_(record_bytes_max) {}

  Result<bool> Take(size_t target_bytes) override {
    KAPPA_ASSIGN_OR_RETURN(chunk_, chunks_->Next(target_bytes));
    return chunk_.has_value();
  }

  Result<std::optional<FileBatch>> Next(size_t) override {
    if (!chunk_) return std::optional<FileBatch>();
    KAPPA_RETURN_IF_ERROR(chunks_->Load(*chunk_));
    KAPPA_ASSIGN_OR_RETURN(FileBatch batch, decoder_->Decode(*chunk_, record_bytes_max_));
    batch.input_bytes = chunk_->text.size();
    chunk_.reset();
    return std::optional<FileBatch>(std::move(batch));
  }

 private:
  const std::shared_ptr<RecordChunks> chunks_;
  const std::unique_ptr<ChunkDecoder> decoder_;
  const size_t record_bytes_max_;
  std::optional<Chunk> chunk_;
};

}  // namespace

Result<std::unique_ptr<FileSource>> OpenTextFileSource(const std::string& path, const FileKind& kind, const data::Schema& schema,
                                                       std::vector<int> columns, const format::DecodeOptions& options, int threads) {
  KAPPA_ASSIGN_OR_RETURN(std::unique_ptr<ByteStream> stream, OpenByteStream(path, kind.compression));
  const bool csv = kind.extension == ".csv";
  auto chunks = std::make_shared<RecordChunks>(std::move(stream), csv ? Framing::kCsvRecords : Framing::kLines, options.record_bytes_max);
  std::vector<std::string> header;
  if (csv) {
    KAPPA_ASSIGN_OR_RETURN(std::optional<std::string> record, chunks->TakeHeader());
    if (!record || record->empty()) {
      return Error(sqlstate::kDataException, "file \"" + path + "\" has no header").Hint("The first line of a .csv file must name its columns.");
    }
    KAPPA_ASSIGN_OR_RETURN(auto names, format::SplitCsvRecord(*record));
    for (auto& name : names) header.push_back(name.value_or(""));
  }
  std::vector<std::unique_ptr<PartDecoder>> decoders;
  for (int i = 0; i < std::max(threads, 1); ++i) {
    std::unique_ptr<ChunkDecoder> decoder;
    if (csv) {
      KAPPA_ASSIGN_OR_RETURN(auto records, format::CsvDecoder::Make(schema, columns, header));
      decoder = std::make_unique<CsvChunkDecoder>(schema, columns, std::move(records), header.size() == 1, options.record_bytes_max);
    } else {
      decoder = std::make_unique<JsonChunkDecoder>(schema, columns, options);
    }
    decoders.push_back(std::make_unique<TextPartDecoder>(chunks, std::move(decoder), options.record_bytes_max));
  }
  return MakePartSource(std::move(decoders));
}

}  // namespace kappa::connect
