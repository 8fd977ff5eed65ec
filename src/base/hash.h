// xxHash (XXH3): the one hash of rows, keys and digests. Results are stored, so the function must never change.
#pragma once

#include <cstdint>
#include <string_view>

namespace kappa {

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

uint64_t Hash64(std::string_view bytes, uint64_t seed = 0);
Hash128 HashBytes128(std::string_view bytes);
/// Strong mixing of one word, for integer keys.
inline uint64_t HashWord(uint64_t x) {
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ULL;
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ULL;
  x ^= x >> 32;
  return x;
}
inline uint64_t CombineHash(uint64_t a, uint64_t b) { return HashWord(a ^ (b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2))); }

}  // namespace kappa
