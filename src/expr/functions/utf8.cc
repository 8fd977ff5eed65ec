// Characters of UTF-8 text. Letter cases are those of the C library's C.UTF-8 locale.
#include "expr/functions/utf8.h"

#include <locale.h>
#include <clocale>
#include <cwctype>

namespace kappa::expr {
namespace {

locale_t Unicode() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

uint32_t LowerCode(uint32_t code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  return Unicode() == nullptr ? code : static_cast<uint32_t>(towlower_l(static_cast<wint_t>(code), Unicode()));
}
uint32_t UpperCode(uint32_t code) {
  if (code < 0x80) return code >= 'a' && code <= 'z' ? code - 32 : code;
  return Unicode() == nullptr ? code : static_cast<uint32_t>(towupper_l(static_cast<wint_t>(code), Unicode()));
}
bool IsAlphanumeric(uint32_t code) {
  if (code < 0x80) return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
  return Unicode() != nullptr && iswalnum_l(static_cast<wint_t>(code), Unicode()) != 0;
}

template <typename Map> std::string MapCharacters(std::string_view text, Map map) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t size = CharacterSize(text, at);
    AppendCharacter(map(DecodeCharacter(text.substr(at, size))), out);
    at += size;
  }
  return out;
}

}  // namespace

uint32_t DecodeCharacter(std::string_view text) {
  if (text.empty()) return 0;
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return first;
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  uint32_t code = first & (0xFFu >> (size + 1));
  for (size_t i = 1; i < size && i < text.size(); ++i) code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3Fu);
  return code;
}

void AppendCharacter(uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

std::string Lower(std::string_view text) {
  if (!IsAscii(text)) return MapCharacters(text, LowerCode);
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c + (c >= 'A' && c <= 'Z' ? 32 : 0));
  return out;
}

std::string Upper(std::string_view text) {
  if (!IsAscii(text)) return MapCharacters(text, UpperCode);
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c - (c >= 'a' && c <= 'z' ? 32 : 0));
  return out;
}

std::string InitialCapitals(std::string_view text) {
  bool in_word = false;
  return MapCharacters(text, [&](uint32_t code) {
    const uint32_t mapped = in_word ? LowerCode(code) : UpperCode(code);
    in_word = IsAlphanumeric(code);
    return mapped;
  });
}

}  // namespace kappa::expr
