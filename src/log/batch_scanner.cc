// Chunked walking of batches.
#include "log/batch_scanner.h"

#include <algorithm>

#include "base/crc32c.h"

namespace kappa::log {
namespace {
constexpr size_t kChunkBytes = 256 << 10;       // when every byte is wanted
constexpr size_t kHeadersChunkBytes = 64 << 10;  // small batches: many headers a chunk
constexpr size_t kLoneHeaderBytes = 4 << 10;     // large batches: one header a read
constexpr size_t kLargeBatchBytes = 16 << 10;
}  // namespace

/// At least `at_least` bytes from `position` (fewer at the end of the range), reading `chunk` when the buffer lacks them.
Result<std::string_view> BatchScanner::Bytes(uint64_t position, size_t at_least, size_t chunk) {
  at_least = static_cast<size_t>(std::min<uint64_t>(at_least, to_ - position));
  if (position < buffer_at_ || position + at_least > buffer_at_ + buffer_.size()) {
    size_t wanted = static_cast<size_t>(std::min<uint64_t>(std::max(at_least, chunk), to_ - position));
    buffer_.resize(wanted);
    KAPPA_ASSIGN_OR_RETURN(size_t got, file_.ReadAt(position, buffer_.data(), wanted));
    buffer_.resize(got);
    buffer_at_ = position;
  }
  return std::string_view(buffer_).substr(std::min(buffer_.size(), static_cast<size_t>(position - buffer_at_)));
}

Result<bool> BatchScanner::CrcMatches() {
  constexpr uint64_t kCrcFrom = 21;
  uint32_t crc = 0;
  for (uint64_t at = position_ + kCrcFrom; at < next_;) {
    KAPPA_ASSIGN_OR_RETURN(std::string_view bytes, Bytes(at, 1, kChunkBytes));
    if (bytes.empty()) return false;
    bytes = bytes.substr(0, static_cast<size_t>(std::min<uint64_t>(bytes.size(), next_ - at)));
    crc = Crc32c(bytes, crc);
    at += bytes.size();
  }
  return crc == header_.crc;
}

Result<std::string_view> BatchScanner::Contents() {
  KAPPA_ASSIGN_OR_RETURN(std::string_view bytes, Bytes(position_, header_.total_bytes(), kChunkBytes));
  bytes = bytes.substr(0, header_.total_bytes());
  if (BatchCrcMatches(bytes) && bytes.size() == header_.total_bytes()) return bytes;
  return Error(sqlstate::kDataCorrupted, "segment file \"" + file_.path() + "\" is damaged")
      .Detail("At position " + std::to_string(position_) + ": checksum of batch is wrong.")
      .Hint("Restore the file from a copy.");
}

Result<BatchScanner::Found> BatchScanner::Next(bool check_crc) {
  position_ = next_;
  if (position_ >= to_) return Found::kEnd;
  size_t chunk = check_crc ? kChunkBytes : header_.total_bytes() > kLargeBatchBytes ? kLoneHeaderBytes : kHeadersChunkBytes;
  KAPPA_ASSIGN_OR_RETURN(std::string_view bytes, Bytes(position_, kBatchHeaderBytes, chunk));
  auto header = ParseBatchHeader(bytes);
  if (!header.ok()) return Broken(header.error().message());
  header_ = *header;
  if (header_.total_bytes() > to_ - position_) return Broken("batch is cut off");
  next_ = position_ + header_.total_bytes();
  if (!check_crc) return Found::kBatch;
  KAPPA_ASSIGN_OR_RETURN(bool matches, CrcMatches());
  if (matches) return Found::kBatch;
  next_ = position_;
  return Broken("checksum of batch is wrong");
}

}  // namespace kappa::log
