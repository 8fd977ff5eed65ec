// PostgreSQL's array literals.
#include "data/array_text.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "data/array.h"

namespace kappa::data {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool IsNullWord(std::string_view text) {
  constexpr std::string_view kNull = "null";
  return text.size() == 4 &&
         std::equal(text.begin(), text.end(), kNull.begin(), [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

bool NeedsQuotes(std::string_view text) {
  return text.empty() || IsNullWord(text) ||
         std::any_of(text.begin(), text.end(), [](char c) { return c == '"' || c == '\\' || c == '{' || c == '}' || c == ',' || IsSpace(c); });
}

void AppendElement(std::string_view text, std::string& out) {
  if (!NeedsQuotes(text)) {
    out += text;
    return;
  }
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

class ArrayReader {
 public:
  ArrayReader(std::string_view text, Type type, const TextOptions& options)
      : text_(text), element_(Type(type.element).WithModifier(type.modifier)), options_(options), builder_(type.element) {}

  Result<std::string> Read() {
    SkipSpace();
    if (Peek() == '[') return Error(sqlstate::kFeatureNotSupported, "array lower bounds are not supported");
    if (Peek() != '{') return Malformed("Array value must start with \"{\" or dimension information.");
    KAPPA_RETURN_IF_ERROR(ReadLevel(0));
    SkipSpace();
    if (at_ < text_.size()) return Malformed("Junk after closing right brace.");
    std::vector<int32_t> lengths;
    for (const std::optional<int32_t>& length : lengths_) lengths.push_back(length.value_or(0));
    return builder_.Finish(std::move(lengths));
  }

 private:
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void SkipSpace() {
    while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
  }
  Error Malformed(const char* detail) const {
    return Error(sqlstate::kInvalidTextRepresentation, "malformed array literal: \"" + std::string(text_) + "\"").Detail(detail);
  }

  // One pair of braces; the cursor is at the left one.
  Status ReadLevel(size_t depth) {
    if (depth >= kArrayDimensionsMax) {
      return Error(sqlstate::kProgramLimitExceeded,
                   "number of array dimensions exceeds the maximum allowed (" + std::to_string(kArrayDimensionsMax) + ")");
    }
    if (lengths_.size() <= depth) {
      if (leaf_depth_ && depth > *leaf_depth_) return Malformed("Multidimensional arrays must have sub-arrays with matching dimensions.");
      lengths_.emplace_back();
    }
    ++at_;
    int32_t count = 0;
    SkipSpace();
    if (Peek() == '}') {
      ++at_;
      if (depth > 0 || lengths_.size() > 1) return Malformed("Unexpected \"}\" character.");
      return {};
    }
    while (true) {
      SkipSpace();
      if (at_ >= text_.size()) return Malformed("Unexpected end of input.");
      if (Peek() == '{') {
        if (leaf_depth_ && *leaf_depth_ <= depth) return Malformed("Multidimensional arrays must have sub-arrays with matching dimensions.");
        KAPPA_RETURN_IF_ERROR(ReadLevel(depth + 1));
      } else {
        if (!leaf_depth_) leaf_depth_ = depth;
        if (*leaf_depth_ != depth) return Malformed("Multidimensional arrays must have sub-arrays with matching dimensions.");
        KAPPA_RETURN_IF_ERROR(ReadElement());
      }
      ++count;
      SkipSpace();
      char c = Peek();
      if (at_ >= text_.size()) return Malformed("Unexpected end of input.");
      ++at_;
      if (c == '}') break;
      if (c != ',') return Malformed("Unexpected array element.");
    }
    if (lengths_[depth] && *lengths_[depth] != count) return Malformed("Multidimensional arrays must have sub-arrays with matching dimensions.");
    lengths_[depth] = count;
    return {};
  }

  Status ReadElement() {
    std::string element;
    bool quoted = Peek() == '"';
    if (quoted) {
      for (++at_; Peek() != '"'; ++at_) {
        if (Peek() == '\\') ++at_;
        if (at_ >= text_.size()) return Malformed("Unexpected end of input.");
        element += text_[at_];
      }
      ++at_;
    } else {
      size_t kept = 0;  // length without trailing spaces
      while (at_ < text_.size() && Peek() != ',' && Peek() != '}') {
        if (Peek() == '{' || Peek() == '"') return Malformed(Peek() == '{' ? "Unexpected \"{\" character." : "Unexpected array element.");
        bool escaped = Peek() == '\\';
        if (escaped && ++at_ >= text_.size()) return Malformed("Unexpected end of input.");
        element += text_[at_];
        if (escaped || !IsSpace(text_[at_])) kept = element.size();
        ++at_;
      }
      element.resize(kept);
      if (element.empty()) return Malformed(Peek() == ',' ? "Unexpected \",\" character." : "Unexpected \"}\" character.");
      if (IsNullWord(element)) {
        builder_.AppendNull();
        return {};
      }
    }
    KAPPA_ASSIGN_OR_RETURN(Value value, FromText(element, element_, options_));
    builder_.Append(value.bytes);
    return {};
  }

  std::string_view text_;
  Type element_;
  const TextOptions& options_;
  ArrayBuilder builder_;
  size_t at_ = 0;
  std::vector<std::optional<int32_t>> lengths_;
  std::optional<size_t> leaf_depth_;
};

}  // namespace

void AppendArrayText(std::string_view bytes, const TextOptions& options, std::string& out) {
  ArrayView array(bytes);
  if (array.size() == 0) {
    out += "{}";
    return;
  }
  // How many elements lie in one value of each dimension: braces open and close at its multiples.
  std::vector<int32_t> spans;
  int32_t span = 1;
  for (int d = array.dimensions() - 1; d >= 0; --d) spans.push_back(span *= array.length(d));
  std::string text;
  for (int32_t i = 0; i < array.size(); ++i) {
    if (i > 0) out += ',';
    for (int32_t s : spans) {
      if (i % s == 0) out += '{';
    }
    if (array.IsNull(i)) {
      out += "NULL";
    } else {
      text = ToText(ArrayElement(array, i), options);
      AppendElement(text, out);
    }
    for (int32_t s : spans) {
      if ((i + 1) % s == 0) out += '}';
    }
  }
}

Result<Value> ParseArrayText(std::string_view text, Type type, const TextOptions& options) {
  KAPPA_ASSIGN_OR_RETURN(std::string bytes, ArrayReader(text, type, options).Read());
  return Value::Bytes(type, std::move(bytes));
}

}  // namespace kappa::data
