// Walks the batches of a segment file, headers only or with every byte checked.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "io/file.h"
#include "log/record_batch.h"

namespace kappa::log {

/// Reads [from, to) of a file in chunks, bounded memory whatever the batches claim.
class BatchScanner {
 public:
  enum class Found {
    kBatch,   // header() and position() describe it
    kEnd,     // exactly at `to`
    kBroken,  // what begins at position() is not a whole valid batch; reason() says why
  };
  BatchScanner(const io::File& file, uint64_t from, uint64_t to) : file_(file), position_(from), next_(from), to_(to) {}

  /// Fails only when the file cannot be read.
  Result<Found> Next(bool check_crc);
  const BatchHeader& header() const { return header_; }
  /// The batch that was found, whole; valid until the next call. Fails with data_corrupted when its checksum is wrong.
  Result<std::string_view> Contents();
  uint64_t position() const { return position_; }
  /// Where the next batch begins.
  uint64_t next_position() const { return next_; }
  const std::string& reason() const { return reason_; }

 private:
  Result<std::string_view> Bytes(uint64_t position, size_t at_least, size_t chunk);
  Result<bool> CrcMatches();
  Found Broken(std::string reason) {
    reason_ = std::move(reason);
    return Found::kBroken;
  }

  const io::File& file_;
  uint64_t position_;
  uint64_t next_;
  const uint64_t to_;
  BatchHeader header_{};
  std::string reason_;
  std::string buffer_;
  uint64_t buffer_at_ = 0;
};

}  // namespace kappa::log
