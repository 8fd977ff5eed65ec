// Any bytes as the files of the log beside its batches: the start of a segment, its index, a snapshot of producers, a topic's configuration, a number. What is accepted must
// survive being written and read again. Checksums are put right first, for else nothing would be accepted.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/checksum_line.h"
#include "base/crc32c.h"
#include "log/number_file.h"
#include "log/producer_state.h"
#include "log/segment.h"
#include "log/segment_format.h"
#include "log/topic_config.h"

using namespace kappa;
using namespace kappa::log;

namespace {

void SetChecksum(std::string& bytes, size_t from, size_t at) {
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(from, at - from));
  std::memcpy(bytes.data() + at, &crc, sizeof crc);
}

void SegmentFile(std::string_view input) {
  std::string bytes = EncodeSegmentStart("t", 0, 0, 0);
  if ((input.size() & 1) != 0) bytes = EncodeSegmentStart("t", 0, 0, 0, 7);
  // Header, what compaction adds, and both marks, where they lie.
  constexpr std::pair<size_t, size_t> kParts[] = {
      {0, sizeof(SegmentHeader) + sizeof(CompactedHeader)}, {kPageBytes, sizeof(SegmentMark)}, {2 * kPageBytes, sizeof(SegmentMark)}};
  for (const auto& [at, most] : kParts) {
    const size_t length = std::min(most, input.size());
    std::memcpy(bytes.data() + at, input.data(), length);
    input.remove_prefix(length);
  }
  SetChecksum(bytes, 0, offsetof(SegmentHeader, crc32c));
  SetChecksum(bytes, sizeof(SegmentHeader), sizeof(SegmentHeader) + offsetof(CompactedHeader, crc32c));
  for (const size_t page : {kPageBytes, 2 * kPageBytes}) SetChecksum(bytes, page, page + offsetof(SegmentMark, crc32c));
  const auto start = DecodeSegmentStart(bytes, "fuzz", "t", 0);
  if (!start.ok()) return;
  std::string again = EncodeSegmentStart("t", 0, start->base_offset, 0, start->clean_end);
  again.replace(kPageBytes * (1 + start->mark.sequence % 2), sizeof(SegmentMark), EncodeMark(start->mark));
  const auto once_more = DecodeSegmentStart(again, "fuzz", "t", 0);
  KAPPA_CHECK(once_more.ok() && once_more->base_offset == start->base_offset && once_more->clean_end == start->clean_end);
}

void Producers(std::string_view input) {
  std::string bytes(input);
  const uint32_t crc = Crc32c(bytes);
  bytes.append(reinterpret_cast<const char*>(&crc), sizeof crc);
  ProducerStates states;
  TransactionStates transactions;
  const auto at = states.Restore(bytes, 0, transactions);
  if (!at) return;
  ProducerStates again;
  TransactionStates transactions_again;
  KAPPA_CHECK(again.Restore(states.Encode(*at, transactions), 0, transactions_again) == at);
  KAPPA_CHECK(again.Infos().size() == states.Infos().size());
}

void Configuration(std::string_view input) {
  const auto config = DecodeTopicConfig(WithChecksumLine(std::string(input)), "t", "fuzz");
  if (!config.ok()) return;
  const auto again = DecodeTopicConfig(EncodeTopicConfig("t", *config), "t", "fuzz");
  KAPPA_CHECK(again.ok() && EncodeTopicConfig("t", *again) == EncodeTopicConfig("t", *config));
}

void Index(std::string_view input) {
  const std::string empty = EncodeIndex(0, {});
  std::string bytes(input);
  // An input that is no whole number of entries has its own header; else only the entries are made up.
  if (input.size() % sizeof(IndexEntry) == 0) {
    bytes = empty.substr(0, empty.size() - sizeof(uint32_t)) + bytes;
    const uint64_t count = input.size() / sizeof(IndexEntry);
    std::memcpy(bytes.data() + empty.size() - sizeof(uint32_t) - sizeof count, &count, sizeof count);
  }
  bytes.resize(bytes.size() + sizeof(uint32_t));
  SetChecksum(bytes, 0, bytes.size() - sizeof(uint32_t));
  const std::vector<IndexEntry> index = DecodeIndex(bytes, 0);
  if (!index.empty())
    KAPPA_CHECK(EncodeIndex(0, index).substr(16) == bytes.substr(16, bytes.size() - 20) + EncodeIndex(0, index).substr(bytes.size() - 4));
  for (size_t i = 1; i < index.size(); ++i) KAPPA_CHECK(index[i - 1].offset < index[i].offset && index[i - 1].position < index[i].position);
}

void Number(std::string_view input) {
  constexpr std::string_view kFirstLine = "kappa number 1\n";
  const auto number = DecodeNumber(WithChecksumLine(std::string(kFirstLine) + std::string(input)), kFirstLine, "fuzz");
  if (number.ok()) KAPPA_CHECK(*DecodeNumber(EncodeNumber(kFirstLine, *number), kFirstLine, "fuzz") == *number);
  (void)DecodeNumber(input, kFirstLine, "fuzz");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: SegmentFile(input); break;
    case 1: Producers(input); break;
    case 2: Configuration(input); break;
    case 3: Index(input); break;
    default: Number(input);
  }
  return 0;
}
