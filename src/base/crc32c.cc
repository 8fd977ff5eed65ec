// Uses the SSE4.2 instruction (every x86-64-v2 machine has it), eight bytes a step. One such step waits three cycles for the one before it, so
// that long inputs are read at three places at once and the three checksums are put together.
#include "base/crc32c.h"

#include <nmmintrin.h>

#include <array>
#include <cstring>

namespace kappa {
namespace {

constexpr size_t kStripe = 1024;  // bytes of one of the three places

/// A linear map of checksums: column i is the image of bit i.
using Map = std::array<uint32_t, 32>;

constexpr uint32_t Apply(const Map& map, uint32_t crc) {
  uint32_t out = 0;
  for (size_t bit = 0; bit < 32; ++bit)
    if ((crc >> bit & 1) != 0) out ^= map[bit];
  return out;
}

/// What a stripe of zero bytes makes of a checksum, by each of its four bytes.
constexpr auto kBehindStripe = [] {
  constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected
  Map map{};                                    // of one zero bit
  map[0] = kPolynomial;
  for (size_t bit = 1; bit < 32; ++bit) map[bit] = uint32_t{1} << (bit - 1);
  for (size_t bits = 1; bits < kStripe * 8; bits *= 2) {
    Map twice{};
    for (size_t bit = 0; bit < 32; ++bit) twice[bit] = Apply(map, map[bit]);
    map = twice;
  }
  std::array<std::array<uint32_t, 256>, 4> tables{};
  for (size_t byte = 0; byte < 4; ++byte)
    for (uint32_t value = 0; value < 256; ++value) tables[byte][value] = Apply(map, value << (8 * byte));
  return tables;
}();

uint64_t BehindStripe(uint64_t crc) {
  return kBehindStripe[0][crc & 0xff] ^ kBehindStripe[1][crc >> 8 & 0xff] ^ kBehindStripe[2][crc >> 16 & 0xff] ^ kBehindStripe[3][crc >> 24 & 0xff];
}

uint64_t Word(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

}  // namespace

uint32_t Crc32c(std::string_view bytes, uint32_t crc) {
  uint64_t state = ~crc;
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 3 * kStripe; left -= 3 * kStripe, at += 3 * kStripe) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < kStripe; i += 8) {
      state = _mm_crc32_u64(state, Word(at + i));
      second = _mm_crc32_u64(second, Word(at + kStripe + i));
      third = _mm_crc32_u64(third, Word(at + 2 * kStripe + i));
    }
    state = BehindStripe(BehindStripe(state) ^ second) ^ third;
  }
  for (; left >= 8; left -= 8, at += 8) state = _mm_crc32_u64(state, Word(at));
  auto narrow = static_cast<uint32_t>(state);
  for (; left > 0; --left, ++at) narrow = _mm_crc32_u8(narrow, static_cast<uint8_t>(*at));
  return ~narrow;
}

}  // namespace kappa
