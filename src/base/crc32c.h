// CRC-32C (Castagnoli), the checksum of Kafka record batches and of kappa's own files.
#pragma once

#include <cstdint>
#include <string_view>

namespace kappa {
/// The CRC of `bytes` appended to data whose CRC is `crc` (0 for none).
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);
}  // namespace kappa
