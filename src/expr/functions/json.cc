// Operators and functions of jsonb.
#include "data/json.h"

#include <fmt/format.h>

#include "expr/functions/arrays.h"
#include "expr/functions/json_value.h"
#include "expr/functions/register.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

using data::JsonKind;
using View = std::string_view;
using MaybeView = std::optional<View>;
using MaybeText = std::optional<std::string>;

/// ->> of what was found; JSON null is SQL NULL.
MaybeText TextOf(bool found, View value) {
  if (!found || data::JsonKindOf(value) == JsonKind::kNull) return std::nullopt;
  std::string out;
  data::AppendJsonText(value, out);
  return out;
}
MaybeView ValueOf(bool found, View value) { return found ? MaybeView(value) : std::nullopt; }

/// json -> index. As in PostgreSQL a scalar is its own only element here.
bool Element(View json, int32_t index, View* value) {
  const JsonKind kind = data::JsonKindOf(json);
  if (kind == JsonKind::kArray || kind == JsonKind::kObject) return data::JsonElement(json, index, value);
  *value = json;
  return index == 0 || index == -1;
}

using Path = std::vector<std::string>;

/// The steps of a text[]; nullopt when one is NULL.
std::optional<Path> PathOf(View array) {
  Path path;
  for (const auto& step : TextElements(array)) {
    if (!step) return std::nullopt;
    path.emplace_back(*step);
  }
  return path;
}

std::optional<int64_t> Integer(View text) {
  if (text.empty() || text.size() > 11) return std::nullopt;
  const auto value = data::FromText(text, data::TypeId::kInt4);
  return value.ok() ? std::optional<int64_t>(value->As<int32_t>()) : std::nullopt;
}

// ---- Changing what a path leads to: #-, jsonb_set, jsonb_insert.

enum class Change : uint8_t { kDelete, kSet, kInsertBefore, kInsertAfter };

class PathChange {
 public:
  PathChange(const Path& path, Change change, View value, bool create) : path_(path), change_(change), value_(value), create_(create) {}

  Status Apply(View json, size_t level, std::string& out) const {
    switch (data::JsonKindOf(json)) {
      case JsonKind::kObject: return Object(json, level, out);
      case JsonKind::kArray: return Array(json, level, out);
      default: out += json; return {};
    }
  }

 private:
  Status Object(View json, size_t level, std::string& out) const {
    const bool last = level + 1 == path_.size();
    std::vector<std::pair<std::string, View>> members;
    std::string changed;
    bool found = false;
    for (data::JsonIterator it(json); it.Next();) {
      std::string key = it.key();
      if (key != path_[level]) {
        members.emplace_back(std::move(key), it.value());
        continue;
      }
      found = true;
      if (!last) {
        KAPPA_RETURN_IF_ERROR(Apply(it.value(), level + 1, changed));
        members.emplace_back(std::move(key), View());
        continue;
      }
      if (change_ == Change::kDelete) continue;
      if (change_ == Change::kSet) members.emplace_back(std::move(key), value_);
      else
        return Error(sqlstate::kInvalidParameterValue, "cannot replace existing key").Hint("Try using the function jsonb_set to replace key value.");
    }
    for (auto& [key, value] : members) {
      if (value.data() == nullptr) value = changed;
    }
    if (!found && last && change_ != Change::kDelete && create_) members.emplace_back(path_[level], value_);
    data::AppendJsonObject(std::move(members), out);
    return {};
  }

  Status Array(View json, size_t level, std::string& out) const {
    const auto given = Integer(path_[level]);
    if (!given) {
      return Error(sqlstate::kInvalidTextRepresentation,
                   fmt::format("path element at position {} is not an integer: \"{}\"", level + 1, path_[level]));
    }
    const bool last = level + 1 == path_.size();
    const int64_t length = data::JsonLength(json);
    int64_t index = *given < 0 ? length + *given : *given;
    if (index < 0) index = change_ == Change::kDelete ? -1 : INT64_MIN;
    std::vector<std::string> elements;
    int64_t at = 0;
    for (data::JsonIterator it(json); it.Next(); ++at) {
      if (at != index) {
        elements.emplace_back(it.value());
      } else if (!last) {
        KAPPA_RETURN_IF_ERROR(Apply(it.value(), level + 1, elements.emplace_back()));
      } else {
        if (change_ == Change::kInsertBefore) elements.emplace_back(value_);
        if (change_ == Change::kSet) elements.emplace_back(value_);
        if (change_ == Change::kInsertBefore || change_ == Change::kInsertAfter) elements.emplace_back(it.value());
        if (change_ == Change::kInsertAfter) elements.emplace_back(value_);
      }
    }
    if (last && create_ && change_ != Change::kDelete) {
      if (index == INT64_MIN) elements.insert(elements.begin(), std::string(value_));
      else if (index >= length) elements.emplace_back(value_);
    }
    out += '[';
    for (size_t i = 0; i < elements.size(); ++i) {
      if (i > 0) out += ", ";
      out += elements[i];
    }
    out += ']';
    return {};
  }

  const Path& path_;
  Change change_;
  View value_;
  bool create_;
};

Result<MaybeText> ChangePath(View json, View path_array, Change change, View value, bool create, const char* scalar_error) {
  const JsonKind kind = data::JsonKindOf(json);
  if (kind != JsonKind::kArray && kind != JsonKind::kObject) return Error(sqlstate::kInvalidParameterValue, scalar_error);
  const auto path = PathOf(path_array);
  if (!path) return Error(sqlstate::kNullValueNotAllowed, "path element at position 1 is null");
  if (path->empty() || (kind == JsonKind::kArray && data::JsonLength(json) == 0 && !create)) return MaybeText(json);
  std::string out;
  KAPPA_RETURN_IF_ERROR(PathChange(*path, change, value, create).Apply(json, 0, out));
  return MaybeText(std::move(out));
}

/// jsonb_set_lax(target, path, value, create, what a NULL value does).
Result<MaybeText> SetLax(KernelCall& call, int64_t row) {
  const auto& arguments = call.arguments;
  if (arguments[0].IsNull(row) || arguments[1].IsNull(row) || (arguments.size() > 3 && arguments[3].IsNull(row))) return MaybeText();
  const View json = arguments[0].bytes(row), path = arguments[1].bytes(row);
  const bool create = arguments.size() <= 3 || arguments[3].Get<uint8_t>(row) != 0;
  constexpr const char* kScalar = "cannot set path in scalar";
  if (arguments.size() > 4 && arguments[4].IsNull(row))
    return Error(sqlstate::kInvalidParameterValue,
                 "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"");
  if (!arguments[2].IsNull(row)) return ChangePath(json, path, Change::kSet, arguments[2].bytes(row), create, kScalar);
  const View treatment = arguments.size() > 4 ? arguments[4].bytes(row) : "use_json_null";
  if (treatment == "use_json_null") return ChangePath(json, path, Change::kSet, "null", create, kScalar);
  if (treatment == "delete_key") return ChangePath(json, path, Change::kDelete, {}, false, "cannot delete path in scalar");
  if (treatment == "return_target") return MaybeText(json);
  if (treatment == "raise_exception")
    return Error(sqlstate::kNullValueNotAllowed, "JSON value must not be null")
        .Detail("Exception was raised because null_value_treatment is \"raise_exception\".")
        .Hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.");
  return Error(sqlstate::kInvalidParameterValue,
               "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"");
}

void AppendPretty(View json, int level, std::string& out) {
  const JsonKind kind = data::JsonKindOf(json);
  if (kind != JsonKind::kArray && kind != JsonKind::kObject) {
    out += json;
    return;
  }
  const bool object = kind == JsonKind::kObject;
  out += object ? '{' : '[';
  bool first = true;
  for (data::JsonIterator it(json); it.Next();) {
    if (!first) out += ',';
    first = false;
    out += '\n';
    out.append(static_cast<size_t>(level + 1) * 4, ' ');
    if (object) {
      out += it.quoted_key();
      out += ": ";
    }
    AppendPretty(it.value(), level + 1, out);
  }
  out += '\n';
  out.append(static_cast<size_t>(level) * 4, ' ');
  out += object ? '}' : ']';
}

// ---- Building

/// Runs `build(row, out)` for each row.
template <typename Build> Kernel Building(Build build) {
  return [build](KernelCall& call) -> Result<data::ColumnPtr> {
    data::ColumnBuilder builder(call.type, call.rows);
    std::string out;
    for (int64_t row = 0; row < call.rows; ++row) {
      out.clear();
      const Status status = build(call, row, out);
      if (!status.ok()) {
        if (!call.Tolerate(status.error())) return status.error();
        builder.AppendNull();
      } else {
        builder.AppendBytes(out);
      }
    }
    return builder.Finish();
  };
}

Status BuildObject(KernelCall& call, int64_t row, std::string& out) {
  if (call.arguments.size() % 2 != 0) {
    return Error(sqlstate::kInvalidParameterValue, "argument list must have even number of elements")
        .Hint("The arguments of jsonb_build_object() must consist of alternating keys and values.");
  }
  std::vector<std::string> values(call.arguments.size() / 2);
  std::vector<std::pair<std::string, View>> members;
  for (size_t i = 0; i < values.size(); ++i) {
    const Argument& key = call.arguments[2 * i];
    const Argument& value = call.arguments[2 * i + 1];
    if (key.IsNull(row)) return Error(sqlstate::kInvalidParameterValue, fmt::format("argument {}: key must not be null", 2 * i + 1));
    if (key.id() == data::TypeId::kArray || key.id() == data::TypeId::kJsonb) {
      return Error(sqlstate::kInvalidParameterValue, "key value must be scalar, not array, composite, or json");
    }
    std::string name;
    data::AppendText(*key.column, key.At(row), call.context.text, name);
    if (key.id() == data::TypeId::kBool) name = name == "t" ? "true" : "false";
    KAPPA_RETURN_IF_ERROR(AppendJsonValue(*value.column, value.At(row), call.context, values[i]));
    members.emplace_back(std::move(name), View(values[i]));
  }
  data::AppendJsonObject(std::move(members), out);
  return {};
}

Status BuildArray(KernelCall& call, int64_t row, std::string& out) {
  out += '[';
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (i > 0) out += ", ";
    KAPPA_RETURN_IF_ERROR(AppendJsonValue(*call.arguments[i].column, call.arguments[i].At(row), call.context, out));
  }
  out += ']';
  return {};
}

Result<data::ColumnPtr> ToJson(KernelCall& call) {
  data::ColumnBuilder builder(call.type, call.rows);
  std::string out;
  for (int64_t row = 0; row < call.rows; ++row) {
    if (call.arguments[0].IsNull(row)) {
      builder.AppendNull();
      continue;
    }
    out.clear();
    if (const Status status = AppendJsonValue(*call.arguments[0].column, row, call.context, out); !status.ok()) {
      if (!call.Tolerate(status.error())) return status.error();
      builder.AppendNull();
      continue;
    }
    builder.AppendBytes(out);
  }
  return builder.Finish();
}

/// jsonb_extract_path[_text](json, step, ..).
template <bool text> Result<data::ColumnPtr> ExtractPath(KernelCall& call) {
  data::ColumnBuilder builder(call.type, call.rows);
  for (int64_t row = 0; row < call.rows; ++row) {
    if (call.AnyNull(row)) {
      builder.AppendNull();
      continue;
    }
    Path path;
    for (size_t i = 1; i < call.arguments.size(); ++i) path.emplace_back(call.arguments[i].bytes(row));
    View value;
    const bool found = data::JsonPath(call.arguments[0].bytes(row), path, &value);
    if constexpr (text) {
      const MaybeText result = TextOf(found, value);
      if (result) builder.AppendBytes(*result);
      else builder.AppendNull();
    } else {
      if (found) builder.AppendBytes(value);
      else builder.AppendNull();
    }
  }
  return builder.Finish();
}

Result<std::string> ObjectFromPairs(View array) {
  const auto elements = TextElements(array);
  if (elements.size() % 2 != 0) return Error("2202E", "array must have even number of elements");
  std::vector<std::string> values(elements.size() / 2);
  std::vector<std::pair<std::string, View>> members;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!elements[2 * i]) return Error(sqlstate::kNullValueNotAllowed, "null value not allowed for object key");
    if (elements[2 * i + 1]) data::AppendJsonQuoted(*elements[2 * i + 1], values[i]);
    else values[i] = "null";
    members.emplace_back(*elements[2 * i], View(values[i]));
  }
  std::string out;
  data::AppendJsonObject(std::move(members), out);
  return out;
}

Result<std::string> ObjectFromKeysAndValues(View keys, View values) {
  const auto names = TextElements(keys), texts = TextElements(values);
  if (names.size() != texts.size()) return Error("2202E", "mismatched array dimensions");
  std::vector<std::string> quoted(names.size());
  std::vector<std::pair<std::string, View>> members;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!names[i]) return Error(sqlstate::kNullValueNotAllowed, "null value not allowed for object key");
    if (texts[i]) data::AppendJsonQuoted(*texts[i], quoted[i]);
    else quoted[i] = "null";
    members.emplace_back(*names[i], View(quoted[i]));
  }
  std::string out;
  data::AppendJsonObject(std::move(members), out);
  return out;
}

bool ExistsKeys(View json, View keys, bool all) {
  for (const auto& key : TextElements(keys)) {
    if (!key) continue;
    if (data::JsonExists(json, *key) != all) return !all;
  }
  return all;
}

Result<std::string> DeleteKeys(View json, View keys) {
  std::string current(json), next;
  for (const auto& key : TextElements(keys)) {
    if (!key) continue;
    next.clear();
    KAPPA_RETURN_IF_ERROR(data::DeleteJsonKey(current, *key, next));
    current.swap(next);
  }
  return current;
}

void RegisterAccess(Registry& registry) {
  registry
      .Operator("->", "jsonb, text -> jsonb", Rowwise([](View json, View key) {
                  View value;
                  return ValueOf(data::JsonField(json, key, &value), value);
                }),
                "member of an object")
      .Infallible();
  registry
      .Operator("->", "jsonb, int4 -> jsonb", Rowwise([](View json, int32_t index) {
                  View value;
                  return ValueOf(Element(json, index, &value), value);
                }),
                "element of an array, from 0; from the end for negative numbers")
      .Infallible();
  registry.Operator("->>", "jsonb, text -> text", Rowwise([](View json, View key) {
                      View value;
                      return TextOf(data::JsonField(json, key, &value), value);
                    }),
                    "member of an object, as text");
  registry.Operator("->>", "jsonb, int4 -> text", Rowwise([](View json, int32_t index) {
                      View value;
                      return TextOf(Element(json, index, &value), value);
                    }),
                    "element of an array, as text");
  registry.Operator("#>", "jsonb, text[] -> jsonb", Rowwise([](View json, View steps) -> MaybeView {
                      const auto path = PathOf(steps);
                      View value;
                      return path && data::JsonPath(json, *path, &value) ? MaybeView(value) : std::nullopt;
                    }),
                    "value at a path");
  registry.Operator("#>>", "jsonb, text[] -> text", Rowwise([](View json, View steps) -> MaybeText {
                      const auto path = PathOf(steps);
                      View value;
                      return path ? TextOf(data::JsonPath(json, *path, &value), value) : std::nullopt;
                    }),
                    "value at a path, as text");
  // json is jsonb here, so the functions of both have one meaning.
  for (View prefix : {"jsonb", "json"}) {
    registry.Function(fmt::format("{}_extract_path", prefix), "jsonb, variadic text -> jsonb", ExtractPath<false>, "value at a path");
    registry.Function(fmt::format("{}_extract_path_text", prefix), "jsonb, variadic text -> text", ExtractPath<true>, "value at a path, as text");
  }
  registry.Operator("@>", "jsonb, jsonb -> bool", Rowwise([](View a, View b) { return data::JsonContains(a, b); }), "contains");
  registry.Operator("<@", "jsonb, jsonb -> bool", Rowwise([](View a, View b) { return data::JsonContains(b, a); }), "is contained in");
  registry.Operator("?", "jsonb, text -> bool", Rowwise([](View json, View key) { return data::JsonExists(json, key); }),
                    "has a key or string element");
  registry.Operator("?|", "jsonb, text[] -> bool", Rowwise([](View json, View keys) { return ExistsKeys(json, keys, false); }),
                    "has any of these keys");
  registry.Operator("?&", "jsonb, text[] -> bool", Rowwise([](View json, View keys) { return ExistsKeys(json, keys, true); }),
                    "has all of these keys");
  for (View name : {"jsonb_typeof", "json_typeof"})
    registry.Function(name, "jsonb -> text", Rowwise([](View json) { return std::string(data::JsonTypeName(data::JsonKindOf(json))); }),
                      "object, array, string, number, boolean or null");
  for (View name : {"jsonb_array_length", "json_array_length"})
    registry.Function(name, "jsonb -> int4", Rowwise([](View json) -> Result<int32_t> {
                        switch (data::JsonKindOf(json)) {
                          case JsonKind::kArray: return static_cast<int32_t>(data::JsonLength(json));
                          case JsonKind::kObject: return Error(sqlstate::kInvalidParameterValue, "cannot get array length of a non-array");
                          default: return Error(sqlstate::kInvalidParameterValue, "cannot get array length of a scalar");
                        }
                      }),
                      "number of elements");
  registry.Function("jsonb_pretty", "jsonb -> text", Rowwise([](View json) {
                      std::string out;
                      AppendPretty(json, 0, out);
                      return out;
                    }),
                    "indented text");
}

void RegisterChanges(Registry& registry) {
  registry.Operator("||", "jsonb, jsonb -> jsonb", Rowwise([](View a, View b) -> Result<std::string> {
                      std::string out;
                      KAPPA_RETURN_IF_ERROR(data::ConcatenateJson(a, b, out));
                      return out;
                    }),
                    "objects merged, arrays joined");
  registry.Operator("-", "jsonb, text -> jsonb", Rowwise([](View json, View key) -> Result<std::string> {
                      std::string out;
                      KAPPA_RETURN_IF_ERROR(data::DeleteJsonKey(json, key, out));
                      return out;
                    }),
                    "without a key or string element");
  registry.Operator("-", "jsonb, int4 -> jsonb", Rowwise([](View json, int32_t index) -> Result<std::string> {
                      std::string out;
                      KAPPA_RETURN_IF_ERROR(data::DeleteJsonElement(json, index, out));
                      return out;
                    }),
                    "without an element");
  registry.Operator("-", "jsonb, text[] -> jsonb", Rowwise([](View json, View keys) { return DeleteKeys(json, keys); }), "without these keys");
  registry.Operator("#-", "jsonb, text[] -> jsonb",
                    Rowwise([](View json, View path) { return ChangePath(json, path, Change::kDelete, {}, false, "cannot delete path in scalar"); }),
                    "without the value at a path");
  registry.Function("jsonb_set", "jsonb, text[], jsonb -> jsonb", Rowwise([](View json, View path, View value) {
                      return ChangePath(json, path, Change::kSet, value, true, "cannot set path in scalar");
                    }),
                    "value at a path replaced or added");
  registry.Function("jsonb_set", "jsonb, text[], jsonb, bool -> jsonb", Rowwise([](View json, View path, View value, bool create) {
                      return ChangePath(json, path, Change::kSet, value, create, "cannot set path in scalar");
                    }),
                    "value at a path replaced or, if asked, added");
  const char* lax = "value at a path replaced or added; what a NULL does is told by the last argument";
  for (const char* types : {"jsonb, text[], jsonb -> jsonb", "jsonb, text[], jsonb, bool -> jsonb", "jsonb, text[], jsonb, bool, text -> jsonb"})
    registry.Function("jsonb_set_lax", types, ByRow(SetLax), lax).CalledOnNull();
  registry.Function("jsonb_insert", "jsonb, text[], jsonb -> jsonb", Rowwise([](View json, View path, View value) {
                      return ChangePath(json, path, Change::kInsertBefore, value, true, "cannot set path in scalar");
                    }),
                    "value inserted at a path");
  registry.Function("jsonb_insert", "jsonb, text[], jsonb, bool -> jsonb", Rowwise([](View json, View path, View value, bool after) {
                      return ChangePath(json, path, after ? Change::kInsertAfter : Change::kInsertBefore, value, true, "cannot set path in scalar");
                    }),
                    "value inserted before or after a path");
  for (View name : {"jsonb_strip_nulls", "json_strip_nulls"})
    registry.Function(name, "jsonb -> jsonb", Rowwise([](View json) {
                        std::string out;
                        data::AppendJsonWithoutNulls(json, out);
                        return out;
                      }),
                      "without members that are null");
}

}  // namespace

void RegisterJson(Registry& registry) {
  RegisterAccess(registry);
  RegisterChanges(registry);
  for (View name : {"jsonb_build_object", "json_build_object"}) {
    registry.Function(name, "-> jsonb", Building(BuildObject), "object of keys and values").CalledOnNull();
    registry.Function(name, "variadic any -> jsonb", Building(BuildObject), "object of keys and values").CalledOnNull().Session();
  }
  for (View name : {"jsonb_build_array", "json_build_array"}) {
    registry.Function(name, "-> jsonb", Building(BuildArray), "array of values").CalledOnNull();
    registry.Function(name, "variadic any -> jsonb", Building(BuildArray), "array of values").CalledOnNull().Session();
  }
  for (View name : {"to_jsonb", "to_json"}) registry.Function(name, "anyelement -> jsonb", ToJson, "value as JSON").Session();
  registry.Function("array_to_json", "anyarray -> jsonb", ToJson, "array as JSON").Session();
  registry.Function("jsonb_object", "text[] -> jsonb", Rowwise([](View pairs) { return ObjectFromPairs(pairs); }),
                    "object of alternating keys and values");
  registry.Function("jsonb_object", "text[], text[] -> jsonb", Rowwise([](View keys, View values) { return ObjectFromKeysAndValues(keys, values); }),
                    "object of keys and values");
}

}  // namespace kappa::expr
