// The compression codecs of Kafka record batches, with bounded output.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace kappa::log {

/// Bits 0 to 2 of a batch's attributes. Source: Kafka protocol guide.
enum class Codec : int { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };
inline constexpr int kCodecLast = 4;

/// Decompresses `bytes` into `out` (replaced). Output grows as it is produced; fails with program_limit_exceeded beyond
/// `bytes_max`, with data_corrupted on malformed input. Snappy may be raw or in the framing of Java's xerial library.
Status Decompress(Codec codec, std::string_view bytes, size_t bytes_max, std::string& out);
/// Compresses as Kafka clients do (snappy raw, lz4 as a frame). Codec none copies.
std::string Compress(Codec codec, std::string_view bytes);

}  // namespace kappa::log
