// Files as partitions: the rows of .jsonl, .csv and .parquet files (plain, .zst, .gz), in file order.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/batch.h"
#include "format/decoder.h"

namespace kappa::connect {

/// A bounded step of input.
struct FileBatch {
  data::Batch rows;                    // good rows, the asked columns
  int64_t records = 0;                 // records read, good and bad
  size_t input_bytes = 0;              // about so many bytes of the file, uncompressed
  std::vector<int64_t> offsets;        // of the good rows: record number within the file, from 0; empty means first_offset + i
  int64_t first_offset = 0;
  struct Bad {
    int64_t offset;
    std::string reason;
    std::string bytes;
  };
  std::vector<Bad> bad;
};

/// One file, read once from start to end by one thread; others may decode ahead for it.
class FileSource {
 public:
  virtual ~FileSource() = default;
  /// The next batch (about `target_bytes` of input, or less), nullopt at the end. Decodes it unless that is done, waits while another thread does.
  virtual Result<std::optional<FileBatch>> Next(size_t target_bytes) = 0;
  /// True when Next neither decodes nor waits.
  virtual bool IsReady() = 0;
  /// Decodes a batch that Next will give; false when enough lies ready, or as many threads are at it as may be. Any thread, also beside Next.
  virtual bool DecodeAhead() = 0;
};

/// Opens by extension. `columns` index the schema. Fails with undefined_file, or invalid_parameter_value for an unknown
/// extension (with the known ones as a hint). At most `threads` threads decode at the same time.
Result<std::unique_ptr<FileSource>> OpenFileSource(const std::string& path, const data::Schema& schema, std::vector<int> columns,
                                                   const format::DecodeOptions& options, int threads);

/// Writes rows by extension (.csv, .jsonl, .parquet, with .zst or .gz on the first two).
class FileSink {
 public:
  virtual ~FileSink() = default;
  virtual Status Write(const data::Batch& rows) = 0;
  /// Finishes and renames the file into place; without it nothing appears at `path`.
  virtual Status Close() = 0;
};
Result<std::unique_ptr<FileSink>> OpenFileSink(const std::string& path, const data::Schema& schema);

}  // namespace kappa::connect
