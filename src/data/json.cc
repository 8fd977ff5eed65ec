// Navigating and combining jsonb text.
#include "data/json.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "data/numeric.h"

namespace kappa::data {
namespace {

// Bytes of the string that starts here, with its quotes.
size_t StringLength(std::string_view json) {
  size_t at = 1;
  while (json[at] != '"') at += json[at] == '\\' ? 2 : 1;
  return at + 1;
}

// Bytes of the value that starts here.
size_t ValueLength(std::string_view json) {
  if (json.front() == '"') return StringLength(json);
  if (json.front() != '{' && json.front() != '[') {
    size_t end = json.find_first_of(",}]");
    return std::min(end, json.size());
  }
  size_t depth = 0;
  for (size_t at = 0;;) {
    switch (json[at]) {
      case '"': at += StringLength(json.substr(at)); continue;
      case '{':
      case '[': ++depth; break;
      case '}':
      case ']':
        if (--depth == 0) return at + 1;
        break;
      default: break;
    }
    ++at;
  }
}

bool IsContainer(std::string_view json) { return json.front() == '{' || json.front() == '['; }

// The key without quotes equals `key`.
bool KeyEquals(std::string_view quoted, std::string_view key) {
  std::string_view inner = quoted.substr(1, quoted.size() - 2);
  if (inner.find('\\') == std::string_view::npos) return inner == key;
  std::string decoded;
  AppendJsonUnquoted(quoted, decoded);
  return decoded == key;
}

uint32_t HexValue(std::string_view digits) {
  uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return value;
}

Numeric NumberOf(std::string_view json) {
  Result<Numeric> number = Numeric::Parse(json);
  KAPPA_CHECK(number.ok());  // canonical text holds only numbers that were read before
  return *std::move(number);
}

bool ScalarEquals(std::string_view a, std::string_view b) {
  if (a == b) return true;
  return JsonKindOf(a) == JsonKind::kNumber && JsonKindOf(b) == JsonKind::kNumber && Compare(NumberOf(a), NumberOf(b)) == 0;
}

int Sign(int64_t x) { return (x > 0) - (x < 0); }

int CompareScalars(std::string_view a, std::string_view b, JsonKind kind) {
  switch (kind) {
    case JsonKind::kNull: return 0;
    case JsonKind::kBoolean: return (a == "true") - (b == "true");
    case JsonKind::kNumber: return Compare(NumberOf(a), NumberOf(b));
    default: break;
  }
  std::string x, y;
  AppendJsonUnquoted(a, x);
  AppendJsonUnquoted(b, y);
  return Sign(x.compare(y));
}

// Walks numbers outside strings, handing the other text through.
template <typename OnNumber, typename OnText> void VisitNumbers(std::string_view json, OnNumber on_number, OnText on_text) {
  size_t begin = 0;
  for (size_t at = 0; at < json.size();) {
    char c = json[at];
    if (c == '"') {
      at += StringLength(json.substr(at));
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      size_t end = json.find_first_of(",}] ", at);
      end = std::min(end, json.size());
      on_text(json.substr(begin, at - begin));
      on_number(json.substr(at, end - at));
      begin = at = end;
    } else {
      ++at;
    }
  }
  on_text(json.substr(begin));
}

std::string_view WithoutTrailingZeros(std::string_view number) {
  if (number.find('.') == std::string_view::npos) return number;
  while (number.back() == '0') number.remove_suffix(1);
  if (number.back() == '.') number.remove_suffix(1);
  return number;
}

void AppendMember(std::string_view quoted_key, std::string_view value, bool& first, std::string& out) {
  if (!first) out += ", ";
  first = false;
  out += quoted_key;
  if (!quoted_key.empty()) out += ": ";
  out += value;
}

Error Invalid(const char* message) { return Error(sqlstate::kInvalidParameterValue, message); }

}  // namespace

bool IsCanonicalJson(std::string_view json) {
  bool canonical = true;
  VisitNumbers(json, [&](std::string_view number) { canonical &= WithoutTrailingZeros(number) == number; }, [](std::string_view) {});
  return canonical;
}

void AppendCanonicalJson(std::string_view json, std::string& out) {
  VisitNumbers(json, [&](std::string_view number) { out += WithoutTrailingZeros(number); }, [&](std::string_view text) { out += text; });
}

void AppendJsonUnquoted(std::string_view json_string, std::string& out) {
  std::string_view rest = json_string.substr(1, json_string.size() - 2);
  while (true) {
    size_t escape = rest.find('\\');
    if (escape == std::string_view::npos) break;
    out += rest.substr(0, escape);
    char c = rest[escape + 1];
    rest.remove_prefix(escape + 2);
    switch (c) {
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'u':  // canonical text escapes control characters only
        out += static_cast<char>(HexValue(rest.substr(0, 4)));
        rest.remove_prefix(4);
        break;
      default: out += c;
    }
  }
  out += rest;
}

JsonKind JsonKindOf(std::string_view json) {
  switch (json.empty() ? 'n' : json.front()) {
    case '{': return JsonKind::kObject;
    case '[': return JsonKind::kArray;
    case '"': return JsonKind::kString;
    case 't':
    case 'f': return JsonKind::kBoolean;
    case 'n': return JsonKind::kNull;
    default: return JsonKind::kNumber;
  }
}

std::string_view JsonTypeName(JsonKind kind) {
  constexpr std::string_view kNames[] = {"null", "string", "number", "boolean", "array", "object"};
  return kNames[static_cast<size_t>(kind)];
}

JsonIterator::JsonIterator(std::string_view json) {
  if (json.empty() || !IsContainer(json)) return;
  object_ = json.front() == '{';
  rest_ = json.substr(1, json.size() - 2);
}

bool JsonIterator::Next() {
  if (rest_.empty()) return false;
  if (object_) {
    key_ = rest_.substr(0, StringLength(rest_));
    rest_.remove_prefix(key_.size() + 2);
  }
  value_ = rest_.substr(0, ValueLength(rest_));
  rest_.remove_prefix(value_.size());
  if (!rest_.empty()) rest_.remove_prefix(2);
  return true;
}

bool JsonField(std::string_view json, std::string_view key, std::string_view* value) {
  if (JsonKindOf(json) != JsonKind::kObject) return false;
  for (JsonIterator it(json); it.Next();) {
    if (KeyEquals(it.quoted_key(), key)) {
      *value = it.value();
      return true;
    }
    // Keys ascend in decoded length; the quoted form is never shorter than the decoded one.
    bool escaped = it.quoted_key().find('\\') != std::string_view::npos;
    if (!escaped && it.quoted_key().size() - 2 > key.size()) return false;
  }
  return false;
}

bool JsonElement(std::string_view json, int64_t index, std::string_view* value) {
  if (!IsContainer(json)) {  // PostgreSQL keeps a scalar as an array of one element
    *value = json;
    return index == 0 || index == -1;
  }
  if (JsonKindOf(json) != JsonKind::kArray) return false;
  if (index < 0) index += JsonLength(json);
  if (index < 0) return false;
  for (JsonIterator it(json); it.Next(); --index) {
    if (index == 0) {
      *value = it.value();
      return true;
    }
  }
  return false;
}

bool JsonPath(std::string_view json, std::span<const std::string> path, std::string_view* value) {
  for (const std::string& step : path) {
    std::string_view next;
    if (JsonKindOf(json) == JsonKind::kObject) {
      if (!JsonField(json, step, &next)) return false;
    } else {
      int64_t index = 0;
      auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
      if (!IsContainer(json) || error != std::errc() || end != step.data() + step.size() || !JsonElement(json, index, &next)) return false;
    }
    json = next;
  }
  *value = json;
  return true;
}

int64_t JsonLength(std::string_view json) {
  int64_t count = 0;
  for (JsonIterator it(json); it.Next();) ++count;
  return count;
}

void AppendJsonText(std::string_view json, std::string& out) {
  if (JsonKindOf(json) == JsonKind::kString) AppendJsonUnquoted(json, out);
  else out += json;
}

namespace {

// Containment of a container in a container of the same kind, or of equal scalars. Recursion is bounded by kJsonDepthMax.
bool ContainsValue(std::string_view json, std::string_view part) {
  JsonKind kind = JsonKindOf(part);
  if (JsonKindOf(json) != kind) return false;
  if (kind == JsonKind::kObject) {
    for (JsonIterator wanted(part); wanted.Next();) {
      std::string_view value;
      std::string_view quoted = wanted.quoted_key();
      bool found = quoted.find('\\') == std::string_view::npos ? JsonField(json, quoted.substr(1, quoted.size() - 2), &value)
                                                               : JsonField(json, wanted.key(), &value);
      if (!found || !ContainsValue(value, wanted.value())) return false;
    }
    return true;
  }
  if (kind != JsonKind::kArray) return ScalarEquals(json, part);
  for (JsonIterator wanted(part); wanted.Next();) {
    bool found = false;
    for (JsonIterator it(json); !found && it.Next();) found = ContainsValue(it.value(), wanted.value());
    if (!found) return false;
  }
  return true;
}

}  // namespace

bool JsonContains(std::string_view json, std::string_view part) {
  // At the top, an array contains a scalar that is one of its elements.
  if (JsonKindOf(json) == JsonKind::kArray && !IsContainer(part)) {
    for (JsonIterator it(json); it.Next();) {
      if (!IsContainer(it.value()) && ScalarEquals(it.value(), part)) return true;
    }
    return false;
  }
  return ContainsValue(json, part);
}

bool JsonExists(std::string_view json, std::string_view key) {
  std::string_view value;
  switch (JsonKindOf(json)) {
    case JsonKind::kObject: return JsonField(json, key, &value);
    case JsonKind::kString: return KeyEquals(json, key);
    case JsonKind::kArray:
      for (JsonIterator it(json); it.Next();) {
        if (JsonKindOf(it.value()) == JsonKind::kString && KeyEquals(it.value(), key)) return true;
      }
      return false;
    default: return false;
  }
}

namespace {

int CompareValues(std::string_view a, std::string_view b) {
  JsonKind x = JsonKindOf(a), y = JsonKindOf(b);
  if (x != y) return x < y ? -1 : 1;
  if (x != JsonKind::kArray && x != JsonKind::kObject) return CompareScalars(a, b, x);
  int64_t length_a = JsonLength(a), length_b = JsonLength(b);
  if (length_a != length_b) return length_a < length_b ? -1 : 1;
  JsonIterator left(a), right(b);
  while (left.Next() && right.Next()) {
    if (x == JsonKind::kObject) {
      if (int order = CompareScalars(left.quoted_key(), right.quoted_key(), JsonKind::kString); order != 0) return order;
    }
    if (int order = CompareValues(left.value(), right.value()); order != 0) return order;
  }
  return 0;
}

}  // namespace

int CompareJson(std::string_view a, std::string_view b) {
  if (a == b) return 0;
  // PostgreSQL keeps a scalar at the top as an array of one element that sorts before arrays of one element: so the empty
  // array comes before scalars, and all other arrays after them.
  JsonKind x = JsonKindOf(a), y = JsonKindOf(b);
  bool a_scalar = !IsContainer(a), b_scalar = !IsContainer(b);
  if (a_scalar != b_scalar && (x == JsonKind::kArray || y == JsonKind::kArray)) {
    bool empty = (a_scalar ? b : a) == "[]";
    return a_scalar != empty ? -1 : 1;
  }
  return CompareValues(a, b);
}

Status ConcatenateJson(std::string_view a, std::string_view b, std::string& out) {
  JsonKind x = JsonKindOf(a), y = JsonKindOf(b);
  if (x == JsonKind::kObject && y == JsonKind::kObject) {
    std::vector<std::pair<std::string, std::string_view>> members;
    for (std::string_view side : {a, b}) {
      for (JsonIterator it(side); it.Next();) members.emplace_back(it.key(), it.value());
    }
    AppendJsonObject(std::move(members), out);
    return {};
  }
  bool first = true;
  out += '[';
  for (std::string_view side : {a, b}) {
    if (JsonKindOf(side) != JsonKind::kArray) {
      AppendMember({}, side, first, out);
      continue;
    }
    for (JsonIterator it(side); it.Next();) AppendMember({}, it.value(), first, out);
  }
  out += ']';
  return {};
}

Status DeleteJsonKey(std::string_view json, std::string_view key, std::string& out) {
  JsonKind kind = JsonKindOf(json);
  if (!IsContainer(json)) return Invalid("cannot delete from scalar");
  bool first = true;
  out += json.front();
  for (JsonIterator it(json); it.Next();) {
    bool drop =
        kind == JsonKind::kObject ? KeyEquals(it.quoted_key(), key) : JsonKindOf(it.value()) == JsonKind::kString && KeyEquals(it.value(), key);
    if (!drop) AppendMember(it.quoted_key(), it.value(), first, out);
  }
  out += json.back();
  return {};
}

Status DeleteJsonElement(std::string_view json, int64_t index, std::string& out) {
  if (JsonKindOf(json) == JsonKind::kObject) return Invalid("cannot delete from object using integer index");
  if (!IsContainer(json)) return Invalid("cannot delete from scalar");
  if (index < 0) index += JsonLength(json);
  bool first = true;
  out += '[';
  for (JsonIterator it(json); it.Next(); --index) {
    if (index != 0) AppendMember({}, it.value(), first, out);
  }
  out += ']';
  return {};
}

void AppendJsonObject(std::vector<std::pair<std::string, std::string_view>> members, std::string& out) {
  std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
    return a.first.size() != b.first.size() ? a.first.size() < b.first.size() : a.first < b.first;
  });
  bool first = true;
  out += '{';
  for (size_t i = 0; i < members.size(); ++i) {
    if (i + 1 < members.size() && members[i].first == members[i + 1].first) continue;
    std::string quoted;
    AppendJsonQuoted(members[i].first, quoted);
    AppendMember(quoted, members[i].second, first, out);
  }
  out += '}';
}

void AppendJsonWithoutNulls(std::string_view json, std::string& out) {
  if (!IsContainer(json)) {
    out += json;
    return;
  }
  bool first = true;
  out += json.front();
  for (JsonIterator it(json); it.Next();) {
    if (json.front() == '{' && it.value() == "null") continue;
    AppendMember(it.quoted_key(), {}, first, out);
    AppendJsonWithoutNulls(it.value(), out);
  }
  out += json.back();
}

}  // namespace kappa::data
