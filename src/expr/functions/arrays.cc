// Operators and functions of arrays.
#include "expr/functions/arrays.h"

#include <fmt/format.h>

#include "data/compare.h"
#include "expr/functions/regex.h"
#include "expr/functions/register.h"
#include "expr/functions/utf8.h"
#include "expr/rowwise.h"

namespace kappa::expr {

using data::ArrayBuilder;
using data::ArrayView;
using data::Type;
using data::TypeId;
using View = std::string_view;

std::vector<std::optional<View>> TextElements(View bytes) {
  const ArrayView array(bytes);
  std::vector<std::optional<View>> out;
  for (int32_t i = 0; i < array.size(); ++i) {
    if (array.IsNull(i)) out.push_back(std::nullopt);
    else out.push_back(array.bytes(i));
  }
  return out;
}

View PhysicalBytes(const Argument& argument, int64_t row) {
  const Type& type = argument.column->type();
  if (type.is_variable()) return argument.bytes(row);
  const auto width = static_cast<size_t>(type.width());
  return {argument.column->data<char>() + static_cast<size_t>(argument.At(row)) * width, width};
}

void AppendElements(const ArrayView& array, ArrayBuilder& builder) {
  for (int32_t i = 0; i < array.size(); ++i) {
    if (array.IsNull(i)) builder.AppendNull();
    else builder.Append(array.bytes(i));
  }
}

std::vector<int32_t> LengthsOf(const ArrayView& array) {
  std::vector<int32_t> lengths;
  for (int i = 0; i < array.dimensions(); ++i) lengths.push_back(array.length(i));
  return lengths;
}

namespace {

constexpr const char* kArraySubscriptError = "2202E";

std::string Copy(const ArrayView& array, ArrayBuilder& builder) {
  AppendElements(array, builder);
  return builder.Finish(LengthsOf(array));
}

Error Incompatible(const char* detail) { return Error(kArraySubscriptError, "cannot concatenate incompatible arrays").Detail(detail); }

}  // namespace

Result<std::string> ConcatenateArrays(View left, View right) {
  const ArrayView a(left), b(right);
  ArrayBuilder builder(a.element());
  if (a.dimensions() == 0) return Copy(b, builder);
  if (b.dimensions() == 0) return Copy(a, builder);
  std::vector<int32_t> lengths = LengthsOf(a), others = LengthsOf(b);
  if (lengths.size() == others.size()) {
    if (!std::equal(lengths.begin() + 1, lengths.end(), others.begin() + 1))
      return Incompatible("Arrays with differing element dimensions are not compatible for concatenation.");
    lengths[0] += others[0];
  } else if (lengths.size() == others.size() + 1) {
    if (!std::equal(others.begin(), others.end(), lengths.begin() + 1))
      return Incompatible("Arrays with differing dimensions are not compatible for concatenation.");
    lengths[0] += 1;
  } else if (others.size() == lengths.size() + 1) {
    if (!std::equal(lengths.begin(), lengths.end(), others.begin() + 1))
      return Incompatible("Arrays with differing dimensions are not compatible for concatenation.");
    others[0] += 1;
    lengths = others;
  } else {
    return Error(kArraySubscriptError, "cannot concatenate incompatible arrays")
        .Detail(fmt::format("Arrays of {} and {} dimensions are not compatible for concatenation.", lengths.size(), others.size()));
  }
  AppendElements(a, builder);
  AppendElements(b, builder);
  return builder.Finish(std::move(lengths));
}

namespace {

using Bytes = std::optional<std::string>;

/// The element type of the result, or of the array argument.
TypeId ElementOf(const Argument& argument) { return argument.column->type().element; }

Error OneDimensional() { return Error(sqlstate::kDataException, "argument must be empty or one-dimensional array"); }

/// array || element, array_append, array_prepend.
Kernel AddElement(size_t array_index, bool at_end) {
  return ByRow([array_index, at_end](KernelCall& call, int64_t row) -> Result<Bytes> {
    const Argument& array_argument = call.arguments[array_index];
    const Argument& element = call.arguments[1 - array_index];
    ArrayBuilder builder(ElementOf(array_argument));
    auto add = [&] {
      if (element.IsNull(row)) builder.AppendNull();
      else builder.Append(PhysicalBytes(element, row));
    };
    if (!at_end) add();
    if (!array_argument.IsNull(row)) {
      const ArrayView array(array_argument.bytes(row));
      if (array.dimensions() > 1) return OneDimensional();
      AppendElements(array, builder);
    }
    if (at_end) add();
    return Bytes(builder.Finish());
  });
}

Kernel Concatenate() {
  return ByRow([](KernelCall& call, int64_t row) -> Result<Bytes> {
    const Argument& a = call.arguments[0];
    const Argument& b = call.arguments[1];
    if (a.IsNull(row) && b.IsNull(row)) return Bytes();
    if (a.IsNull(row)) return Bytes(b.bytes(row));
    if (b.IsNull(row)) return Bytes(a.bytes(row));
    KAPPA_ASSIGN_OR_RETURN(std::string joined, ConcatenateArrays(a.bytes(row), b.bytes(row)));
    return Bytes(std::move(joined));
  });
}

bool SameElement(const ArrayView& array, int32_t i, const Argument& element, int64_t row) {
  if (array.IsNull(i) || element.IsNull(row)) return array.IsNull(i) && element.IsNull(row);
  return data::ComparePhysical(array.element(), array.bytes(i), PhysicalBytes(element, row)) == 0;
}

Kernel Remove() {
  return ByRow([](KernelCall& call, int64_t row) -> Result<Bytes> {
    if (call.arguments[0].IsNull(row)) return Bytes();
    const ArrayView array(call.arguments[0].bytes(row));
    if (array.dimensions() > 1) return Error(sqlstate::kFeatureNotSupported, "removing elements from multidimensional arrays is not supported");
    ArrayBuilder builder(array.element());
    for (int32_t i = 0; i < array.size(); ++i) {
      if (SameElement(array, i, call.arguments[1], row)) continue;
      if (array.IsNull(i)) builder.AppendNull();
      else builder.Append(array.bytes(i));
    }
    return Bytes(builder.Finish());
  });
}

Kernel ReplaceElements() {
  return ByRow([](KernelCall& call, int64_t row) -> Result<Bytes> {
    if (call.arguments[0].IsNull(row)) return Bytes();
    const ArrayView array(call.arguments[0].bytes(row));
    ArrayBuilder builder(array.element());
    for (int32_t i = 0; i < array.size(); ++i) {
      const bool replaced = SameElement(array, i, call.arguments[1], row);
      if (replaced ? call.arguments[2].IsNull(row) : array.IsNull(i)) builder.AppendNull();
      else builder.Append(replaced ? PhysicalBytes(call.arguments[2], row) : array.bytes(i));
    }
    return Bytes(builder.Finish(LengthsOf(array)));
  });
}

Kernel PositionOf() {
  return [](KernelCall& call) -> Result<data::ColumnPtr> {
    auto out = std::make_shared<data::Column>(call.type, call.rows);
    for (int64_t row = 0; row < call.rows; ++row) {
      int32_t found = 0;
      if (!call.arguments[0].IsNull(row)) {
        const ArrayView array(call.arguments[0].bytes(row));
        std::optional<Error> error;
        int32_t from = 0;
        if (array.dimensions() > 1)
          error = Error(sqlstate::kFeatureNotSupported, "searching for elements in multidimensional arrays is not supported");
        if (call.arguments.size() > 2) {
          if (call.arguments[2].IsNull(row)) error = Error(sqlstate::kNullValueNotAllowed, "initial position must not be null");
          else from = std::max(1, call.arguments[2].Get<int32_t>(row)) - 1;
        }
        if (error) {
          if (!call.Tolerate(*error)) return *error;
        } else {
          for (int32_t i = from; i < array.size() && found == 0; ++i) {
            if (SameElement(array, i, call.arguments[1], row)) found = i + 1;
          }
        }
      }
      if (found == 0) out->SetNull(row);
      else out->mutable_data<int32_t>()[row] = found;
    }
    return data::ColumnPtr(std::move(out));
  };
}

Kernel PositionsOf() {
  return ByRow([](KernelCall& call, int64_t row) -> Result<Bytes> {
    if (call.arguments[0].IsNull(row)) return Bytes();
    const ArrayView array(call.arguments[0].bytes(row));
    if (array.dimensions() > 1) return Error(sqlstate::kFeatureNotSupported, "searching for elements in multidimensional arrays is not supported");
    ArrayBuilder builder(TypeId::kInt4);
    for (int32_t i = 0; i < array.size(); ++i) {
      const int32_t position = i + 1;
      if (SameElement(array, i, call.arguments[1], row)) builder.Append({reinterpret_cast<const char*>(&position), sizeof position});
    }
    return Bytes(builder.Finish());
  });
}

// ---- Containment: elements by their equality, NULLs never match.

bool HasElement(const ArrayView& array, TypeId type, View element) {
  for (int32_t i = 0; i < array.size(); ++i) {
    if (!array.IsNull(i) && data::ComparePhysical(type, array.bytes(i), element) == 0) return true;
  }
  return false;
}
bool Contains(View whole, View part) {
  const ArrayView a(whole), b(part);
  for (int32_t i = 0; i < b.size(); ++i) {
    if (b.IsNull(i) || !HasElement(a, b.element(), b.bytes(i))) return false;
  }
  return true;
}
bool Overlaps(View left, View right) {
  const ArrayView a(left), b(right);
  for (int32_t i = 0; i < b.size(); ++i) {
    if (!b.IsNull(i) && HasElement(a, b.element(), b.bytes(i))) return true;
  }
  return false;
}

// ---- Text

Kernel ToText() {
  return ByRow([](KernelCall& call, int64_t row) -> Result<Bytes> {
    if (call.arguments[0].IsNull(row) || call.arguments[1].IsNull(row)) return Bytes();
    const ArrayView array(call.arguments[0].bytes(row));
    const bool show_nulls = call.arguments.size() > 2 && !call.arguments[2].IsNull(row);
    std::string out;
    bool first = true;
    for (int32_t i = 0; i < array.size(); ++i) {
      if (array.IsNull(i) && !show_nulls) continue;
      if (!first) out += call.arguments[1].bytes(row);
      first = false;
      if (array.IsNull(i)) out += call.arguments[2].bytes(row);
      else if (array.element() == TypeId::kText) out += array.bytes(i);
      else out += data::ToText(data::ArrayElement(array, i), call.context.text);
    }
    return Bytes(std::move(out));
  });
}

Kernel FromText() {
  return ByRow([](KernelCall& call, int64_t row) -> Result<Bytes> {
    if (call.arguments[0].IsNull(row)) return Bytes();
    const View text = call.arguments[0].bytes(row);
    const bool has_null = call.arguments.size() > 2 && !call.arguments[2].IsNull(row);
    const View null_text = has_null ? call.arguments[2].bytes(row) : View();
    ArrayBuilder builder(TypeId::kText);
    auto add = [&](View field) {
      if (has_null && field == null_text) builder.AppendNull();
      else builder.Append(field);
    };
    if (call.arguments[1].IsNull(row)) {
      for (size_t at = 0; at < text.size();) {
        const size_t size = CharacterSize(text, at);
        add(text.substr(at, size));
        at += size;
      }
      return Bytes(builder.Finish());
    }
    const View delimiter = call.arguments[1].bytes(row);
    if (text.empty()) return Bytes(builder.Finish());
    if (delimiter.empty()) {
      add(text);
      return Bytes(builder.Finish());
    }
    for (size_t at = 0;;) {
      const size_t found = text.find(delimiter, at);
      add(text.substr(at, found - at));
      if (found == View::npos) return Bytes(builder.Finish());
      at = found + delimiter.size();
    }
  });
}

// ---- Regular expressions

Result<Regex> CompileForMatch(View pattern, View options) {
  KAPPA_ASSIGN_OR_RETURN(const RegexFlags flags, ParseRegexFlags(options));
  if (flags.global) {
    return Error(sqlstate::kInvalidParameterValue, "regexp_match() does not support the \"global\" option")
        .Hint("Use the regexp_matches function instead.");
  }
  return Regex::Compile(pattern, flags);
}

/// The groups of a match, the whole of it where the expression has none; gives how many.
int32_t AppendGroups(View text, std::span<const RegexSpan> match, ArrayBuilder& builder) {
  if (match.size() > 1) match = match.subspan(1);
  for (const RegexSpan& group : match) {
    if (group.matched) builder.Append(text.substr(group.at, group.size));
    else builder.AppendNull();
  }
  return static_cast<int32_t>(match.size());
}

Result<Bytes> RegexMatch(View text, View pattern, View options) {
  KAPPA_ASSIGN_OR_RETURN(const Regex regex, CompileForMatch(pattern, options));
  std::vector<RegexSpan> groups;
  if (!regex.Find(text, 0, groups)) return Bytes();
  ArrayBuilder builder(TypeId::kText);
  AppendGroups(text, groups, builder);
  return Bytes(builder.Finish());
}

/// regexp_matches: the groups of each match as a row of a two-dimensional array.
Result<std::string> RegexMatches(View text, View pattern, View options) {
  KAPPA_ASSIGN_OR_RETURN(const RegexFlags flags, ParseRegexFlags(options));
  KAPPA_ASSIGN_OR_RETURN(const Regex regex, Regex::Compile(pattern, flags));
  ArrayBuilder builder(TypeId::kText);
  std::vector<RegexSpan> groups;
  int32_t matches = 0, width = 0;
  for (size_t from = 0; regex.Find(text, from, groups);) {
    ++matches;
    width = AppendGroups(text, groups, builder);
    if (!flags.global) break;
    from = groups[0].at + groups[0].size;
    if (groups[0].size > 0) continue;
    if (from >= text.size()) break;
    from += CharacterSize(text, from);
  }
  if (matches == 0) return builder.Finish();
  return builder.Finish({matches, width});
}

Result<std::string> RegexSplit(View text, View pattern, View options) {
  KAPPA_ASSIGN_OR_RETURN(const RegexFlags flags, ParseRegexFlags(options));
  KAPPA_ASSIGN_OR_RETURN(const Regex regex, Regex::Compile(pattern, flags));
  ArrayBuilder builder(TypeId::kText);
  std::vector<RegexSpan> groups;
  size_t start = 0, from = 0;
  while (from < text.size() && regex.Find(text, from, groups)) {
    const RegexSpan match = groups[0];
    if (match.size == 0) {  // an empty match at the start of a field or at the end of the text splits nothing
      if (match.at >= text.size()) break;
      if (match.at == start) {
        from = match.at + CharacterSize(text, match.at);
        if (from >= text.size() || !regex.Find(text, from, groups)) break;
        builder.Append(text.substr(start, groups[0].at - start));
        start = groups[0].at + groups[0].size;
        from = start;
        if (groups[0].size == 0 && start >= text.size()) { return builder.Finish(); }
        continue;
      }
    }
    builder.Append(text.substr(start, match.at - start));
    start = match.at + match.size;
    from = start;
  }
  builder.Append(text.substr(start));
  return builder.Finish();
}

void RegisterMeasures(Registry& registry) {
  registry.Function("cardinality", "anyarray -> int4", Rowwise([](View bytes) { return ArrayView(bytes).size(); }), "number of elements");
  registry.Function("array_ndims", "anyarray -> int4", Rowwise([](View bytes) -> std::optional<int32_t> {
                      const int dimensions = ArrayView(bytes).dimensions();
                      return dimensions == 0 ? std::nullopt : std::optional<int32_t>(dimensions);
                    }),
                    "number of dimensions, NULL for an empty array");
  for (View name : {"array_length", "array_upper"}) {
    registry.Function(name, "anyarray, int4 -> int4", Rowwise([](View bytes, int32_t dimension) -> std::optional<int32_t> {
                        const ArrayView array(bytes);
                        if (dimension < 1 || dimension > array.dimensions()) return std::nullopt;
                        return array.length(dimension - 1);
                      }),
                      name == "array_length" ? "length of a dimension" : "highest subscript of a dimension");
  }
  registry.Function("array_lower", "anyarray, int4 -> int4", Rowwise([](View bytes, int32_t dimension) -> std::optional<int32_t> {
                      if (dimension < 1 || dimension > ArrayView(bytes).dimensions()) return std::nullopt;
                      return 1;
                    }),
                    "lowest subscript of a dimension: 1");
  registry.Function("array_dims", "anyarray -> text", Rowwise([](View bytes) -> std::optional<std::string> {
                      const ArrayView array(bytes);
                      if (array.dimensions() == 0) return std::nullopt;
                      std::string out;
                      for (int i = 0; i < array.dimensions(); ++i) out += fmt::format("[1:{}]", array.length(i));
                      return out;
                    }),
                    "bounds of all dimensions");
}

Result<Bytes> Fill(KernelCall& call, int64_t row) {
  if (call.arguments[1].IsNull(row)) return Error(sqlstate::kNullValueNotAllowed, "dimension array or low bound array cannot be null");
  const ArrayView sizes(call.arguments[1].bytes(row));
  std::vector<int32_t> lengths;
  int64_t count = sizes.size() > 0 ? 1 : 0;
  if (sizes.size() > data::kArrayDimensionsMax)
    return Error(sqlstate::kProgramLimitExceeded, fmt::format("number of array dimensions ({}) exceeds the maximum allowed (6)", sizes.size()));
  for (int32_t i = 0; i < sizes.size(); ++i) {
    if (sizes.IsNull(i)) return Error(sqlstate::kNullValueNotAllowed, "dimension values cannot be null");
    lengths.push_back(sizes.Get<int32_t>(i));
    if (lengths.back() < 0 || (lengths.back() > 0 && count > (1 << 27) / lengths.back()))
      return Error(sqlstate::kProgramLimitExceeded, "array size exceeds the maximum allowed (134217727)");
    count *= lengths.back();
  }
  ArrayBuilder builder(call.type.element);
  for (int64_t i = 0; i < count; ++i) {
    if (call.arguments[0].IsNull(row)) builder.AppendNull();
    else builder.Append(PhysicalBytes(call.arguments[0], row));
  }
  return Bytes(count == 0 ? builder.Finish() : builder.Finish(std::move(lengths)));
}

/// array[from:to][from:to]..: what of each dimension lies within the bounds; dimensions without bounds are taken whole.
Result<Bytes> Slice(KernelCall& call, int64_t row) {
  if (call.AnyNull(row)) return Bytes();
  const ArrayView array(call.arguments[0].bytes(row));
  ArrayBuilder builder(array.element());
  const size_t bounded = (call.arguments.size() - 1) / 2, dimensions = static_cast<size_t>(array.dimensions());
  std::vector<int32_t> first(dimensions), lengths(dimensions);
  for (size_t i = 0; i < dimensions; ++i) {
    const int32_t length = array.length(static_cast<int>(i));
    const int32_t from = i < bounded ? std::max(call.arguments[2 * i + 1].Get<int32_t>(row), 1) : 1;
    const int32_t to = i < bounded ? std::min(call.arguments[2 * i + 2].Get<int32_t>(row), length) : length;
    if (from > to) return Bytes(builder.Finish());
    first[i] = from - 1;
    lengths[i] = to - from + 1;
  }
  if (dimensions == 0 || bounded > dimensions) return Bytes(builder.Finish());
  std::vector<int32_t> at(dimensions);  // within the slice
  while (true) {
    int32_t index = 0;
    for (size_t i = 0; i < dimensions; ++i) index = index * array.length(static_cast<int>(i)) + first[i] + at[i];
    if (array.IsNull(index)) builder.AppendNull();
    else builder.Append(array.bytes(index));
    size_t i = dimensions;
    while (i > 0 && ++at[i - 1] == lengths[i - 1]) at[--i] = 0;
    if (i == 0) break;
  }
  return Bytes(builder.Finish(std::move(lengths)));
}

/// The number of thresholds that are not above the operand.
Result<std::optional<int32_t>> BucketOfThresholds(KernelCall& call, int64_t row) {
  if (call.AnyNull(row)) return std::optional<int32_t>();
  const ArrayView thresholds(call.arguments[1].bytes(row));
  if (thresholds.dimensions() > 1) return Error(kArraySubscriptError, "thresholds must be one-dimensional array");
  if (thresholds.has_nulls()) return Error(sqlstate::kNullValueNotAllowed, "thresholds array must not contain NULLs");
  const View operand = PhysicalBytes(call.arguments[0], row);
  int32_t low = 0;
  for (int32_t high = thresholds.size(); low < high;) {
    const int32_t middle = low + (high - low) / 2;
    if (data::ComparePhysical(thresholds.element(), operand, thresholds.bytes(middle)) < 0) high = middle;
    else low = middle + 1;
  }
  return std::optional(low);
}

}  // namespace

Result<std::optional<View>> RegexMatchElement(View text, View pattern, View options, int32_t element) {
  KAPPA_ASSIGN_OR_RETURN(const Regex regex, CompileForMatch(pattern, options));
  if (element < 1) return std::optional<View>();
  const int group = regex.group_count() == 0 ? element - 1 : element;
  return regex.FindGroup(text, group);
}

void RegisterArrays(Registry& registry) {
  RegisterMeasures(registry);
  registry.Operator("||", "anycompatiblearray, anycompatiblearray -> anycompatiblearray", Concatenate(), "concatenation").CalledOnNull();
  registry.Operator("||", "anycompatiblearray, anycompatible -> anycompatiblearray", AddElement(0, true), "element added at the end").CalledOnNull();
  registry.Operator("||", "anycompatible, anycompatiblearray -> anycompatiblearray", AddElement(1, false), "element added at the start")
      .CalledOnNull();
  registry.Function("array_cat", "anycompatiblearray, anycompatiblearray -> anycompatiblearray", Concatenate(), "concatenation").CalledOnNull();
  registry.Function("array_append", "anycompatiblearray, anycompatible -> anycompatiblearray", AddElement(0, true), "element added at the end")
      .CalledOnNull();
  registry.Function("array_prepend", "anycompatible, anycompatiblearray -> anycompatiblearray", AddElement(1, false), "element added at the start")
      .CalledOnNull();
  registry.Function("array_remove", "anycompatiblearray, anycompatible -> anycompatiblearray", Remove(), "without elements equal to a value")
      .CalledOnNull();
  registry
      .Function("array_replace", "anycompatiblearray, anycompatible, anycompatible -> anycompatiblearray", ReplaceElements(),
                "elements equal to a value replaced")
      .CalledOnNull();
  registry.Function("array_position", "anycompatiblearray, anycompatible -> int4", PositionOf(), "subscript of the first element equal to a value")
      .CalledOnNull();
  registry
      .Function("array_position", "anycompatiblearray, anycompatible, int4 -> int4", PositionOf(),
                "subscript of the first element from a position on equal to a value")
      .CalledOnNull();
  registry.Function("array_positions", "anycompatiblearray, anycompatible -> int4[]", PositionsOf(), "subscripts of all elements equal to a value")
      .CalledOnNull();
  registry.Function("width_bucket", "anycompatible, anycompatiblearray -> int4", ByRow(BucketOfThresholds),
                    "number of thresholds, in ascending order, that are not above a value");
  registry.System("kappa_array_slice", "anyarray, variadic int4 -> anyarray", ByRow(Slice), "array[from:to]").CalledOnNull();
  registry.Function("array_fill", "anyelement, int4[] -> anyarray", ByRow(Fill), "array of copies of a value").CalledOnNull();
  registry.Function("trim_array", "anyarray, int4 -> anyarray", Rowwise([](View bytes, int32_t count) -> Result<std::string> {
                      const ArrayView array(bytes);
                      const int32_t length = array.dimensions() == 0 ? 0 : array.length(0);
                      if (count < 0 || count > length)
                        return Error(kArraySubscriptError, fmt::format("number of elements to trim must be between 0 and {}", length));
                      ArrayBuilder builder(array.element());
                      if (count == length) return builder.Finish();
                      std::vector<int32_t> lengths = LengthsOf(array);
                      const int32_t keep = array.size() / length * (length - count);
                      for (int32_t i = 0; i < keep; ++i) {
                        if (array.IsNull(i)) builder.AppendNull();
                        else builder.Append(array.bytes(i));
                      }
                      lengths[0] = length - count;
                      return builder.Finish(std::move(lengths));
                    }),
                    "without the last elements");
  registry.Operator("@>", "anyarray, anyarray -> bool", Rowwise([](View a, View b) { return Contains(a, b); }), "contains all elements of");
  registry.Operator("<@", "anyarray, anyarray -> bool", Rowwise([](View a, View b) { return Contains(b, a); }), "all elements are contained in");
  registry.Operator("&&", "anyarray, anyarray -> bool", Rowwise([](View a, View b) { return Overlaps(a, b); }), "have elements in common");
  registry.Function("array_to_string", "anyarray, text -> text", ToText(), "elements joined by a delimiter, without NULLs").CalledOnNull().Session();
  registry.Function("array_to_string", "anyarray, text, text -> text", ToText(), "elements joined by a delimiter, with a text for NULLs")
      .CalledOnNull()
      .Session();
  registry.Function("string_to_array", "text, text -> text[]", FromText(), "fields between delimiters; characters when the delimiter is NULL")
      .CalledOnNull();
  registry.Function("string_to_array", "text, text, text -> text[]", FromText(), "fields between delimiters, with a text that stands for NULL")
      .CalledOnNull();
  registry.Function("regexp_match", "text, text -> text[]", Rowwise([](View text, View pattern) { return RegexMatch(text, pattern, ""); }),
                    "groups of the first match");
  registry.Function("regexp_match", "text, text, text -> text[]",
                    Rowwise([](View text, View pattern, View options) { return RegexMatch(text, pattern, options); }), "groups of the first match");
  registry.System("kappa_regexp_matches", "text, text -> text[]", Rowwise([](View text, View pattern) { return RegexMatches(text, pattern, ""); }),
                  "rows of a set-returning function as an array");
  registry.System("kappa_regexp_matches", "text, text, text -> text[]",
                  Rowwise([](View text, View pattern, View options) { return RegexMatches(text, pattern, options); }),
                  "rows of a set-returning function as an array");
  registry.Function("regexp_split_to_array", "text, text -> text[]", Rowwise([](View text, View pattern) { return RegexSplit(text, pattern, ""); }),
                    "fields between matches");
  registry.Function("regexp_split_to_array", "text, text, text -> text[]",
                    Rowwise([](View text, View pattern, View options) { return RegexSplit(text, pattern, options); }), "fields between matches");
}

}  // namespace kappa::expr
