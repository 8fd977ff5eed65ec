// Files that are decoded part by part, on several threads where that is asked for, and delivered in the file's order.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "connect/file_source.h"

namespace kappa::connect {

/// Decodes one part of a file after another: a chunk of text, a row group. A file has one of them for each thread; what they share must
/// bear that.
class PartDecoder {
 public:
  virtual ~PartDecoder() = default;
  /// Takes the file's next part; false after the last one. Called by one thread at a time, whichever decoders there are.
  virtual Result<bool> Take(size_t target_bytes) = 0;
  /// The next batch of the part, nullopt at its end. Records are numbered from 0 in each batch.
  virtual Result<std::optional<FileBatch>> Next(size_t target_bytes) = 0;
};

/// A source over the decoders of one file. With `ahead` each of them gets a thread; of a part at most kAheadBytes lie ready (or one batch),
/// and at most two parts a thread are begun.
inline constexpr size_t kAheadBytes = 8 << 20;  // of input
std::unique_ptr<FileSource> MakePartSource(std::vector<std::unique_ptr<PartDecoder>> decoders, bool ahead);

}  // namespace kappa::connect
