// Text functions that measure, cut, search and rearrange characters.
#include <absl/container/flat_hash_map.h>
#include <fmt/format.h>

#include <bit>
#include <charconv>

#include "data/byte_blocks.h"
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

/// True when there is a letter of the 26 from `first` on, or anything that is not ASCII.
bool HasLetterOf(std::string_view text, char first) {
  const __m256i below = _mm256_set1_epi8(static_cast<char>(first - 1)), above = _mm256_set1_epi8(static_cast<char>(first + 26));
  bool has = false;
  data::ForEachBlock(text, [&](__m256i bytes, size_t, uint32_t) {
    const __m256i letters = _mm256_and_si256(_mm256_cmpgt_epi8(bytes, below), _mm256_cmpgt_epi8(above, bytes));
    has = _mm256_movemask_epi8(_mm256_or_si256(letters, bytes)) != 0;
    return !has;
  });
  return has;
}

/// lower and upper: texts without a letter to change are borrowed.
template <char kFirst, std::string (*kChange)(std::string_view)> Result<data::ColumnPtr> WithCase(KernelCall& call) {
  const data::Column& texts = *call.arguments[0].column;
  data::ColumnBuilder builder(call.type, call.rows);
  builder.ShareKeepalives(texts);
  for (int64_t row = 0; row < call.rows; ++row) {
    const data::StringView text = texts.data<data::StringView>()[row];
    if (texts.IsNull(row)) builder.AppendNull();
    else if (HasLetterOf(text, kFirst)) builder.AppendBytes(kChange(text));
    else builder.AppendBorrowed(text);
  }
  return builder.Finish();
}

/// FieldBetween of 32 to 64 bytes, without a branch that depends on where the field is: places are bits of a word.
std::string_view FieldOfMedium(std::string_view text, char byte, int32_t n) {
  const auto block = [&](size_t at) { return uint64_t{data::Equal(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + at)), byte)}; };
  const size_t last = text.size() - 32;  // the blocks may overlap
  const uint64_t places = block(0) | block(last) << last;
  // Field n begins behind place n - 1 and ends before place n; the text ends where there is no such place.
  const auto place = [&](int32_t k) {
    const uint64_t bit = k > 64 ? 0 : _pdep_u64(uint64_t{1} << (k - 1), places);
    return bit == 0 ? text.size() : static_cast<size_t>(std::countr_zero(bit));
  };
  const size_t begin = n == 1 ? 0 : std::min(place(n - 1) + 1, text.size());
  return text.substr(begin, place(n) - begin);
}

/// The n-th field (n > 0) of a text between bytes; empty when there are fewer.
std::string_view FieldBetween(std::string_view text, char byte, int32_t n) {
  if (text.size() >= 32 && text.size() <= 64) return FieldOfMedium(text, byte, n);
  size_t begin = n == 1 ? 0 : std::string_view::npos, end = text.size();
  int32_t missing = n - 1;  // places until the field begins
  data::ForEachBlock(text, [&](__m256i bytes, size_t at, uint32_t valid) {
    uint32_t places = data::Equal(bytes, byte) & valid;
    if (begin == std::string_view::npos) {
      const int here = std::popcount(places);
      missing -= here;
      if (missing > 0) return true;
      const uint32_t last = _pdep_u32(uint32_t{1} << (missing + here - 1), places);
      begin = at + static_cast<size_t>(std::countr_zero(last)) + 1;
      places &= ~(last | (last - 1));
    }
    if (places == 0) return true;
    end = at + static_cast<size_t>(std::countr_zero(places));
    return false;
  });
  return begin == std::string_view::npos ? text.substr(0, 0) : text.substr(begin, end - begin);
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
  if (delimiter.size() == 1) return FieldBetween(text, delimiter[0], field);
  for (;;) {
    const size_t at = text.find(delimiter);
    if (--field == 0) return text.substr(0, at);
    if (at == std::string_view::npos) return text.substr(0, 0);
    text = text.substr(at + delimiter.size());
  }
}

Result<data::ColumnPtr> SplitParts(KernelCall& call) {
  const Argument &text = call.arguments[0], &delimiter = call.arguments[1], &field = call.arguments[2];
  const bool plain = delimiter.constant && field.constant && delimiter.bytes(0).size() == 1 && field.Get<int32_t>(0) > 0;
  if (!plain) return Rowwise([](std::string_view t, std::string_view d, int32_t n) { return SplitPart(t, d, n); })(call);
  const char byte = delimiter.bytes(0)[0];
  const auto n = field.Get<int32_t>(0);
  auto out = MakeOutput(call);
  auto* values = out->mutable_data<data::StringView>();
  // Texts lie where their records do, far apart: they are fetched into the cache ahead of their use.
  constexpr int64_t kAhead = 16;
  for (int64_t row = 0; row < call.rows; ++row) {
    const std::string_view ahead = text.bytes(std::min(row + kAhead, call.rows - 1));
    __builtin_prefetch(ahead.data());
    __builtin_prefetch(ahead.data() + ahead.size());
    values[row] = data::StringView(FieldBetween(text.bytes(row), byte, n));
  }
  out->ShareKeepalives(*text.column);
  FinishNulls(call, *out);
  return data::ColumnPtr(std::move(out));
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

/// unistr(): \\XXXX, \\+XXXXXX, \\uXXXX and \\UXXXXXXXX are code points, two surrogates one; two backslashes are one.
Result<std::string> UnescapeUnicode(std::string_view text) {
  std::string out;
  uint32_t high = 0;  // the first half of a surrogate pair
  const auto broken = [] { return Error(sqlstate::kSyntaxError, "invalid Unicode surrogate pair"); };
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '\\' || text.substr(at + 1).starts_with('\\')) {
      if (high != 0) return broken();
      out += text[at];
      at += text[at] == '\\' ? 2 : 1;
      continue;
    }
    const char kind = at + 1 < text.size() ? text[at + 1] : '\0';
    const size_t start = at + (kind == '+' || kind == 'u' || kind == 'U' ? 2 : 1), digits = kind == '+' ? 6 : kind == 'U' ? 8 : 4;
    const std::string_view hex = text.substr(std::min(start, text.size()), digits);
    uint32_t code = 0;
    const auto [end, failure] = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    if (hex.size() < digits || end != hex.data() + digits || failure != std::errc())
      return Error(sqlstate::kSyntaxError, "invalid Unicode escape").Hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.");
    at = start + digits;
    const bool is_high = code >= 0xD800 && code < 0xDC00, is_low = code >= 0xDC00 && code < 0xE000;
    if (is_low != (high != 0)) return broken();
    if (is_high) {
      high = code;
      continue;
    }
    if (is_low) code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00);
    high = 0;
    if (code == 0 || code > 0x10FFFF) return Error(sqlstate::kInvalidParameterValue, fmt::format("invalid Unicode code point: {:04X}", code));
    AppendCharacter(code, out);
  }
  if (high != 0) return broken();
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
  registry.Function("lower", "text -> text", WithCase<'A', Lower>, "in lower case");
  registry.Function("upper", "text -> text", WithCase<'a', Upper>, "in upper case");
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
  registry.Function("split_part", "text, text, int4 -> text", SplitParts, "the n-th field between delimiters; from the end for negative n");
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
  registry.Function("unistr", "text -> text", Rowwise([](View text) { return UnescapeUnicode(text); }), "with the characters of Unicode escapes");
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
