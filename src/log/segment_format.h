// The fixed parts of a segment file and of its index file, format version 1. Integers of ours are little-endian.
// docs/formats/segment.md tells the whole story.
//
// A segment file: header page, mark page A, mark page B (4096 bytes each), then Kafka record batches back to back.
// The header page never changes. A mark says what was durable when it was written; marks go to pages A and B in turn,
// so a write torn by a power cut destroys at most the newer one.
#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "log/log.h"

namespace kappa::log {

inline constexpr uint32_t kSegmentVersion = 1;
inline constexpr uint32_t kCompactedSegmentVersion = 2;
inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint64_t kSegmentHeaderBytes = 3 * kPageBytes;  // where the first batch begins
inline constexpr size_t kTopicNameBytesMax = 249;
inline constexpr int64_t kNoTimestamp = INT64_MIN;

//   at  bytes  field
//    0      8  magic         "KAPPASEG"
//    8      4  version       1; 2: made by compaction, CompactedHeader follows
//   12      4  partition
//   16      8  base_offset   of the first record
//   24      4  topic_length
//   28    249  topic         zeros behind the name
//  277      3  zeros
//  280      4  crc32c        of bytes 0 to 279
struct SegmentHeader {
  char magic[8];
  uint32_t version;
  int32_t partition;
  int64_t base_offset;
  uint32_t topic_length;
  char topic[kTopicNameBytesMax + 3];
  uint32_t crc32c;
  uint32_t zero;
};
static_assert(sizeof(SegmentHeader) == 288 && offsetof(SegmentHeader, crc32c) == 280);

/// In segments of version 2, behind the header.
//   at  bytes  field
//    0      8  clean_end     of the records of the partition below this offset, those of the segment are the last of their keys
//    8      4  crc32c        of bytes 0 to 7
struct CompactedHeader {
  int64_t clean_end;
  uint32_t crc32c;
  uint32_t zero;
};
static_assert(sizeof(CompactedHeader) == 16 && offsetof(CompactedHeader, crc32c) == 8);

/// What is certain about a segment: all batches below `durable_bytes` (a file position) were fdatasynced.
//   at  bytes  field
//    0      8  magic             "KAPPAMRK"
//    8      8  sequence          the mark with the higher one counts; page = sequence modulo 2
//   16      8  durable_end       offset after the last durable record
//   24      8  durable_bytes     file position after it
//   32      8  max_timestamp     of the batches below durable_end; INT64_MIN without any
//   40      8  last_append_ms    wall time of the newest append below durable_end; -1 without any
//   48      8  log_start_offset  of the partition: records below it were deleted on purpose, and the segments that held no others
//   56      4  sealed            1: complete, a next segment exists
//   60      4  crc32c            of bytes 0 to 59
struct SegmentMark {
  char magic[8];
  uint64_t sequence;
  int64_t durable_end;
  uint64_t durable_bytes;
  int64_t max_timestamp;
  int64_t last_append_ms;
  int64_t log_start_offset;
  uint32_t sealed;
  uint32_t crc32c;
};
static_assert(sizeof(SegmentMark) == 64 && offsetof(SegmentMark, crc32c) == 60);

/// One entry of the sparse index: a batch begins at `position`.
struct IndexEntry {
  int64_t offset;                // base offset of that batch
  uint64_t position;             // in the segment file
  int64_t max_timestamp_before;  // of all batches of the segment before it; INT64_MIN without any
};
static_assert(sizeof(IndexEntry) == 24);
inline constexpr uint64_t kIndexIntervalBytes = 64 << 10;

/// The first three pages of a new segment; mark A says "empty". `clean_end` makes it one of compaction.
std::string EncodeSegmentStart(std::string_view topic, int32_t partition, Offset base, Offset log_start,
                               std::optional<Offset> clean_end = std::nullopt);
std::string EncodeMark(SegmentMark mark);

struct SegmentStart {
  Offset base_offset;
  std::optional<Offset> clean_end;  // of a compacted segment
  SegmentMark mark;  // the newer valid one
};
/// Decodes and validates the first three pages of `path`. Fails with data_corrupted (damage, or a segment of another partition)
/// or feature_not_supported (newer version).
Result<SegmentStart> DecodeSegmentStart(std::string_view bytes, const std::string& path, std::string_view topic, int32_t partition);

/// "00000000000000000042.seg"
std::string SegmentFileName(Offset base, std::string_view extension);
/// The base offset in such a name, -1 when `name` is none with this extension.
Offset BaseOfFileName(std::string_view name, std::string_view extension);

}  // namespace kappa::log
