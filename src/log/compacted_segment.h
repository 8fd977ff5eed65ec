// Writing of a compacted segment, beside those whose place it takes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "log/segment.h"

namespace kappa::log {

/// Takes batches in order of their offsets; where offsets are missing between them, an empty batch stands, so that every offset of the
/// segment is in some batch, as everywhere in the log. The file is temporary until its owner renames it.
class CompactedSegmentWriter {
 public:
  struct Place {
    std::string folder;
    std::string topic;
    int32_t partition;
    Offset base;
    Offset clean_end;
  };
  static Result<std::unique_ptr<CompactedSegmentWriter>> Create(Place place);

  Status Add(const BatchHeader& header, std::string_view batch);
  /// Completes the segment at `end`, durably, under its temporary name: `path()` is where it belongs.
  Result<std::shared_ptr<Segment>> Finish(Offset end, int64_t last_append_ms, Offset log_start);
  /// Removes the temporary file, as far as that can be done; else the next pass does, or the next open.
  void Discard();
  const std::string& path() const { return path_; }
  const std::string& temporary_path() const { return temporary_; }
  uint64_t bytes() const { return position_; }

 private:
  CompactedSegmentWriter(Place place, std::string path, io::File file)
      : place_(std::move(place)), path_(std::move(path)), temporary_(path_ + ".tmp"), file_(std::move(file)), end_(place_.base) {}
  Status FillTo(Offset offset);
  Status Put(const BatchHeader& header, std::string_view batch);
  Status Flush();

  const Place place_;
  const std::string path_, temporary_;
  io::File file_;
  std::string buffer_;              // not written yet
  uint64_t position_ = kSegmentHeaderBytes;
  Offset end_;                      // of the last batch
  int64_t max_timestamp_ = kNoTimestamp;
  std::vector<IndexEntry> index_;
};

}  // namespace kappa::log
