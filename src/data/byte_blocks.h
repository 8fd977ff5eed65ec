// Texts looked at 32 bytes at a time.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace kappa::data {

/// Calls each(bytes, at, valid) for the text's blocks in order until it returns false: byte i of the block is the text's byte at + i where bit
/// i of `valid` is set. Each byte is valid once. The last block may begin among bytes that were there before.
template <typename Each> void ForEachBlock(std::string_view text, Each&& each) {
  constexpr size_t kBlock = 32;
  const auto load = [](const char* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); };
  size_t at = 0;
  for (; at + kBlock <= text.size(); at += kBlock)
    if (!each(load(text.data() + at), at, ~uint32_t{0})) return;
  const size_t rest = text.size() - at;
  if (rest == 0) return;
  if (at > 0) {
    each(load(text.data() + text.size() - kBlock), text.size() - kBlock, ~uint32_t{0} << (kBlock - rest));
    return;
  }
  char padded[kBlock] = {};
  std::memcpy(padded, text.data(), rest);
  each(load(padded), size_t{0}, (uint32_t{1} << rest) - 1);
}

/// Bits of the bytes that are equal to one.
inline uint32_t Equal(__m256i bytes, char byte) {
  return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte))));
}

}  // namespace kappa::data
