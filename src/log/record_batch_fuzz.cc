// Feeds any bytes to the batch parser, as Produce and recovery do. Built with -DKAPPA_FUZZ=ON (preset fuzz).
#include <cstddef>
#include <cstdint>

#include "log/codec.h"
#include "log/record_batch.h"

using namespace kappa::log;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kDecompressedMax = 1 << 20;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string storage;
  std::vector<Record> records;
  if (auto header = ParseBatchHeader(bytes); header.ok()) {
    (void)BatchCrcMatches(bytes);
    auto section = RecordsSection(bytes, kDecompressedMax, storage);
    if (section.ok()) (void)ParseRecords(*header, *section, records);
    if (storage.size() > kDecompressedMax) __builtin_trap();
  }
  // The first byte chooses a codec, so that the decompressors get bytes without a valid header before them.
  if (size > 0) {
    (void)Decompress(static_cast<Codec>(data[0] % 5), bytes.substr(1), kDecompressedMax, storage);
    if (storage.size() > kDecompressedMax) __builtin_trap();
  }
  return 0;
}
