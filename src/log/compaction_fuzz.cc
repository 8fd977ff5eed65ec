// Any records as a batch of a compacted topic: what compaction keeps of it must be a batch of the same records, and never more of them.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "log/compaction_filter.h"

using namespace kappa;
using namespace kappa::log;

namespace {

constexpr size_t kDecompressedMax = 1 << 20;
constexpr size_t kLengthAt = 8, kMagicAt = 16, kCrcAt = 17, kAttributesAt = 21;

/// The input with what makes it a batch that the log would have taken: its length, its version, its checksum.
std::string Batch(std::string_view input) {
  std::string bytes(input);
  bytes.resize(std::max(bytes.size(), kBatchHeaderBytes));
  ByteWriter patch;
  patch.Bytes(bytes);
  patch.PatchBig(kLengthAt, static_cast<int32_t>(bytes.size() - 12));
  patch.str()[kMagicAt] = 2;
  patch.PatchBig(kCrcAt, static_cast<int32_t>(Crc32c(std::string_view(patch.str()).substr(kAttributesAt))));
  return patch.Take();
}

std::optional<std::vector<Record>> RecordsOf(const BatchHeader& header, std::string_view batch, std::string& storage) {
  std::vector<Record> records;
  const auto section = RecordsSection(batch, kDecompressedMax, storage);
  if (!section.ok() || !ParseRecords(header, *section, records).ok()) return std::nullopt;
  return records;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string batch = Batch({reinterpret_cast<const char*>(data) + 1, size - 1});
  const auto header = ParseBatchHeader(batch);
  if (!header.ok() || header->base_offset < 0 || header->last_offset() >= INT64_MAX - 1) return 0;
  std::vector<AbortedTransaction> aborted;
  if ((data[0] & 1) != 0) aborted.push_back({header->producer_id, 0});
  LatestOffsets latest(1 << 16);
  if (const auto noted = CompactionFilter::NoteKeys(*header, batch, aborted, kDecompressedMax, latest); !noted.ok()) return 0;
  if ((data[0] & 2) != 0) latest.Note("k", header->last_offset() + 1);
  CompactionFilter::Rules rules{.end = header->last_offset() + 1,
                                .now_ms = (data[0] & 4) != 0 ? int64_t{1} << 50 : 1000,
                                .decompressed_bytes_max = kDecompressedMax,
                                .aborted = std::move(aborted),
                                .producers = {}};
  if ((data[0] & 8) != 0) rules.producers[header->producer_id] = {header->last_offset(), header->producer_epoch};
  CompactionFilter filter(latest, std::move(rules));
  std::string storage, before_storage, after_storage;
  const auto kept = filter.Keep(*header, batch, storage);
  if (!kept) return 0;
  const auto after = ParseBatchHeader(*kept);
  KAPPA_CHECK(after.ok() && after->total_bytes() == kept->size() && BatchCrcMatches(*kept));
  KAPPA_CHECK(after->base_offset >= header->base_offset && after->last_offset() <= header->last_offset());
  const auto records = RecordsOf(*header, batch, before_storage), left = RecordsOf(*after, *kept, after_storage);
  if (!records) return 0;  // one that cannot be read stays as it is
  KAPPA_CHECK(left && left->size() <= records->size());
  size_t at = 0;
  for (const Record& record : *left) {
    while (at < records->size() && (*records)[at].offset != record.offset) ++at;
    KAPPA_CHECK(at < records->size());
    const Record& was = (*records)[at];
    KAPPA_CHECK(was.key == record.key && was.value == record.value && was.timestamp_ms == record.timestamp_ms);
  }
  return 0;
}
