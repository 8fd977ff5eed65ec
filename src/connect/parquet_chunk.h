// The pages of a Parquet file's column chunks, read into memory that is used again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace arrow::io {
class RandomAccessFile;
}
namespace parquet {
class PageReader;
class ParquetFileReader;
}  // namespace parquet

namespace kappa::connect {

/// Bytes that may be written to; grows and does not shrink.
class Room {
 public:
  /// The first `size` bytes. What they held is gone when there were fewer.
  std::span<uint8_t> First(size_t size);

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_ = 0;
};

/// Opens one column's chunks, one after another.
class ChunkReader {
 public:
  /// Pages as Arrow's own reader gives them. The chunk is read at once; pages and reader are good until the next call. Throws
  /// parquet::ParquetException where the file's metadata says what cannot be.
  std::unique_ptr<parquet::PageReader> Open(arrow::io::RandomAccessFile& file, parquet::ParquetFileReader& reader, int group, int leaf);

 private:
  Room chunk_, page_;
};

}  // namespace kappa::connect
