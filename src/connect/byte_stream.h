// Byte streams: a file's contents, decompressed on the way, and the way back.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/file.h"

namespace kappa::connect {

enum class Compression { kNone, kZstd, kGzip };

/// "a/b.jsonl.zst" is {".jsonl", kZstd}. The extension is in lower case.
struct FileKind {
  std::string extension;
  Compression compression = Compression::kNone;
};
FileKind KindOfFile(std::string_view path);

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Reads up to `bytes`, 0 only at the end. Fails with io_error, or data_corrupted for damaged or cut compressed data.
  virtual Result<size_t> Read(char* into, size_t bytes) = 0;
  /// The file whose bytes these are, for who would read them in another order; null when they are compressed.
  virtual const io::File* plain_file() const { return nullptr; }
};
/// Fails with undefined_file, io_error.
Result<std::unique_ptr<ByteStream>> OpenByteStream(const std::string& path, Compression compression);

/// Writes a file that appears at its path when complete. Destroyed before Close, it leaves nothing behind.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Status Write(std::string_view bytes) = 0;
  /// Flushes, syncs and renames into place.
  virtual Status Close() = 0;
};
Result<std::unique_ptr<ByteSink>> OpenByteSink(const std::string& path, Compression compression);

}  // namespace kappa::connect
