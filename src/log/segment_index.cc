// The sparse index of a segment: searching, saving, loading, rebuilding, checking.
#include <algorithm>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "io/folder.h"
#include "log/batch_scanner.h"
#include "log/segment.h"

namespace kappa::log {
namespace {

constexpr std::string_view kMagic = "KAPPAIDX";
constexpr uint32_t kVersion = 1;
constexpr uint64_t kIndexFileBytesMax = 64 << 20;

const IndexEntry* FloorByOffset(const std::vector<IndexEntry>& index, Offset offset) {
  auto above = std::upper_bound(index.begin(), index.end(), offset, [](Offset o, const IndexEntry& e) { return o < e.offset; });
  return above == index.begin() ? nullptr : &*(above - 1);
}
const IndexEntry* FloorByTimestamp(const std::vector<IndexEntry>& index, int64_t timestamp) {
  auto above = std::lower_bound(index.begin(), index.end(), timestamp, [](const IndexEntry& e, int64_t t) { return e.max_timestamp_before < t; });
  return above == index.begin() ? nullptr : &*(above - 1);
}

Error Damaged(const std::string& path, std::string detail) {
  return Error(sqlstate::kDataCorrupted, "segment file \"" + path + "\" is damaged").Detail(std::move(detail)).Hint("Restore the file from a copy.");
}

/// The index that the batches in [first position, bytes) call for.
Result<std::vector<IndexEntry>> IndexOfBatches(const io::File& file, uint64_t bytes) {
  std::vector<IndexEntry> index;
  int64_t max_timestamp = kNoTimestamp;
  uint64_t last = kSegmentHeaderBytes;
  BatchScanner scanner(file, kSegmentHeaderBytes, bytes);
  while (true) {
    KAPPA_ASSIGN_OR_RETURN(auto found, scanner.Next(false));
    if (found == BatchScanner::Found::kEnd) return index;
    if (found == BatchScanner::Found::kBroken) {
      return Damaged(file.path(), "At position " + std::to_string(scanner.position()) + ": " + scanner.reason() + ".");
    }
    if (IndexWants(scanner.position(), last)) {
      index.push_back({scanner.header().base_offset, scanner.position(), max_timestamp});
      last = scanner.position();
    }
    max_timestamp = std::max(max_timestamp, scanner.header().max_timestamp);
  }
}

}  // namespace

// magic, version (4), zero (4), base offset (8), entries (8), the entries, CRC-32C (4) of all before it.
std::string EncodeIndex(Offset base, std::span<const IndexEntry> index) {
  ByteWriter out;
  out.Bytes(kMagic);
  out.Little(kVersion);
  out.Little<uint32_t>(0);
  out.Little(base);
  out.Little(static_cast<uint64_t>(index.size()));
  for (const IndexEntry& entry : index) out.Little(entry);
  out.Little(Crc32c(out.str()));
  return out.Take();
}

std::vector<IndexEntry> DecodeIndex(std::string_view bytes, Offset base) {
  if (bytes.size() < sizeof(uint32_t)) return {};
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(uint32_t));
  if (ByteReader(bytes.substr(body.size())).Little<uint32_t>() != Crc32c(body)) return {};
  ByteReader reader(body);
  if (reader.Bytes(kMagic.size()) != kMagic || reader.Little<uint32_t>() != kVersion) return {};
  reader.Little<uint32_t>();
  if (reader.Little<Offset>() != base) return {};
  auto count = reader.Little<uint64_t>();
  if (count > reader.remaining() / sizeof(IndexEntry)) return {};
  std::vector<IndexEntry> index(count);
  for (IndexEntry& entry : index) entry = reader.Little<IndexEntry>();
  // Who searches it relies on the order.
  const auto out_of_order = [](const IndexEntry& a, const IndexEntry& b) {
    return a.offset >= b.offset || a.position >= b.position || a.max_timestamp_before > b.max_timestamp_before;
  };
  const bool begins_right = index.empty() || (index.front().offset > base && index.front().position > kSegmentHeaderBytes);
  if (!reader.AtEnd() || !begins_right || std::ranges::adjacent_find(index, out_of_order) != index.end()) return {};
  return index;
}

std::vector<IndexEntry> ReadIndexFile(const std::string& path, Offset base) {
  const auto bytes = io::ReadWholeFile(path, kIndexFileBytesMax);
  return bytes.ok() ? DecodeIndex(*bytes, base) : std::vector<IndexEntry>();
}

Status Segment::SaveIndex() const {
  std::string bytes;
  {
    std::lock_guard lock(mutex_);
    bytes = EncodeIndex(base_, sealed_index_ != nullptr ? *sealed_index_ : active_index_);
  }
  return io::ReplaceFile(IndexPath(), bytes);
}

Result<std::shared_ptr<const std::vector<IndexEntry>>> Segment::LoadOrRebuildIndex(const io::File& file) const {
  std::vector<IndexEntry> index = ReadIndexFile(IndexPath(), base_);
  const uint64_t bytes = visible_bytes();
  bool missing = index.empty() && bytes >= kSegmentHeaderBytes + 2 * kIndexIntervalBytes;
  if (missing || (!index.empty() && (index.back().position >= bytes || index.back().offset >= visible_end()))) {
    KAPPA_ASSIGN_OR_RETURN(index, IndexOfBatches(file, bytes));
  }
  return std::make_shared<const std::vector<IndexEntry>>(std::move(index));
}

void Segment::LoadActiveIndex(uint64_t bytes) {
  std::vector<IndexEntry> index = ReadIndexFile(IndexPath(), base_);
  while (!index.empty() && index.back().position >= bytes) index.pop_back();
  std::lock_guard lock(mutex_);
  active_index_ = std::move(index);
}

Result<IndexEntry> Segment::FloorOfOffset(Offset offset) {
  if (sealed()) {
    KAPPA_ASSIGN_OR_RETURN(Opened opened, Acquire(true));
    const IndexEntry* entry = FloorByOffset(*opened.index, offset);
    return entry == nullptr ? First() : *entry;
  }
  std::lock_guard lock(mutex_);
  const IndexEntry* entry = FloorByOffset(sealed_index_ != nullptr ? *sealed_index_ : active_index_, offset);
  return entry == nullptr ? First() : *entry;
}

Result<IndexEntry> Segment::FloorOfTimestamp(int64_t timestamp) {
  if (sealed()) {
    KAPPA_ASSIGN_OR_RETURN(Opened opened, Acquire(true));
    const IndexEntry* entry = FloorByTimestamp(*opened.index, timestamp);
    return entry == nullptr ? First() : *entry;
  }
  std::lock_guard lock(mutex_);
  const IndexEntry* entry = FloorByTimestamp(sealed_index_ != nullptr ? *sealed_index_ : active_index_, timestamp);
  return entry == nullptr ? First() : *entry;
}

IndexEntry Segment::FloorOfPosition(uint64_t position) const {
  std::lock_guard lock(mutex_);
  const std::vector<IndexEntry>& index = sealed_index_ != nullptr ? *sealed_index_ : active_index_;
  auto above = std::upper_bound(index.begin(), index.end(), position, [](uint64_t p, const IndexEntry& e) { return p < e.position; });
  return above == index.begin() ? First() : *(above - 1);
}

void Segment::NoteChecked(uint64_t from, uint64_t to) {
  std::lock_guard lock(mutex_);
  if (from > checked_to_ || to < checked_from_) {
    checked_from_ = from;
    checked_to_ = to;
  } else {
    checked_from_ = std::min(checked_from_, from);
    checked_to_ = std::max(checked_to_, to);
  }
  if (checked_to_ >= appended_from_) appended_from_ = std::min(appended_from_, checked_from_);
}

bool Segment::Checked(uint64_t from, uint64_t to) const {
  std::lock_guard lock(mutex_);
  return from >= appended_from_ || (from >= checked_from_ && to <= checked_to_);
}

Status Segment::Verify() {
  KAPPA_ASSIGN_OR_RETURN(Opened opened, Acquire(false));
  const uint64_t bytes = visible_bytes();
  std::vector<IndexEntry> index = sealed() ? ReadIndexFile(IndexPath(), base_) : std::vector<IndexEntry>();
  size_t next_entry = 0;
  Offset expected = base_;
  BatchScanner scanner(*opened.file, kSegmentHeaderBytes, bytes);
  while (true) {
    KAPPA_ASSIGN_OR_RETURN(auto found, scanner.Next(true));
    if (found == BatchScanner::Found::kEnd) break;
    std::string place = "At position " + std::to_string(scanner.position()) + ", offset " + std::to_string(expected) + ": ";
    if (found == BatchScanner::Found::kBroken) return Damaged(path_, place + scanner.reason() + ".");
    if (scanner.header().leader_epoch != 0) return Damaged(path_, place + "the leader epoch is not 0.");
    if (scanner.header().base_offset != expected) {
      return Damaged(path_, place + "the batch there says offset " + std::to_string(scanner.header().base_offset) + ".");
    }
    if (next_entry < index.size() && index[next_entry].position == scanner.position()) {
      if (index[next_entry].offset != expected) return Damaged(IndexPath(), place + "the index entry names another offset.");
      ++next_entry;
    }
    expected = scanner.header().last_offset() + 1;
  }
  if (next_entry != index.size()) return Damaged(IndexPath(), "An index entry points between two batches.");
  // Records may have become visible while the file was read; for a sealed segment the ends must agree.
  if (sealed() && bytes == visible_bytes() && expected != visible_end()) {
    return Damaged(path_, "It ends at offset " + std::to_string(expected) + " instead of " + std::to_string(visible_end()) + ".");
  }
  return {};
}

}  // namespace kappa::log
