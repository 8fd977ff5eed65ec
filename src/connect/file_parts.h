// Files that are decoded part by part, by as many threads as lend a hand, and delivered in the file's order.
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
  /// Takes the file's next part; false after the last one. Called by one thread at a time, whichever decoders there are,
  /// while others are in Next.
  virtual Result<bool> Take(size_t target_bytes) = 0;
  /// The next batch of the part, nullopt at its end. Records are numbered from 0 in each batch.
  virtual Result<std::optional<FileBatch>> Next(size_t target_bytes) = 0;
};

/// A source over the decoders of one file, as many as may work at the same time. At most kPartsAhead more parts are begun than there are
/// decoders, and no thread begins a batch while kAheadBytes lie ready.
inline constexpr size_t kAheadBytes = 8 << 20;  // of input
inline constexpr size_t kPartsAhead = 2;
std::unique_ptr<FileSource> MakePartSource(std::vector<std::unique_ptr<PartDecoder>> decoders);

}  // namespace kappa::connect
