// One pass over text that JsonScanner has already found well-formed.
#include "format/json_arrays.h"

#include "data/array.h"
#include "format/json_escape.h"

namespace kappa::format {
namespace {

/// Reads one value after the other.
class Values {
 public:
  explicit Values(std::string_view text) : text_(text) {}

 protected:
  void Space() {
    while (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t') ++at_;
  }
  bool SkipString() {  // true when there are escapes
    bool escapes = false;
    for (++at_; text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') {
        escapes = true;
        ++at_;
      }
    }
    ++at_;
    return escapes;
  }
  /// The value at at_.
  JsonToken Value() {
    const size_t start = at_;
    JsonToken token;
    switch (text_[at_]) {
      case '"':
        token.kind = SkipString() ? JsonToken::kEscaped : JsonToken::kString;
        token.data = text_.data() + start + 1;
        token.size = static_cast<uint32_t>(at_ - start - 2);
        return token;
      case '{':
      case '[':
        token.kind = text_[at_] == '{' ? JsonToken::kObject : JsonToken::kArray;
        for (int depth = 0;;) {
          const char c = text_[at_];
          if (c == '"') {
            SkipString();
            continue;
          }
          depth += (c == '{' || c == '[') - (c == '}' || c == ']');
          ++at_;
          if (depth == 0) break;
        }
        break;
      case 't':
        token.kind = JsonToken::kTrue;
        at_ += 4;
        break;
      case 'f':
        token.kind = JsonToken::kFalse;
        at_ += 5;
        break;
      case 'n':
        token.kind = JsonToken::kNull;
        at_ += 4;
        break;
      default:
        token.kind = JsonToken::kInteger;
        for (;; ++at_) {
          const char c = text_[at_];
          if (c == '.' || c == 'e' || c == 'E') {
            token.kind = JsonToken::kNumber;
          } else if (c != '-' && c != '+' && (c < '0' || c > '9')) {
            break;
          }
        }
        break;
    }
    token.data = text_.data() + start;
    token.size = static_cast<uint32_t>(at_ - start);
    return token;
  }
  std::string_view text_;
  size_t at_ = 0;
};

class Splitter : Values {
 public:
  Splitter(std::string_view text, std::vector<JsonToken>& elements, std::vector<int32_t>& lengths, std::string& reason)
      : Values(text), elements_(elements), lengths_(lengths), reason_(reason) {}

  bool Level(size_t depth) {  // at_ is at the bracket
    if (depth >= static_cast<size_t>(data::kArrayDimensionsMax)) {
      reason_ = "number of array dimensions exceeds the maximum allowed (" + std::to_string(data::kArrayDimensionsMax) + ")";
      return false;
    }
    if (depth == lengths_.size()) {
      if (leaf_depth_ != 0) return Mismatch();  // elements were seen on a higher level
      lengths_.push_back(-1);
    }
    ++at_;
    int32_t count = 0;
    for (Space(); text_[at_] != ']'; Space()) {
      if (text_[at_] == ',') {
        ++at_;
        continue;
      }
      ++count;
      if (text_[at_] == '[') {
        if (leaf_depth_ == depth + 1) return Mismatch();
        if (!Level(depth + 1)) return false;
      } else {
        if (lengths_.size() > depth + 1) return Mismatch();
        leaf_depth_ = depth + 1;
        elements_.push_back(Value());
      }
    }
    ++at_;
    if (lengths_[depth] >= 0 && lengths_[depth] != count) return Mismatch();
    lengths_[depth] = count;
    return true;
  }

 private:
  bool Mismatch() {
    reason_ = "malformed JSON array. Multidimensional arrays must have sub-arrays with matching dimensions.";
    return false;
  }
  std::vector<JsonToken>& elements_;
  std::vector<int32_t>& lengths_;
  std::string& reason_;
  size_t leaf_depth_ = 0;  // how deep the elements lie; 0: none seen
};

class Members : Values {
 public:
  Members(std::string_view text, std::span<const std::string> names) : Values(text), names_(names), found_(names.size()) {}

  std::vector<JsonToken> Run() {
    ++at_;
    for (Space(); text_[at_] != '}'; Space()) {
      if (text_[at_] == ',') {
        ++at_;
        continue;
      }
      const JsonToken key = Value();
      for (Space(); text_[at_] == ':'; Space()) ++at_;
      const JsonToken value = Value();
      std::string_view name = key.text();
      if (std::string ignored; key.kind == JsonToken::kEscaped && UnescapeJsonString(key.text(), unescaped_, ignored)) name = unescaped_;
      for (size_t i = 0; i < names_.size(); ++i)
        if (names_[i] == name) found_[i] = value;
    }
    return std::move(found_);
  }

 private:
  std::span<const std::string> names_;
  std::vector<JsonToken> found_;
  std::string unescaped_;
};

}  // namespace

bool SplitJsonArray(std::string_view text, std::vector<JsonToken>& elements, std::vector<int32_t>& lengths, std::string& reason) {
  elements.clear();
  lengths.clear();
  if (!Splitter(text, elements, lengths, reason).Level(0)) return false;
  if (elements.empty()) lengths.clear();
  return true;
}

std::vector<JsonToken> SplitJsonObject(std::string_view text, std::span<const std::string> names) { return Members(text, names).Run(); }

}  // namespace kappa::format
