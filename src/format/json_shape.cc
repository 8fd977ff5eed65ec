// Reading single JSON values, and the literals between them.
#include "format/json_shape.h"

#include <immintrin.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "format/json_grammar.h"

namespace kappa::format {
namespace {

constexpr size_t kStep = sizeof(__m256i);

/// The mask of the bytes for which `wanted` is all ones.
uint32_t Mask(__m256i wanted) { return static_cast<uint32_t>(_mm256_movemask_epi8(wanted)); }

/// Whether `size` bytes are equal. kStep bytes behind both are readable.
inline bool LiteralMatches(const char* text, const char* literal, size_t size) {
  for (;;) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(literal));
    const uint32_t differ = ~Mask(_mm256_cmpeq_epi8(a, b));
    if (size <= kStep) return _bzhi_u32(differ, static_cast<uint32_t>(size)) == 0;
    if (differ != 0) return false;
    text += kStep;
    literal += kStep;
    size -= kStep;
  }
}

/// The inside of a string that begins at `at`, behind its quote: its end, where the closing quote is; null when it has none before
/// `end`, or is not valid.
inline const char* StringEnd(const char* at, const char* end, bool& escaped) {
  const __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\'), space = _mm256_set1_epi8(' ');
  const char* begin = at;
  // Signed bytes below the space are control characters and all that is not ASCII.
  for (; at < end; at += kStep) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    const __m256i special =
        _mm256_or_si256(_mm256_cmpeq_epi8(bytes, quote), _mm256_or_si256(_mm256_cmpeq_epi8(bytes, backslash), _mm256_cmpgt_epi8(space, bytes)));
    const uint32_t mask = Mask(special);
    if (mask == 0) continue;
    at += std::countr_zero(mask);
    if (*at == '"') [[likely]]
      return at < end ? at : nullptr;
    break;
  }
  bool ascii = true;
  for (; at < end && *at != '"'; ++at) {
    if (static_cast<unsigned char>(*at) < 0x20) return nullptr;
    if (*at == '\\') {
      escaped = true;
      ++at;
    } else if (static_cast<signed char>(*at) < 0) {
      ascii = false;
    }
  }
  if (at >= end) return nullptr;
  const std::string_view inside(begin, static_cast<size_t>(at - begin));
  if (escaped && !EscapesAreValid(inside)) return nullptr;
  // A backslash before a byte that is not ASCII is not a valid escape, so none was passed over.
  if (!ascii && !simdjson::validate_utf8(inside.data(), inside.size())) return nullptr;
  return at;
}

inline bool WordAt(const char* at, std::string_view word) { return std::memcmp(at, word.data(), word.size()) == 0; }

/// How many digits are at the front of 8 bytes.
inline size_t DigitCount(const char* at) {
  uint64_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  constexpr uint64_t kHigh = 0xf0f0f0f0f0f0f0f0, kDigits = 0x3333333333333333;
  const uint64_t other = ((bytes & kHigh) | (((bytes + 0x0606060606060606) & kHigh) >> 4)) ^ kDigits;
  return other == 0 ? 8 : static_cast<size_t>(std::countr_zero(other)) / 8;
}

const char* ContainerEnd(const char* at, const char* end);

/// Reads the value at `at`: fills the token and gives the value's end; null when it is not a valid one that ends before `end`.
inline const char* ReadValue(const char* at, const char* end, JsonToken& token) {
  token.data = at;
  const char* after = at;
  switch (*at) {
    case '"': {
      bool escaped = false;
      after = StringEnd(at + 1, end, escaped);
      if (after == nullptr) return nullptr;
      token.data = at + 1;
      token.size = static_cast<uint32_t>(after - at - 1);
      token.kind = escaped ? JsonToken::kEscaped : JsonToken::kString;
      return after + 1;
    }
    case '{':
    case '[':
      after = ContainerEnd(at, end);
      if (after == nullptr) return nullptr;
      token.kind = *at == '{' ? JsonToken::kObject : JsonToken::kArray;
      break;
    case 't':
      if (!WordAt(at, "true")) return nullptr;
      after += 4;
      token.kind = JsonToken::kTrue;
      break;
    case 'f':
      if (!WordAt(at, "false")) return nullptr;
      after += 5;
      token.kind = JsonToken::kFalse;
      break;
    case 'n':
      if (!WordAt(at, "null")) return nullptr;
      after += 4;
      token.kind = JsonToken::kNull;
      break;
    default: {
      const char* digits = at + (*at == '-');
      after = digits;
      for (size_t count = 8; count == 8 && after < end;) {
        count = DigitCount(after);
        after += count;
      }
      if (after == digits || (*digits == '0' && after - digits > 1)) return nullptr;
      token.kind = JsonToken::kInteger;
      if (after < end && (*after == '.' || (*after | 0x20) == 'e')) {
        while (after < end && (IsDigit(*after) || *after == '.' || *after == '+' || *after == '-' || (*after | 0x20) == 'e')) ++after;
        token.kind = NumberKind(at, after);
        if (token.kind == JsonToken::kMissing) return nullptr;
      }
      break;
    }
  }
  token.size = static_cast<uint32_t>(after - at);
  return after <= end ? after : nullptr;
}

inline const char* SkipSpace(const char* at, const char* end) {
  while (at < end && IsSpace(*at)) ++at;
  return at;
}

/// Behind the colon of the member whose name begins at `at`; null when there is none.
const char* SkipName(const char* at, const char* end) {
  if (at >= end || *at != '"') return nullptr;
  bool escaped = false;
  at = StringEnd(at + 1, end, escaped);
  if (at == nullptr) return nullptr;
  at = SkipSpace(at + 1, end);
  return at < end && *at == ':' ? at + 1 : nullptr;
}

/// The end of the object or array at `at`; null when it is not valid or does not end before `end`.
const char* ContainerEnd(const char* at, const char* end) {
  std::array<bool, kJsonDepthMax> is_object;  // of the containers inside the record
  int depth = 0;
  JsonToken ignored;
  for (;;) {  // before a value
    at = SkipSpace(at, end);
    if (at >= end) return nullptr;
    bool opened = false;
    if (*at == '{' || *at == '[') {
      if (depth + 1 >= kJsonDepthMax) return nullptr;
      is_object[static_cast<size_t>(depth++)] = *at++ == '{';
      opened = true;
    } else {
      at = ReadValue(at, end, ignored);
      if (at == nullptr) return nullptr;
    }
    for (;;) {  // behind a value, or just inside an opened container
      const bool object = is_object[static_cast<size_t>(depth) - 1];
      at = SkipSpace(at, end);
      if (at >= end) return nullptr;
      if (*at == (object ? '}' : ']')) {
        ++at;
        if (--depth == 0) return at;
        opened = false;
        continue;
      }
      if (!opened) {
        if (*at != ',') return nullptr;
        at = SkipSpace(at + 1, end);
      }
      if (object) {
        at = SkipName(at, end);
        if (at == nullptr) return nullptr;
      }
      break;
    }
  }
}

}  // namespace

bool JsonShapes::ParseOne(const Shape& shape, std::string_view record, JsonToken* tokens, size_t stride) {
  const char* at = record.data();
  const char* end = at + record.size();
  JsonToken ignored;
  for (const Member& member : shape.members) {
    if (static_cast<size_t>(end - at) < member.literal_size || !LiteralMatches(at, shape.literals.data() + member.literal_at, member.literal_size))
      return false;
    at += member.literal_size;
    if (at >= end) return false;
    JsonToken& token = member.column < 0 ? ignored : tokens[static_cast<size_t>(member.column) * stride];
    at = ReadValue(at, end, token);
    if (at == nullptr) return false;
  }
  return static_cast<size_t>(end - at) == shape.tail_size && LiteralMatches(at, shape.literals.data() + shape.tail_at, shape.tail_size);
}

size_t JsonShapes::Parse(std::span<const std::string_view> records, JsonToken* tokens, size_t stride) {
  if (shapes_.empty()) return 0;
  size_t done = 0;
  for (; done < records.size(); ++done) {
    size_t s = 0;
    while (s < shapes_.size() && !ParseOne(shapes_[s], records[done], tokens + done, stride)) ++s;
    if (s == shapes_.size()) break;
    if (s > 0) std::rotate(shapes_.begin(), shapes_.begin() + static_cast<ptrdiff_t>(s), shapes_.begin() + static_cast<ptrdiff_t>(s) + 1);
    for (const size_t column : shapes_[0].missing) tokens[column * stride + done] = {};
  }
  return done;
}

/// Finds the values of a good record and what lies between them. False: such a record is not worth to be known (no members, names
/// with escapes).
bool JsonShapes::Dissect(std::string_view record, Shape& shape) {
  const char* at = record.data();
  const char* end = at + record.size();
  const char* literal = at;
  at = SkipSpace(at, end);
  if (at >= end || *at != '{') return false;
  do {
    at = SkipSpace(at + 1, end);
    const char* name = at + 1;
    at = SkipName(at, end);
    if (at == nullptr || shape.members.size() == kMembersMax) return false;
    at = SkipSpace(at, end);
    Member member;
    bool escaped = false;
    const char* name_end = StringEnd(name, end, escaped);
    if (name_end == nullptr || escaped) return false;
    member.name_at = static_cast<uint32_t>(shape.names.size());
    member.name_size = static_cast<uint32_t>(name_end - name);
    shape.names.append(name, name_end);
    member.literal_at = static_cast<uint32_t>(shape.literals.size());
    member.literal_size = static_cast<uint32_t>(at - literal);
    shape.literals.append(literal, at);
    JsonToken ignored;
    if (at >= end || (at = ReadValue(at, end, ignored)) == nullptr) return false;
    literal = at;
    at = SkipSpace(at, end);
    shape.members.push_back(member);
  } while (at < end && *at == ',');
  if (at >= end || *at != '}') return false;
  shape.tail_at = static_cast<uint32_t>(shape.literals.size());
  shape.tail_size = static_cast<uint32_t>(end - literal);
  shape.literals.append(literal, end);
  shape.literals.append(kLiteralPadding, '\0');
  return SkipSpace(at + 1, end) == end;
}

void JsonShapes::Remember(Shape shape) {
  for (size_t c = 0; c < columns_; ++c) {
    auto has = [&](const Member& member) { return member.column == static_cast<int32_t>(c); };
    if (std::none_of(shape.members.begin(), shape.members.end(), has)) shape.missing.push_back(c);
  }
  if (shapes_.size() == kShapesMax) shapes_.pop_back();
  shapes_.insert(shapes_.begin(), std::move(shape));
}

}  // namespace kappa::format
