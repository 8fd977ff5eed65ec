// Pieces of JSON's grammar that more than one reader needs.
#pragma once

#include <cctype>
#include <string_view>

#include "format/json_scan.h"

namespace kappa::format {

constexpr bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
constexpr bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

/// Whether the backslash sequences in the inside of a string follow the grammar.
inline bool EscapesAreValid(std::string_view inside) {
  for (size_t at = 0; (at = inside.find('\\', at)) != std::string_view::npos;) {
    if (at + 1 >= inside.size()) return false;
    switch (inside[at + 1]) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't': at += 2; break;
      case 'u':
        if (at + 6 > inside.size()) return false;
        for (size_t i = at + 2; i < at + 6; ++i) {
          if (!std::isxdigit(static_cast<unsigned char>(inside[i]))) return false;
        }
        at += 6;
        break;
      default: return false;
    }
  }
  return true;
}

/// The kind of a number, kMissing when the text is not exactly one JSON number.
inline JsonToken::Kind NumberKind(const char* at, const char* end) {
  if (*at == '-') ++at;
  if (at == end || !IsDigit(*at)) return JsonToken::kMissing;
  if (*at == '0' && at + 1 < end && IsDigit(at[1])) return JsonToken::kMissing;
  while (at < end && IsDigit(*at)) ++at;
  if (at == end) return JsonToken::kInteger;
  if (*at == '.') {
    const char* fraction = ++at;
    while (at < end && IsDigit(*at)) ++at;
    if (at == fraction) return JsonToken::kMissing;
  }
  if (at < end && (*at | 0x20) == 'e') {
    ++at;
    if (at < end && (*at == '+' || *at == '-')) ++at;
    const char* exponent = at;
    while (at < end && IsDigit(*at)) ++at;
    if (at == exponent) return JsonToken::kMissing;
  }
  return at == end ? JsonToken::kNumber : JsonToken::kMissing;
}

}  // namespace kappa::format
