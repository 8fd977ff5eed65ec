// The walk over simdjson's structural positions.
#include "format/json_scan.h"

#include <immintrin.h>
#include <simdjson.h>

#include <array>
#include <cstring>

#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>

#include "base/check.h"
#include "format/json_escape.h"
#include "format/json_grammar.h"
#include "format/json_shape.h"

namespace kappa::format {
namespace {

// A window's text, positions and tokens stay in the second-level cache.
constexpr size_t kWindowBytes = 64 << 10;
// Records that are parsed by shape before their tokens are converted.
constexpr size_t kShapeRecords = 256;
// As many in a row make it worth while to try shapes for every record.
constexpr size_t kShapeRun = 32;

/// A member name with the bytes laid out for a branch-free comparison.
struct Key {
  alignas(16) char head[16] = {};
  __m128i mask = _mm_setzero_si128();  // the first min(size, 16) bytes set
  std::string name;
  int32_t column = -1;  // -1: not declared

  void Set(std::string_view text, int32_t c) {
    name.assign(text);
    column = c;
    std::memset(head, 0, sizeof head);
    alignas(16) char bits[16] = {};
    const size_t n = std::min<size_t>(text.size(), 16);
    std::memcpy(head, text.data(), n);
    std::memset(bits, 0xff, n);
    mask = _mm_load_si128(reinterpret_cast<const __m128i*>(bits));
  }
  /// At least 16 bytes are readable at `text`.
  bool Matches(const char* text, size_t size) const {
    if (size != name.size()) return false;
    const __m128i bytes = _mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(text)), mask);
    const __m128i same = _mm_cmpeq_epi8(bytes, _mm_load_si128(reinterpret_cast<const __m128i*>(head)));
    if (_mm_movemask_epi8(same) != 0xffff) return false;
    return size <= 16 || std::memcmp(text + 16, name.data() + 16, size - 16) == 0;
  }
};

}  // namespace

struct JsonScanner::Impl {
  explicit Impl(std::vector<std::string> column_names) : names(std::move(column_names)), shapes(names.size()) {
    for (size_t i = 0; i < names.size(); ++i) columns.try_emplace(names[i], static_cast<int32_t>(i));
    tokens.resize(names.size() * kWindowRecords);
    seen.assign(names.size(), 0);
    Reserve(2 * kWindowBytes);
  }

  void Reserve(size_t bytes) {
    if (parser != nullptr && capacity >= bytes) return;
    parser.reset();
    const auto error = simdjson::get_active_implementation()->create_dom_parser_implementation(bytes, 1, parser);
    KAPPA_CHECK(error == simdjson::SUCCESS);  // out of memory otherwise
    capacity = bytes;
  }

  Window Scan(std::span<const std::string_view> values);
  Window ScanStructure(std::span<const std::string_view> values);
  size_t Gather(std::span<const std::string_view> values);
  template <bool kEscapes> bool Record(size_t record, const char* original);
  template <bool kEscapes> bool Container();
  template <bool kEscapes> bool Value(JsonToken& token);
  template <bool kEscapes> int32_t Column(size_t member, const char* name, size_t size);
  int32_t Lookup(std::string_view name) const {
    auto found = columns.find(absl::string_view(name.data(), name.size()));
    return found == columns.end() ? -1 : found->second;
  }

  /// The inside of the string that starts at *position and whose next structural is position[1]: everything between
  /// them but the quote is whitespace, or there would be a structural.
  size_t StringSize() const {
    size_t end = position[1] - 1;
    while (IsSpace(text[end])) --end;  // the closing quote ends this
    return end - position[0] - 1;
  }

  std::vector<std::string> names;
  absl::flat_hash_map<std::string, int32_t> columns;
  std::vector<JsonToken> tokens;  // column-major
  std::vector<uint64_t> seen;     // per column the serial of the record that had it last
  uint64_t serial = 0;
  std::vector<Key> predicted;  // the name of the m-th member of the record before
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
  size_t capacity = 0;
  std::string scratch;  // records copied together when they do not lie in a row
  std::string unescaped, reason;
  size_t burst = kWindowRecords;  // records in the next window: one after a bad record, then doubling
  JsonShapes shapes;
  size_t patience = 1;  // records that go through simdjson before shapes are tried again: more and more where shapes do not help

  // The walk in progress.
  const char* text = nullptr;          // of the window
  const uint32_t* position = nullptr;  // of the next structural character
  ptrdiff_t shift = 0;                 // from text to the record's own memory
  std::vector<uint32_t> starts;        // of the records in text
};

/// Chooses how many records the next window has and makes `text` one buffer of them, each followed by whitespace.
size_t JsonScanner::Impl::Gather(std::span<const std::string_view> values) {
  starts.clear();
  const size_t limit = std::min({values.size(), burst, kWindowRecords});
  auto separated = [&](size_t i) {  // do only a line end and whitespace lie between records i and i + 1?
    const char* end = values[i].data() + values[i].size();
    const ptrdiff_t gap = values[i + 1].data() - end;
    if (gap < 1 || gap > 4 || end[gap - 1] != '\n') return false;
    return std::all_of(end, end + gap, IsSpace);
  };
  auto ends_clean = [&](size_t i) {  // reading one byte behind a value is always allowed
    const char end = values[i].data()[values[i].size()];
    return IsSpace(end) || end == 0;
  };
  size_t count = 1;
  size_t bytes = values[0].size();
  while (count < limit && values[count].size() > 0 && separated(count - 1)) {
    const size_t next = static_cast<size_t>(values[count].data() + values[count].size() - values[0].data());
    if (next > kWindowBytes) break;
    bytes = next;
    ++count;
  }
  if ((count > 1 || limit == 1 || bytes > kWindowBytes / 8) && ends_clean(count - 1)) {
    text = values[0].data();
    for (size_t i = 0; i < count; ++i) starts.push_back(static_cast<uint32_t>(values[i].data() - text));
    Reserve(bytes);
    starts.push_back(static_cast<uint32_t>(bytes));
    return count;
  }
  scratch.clear();
  count = 0;
  while (count < limit && values[count].size() > 0 && (count == 0 || scratch.size() + values[count].size() <= kWindowBytes)) {
    starts.push_back(static_cast<uint32_t>(scratch.size()));
    scratch.append(values[count]);
    scratch.push_back('\n');
    ++count;
  }
  starts.push_back(static_cast<uint32_t>(scratch.size()));
  scratch.append(simdjson::SIMDJSON_PADDING, '\n');
  text = scratch.data();
  Reserve(scratch.size());
  return count;
}

JsonScanner::Window JsonScanner::Impl::Scan(std::span<const std::string_view> values) {
  const size_t tried = std::min(values.size(), kShapeRecords);
  const size_t known = shapes.Parse(values.subspan(0, tried), tokens.data(), kWindowRecords);
  patience = known < std::min(tried, kShapeRun) ? std::min(patience * 2, kWindowRecords) : 1;
  if (known > 0) return {.records = known, .good = known, .bad = false};
  const Window window = ScanStructure(values.subspan(0, std::min(values.size(), patience)));
  if (window.good > 0) shapes.Learn(values[window.good - 1], [this](std::string_view name) { return Lookup(name); });
  return window;
}

/// The general way: simdjson's first stage over a window, then the walk.
JsonScanner::Window JsonScanner::Impl::ScanStructure(std::span<const std::string_view> values) {
  if (values[0].empty()) return {.records = 1, .good = 0, .bad = true};
  size_t count = Gather(values);
  const size_t bytes = starts.back();
  auto failed = parser->stage1(reinterpret_cast<const uint8_t*>(text), bytes, simdjson::stage1_mode::regular);
  if (failed && count > 1) {  // some record of the window; look at them one by one
    burst = 1;
    return ScanStructure(values);
  }
  Window window;
  if (!failed) {
    position = parser->structural_indexes.get();
    const char* backslash = static_cast<const char*>(std::memchr(text, '\\', bytes));
    while (window.good < count) {
      const size_t record = window.good;
      const uint32_t end = starts[record + 1];  // the next record's start, or the window's end
      while (backslash != nullptr && backslash < text + starts[record]) {
        backslash = static_cast<const char*>(std::memchr(backslash + 1, '\\', static_cast<size_t>(text + bytes - backslash - 1)));
      }
      const bool escapes = backslash != nullptr && backslash < text + end;
      const bool good =
          position[0] >= starts[record] && (escapes ? Record<true>(record, values[record].data()) : Record<false>(record, values[record].data()));
      // The walk consumed positions in ascending order, so it stayed inside the record when the last one did.
      if (!good || position[-1] >= end || position[0] < end) break;
      ++window.good;
    }
  }
  window.bad = window.good < count;
  window.records = window.good + (window.bad ? 1 : 0);
  burst = window.bad ? 1 : std::min(burst * 2, kWindowRecords);
  if (capacity > 16 * kWindowBytes) {  // a huge record came by
    parser.reset();
    Reserve(2 * kWindowBytes);
    scratch = {};
  }
  return window;
}

template <bool kEscapes> int32_t JsonScanner::Impl::Column(size_t member, const char* name, size_t size) {
  if (member < predicted.size() && predicted[member].Matches(name, size)) [[likely]]
    return predicted[member].column;
  if constexpr (kEscapes) {
    if (std::memchr(name, '\\', size) != nullptr) {
      if (!UnescapeJsonString({name, size}, unescaped, reason)) return -1;
      return Lookup(unescaped);
    }
  }
  const int32_t column = Lookup({name, size});
  if (member < 256 && size <= 256) {
    if (predicted.size() <= member) predicted.resize(member + 1);
    predicted[member].Set({name, size}, column);
  }
  return column;
}

/// One object, from its brace to behind its closing brace.
template <bool kEscapes> bool JsonScanner::Impl::Record(size_t record, const char* original) {
  ++serial;
  shift = original - (text + starts[record]);
  if (text[*position] != '{') return false;
  ++position;
  size_t distinct = 0;
  if (text[*position] == '}') {
    ++position;
  } else {
    for (size_t member = 0;; ++member) {
      if (text[position[0]] != '"' || text[position[1]] != ':') return false;
      const char* name = text + position[0] + 1;
      const size_t size = StringSize();
      if constexpr (kEscapes) {
        if (!EscapesAreValid({name, size})) return false;
      }
      const int32_t column = Column<kEscapes>(member, name, size);
      position += 2;
      JsonToken ignored;
      JsonToken& token = column < 0 ? ignored : tokens[static_cast<size_t>(column) * kWindowRecords + record];
      if (!Value<kEscapes>(token)) return false;
      if (column >= 0 && seen[static_cast<size_t>(column)] != serial) {
        seen[static_cast<size_t>(column)] = serial;
        ++distinct;
      }
      const char next = text[*position++];
      if (next == ',') continue;
      if (next == '}') break;
      return false;
    }
  }
  if (distinct != names.size()) {
    for (size_t c = 0; c < names.size(); ++c) {
      if (seen[c] != serial) tokens[c * kWindowRecords + record] = {};
    }
  }
  return true;
}

template <bool kEscapes> bool JsonScanner::Impl::Value(JsonToken& token) {
  const char* start = text + position[0];
  switch (*start) {
    case '"': {
      token.data = start + 1 + shift;
      token.size = static_cast<uint32_t>(StringSize());
      token.kind = JsonToken::kString;
      if constexpr (kEscapes) {
        if (std::memchr(start + 1, '\\', token.size) != nullptr) {
          if (!EscapesAreValid({start + 1, token.size})) return false;
          token.kind = JsonToken::kEscaped;
        }
      }
      ++position;
      return true;
    }
    case '{':
    case '[': {
      token.kind = *start == '{' ? JsonToken::kObject : JsonToken::kArray;
      if (!Container<kEscapes>()) return false;
      token.data = start + shift;
      token.size = static_cast<uint32_t>(text + position[-1] + 1 - start);
      return true;
    }
    default: break;
  }
  const char* end = text + position[1];
  if (end <= start) return false;  // a sentinel
  while (IsSpace(end[-1])) --end;
  const auto size = static_cast<uint32_t>(end - start);
  token.data = start + shift;
  token.size = size;
  ++position;
  switch (*start) {
    case 't': token.kind = JsonToken::kTrue; return size == 4 && std::memcmp(start, "true", 4) == 0;
    case 'f': token.kind = JsonToken::kFalse; return size == 5 && std::memcmp(start, "false", 5) == 0;
    case 'n': token.kind = JsonToken::kNull; return size == 4 && std::memcmp(start, "null", 4) == 0;
    default: token.kind = NumberKind(start, end); return token.kind != JsonToken::kMissing;
  }
}

/// An object or array inside a record, from its bracket to behind its closing bracket.
template <bool kEscapes> bool JsonScanner::Impl::Container() {
  std::array<bool, kJsonDepthMax> is_object;  // of the containers inside the record
  int depth = 0;
  JsonToken ignored;
  for (;;) {  // at a value's first character
    const char first = text[*position];
    bool opened = false;
    if (first == '{' || first == '[') {
      if (depth + 1 >= kJsonDepthMax) return false;
      is_object[static_cast<size_t>(depth++)] = first == '{';
      ++position;
      opened = true;
      if (text[*position] != (first == '{' ? '}' : ']')) {
        if (first == '[') continue;
      }
    } else if (!Value<kEscapes>(ignored)) {
      return false;
    }
    for (;;) {  // behind a value, or just inside an opened container
      const bool object = is_object[static_cast<size_t>(depth) - 1];
      const char next = text[*position];
      if (next == (object ? '}' : ']')) {
        ++position;
        if (--depth == 0) return true;
        opened = false;
        continue;
      }
      if (!opened) {
        if (next != ',') return false;
        ++position;
      }
      if (object) {
        if (text[position[0]] != '"' || text[position[1]] != ':') return false;
        if constexpr (kEscapes) {
          if (!EscapesAreValid({text + position[0] + 1, StringSize()})) return false;
        }
        position += 2;
      }
      break;
    }
  }
}

JsonScanner::JsonScanner(std::vector<std::string> names) : impl_(std::make_unique<Impl>(std::move(names))) {}
JsonScanner::~JsonScanner() = default;
JsonScanner::Window JsonScanner::Scan(std::span<const std::string_view> values) { return impl_->Scan(values); }
const JsonToken* JsonScanner::tokens(size_t name) const { return impl_->tokens.data() + name * kWindowRecords; }

}  // namespace kappa::format
