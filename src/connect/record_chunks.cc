// Chunks: read a buffer full, cut behind the last record's end, carry the rest into the next buffer. A plain file of lines is cut before it is
// read, as its last line end before a place is all that must be known: so its chunks can be read side by side.
#include "connect/record_chunks.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "format/decoder.h"

namespace kappa::connect {

/// Buffers that columns no longer point into are used again: fresh memory costs a page fault every 4 KiB.
class RecordChunks::Pool {
 public:
  struct Memory {
    std::unique_ptr<char[]> bytes;
    size_t capacity = 0;
  };
  Memory Take(size_t capacity) {
    {
      std::lock_guard lock(mutex_);
      if (!free_.empty() && free_.back().capacity >= capacity) {
        Memory memory = std::move(free_.back());
        free_.pop_back();
        return memory;
      }
    }
    return {std::unique_ptr<char[]>(new char[capacity + format::kPadding]), capacity};
  }
  void Give(Memory memory) {
    constexpr size_t kKeptBytesMax = 8 << 20;  // a huge record's buffer is not worth keeping
    if (memory.capacity > kKeptBytesMax) return;
    std::lock_guard lock(mutex_);
    if (free_.size() >= 8) free_.erase(free_.begin());
    free_.push_back(std::move(memory));
  }

 private:
  std::mutex mutex_;
  std::vector<Memory> free_;
};

class RecordChunks::Buffer {
 public:
  Buffer(std::shared_ptr<Pool> pool, size_t capacity) : pool_(std::move(pool)), memory_(pool_->Take(capacity)) {}
  ~Buffer() { pool_->Give(std::move(memory_)); }
  char* data() { return memory_.bytes.get(); }
  size_t capacity() const { return memory_.capacity; }
  std::string_view text() const { return {memory_.bytes.get(), size}; }
  void Grow(size_t capacity) {
    if (capacity <= memory_.capacity) return;
    Pool::Memory larger = pool_->Take(capacity);
    std::memcpy(larger.bytes.get(), memory_.bytes.get(), size);
    memory_ = std::move(larger);
  }
  size_t size = 0;

 private:
  std::shared_ptr<Pool> pool_;
  Pool::Memory memory_;
};

RecordChunks::RecordChunks(std::unique_ptr<ByteStream> stream, Framing framing, size_t record_bytes_max)
    : stream_(std::move(stream)),
      lines_(framing == Framing::kLines ? stream_->plain_file() : nullptr),
      framing_(framing),
      record_bytes_max_(record_bytes_max),
      pool_(std::make_shared<Pool>()) {}
RecordChunks::~RecordChunks() = default;

Result<size_t> RecordChunks::Read(char* into, size_t bytes) {
  if (lines_ == nullptr) return stream_->Read(into, bytes);
  KAPPA_ASSIGN_OR_RETURN(const size_t got, lines_->ReadAt(position_, into, bytes));
  position_ += got;
  return got;
}

/// Length of the whole records at the front of `text`. `quoted` says whether its start lies inside quotes, and
/// afterwards whether its end does.
size_t RecordChunks::WholeRecords(std::string_view text, bool& quoted) const {
  if (framing_ == Framing::kLines) {
    const size_t last = text.rfind('\n');
    return last == std::string_view::npos ? 0 : last + 1;
  }
  size_t whole = 0;
  for (size_t at = 0;; quoted = !quoted) {
    const size_t quote = std::min(text.find('"', at), text.size());
    if (!quoted) {
      const size_t last = text.substr(at, quote - at).rfind('\n');
      if (last != std::string_view::npos) whole = at + last + 1;
    }
    if (quote == text.size()) return whole;
    at = quote + 1;
  }
}

Status RecordChunks::Start() {
  if (std::exchange(started_, true)) return {};
  char mark[3];
  size_t have = 0;
  while (have < sizeof mark && !stream_ended_) {
    KAPPA_ASSIGN_OR_RETURN(const size_t got, Read(mark + have, sizeof mark - have));
    have += got;
    stream_ended_ = got == 0;
  }
  if (std::string_view(mark, have) != "\xef\xbb\xbf") carry_.assign(mark, have);
  return {};
}

Result<std::optional<std::string>> RecordChunks::TakeHeader() {
  KAPPA_RETURN_IF_ERROR(Start());
  for (;;) {
    size_t length = framing_ == Framing::kCsvRecords ? format::CsvRecordLength(carry_, stream_ended_) : carry_.find('\n') + 1;
    if (length == 0 && stream_ended_) length = carry_.size();
    if (length > 0) {
      std::string record = carry_.substr(0, length);
      carry_.erase(0, length);
      if (record.ends_with('\n')) record.pop_back();
      if (record.ends_with('\r')) record.pop_back();
      return std::optional<std::string>(std::move(record));
    }
    if (stream_ended_) return std::optional<std::string>();
    if (carry_.size() > record_bytes_max_) {
      return Error(sqlstate::kProgramLimitExceeded,
                   "the header of the file is longer than record_bytes_max (" + std::to_string(record_bytes_max_) + " bytes)");
    }
    const size_t before = carry_.size();
    carry_.resize(before + (64 << 10));
    KAPPA_ASSIGN_OR_RETURN(const size_t got, Read(carry_.data() + before, carry_.size() - before));
    carry_.resize(before + got);
    stream_ended_ = got == 0;
  }
}

/// Reads until `buffer` holds `bytes` bytes; false when the stream ended before.
Result<bool> RecordChunks::Fill(Buffer& buffer, size_t bytes) {
  buffer.Grow(bytes);
  while (buffer.size < bytes && !stream_ended_) {
    KAPPA_ASSIGN_OR_RETURN(const size_t got, Read(buffer.data() + buffer.size, bytes - buffer.size));
    buffer.size += got;
    stream_ended_ = got == 0;
  }
  return !stream_ended_;
}

/// A chunk of a plain file without its text; nullopt where none can be had so.
Result<std::optional<Chunk>> RecordChunks::Bounds(size_t target_bytes) {
  constexpr size_t kLookBack = 64 << 10;
  position_ -= carry_.size();
  carry_.clear();
  KAPPA_ASSIGN_OR_RETURN(const uint64_t size, lines_->Size());
  size_t bytes = std::min<uint64_t>(target_bytes, size - std::min(size, position_));
  if (position_ + bytes < size) {
    std::string end;
    size_t line_end = std::string::npos;
    for (size_t look = 1024; line_end == std::string::npos; look *= 8) {
      if (look > kLookBack || look > bytes) return std::optional<Chunk>();
      end.resize(look);
      KAPPA_ASSIGN_OR_RETURN(const size_t got, lines_->ReadAt(position_ + bytes - look, end.data(), look));
      if (got < look) return std::optional<Chunk>();
      line_end = end.rfind('\n');
    }
    bytes -= end.size() - line_end - 1;
  }
  if (bytes == 0) return std::optional<Chunk>();
  Chunk chunk;
  chunk.position = std::exchange(position_, position_ + bytes);
  chunk.unread = bytes;
  return std::optional<Chunk>(std::move(chunk));
}

Status RecordChunks::Load(Chunk& chunk) const {
  if (chunk.unread == 0) return {};
  auto buffer = std::make_shared<Buffer>(pool_, chunk.unread);
  KAPPA_ASSIGN_OR_RETURN(buffer->size, lines_->ReadAt(chunk.position, buffer->data(), chunk.unread));
  std::memset(buffer->data() + buffer->size, 0, format::kPadding);
  chunk.text = buffer->text();
  chunk.memory = std::move(buffer);
  chunk.unread = 0;
  return {};
}

Result<std::optional<Chunk>> RecordChunks::Next(size_t target_bytes) {
  KAPPA_RETURN_IF_ERROR(Start());
  if (carry_.empty() && stream_ended_) return std::optional<Chunk>();
  if (lines_ != nullptr && !stream_ended_) {
    KAPPA_ASSIGN_OR_RETURN(std::optional<Chunk> chunk, Bounds(std::max(target_bytes, size_t{4096})));
    if (chunk) return chunk;
  }
  size_t target = std::max({target_bytes, size_t{4096}, carry_.size()});
  auto buffer = std::make_shared<Buffer>(pool_, target);
  std::memcpy(buffer->data(), carry_.data(), carry_.size());
  buffer->size = carry_.size();
  carry_.clear();
  bool quoted = false;
  size_t scanned = 0;
  size_t whole = 0;
  for (;;) {
    KAPPA_ASSIGN_OR_RETURN(const bool more, Fill(*buffer, target));
    const size_t found = WholeRecords(buffer->text().substr(scanned), quoted);
    if (found > 0) whole = scanned + found;
    if (!more) whole = buffer->size;
    if (whole > 0 || !more) break;
    if (buffer->size > record_bytes_max_ + 2) return SkipTooLong(buffer->text());
    scanned = buffer->size;
    target = std::min(target * 2, std::max(target + 1, record_bytes_max_ + 3));
  }
  if (whole == 0) return std::optional<Chunk>();  // at the end
  carry_.assign(buffer->data() + whole, buffer->size - whole);
  if (stream_ended_) std::memset(buffer->data() + buffer->size, 0, format::kPadding);
  Chunk chunk;
  chunk.text = {buffer->data(), whole};
  chunk.memory = std::move(buffer);
  return std::optional<Chunk>(std::move(chunk));
}

/// Reads over the rest of a record that is too long to be held.
Result<std::optional<Chunk>> RecordChunks::SkipTooLong(std::string_view beginning) {
  Chunk::TooLong record{beginning.size(), std::string(beginning.substr(0, kTooLongBytesKept))};
  bool quoted = std::count(beginning.begin(), beginning.end(), '"') % 2 == 1;
  char last = beginning.back();
  std::string piece(256 << 10, '\0');
  for (;;) {
    KAPPA_ASSIGN_OR_RETURN(const size_t got, Read(piece.data(), piece.size()));
    if (got == 0) {
      stream_ended_ = true;
      break;
    }
    size_t end = 0;  // of the record, its line end included
    for (; end < got; ++end) {
      if (piece[end] == '"') quoted = !quoted;
      if (piece[end] == '\n' && (framing_ == Framing::kLines || !quoted)) break;
    }
    record.bytes += end;
    record.beginning.append(piece, 0, std::min(end, kTooLongBytesKept - record.beginning.size()));
    if (end > 0) last = piece[end - 1];
    if (end < got) {
      carry_.assign(piece, end + 1, got - end - 1);
      if (last == '\r') {
        --record.bytes;
        record.beginning.resize(std::min(record.beginning.size(), record.bytes));
      }
      break;
    }
  }
  Chunk chunk;
  chunk.too_long = std::move(record);
  return std::optional<Chunk>(std::move(chunk));
}

}  // namespace kappa::connect
