// Encoding and validation of segment headers and marks.
#include "log/segment_format.h"

#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/crc32c.h"

namespace kappa::log {
namespace {

constexpr char kHeaderMagic[] = "KAPPASEG";
constexpr char kMarkMagic[] = "KAPPAMRK";

template <typename T> std::string_view BytesOf(const T& value, size_t bytes = sizeof(T)) { return {reinterpret_cast<const char*>(&value), bytes}; }

Error Damaged(const std::string& path, std::string detail) {
  return Error(sqlstate::kDataCorrupted, "segment file \"" + path + "\" is damaged")
      .Detail(std::move(detail))
      .Hint("Restore the file from a copy. Only if its records may be lost, move the partition's folder away and recreate the topic.");
}

bool ReadMark(std::string_view page, SegmentMark& mark) {
  std::memcpy(&mark, page.data(), sizeof mark);
  return std::memcmp(mark.magic, kMarkMagic, 8) == 0 && mark.crc32c == Crc32c(BytesOf(mark, offsetof(SegmentMark, crc32c)));
}

}  // namespace

std::string EncodeMark(SegmentMark mark) {
  std::memcpy(mark.magic, kMarkMagic, 8);
  mark.crc32c = Crc32c(BytesOf(mark, offsetof(SegmentMark, crc32c)));
  return std::string(BytesOf(mark));
}

std::string EncodeSegmentStart(std::string_view topic, int32_t partition, Offset base, Offset log_start, std::optional<Offset> clean_end) {
  KAPPA_CHECK(topic.size() <= kTopicNameBytesMax);
  SegmentHeader header{};
  std::memcpy(header.magic, kHeaderMagic, 8);
  header.version = clean_end ? kCompactedSegmentVersion : kSegmentVersion;
  header.partition = partition;
  header.base_offset = base;
  header.topic_length = static_cast<uint32_t>(topic.size());
  std::memcpy(header.topic, topic.data(), topic.size());
  header.crc32c = Crc32c(BytesOf(header, offsetof(SegmentHeader, crc32c)));
  SegmentMark mark{};
  mark.durable_end = base;
  mark.durable_bytes = kSegmentHeaderBytes;
  mark.max_timestamp = kNoTimestamp;
  mark.last_append_ms = -1;
  mark.log_start_offset = log_start;
  std::string bytes(BytesOf(header));
  if (clean_end) {
    CompactedHeader compacted{.clean_end = *clean_end, .crc32c = 0, .zero = 0};
    compacted.crc32c = Crc32c(BytesOf(compacted, offsetof(CompactedHeader, crc32c)));
    bytes += BytesOf(compacted);
  }
  bytes.resize(kPageBytes);
  bytes += EncodeMark(mark);
  bytes.resize(kSegmentHeaderBytes);
  return bytes;
}

Result<SegmentStart> DecodeSegmentStart(std::string_view bytes, const std::string& path, std::string_view topic, int32_t partition) {
  if (bytes.size() < kSegmentHeaderBytes) return Damaged(path, "The file is shorter than its header.");
  SegmentHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, kHeaderMagic, 8) != 0) return Damaged(path, "The file does not begin as a segment does.");
  if (header.crc32c != Crc32c(BytesOf(header, offsetof(SegmentHeader, crc32c)))) return Damaged(path, "The header's checksum is wrong.");
  if (header.version != kSegmentVersion && header.version != kCompactedSegmentVersion) {
    return Error(sqlstate::kFeatureNotSupported, "segment file \"" + path + "\" has format version " + std::to_string(header.version))
        .Detail("This program reads versions up to " + std::to_string(kCompactedSegmentVersion) + ".")
        .Hint("Open the folder with the newer program that wrote it.");
  }
  if (header.topic_length > kTopicNameBytesMax || std::string_view(header.topic, header.topic_length) != topic || header.partition != partition) {
    return Damaged(path, "It belongs to topic \"" + std::string(header.topic, std::min<size_t>(header.topic_length, kTopicNameBytesMax)) +
                             "\", partition " + std::to_string(header.partition) + ".");
  }
  SegmentMark a, b;
  bool a_ok = ReadMark(bytes.substr(kPageBytes), a);
  bool b_ok = ReadMark(bytes.substr(2 * kPageBytes), b);
  if (!a_ok && !b_ok) return Damaged(path, "Both marks of the durable offset are unreadable.");
  SegmentStart start{header.base_offset, std::nullopt, a_ok && (!b_ok || a.sequence > b.sequence) ? a : b};
  if (header.version == kCompactedSegmentVersion) {
    CompactedHeader compacted;
    std::memcpy(&compacted, bytes.data() + sizeof header, sizeof compacted);
    if (compacted.crc32c != Crc32c(BytesOf(compacted, offsetof(CompactedHeader, crc32c)))) {
      return Damaged(path, "The checksum of what compaction noted is wrong.");
    }
    start.clean_end = compacted.clean_end;
  }
  const SegmentMark& mark = start.mark;
  if (header.base_offset < 0 || mark.durable_end < header.base_offset || mark.durable_bytes < kSegmentHeaderBytes || mark.log_start_offset < 0 ||
      mark.log_start_offset > mark.durable_end || (mark.durable_bytes == kSegmentHeaderBytes) != (mark.durable_end == header.base_offset)) {
    return Damaged(path, "The mark of the durable offset contradicts the header.");
  }
  return start;
}

std::string SegmentFileName(Offset base, std::string_view extension) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%020lld", static_cast<long long>(base));
  return std::string(digits) + std::string(extension);
}

Offset BaseOfFileName(std::string_view name, std::string_view extension) {
  if (name.size() != 20 + extension.size() || !name.ends_with(extension)) return -1;
  Offset base = -1;
  auto [end, error] = std::from_chars(name.data(), name.data() + 20, base);
  return error == std::errc() && end == name.data() + 20 && base >= 0 ? base : -1;
}

}  // namespace kappa::log
