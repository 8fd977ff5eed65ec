// Cuts a byte stream into chunks of whole records.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "connect/byte_stream.h"
#include "data/column.h"

namespace kappa::connect {

enum class Framing {
  kLines,       // a record is a line
  kCsvRecords,  // a line, but line ends inside double quotes belong to the record
};

/// Whole records with their line ends. format::kPadding readable bytes follow `text`.
struct Chunk {
  std::string_view text;
  data::Keepalive memory;
  uint64_t position = 0;  // of the text in the file
  size_t unread = 0;      // bytes of it that Load has still to read
  /// A record too long to be held: then `text` is empty and this is its size and its first bytes.
  struct TooLong {
    size_t bytes;
    std::string beginning;
  };
  std::optional<TooLong> too_long;
};

/// Bytes of a bad record that are kept when the record is longer than record_bytes_max.
inline constexpr size_t kTooLongBytesKept = 64 << 10;

class RecordChunks {
 public:
  RecordChunks(std::unique_ptr<ByteStream> stream, Framing framing, size_t record_bytes_max);
  ~RecordChunks();
  /// The first record without its line end, before any call of Next; nullopt when the file is empty. A byte order mark
  /// is dropped.
  Result<std::optional<std::string>> TakeHeader();
  /// About `target_bytes` of whole records, more when one record is longer; nullopt at the end. Of a plain file of lines just the bounds.
  Result<std::optional<Chunk>> Next(size_t target_bytes);
  /// Reads the text of a chunk that has bounds alone. Any thread, also beside Next.
  Status Load(Chunk& chunk) const;

 private:
  class Pool;
  class Buffer;
  Result<size_t> Read(char* into, size_t bytes);
  Result<std::optional<Chunk>> Bounds(size_t target_bytes);
  Result<bool> Fill(Buffer& buffer, size_t bytes);
  Result<std::optional<Chunk>> SkipTooLong(std::string_view beginning);
  size_t WholeRecords(std::string_view text, bool& quoted) const;
  Status Start();

  std::unique_ptr<ByteStream> stream_;
  const io::File* const lines_;  // a plain file of lines, which is read here, at any place; else null
  uint64_t position_ = 0;        // in it: what comes next, behind carry_
  const Framing framing_;
  const size_t record_bytes_max_;
  std::shared_ptr<Pool> pool_;
  std::string carry_;  // read, but not yet in a chunk
  bool started_ = false;
  bool stream_ended_ = false;
};

}  // namespace kappa::connect
