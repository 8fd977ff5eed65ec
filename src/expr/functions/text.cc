// Text functions that measure, cut, search and rearrange characters.
#include <absl/container/flat_hash_map.h>
#include <fmt/format.h>

#include "expr/functions/failures.h"
#include "expr/functions/register.h"
#include "expr/functions/utf8.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

constexpr int64_t kTextBytesMax = 0x3fffffff;  // PostgreSQL's limit of one value

Error TooLong() { return Error(sqlstate::kProgramLimitExceeded, "requested length too large"); }

/// Characters `start` (from 1) to before `start + length`; length < 0 stands for "to the end".
Result<std::string_view> Substring(std::string_view text, int64_t start, std::optional<int64_t> length) {
  int64_t end = INT64_MAX;
  if (length) {
    if (*length < 0) return Error("22011", "negative substring length not allowed");
    end = start + *length;
    if (end <= 1) return text.substr(0, 0);
  }
  const int64_t first = std::max<int64_t>(start, 1);
  const size_t from = IsAscii(text) ? std::min(static_cast<size_t>(first - 1), text.size()) : CharacterOffset(text, first - 1);
  std::string_view rest = text.substr(from);
  if (end == INT64_MAX) return rest;
  const int64_t count = end - first;
  return rest.substr(0, CharacterOffset(rest, count));
}

std::string_view Left(std::string_view text, int64_t n) {
  if (n < 0) n = std::max<int64_t>(0, CharacterCount(text) + n);
  return text.substr(0, CharacterOffset(text, n));
}
std::string_view Right(std::string_view text, int64_t n) {
  const int64_t count = CharacterCount(text);
  const int64_t skip = n < 0 ? std::min(-n, count) : std::max<int64_t>(0, count - n);
  return text.substr(CharacterOffset(text, skip));
}

/// True when the character at `at` of `text` occurs in `set`.
bool InSet(std::string_view character, std::string_view set) {
  for (size_t at = 0; at < set.size();) {
    const size_t size = CharacterSize(set, at);
    if (set.substr(at, size) == character) return true;
    at += size;
  }
  return false;
}
std::string_view TrimLeft(std::string_view text, std::string_view set) {
  while (!text.empty()) {
    const size_t size = CharacterSize(text, 0);
    if (!InSet(text.substr(0, size), set)) break;
    text.remove_prefix(size);
  }
  return text;
}
std::string_view TrimRight(std::string_view text, std::string_view set) {
  while (!text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && IsContinuation(text[at])) --at;
    if (!InSet(text.substr(at), set)) break;
    text = text.substr(0, at);
  }
  return text;
}

int32_t Position(std::string_view text, std::string_view part) {
  const size_t at = text.find(part);
  return at == std::string_view::npos ? 0 : static_cast<int32_t>(CharacterCount(text.substr(0, at))) + 1;
}

/// The first `count` characters of endlessly repeated `fill`.
void AppendFill(std::string_view fill, int64_t count, std::string& out) {
  size_t at = 0;
  for (; count > 0; --count) {
    const size_t size = CharacterSize(fill, at);
    out.append(fill.substr(at, size));
    at = at + size >= fill.size() ? 0 : at + size;
  }
}
Result<std::string> Pad(std::string_view text, int32_t length, std::string_view fill, bool left) {
  if (length <= 0) return std::string();
  if (static_cast<int64_t>(length) * 4 > kTextBytesMax) return TooLong();
  const int64_t count = CharacterCount(text);
  if (count >= length) return std::string(text.substr(0, CharacterOffset(text, length)));
  std::string out;
  if (!left) out = text;
  if (!fill.empty()) AppendFill(fill, length - count, out);
  if (left) out += text;
  return out;
}

Result<std::string> Repeat(std::string_view text, int32_t count) {
  if (count <= 0 || text.empty()) return std::string();
  if (static_cast<int64_t>(text.size()) * count > kTextBytesMax) return TooLong();
  std::string out;
  out.reserve(text.size() * static_cast<size_t>(count));
  for (int32_t i = 0; i < count; ++i) out += text;
  return out;
}

Result<std::string> Replace(std::string_view text, std::string_view from, std::string_view to) {
  if (from.empty()) return std::string(text);
  std::string out;
  for (size_t at = 0;;) {
    const size_t found = text.find(from, at);
    out += text.substr(at, found - at);
    if (found == std::string_view::npos) return out;
    out += to;
    if (static_cast<int64_t>(out.size()) > kTextBytesMax) return TooLong();
    at = found + from.size();
  }
}

std::string Reverse(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t end = text.size(); end > 0;) {
    size_t at = end - 1;
    while (at > 0 && IsContinuation(text[at])) --at;
    out += text.substr(at, end - at);
    end = at;
  }
  return out;
}

Result<std::string_view> SplitPart(std::string_view text, std::string_view delimiter, int32_t field) {
  if (field == 0) return Error(sqlstate::kInvalidParameterValue, "field position must not be zero");
  if (text.empty()) return text;
  if (delimiter.empty()) return field == 1 || field == -1 ? text : text.substr(0, 0);
  if (field < 0) {
    for (;;) {
      const size_t at = text.rfind(delimiter);
      if (++field == 0) return at == std::string_view::npos ? text : text.substr(at + delimiter.size());
      if (at == std::string_view::npos) return text.substr(0, 0);
      text = text.substr(0, at);
    }
  }
  if (delimiter.size() == 1) {  // fields are short: a call for each costs more than looking at every byte
    const char* at = text.data();
    const char* end = at + text.size();
    for (; field > 1; --field) {
      while (at < end && *at != delimiter[0]) ++at;
      if (at++ == end) return text.substr(0, 0);
    }
    const char* begin = at;
    while (at < end && *at != delimiter[0]) ++at;
    return std::string_view(begin, static_cast<size_t>(at - begin));
  }
  for (;;) {
    const size_t at = text.find(delimiter);
    if (--field == 0) return text.substr(0, at);
    if (at == std::string_view::npos) return text.substr(0, 0);
    text = text.substr(at + delimiter.size());
  }
}

std::string Translate(std::string_view text, std::string_view from, std::string_view to) {
  absl::flat_hash_map<uint32_t, std::string> map;
  size_t to_at = 0;
  for (size_t at = 0; at < from.size();) {
    const size_t size = CharacterSize(from, at);
    std::string target;
    if (to_at < to.size()) {
      const size_t to_size = CharacterSize(to, to_at);
      target = to.substr(to_at, to_size);
      to_at += to_size;
    }
    map.emplace(DecodeCharacter(from.substr(at, size)), std::move(target));  // the first of equal characters counts
    at += size;
  }
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t size = CharacterSize(text, at);
    auto found = map.find(DecodeCharacter(text.substr(at, size)));
    if (found == map.end()) out += text.substr(at, size);
    else out += found->second;
    at += size;
  }
  return out;
}

Result<std::string> Character(int32_t code) {
  if (code == 0) return Error(sqlstate::kProgramLimitExceeded, "null character not permitted");
  if (code < 0) return Error(sqlstate::kInvalidParameterValue, "character number must be positive");
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    return Error(sqlstate::kProgramLimitExceeded,
                 fmt::format("requested character {} for encoding: {}", code > 0x10FFFF ? "too large" : "not valid", code));
  }
  std::string out;
  AppendCharacter(static_cast<uint32_t>(code), out);
  return out;
}

Result<std::string> Overlay(std::string_view text, std::string_view replacement, int64_t start, int64_t length) {
  if (start <= 0) return Error("22011", "negative substring length not allowed");
  const int64_t end = start + length;
  KAPPA_ASSIGN_OR_RETURN(const std::string_view before, Substring(text, 1, start - 1));
  KAPPA_ASSIGN_OR_RETURN(const std::string_view after, Substring(text, end, std::nullopt));
  std::string out(before);
  out += replacement;
  out += after;
  return out;
}

}  // namespace

void RegisterText(Registry& registry) {
  using View = std::string_view;
  for (View name : {"length", "char_length", "character_length"}) {
    registry.Function(name, "text -> int4", Rowwise([](View text) { return static_cast<int32_t>(CharacterCount(text)); }), "number of characters")
        .Infallible();
  }
  for (View name : {"octet_length", "length"}) {
    registry.Function(name, "bytea -> int4", Rowwise([](View bytes) { return static_cast<int32_t>(bytes.size()); }), "number of bytes").Infallible();
  }
  registry.Function("octet_length", "text -> int4", Rowwise([](View text) { return static_cast<int32_t>(text.size()); }), "number of bytes")
      .Infallible();
  for (View type : {"text", "bytea"}) {
    registry.Function("bit_length", fmt::format("{} -> int4", type), Rowwise([](View text) { return static_cast<int32_t>(text.size() * 8); }),
                      "number of bits");
  }
  registry.Function("lower", "text -> text", Rowwise([](View text) { return Lower(text); }), "in lower case");
  registry.Function("upper", "text -> text", Rowwise([](View text) { return Upper(text); }), "in upper case");
  registry.Function("initcap", "text -> text", Rowwise([](View text) { return InitialCapitals(text); }),
                    "first letter of each word in upper case, the rest in lower case");
  registry.Function("ltrim", "text -> text", Rowwise([](View text) { return TrimLeft(text, " "); }), "without spaces at the start");
  registry.Function("rtrim", "text -> text", Rowwise([](View text) { return TrimRight(text, " "); }), "without spaces at the end");
  registry.Function("btrim", "text -> text", Rowwise([](View text) { return TrimLeft(TrimRight(text, " "), " "); }),
                    "without spaces at start and end");
  registry.Function("ltrim", "text, text -> text", Rowwise([](View text, View set) { return TrimLeft(text, set); }),
                    "without these characters at the start");
  registry.Function("rtrim", "text, text -> text", Rowwise([](View text, View set) { return TrimRight(text, set); }),
                    "without these characters at the end");
  registry.Function("btrim", "text, text -> text", Rowwise([](View text, View set) { return TrimLeft(TrimRight(text, set), set); }),
                    "without these characters at start and end");
  for (View name : {"substr", "substring"}) {
    registry.Function(name, "text, int4 -> text", Rowwise([](View text, int32_t start) { return Substring(text, start, std::nullopt); }),
                      "from a character (from 1) on");
    registry.Function(name, "text, int4, int4 -> text",
                      Rowwise([](View text, int32_t start, int32_t length) { return Substring(text, start, length); }),
                      "so many characters from a character (from 1) on");
    registry.Function(name, "bytea, int4 -> bytea", Rowwise([](View bytes, int32_t start) {
                        return bytes.substr(std::min(bytes.size(), static_cast<size_t>(std::max(start, 1) - 1)));
                      }),
                      "from a byte (from 1) on");
    registry.Function(name, "bytea, int4, int4 -> bytea", Rowwise([](View bytes, int32_t start, int32_t length) -> Result<View> {
                        if (length < 0) return Error("22011", "negative substring length not allowed");
                        const int64_t end = std::max<int64_t>(1, static_cast<int64_t>(start) + length);
                        const auto from = static_cast<size_t>(std::max(start, 1) - 1);
                        return bytes.substr(std::min(bytes.size(), from),
                                            static_cast<size_t>(std::max<int64_t>(0, end - 1 - static_cast<int64_t>(from))));
                      }),
                      "so many bytes from a byte (from 1) on");
  }
  for (View name : {"position", "strpos"}) {
    registry.Function(name, "text, text -> int4", Rowwise([](View text, View part) { return Position(text, part); }),
                      "where the second text starts in the first (from 1), 0 if nowhere");
  }
  registry.Function("left", "text, int4 -> text", Rowwise([](View text, int32_t n) { return Left(text, n); }),
                    "the first characters; all but the last for a negative number");
  registry.Function("right", "text, int4 -> text", Rowwise([](View text, int32_t n) { return Right(text, n); }),
                    "the last characters; all but the first for a negative number");
  registry.Function("lpad", "text, int4 -> text", Rowwise([](View text, int32_t n) { return Pad(text, n, " ", true); }),
                    "filled with spaces on the left, or cut, to so many characters");
  registry.Function("rpad", "text, int4 -> text", Rowwise([](View text, int32_t n) { return Pad(text, n, " ", false); }),
                    "filled with spaces on the right, or cut, to so many characters");
  registry.Function("lpad", "text, int4, text -> text", Rowwise([](View text, int32_t n, View fill) { return Pad(text, n, fill, true); }),
                    "filled on the left, or cut, to so many characters");
  registry.Function("rpad", "text, int4, text -> text", Rowwise([](View text, int32_t n, View fill) { return Pad(text, n, fill, false); }),
                    "filled on the right, or cut, to so many characters");
  registry.Function("repeat", "text, int4 -> text", Rowwise([](View text, int32_t n) { return Repeat(text, n); }), "the text so many times");
  registry.Function("replace", "text, text, text -> text", Rowwise([](View text, View from, View to) { return Replace(text, from, to); }),
                    "all occurrences of the second text replaced by the third");
  registry.Function("reverse", "text -> text", Rowwise([](View text) { return Reverse(text); }), "characters in reverse order");
  registry.Function("split_part", "text, text, int4 -> text",
                    Rowwise([](View text, View delimiter, int32_t n) { return SplitPart(text, delimiter, n); }),
                    "the n-th field between delimiters; from the end for negative n");
  registry
      .Function("starts_with", "text, text -> bool", Rowwise([](View text, View prefix) { return text.starts_with(prefix); }),
                "whether the text starts with a prefix")
      .Infallible();
  registry
      .Operator("^@", "text, text -> bool", Rowwise([](View text, View prefix) { return text.starts_with(prefix); }),
                "whether the text starts with a prefix")
      .Infallible();
  registry.Function("translate", "text, text, text -> text", Rowwise([](View text, View from, View to) { return Translate(text, from, to); }),
                    "each character of the second text replaced by that of the third");
  registry.Function("ascii", "text -> int4", Rowwise([](View text) { return static_cast<int32_t>(DecodeCharacter(text)); }),
                    "code point of the first character");
  registry.Function("chr", "int4 -> text", Rowwise([](int32_t code) { return Character(code); }), "character of a code point");
  registry.Function("overlay", "text, text, int4 -> text",
                    Rowwise([](View text, View with, int32_t start) { return Overlay(text, with, start, CharacterCount(with)); }),
                    "characters from a position on replaced");
  registry.Function("overlay", "text, text, int4, int4 -> text",
                    Rowwise([](View text, View with, int32_t start, int32_t length) { return Overlay(text, with, start, length); }),
                    "so many characters from a position on replaced");
  registry.Function("to_hex", "int4 -> text", Rowwise([](int32_t n) { return fmt::format("{:x}", static_cast<uint32_t>(n)); }), "in hexadecimal");
  registry.Function("to_hex", "int8 -> text", Rowwise([](int64_t n) { return fmt::format("{:x}", static_cast<uint64_t>(n)); }), "in hexadecimal");
}

}  // namespace kappa::expr
