// LineSource: the lines of files, one after the other, plain or compressed, or of standard input.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "connect/byte_stream.h"

namespace kappa::cli {

class LineSource {
 public:
  /// Bytes that may be read after a line's end: JSON parsers look ahead in steps.
  static constexpr size_t kPadding = 64;
  static constexpr size_t kLineBytesMax = 100 << 20;

  /// "-" or no path at all: standard input. All paths are checked now.
  static Result<LineSource> Open(std::vector<std::string> paths);

  /// The next line without its end; nullopt at the end of the last file. Valid until the next call. Fails with io_error, data_corrupted,
  /// program_limit_exceeded for a line longer than kLineBytesMax.
  Result<std::optional<std::string_view>> Next();
  /// Decompressed size of all files, when it is known.
  std::optional<uint64_t> bytes_total() const { return bytes_total_; }
  /// Bytes of the lines given so far, with their ends.
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  LineSource() = default;
  Result<bool> Fill();

  std::vector<std::string> paths_;
  size_t next_path_ = 0;
  std::unique_ptr<connect::ByteStream> stream_;  // null with a path open: standard input
  bool open_ = false;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;  // bytes read but not given
  std::optional<uint64_t> bytes_total_ = 0;
  uint64_t bytes_read_ = 0;
};

}  // namespace kappa::cli
