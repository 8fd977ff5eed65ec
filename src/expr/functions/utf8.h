// Characters of UTF-8 text. Text in columns is valid UTF-8; these functions stay in bounds when it is not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "data/utf8.h"

namespace kappa::expr {

inline bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

using data::CharacterCount;
using data::IsAscii;

/// Bytes of the character that starts at `at`, at least 1, never past the end.
inline size_t CharacterSize(std::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && IsContinuation(text[end])) ++end;
  return end - at;
}

/// Byte offset of character `index` (from 0), the size of the text when it has fewer.
inline size_t CharacterOffset(std::string_view text, int64_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += CharacterSize(text, at);
  return at;
}

/// Code point of the first character; 0 for empty text.
uint32_t DecodeCharacter(std::string_view text);
void AppendCharacter(uint32_t code_point, std::string& out);

std::string Lower(std::string_view text);
std::string Upper(std::string_view text);
/// First letter of each word in upper case, the rest in lower case.
std::string InitialCapitals(std::string_view text);

}  // namespace kappa::expr
