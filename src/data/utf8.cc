// UTF-8 scanning.
#include "data/utf8.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <string>

#include "data/byte_blocks.h"

namespace kappa::data {
namespace {

bool IsContinuation(unsigned char c) { return (c & 0xC0) == 0x80; }

// Bytes of the character at the front, 0 when it is invalid.
size_t CharacterBytes(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char c = byte(0);
  if (c == 0) return 0;
  if (c < 0x80) return 1;
  if (c < 0xC2 || c > 0xF4) return 0;
  size_t size = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
  if (text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if (!IsContinuation(byte(i))) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  if ((c == 0xE0 && byte(1) < 0xA0) || (c == 0xED && byte(1) > 0x9F) || (c == 0xF0 && byte(1) < 0x90) || (c == 0xF4 && byte(1) > 0x8F)) return 0;
  return size;
}

// Position of the first invalid byte, or the size.
size_t FindInvalid(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (at + 8 <= text.size()) {
      uint64_t word;
      std::memcpy(&word, text.data() + at, sizeof word);
      // Eight ASCII characters without a zero byte.
      if ((word & 0x8080808080808080ull) == 0 && ((word - 0x0101010101010101ull) & 0x8080808080808080ull) == 0) {
        at += 8;
        continue;
      }
    }
    size_t size = CharacterBytes(text.substr(at));
    if (size == 0) return at;
    at += size;
  }
  return at;
}

}  // namespace

bool IsUtf8(std::string_view text) { return FindInvalid(text) == text.size(); }

Status CheckUtf8(std::string_view text) {
  size_t at = FindInvalid(text);
  if (at == text.size()) return {};
  unsigned char c = static_cast<unsigned char>(text[at]);
  size_t shown = c >= 0xF0 && c < 0xF8 ? 4 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xC0 && c < 0xE0 ? 2 : 1;
  shown = std::min(shown, text.size() - at);
  std::string bytes;
  for (size_t i = 0; i < shown; ++i) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "%s0x%02x", i > 0 ? " " : "", static_cast<unsigned char>(text[at + i]));
    bytes += hex;
  }
  return Error(sqlstate::kCharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": " + bytes);
}

int64_t CharacterCount(std::string_view text) {
  int64_t count = 0;
  const __m256i last_continuation = _mm256_set1_epi8(static_cast<char>(0xBF));
  ForEachBlock(text, [&](__m256i bytes, size_t, uint32_t valid) {
    count += std::popcount(static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpgt_epi8(bytes, last_continuation))) & valid);
    return true;
  });
  return count;
}

bool IsAscii(std::string_view text) {
  bool ascii = true;
  ForEachBlock(text, [&](__m256i bytes, size_t, uint32_t) { return ascii = _mm256_movemask_epi8(bytes) == 0; });
  return ascii;
}

std::string_view FirstCharacters(std::string_view text, int64_t count) {
  size_t at = 0;
  while (at < text.size()) {
    if (!IsContinuation(static_cast<unsigned char>(text[at])) && count-- <= 0) break;
    ++at;
  }
  return text.substr(0, at);
}

Result<std::string_view> FitToLength(std::string_view text, int64_t length) {
  if (static_cast<int64_t>(text.size()) <= length) return text;
  std::string_view head = FirstCharacters(text, length);
  if (text.find_first_not_of(' ', head.size()) != std::string_view::npos) {
    return Error(sqlstate::kStringDataRightTruncation, "value too long for type character varying(" + std::to_string(length) + ")");
  }
  return head;
}

}  // namespace kappa::data
