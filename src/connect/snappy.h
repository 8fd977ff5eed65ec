// Snappy, decompressed: pages of Parquet files are small values with little between them, for which libraries take a third longer or more.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace kappa::connect {

/// The length that the bytes say they have when decompressed; nullopt when they say none, or more than Snappy can make of that many.
std::optional<size_t> SnappyLength(std::span<const uint8_t> bytes);

/// Decompresses into `out`, whose size is SnappyLength's. False when the bytes are no such stream; `out` holds anything then.
bool DecompressSnappy(std::span<const uint8_t> bytes, std::span<uint8_t> out);

}  // namespace kappa::connect
