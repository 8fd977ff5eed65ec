// jsonb: values are kept as their canonical text, exactly as PostgreSQL prints jsonb: object keys unique (the last wins) and
// sorted by length, then bytes; ", " and ": " between parts; numbers as numeric prints them. Equal text is equal jsonb but
// for trailing zeros of numbers (1.0 = 1), which AppendCanonicalJson drops for keys.
//
// Navigation returns views into the text of the whole value: nothing is copied.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace kappa::data {

/// Deeper nesting is refused with statement_too_complex, as PostgreSQL's stack limit does.
inline constexpr int kJsonDepthMax = 5000;

/// Reads any JSON text and appends its jsonb text. Fails with invalid_text_representation (malformed), 22P05 (\u0000),
/// statement_too_complex, numeric_value_out_of_range.
Status NormalizeJson(std::string_view text, std::string& out);

/// Trailing zeros of numbers dropped: equal values give equal bytes.
void AppendCanonicalJson(std::string_view json, std::string& out);
bool IsCanonicalJson(std::string_view json);

/// Appends a JSON string of UTF-8 text, quoted and escaped as PostgreSQL does.
void AppendJsonQuoted(std::string_view text, std::string& out);
/// Appends what a JSON string (with quotes) stands for.
void AppendJsonUnquoted(std::string_view json_string, std::string& out);

// ---- Reading canonical text. Arguments named `json` must have come from NormalizeJson or from here.

enum class JsonKind : uint8_t { kNull, kString, kNumber, kBoolean, kArray, kObject };
JsonKind JsonKindOf(std::string_view json);
/// jsonb_typeof: "object", "array", "string", "number", "boolean", "null".
std::string_view JsonTypeName(JsonKind kind);

/// The members of an object, or the elements of an array (then without keys), in order.
class JsonIterator {
 public:
  /// A scalar has no members.
  explicit JsonIterator(std::string_view json);
  /// False at the end.
  bool Next();
  /// The key with its quotes; AppendJsonUnquoted decodes it.
  std::string_view quoted_key() const { return key_; }
  std::string key() const {
    std::string out;
    AppendJsonUnquoted(key_, out);
    return out;
  }
  std::string_view value() const { return value_; }

 private:
  std::string_view rest_;
  std::string_view key_, value_;
  bool object_ = false;
};

/// object -> key: false when this is no object or has no such key.
bool JsonField(std::string_view json, std::string_view key, std::string_view* value);
/// array -> index (negative counts from the end): false when there is no such element. A scalar is its own element 0.
bool JsonElement(std::string_view json, int64_t index, std::string_view* value);
/// #>: each step is a key of an object or an integer for an array.
bool JsonPath(std::string_view json, std::span<const std::string> path, std::string_view* value);
/// Elements of an array, members of an object, 0 for scalars.
int64_t JsonLength(std::string_view json);
/// ->>: a string's text, any other value as it is. The caller maps JSON null to SQL NULL.
void AppendJsonText(std::string_view json, std::string& out);
/// @>
bool JsonContains(std::string_view json, std::string_view part);
/// ?: a key of an object, or a string among an array's elements, or a string itself.
bool JsonExists(std::string_view json, std::string_view key);
/// PostgreSQL's order of jsonb.
int CompareJson(std::string_view a, std::string_view b);

// ---- Making new values. Errors: invalid_parameter_value in PostgreSQL's wording.

/// ||: two objects are merged, all else becomes an array.
Status ConcatenateJson(std::string_view a, std::string_view b, std::string& out);
/// json - key, json - index. Fails for scalars ("cannot delete from scalar").
Status DeleteJsonKey(std::string_view json, std::string_view key, std::string& out);
Status DeleteJsonElement(std::string_view json, int64_t index, std::string& out);
/// An object of members in any order; later duplicates win. Values are canonical JSON.
void AppendJsonObject(std::vector<std::pair<std::string, std::string_view>> members, std::string& out);
/// jsonb_strip_nulls: members whose value is null are left out, at all depths.
void AppendJsonWithoutNulls(std::string_view json, std::string& out);

}  // namespace kappa::data
