// Reading and writing of escapes in JSON strings.
#include "format/json_escape.h"

#include <algorithm>
#include <cstdint>

#include "data/json.h"
#include "format/decoder.h"

namespace kappa::format {
namespace {

uint32_t Hex4(const char* at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = at[i];
    value = value * 16 + static_cast<uint32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

void AppendUtf8(uint32_t code, std::string& out) {
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xc0 | code >> 6));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | code >> 12));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else {
    out.push_back(static_cast<char>(0xf0 | code >> 18));
    out.push_back(static_cast<char>(0x80 | (code >> 12 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  }
}

}  // namespace

bool UnescapeJsonString(std::string_view inside, std::string& out, std::string& reason) {
  out.clear();
  for (size_t at = 0; at < inside.size();) {
    const size_t plain = std::min(inside.find('\\', at), inside.size());
    out.append(inside, at, plain - at);
    if (plain == inside.size()) break;
    const char letter = inside[plain + 1];
    at = plain + 2;
    switch (letter) {
      case 'b': out.push_back('\b'); continue;
      case 'f': out.push_back('\f'); continue;
      case 'n': out.push_back('\n'); continue;
      case 'r': out.push_back('\r'); continue;
      case 't': out.push_back('\t'); continue;
      case 'u': break;
      default: out.push_back(letter); continue;
    }
    uint32_t code = Hex4(inside.data() + at);
    at += 4;
    if (code == 0) {
      reason = "unsupported Unicode escape sequence: \\u0000 cannot be converted to text";
      return false;
    }
    if (code >= 0xd800 && code < 0xe000) {
      const bool paired = code < 0xdc00 && at + 6 <= inside.size() && inside[at] == '\\' && inside[at + 1] == 'u';
      const uint32_t low = paired ? Hex4(inside.data() + at + 2) : 0;
      if (low < 0xdc00 || low >= 0xe000) {
        reason = code < 0xdc00 ? "Unicode low surrogate must follow a high surrogate" : "Unicode low surrogate must not stand alone";
        return false;
      }
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      at += 6;
    }
    AppendUtf8(code, out);
  }
  return true;
}

void AppendJsonString(std::string_view text, std::string& out) { data::AppendJsonQuoted(text, out); }

}  // namespace kappa::format
