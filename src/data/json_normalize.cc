// From JSON text to jsonb text. Works without recursion: the text becomes a list of nodes in document order, every object's
// members are sorted in it, and a second walk writes the result.
#include <algorithm>
#include <cstring>

#include "data/json.h"
#include "data/numeric.h"

namespace kappa::data {
namespace {

enum class NodeKind : uint8_t { kLiteral, kNumber, kString, kArray, kObject };

struct Node {
  NodeKind kind;
  bool escaped = false;      // a string whose text has escapes: `text` is decoded then
  uint32_t end = 0;          // index of the first node behind this value
  uint32_t order = 0;        // of objects: 1 + index of the first entry in `orders`, 0 when already in order
  uint32_t count = 0;        // of objects and arrays: members after sorting
  std::string_view text;     // scalars: source text (strings without quotes); keys are string nodes before their value
};

constexpr uint32_t kNodesMax = 1u << 30;
constexpr const char* kUntranslatableCharacter = "22P05";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsJsonSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

void AppendUtf8(uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

Error Malformed(std::string detail) {
  return Error(sqlstate::kInvalidTextRepresentation, "invalid input syntax for type json").Detail(std::move(detail));
}

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  Status Read();
  void Write(std::string& out) const;

 private:
  struct Open {
    uint32_t node;
    bool object;
  };

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void SkipSpace() {
    while (at_ < text_.size() && IsJsonSpace(text_[at_])) ++at_;
  }
  // The token at the cursor, as PostgreSQL names it in errors.
  std::string Token() const;
  Error Unexpected(const char* expected) const {
    if (at_ >= text_.size()) return Malformed("The input string ended unexpectedly.");
    char c = text_[at_];
    // A word that is no token is named before what was expected.
    bool token_char = std::isalpha(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) >= 0x80;
    std::string token = Token();
    bool known = token == "true" || token == "false" || token == "null";
    bool punctuation = std::strchr("{}[],:\"", c) != nullptr || IsDigit(c) || c == '-';
    if ((token_char && !known) || (!token_char && !punctuation)) return Malformed("Token \"" + token + "\" is invalid.");
    return Malformed(std::string("Expected ") + expected + ", but found \"" + token + "\".");
  }
  Status ReadString(Node& node);
  Status ReadHex4(size_t& at, uint32_t& code) const;
  Status ReadNumber(Node& node);
  Status ReadScalar(Node& node);
  void Close(uint32_t node);
  void SortMembers(Node& object, std::vector<uint32_t>& keys);
  std::string_view KeepDecoded(std::string decoded) {
    decoded_.push_back(std::make_unique<std::string>(std::move(decoded)));
    return *decoded_.back();
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<Node> nodes_;
  std::vector<uint32_t> orders_;  // key nodes of objects that needed sorting
  std::vector<std::unique_ptr<std::string>> decoded_;
  bool plain_ = true;  // no number needs rewriting, no string decoding, no object sorting
};

std::string JsonReader::Token() const {
  size_t end = at_;
  auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || static_cast<unsigned char>(c) >= 0x80; };
  if (text_[at_] == '"') {
    for (++end; end < text_.size() && text_[end] != '"'; ++end) end += text_[end] == '\\';
    end = std::min(end + 1, text_.size());
  } else if (IsDigit(text_[at_]) || text_[at_] == '-') {
    while (end < text_.size() && (word(text_[end]) || std::strchr("+-.", text_[end]) != nullptr)) ++end;
  } else {
    while (end < text_.size() && word(text_[end])) ++end;
  }
  return std::string(text_.substr(at_, std::max<size_t>(end - at_, 1)));
}

Status JsonReader::ReadHex4(size_t& at, uint32_t& code) const {
  code = 0;
  for (int i = 0; i < 4; ++i, ++at) {
    if (at >= text_.size()) return Malformed("The input string ended unexpectedly.");
    char c = text_[at];
    uint32_t digit;
    if (IsDigit(c)) digit = static_cast<uint32_t>(c - '0');
    else if (c >= 'a' && c <= 'f') digit = static_cast<uint32_t>(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F') digit = static_cast<uint32_t>(c - 'A') + 10;
    else return Malformed("\"\\u\" must be followed by four hexadecimal digits.");
    code = code * 16 + digit;
  }
  return {};
}

// The cursor is behind the opening quote.
Status JsonReader::ReadString(Node& node) {
  node.kind = NodeKind::kString;
  size_t begin = at_;
  while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' && static_cast<unsigned char>(text_[at_]) >= 0x20) ++at_;
  if (at_ < text_.size() && text_[at_] == '"') {
    node.text = text_.substr(begin, at_ - begin);
    ++at_;
    return {};
  }
  std::string decoded(text_.substr(begin, at_ - begin));
  uint32_t high_surrogate = 0;
  while (true) {
    if (at_ >= text_.size()) return Malformed("Token \"" + std::string(text_.substr(begin - 1)) + "\" is invalid.");
    char c = text_[at_++];
    bool is_unicode = c == '\\' && at_ < text_.size() && text_[at_] == 'u';
    if (high_surrogate != 0 && !is_unicode) return Malformed("Unicode low surrogate must follow a high surrogate.");
    if (c == '"') break;
    if (static_cast<unsigned char>(c) < 0x20) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "0x%02x", static_cast<unsigned char>(c));
      return Malformed(std::string("Character with value ") + hex + " must be escaped.");
    }
    if (c != '\\') {
      decoded += c;
      continue;
    }
    if (at_ >= text_.size()) return Malformed("Token \"" + std::string(text_.substr(begin - 1)) + "\" is invalid.");
    char escape = text_[at_++];
    switch (escape) {
      case '"':
      case '\\':
      case '/': decoded += escape; break;
      case 'b': decoded += '\b'; break;
      case 'f': decoded += '\f'; break;
      case 'n': decoded += '\n'; break;
      case 'r': decoded += '\r'; break;
      case 't': decoded += '\t'; break;
      case 'u': {
        uint32_t code;
        KAPPA_RETURN_IF_ERROR(ReadHex4(at_, code));
        bool low = code >= 0xDC00 && code <= 0xDFFF;
        if (code >= 0xD800 && code <= 0xDBFF) {
          if (high_surrogate != 0) return Malformed("Unicode high surrogate must not follow a high surrogate.");
          high_surrogate = code;
          break;
        }
        if (low != (high_surrogate != 0)) return Malformed("Unicode low surrogate must follow a high surrogate.");
        if (low) {
          code = 0x10000 + ((high_surrogate & 0x3FF) << 10 | (code & 0x3FF));
          high_surrogate = 0;
        }
        if (code == 0) {
          return Error(kUntranslatableCharacter, "unsupported Unicode escape sequence").Detail("\\u0000 cannot be converted to text.");
        }
        AppendUtf8(code, decoded);
        break;
      }
      default: return Malformed("Escape sequence \"\\" + std::string(1, escape) + "\" is invalid.");
    }
  }
  node.escaped = true;
  plain_ = false;
  node.text = KeepDecoded(std::move(decoded));
  return {};
}

Status JsonReader::ReadNumber(Node& node) {
  node.kind = NodeKind::kNumber;
  size_t begin = at_;
  auto invalid = [&]() -> Error {
    at_ = begin;
    return Malformed("Token \"" + Token() + "\" is invalid.");
  };
  bool negative = Peek() == '-';
  if (negative) ++at_;
  size_t first = at_;
  while (IsDigit(Peek())) ++at_;
  if (at_ == first || (text_[first] == '0' && at_ - first > 1)) return invalid();
  bool exponent = false;
  if (Peek() == '.') {
    size_t point = at_++;
    while (IsDigit(Peek())) ++at_;
    if (at_ == point + 1) return invalid();
  }
  if (Peek() == 'e' || Peek() == 'E') {
    exponent = true;
    ++at_;
    if (Peek() == '+' || Peek() == '-') ++at_;
    size_t digits = at_;
    while (IsDigit(Peek())) ++at_;
    if (at_ == digits) return invalid();
  }
  if (std::isalnum(static_cast<unsigned char>(Peek())) || Peek() == '_' || Peek() == '.' || static_cast<unsigned char>(Peek()) >= 0x80)
    return invalid();
  node.text = text_.substr(begin, at_ - begin);
  bool minus_zero = negative && node.text.find_first_of("123456789") == std::string_view::npos;
  if (exponent || minus_zero || node.text.size() > 1000) {
    KAPPA_ASSIGN_OR_RETURN(Numeric number, Numeric::Parse(node.text));
    std::string canonical = number.ToString();
    if (canonical != node.text) {
      plain_ = false;
      node.text = KeepDecoded(std::move(canonical));
    }
  }
  return {};
}

Status JsonReader::ReadScalar(Node& node) {
  char c = Peek();
  if (c == '"') {
    ++at_;
    return ReadString(node);
  }
  if (c == '-' || IsDigit(c)) return ReadNumber(node);
  node.kind = NodeKind::kLiteral;
  std::string token = Token();
  if (token != "true" && token != "false" && token != "null") return Unexpected("JSON value");
  node.text = text_.substr(at_, token.size());
  at_ += token.size();
  return {};
}

bool KeyLess(std::string_view a, std::string_view b) { return a.size() != b.size() ? a.size() < b.size() : a < b; }

void JsonReader::SortMembers(Node& object, std::vector<uint32_t>& keys) {
  auto key = [&](uint32_t node) { return nodes_[node].text; };
  bool sorted = true;
  for (size_t i = 1; i < keys.size() && sorted; ++i) sorted = KeyLess(key(keys[i - 1]), key(keys[i]));
  object.count = static_cast<uint32_t>(keys.size());
  if (sorted) return;
  plain_ = false;
  std::stable_sort(keys.begin(), keys.end(), [&](uint32_t a, uint32_t b) { return KeyLess(key(a), key(b)); });
  object.order = static_cast<uint32_t>(orders_.size()) + 1;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i + 1 < keys.size() && key(keys[i]) == key(keys[i + 1])) continue;  // the last of equal keys stays
    orders_.push_back(keys[i]);
  }
  object.count = static_cast<uint32_t>(orders_.size() - (object.order - 1));
}

void JsonReader::Close(uint32_t index) {
  Node& node = nodes_[index];
  node.end = static_cast<uint32_t>(nodes_.size());
  if (node.kind != NodeKind::kObject) return;
  std::vector<uint32_t> keys;
  for (uint32_t at = index + 1; at < node.end; at = nodes_[at + 1].end) keys.push_back(at);
  SortMembers(node, keys);
}

Status JsonReader::Read() {
  std::vector<Open> open;
  nodes_.reserve(text_.size() / 8 + 8);
  enum class Expect : uint8_t { kValue, kValueOrEnd, kKey, kKeyOrEnd, kCommaOrEnd };
  Expect expect = Expect::kValue;
  while (true) {
    SkipSpace();
    if (nodes_.size() >= kNodesMax) return Error(sqlstate::kProgramLimitExceeded, "JSON value has too many parts");
    char c = Peek();
    bool closes = !open.empty() && c == (open.back().object ? '}' : ']');
    if (expect == Expect::kCommaOrEnd) {
      if (open.empty()) {
        if (at_ < text_.size()) return Unexpected("end of input");
        return {};
      }
      if (closes) {
        ++at_;
        Close(open.back().node);
        open.pop_back();
        continue;
      }
      if (c != ',') return Unexpected(open.back().object ? "\",\" or \"}\"" : "\",\" or \"]\"");
      ++at_;
      expect = open.back().object ? Expect::kKey : Expect::kValue;
      continue;
    }
    if (closes && (expect == Expect::kValueOrEnd || expect == Expect::kKeyOrEnd)) {
      ++at_;
      Close(open.back().node);
      open.pop_back();
      expect = Expect::kCommaOrEnd;
      continue;
    }
    if (expect == Expect::kKey || expect == Expect::kKeyOrEnd) {
      if (c != '"') return Unexpected(expect == Expect::kKey ? "string" : "string or \"}\"");
      ++at_;
      Node key{};
      KAPPA_RETURN_IF_ERROR(ReadString(key));
      key.end = static_cast<uint32_t>(nodes_.size()) + 1;
      nodes_.push_back(key);
      SkipSpace();
      if (Peek() != ':') return Unexpected("\":\"");
      ++at_;
      expect = Expect::kValue;
      continue;
    }
    if (c == '{' || c == '[') {
      if (open.size() >= kJsonDepthMax) {
        return Error(sqlstate::kStatementTooComplex, "stack depth limit exceeded")
            .Detail("JSON values may be nested at most " + std::to_string(kJsonDepthMax) + " levels deep.");
      }
      ++at_;
      Node node{};
      node.kind = c == '{' ? NodeKind::kObject : NodeKind::kArray;
      open.push_back({static_cast<uint32_t>(nodes_.size()), c == '{'});
      nodes_.push_back(node);
      expect = c == '{' ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
      continue;
    }
    if (at_ >= text_.size()) return Malformed("The input string ended unexpectedly.");
    if (c != '"' && c != '-' && !IsDigit(c) && std::strchr("{}[],:", c) != nullptr) {
      return Unexpected(expect == Expect::kValueOrEnd ? "array element or \"]\"" : "JSON value");
    }
    Node node{};
    KAPPA_RETURN_IF_ERROR(ReadScalar(node));
    node.end = static_cast<uint32_t>(nodes_.size()) + 1;
    nodes_.push_back(node);
    expect = Expect::kCommaOrEnd;
  }
}

void JsonReader::Write(std::string& out) const {
  struct Frame {
    uint32_t node;   // the object or array
    uint32_t next;   // next node in document order, or position in the order
    uint32_t written;
  };
  std::vector<Frame> frames;
  uint32_t at = 0;
  // Writes one value (opening a frame for containers), then continues with the frame on top.
  while (true) {
    const Node& node = nodes_[at];
    switch (node.kind) {
      case NodeKind::kLiteral:
      case NodeKind::kNumber: out += node.text; break;
      case NodeKind::kString:
        if (node.escaped) AppendJsonQuoted(node.text, out);
        else {
          out += '"';
          out += node.text;
          out += '"';
        }
        break;
      case NodeKind::kArray:
      case NodeKind::kObject:
        out += node.kind == NodeKind::kArray ? '[' : '{';
        frames.push_back({at, node.order != 0 ? node.order - 1 : at + 1, 0});
        break;
    }
    while (!frames.empty()) {
      Frame& frame = frames.back();
      const Node& container = nodes_[frame.node];
      bool object = container.kind == NodeKind::kObject;
      bool done = object ? frame.written == container.count : frame.next == container.end;
      if (!done) break;
      out += object ? '}' : ']';
      frames.pop_back();
    }
    if (frames.empty()) return;
    Frame& frame = frames.back();
    const Node& container = nodes_[frame.node];
    if (frame.written++ > 0) out += ", ";
    if (container.kind == NodeKind::kArray) {
      at = frame.next;
      frame.next = nodes_[at].end;
      continue;
    }
    uint32_t key = container.order != 0 ? orders_[frame.next++] : frame.next;
    if (container.order == 0) frame.next = nodes_[key + 1].end;
    if (nodes_[key].escaped) AppendJsonQuoted(nodes_[key].text, out);
    else {
      out += '"';
      out += nodes_[key].text;
      out += '"';
    }
    out += ": ";
    at = key + 1;
  }
}

}  // namespace

Status NormalizeJson(std::string_view text, std::string& out) {
  JsonReader reader(text);
  KAPPA_RETURN_IF_ERROR(reader.Read());
  out.reserve(out.size() + text.size() + text.size() / 8);
  reader.Write(out);
  return {};
}

void AppendJsonQuoted(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out += text.substr(begin, i - begin);
    begin = i + 1;
    out += '\\';
    switch (c) {
      case '"':
      case '\\': out += static_cast<char>(c); break;
      case '\b': out += 'b'; break;
      case '\f': out += 'f'; break;
      case '\n': out += 'n'; break;
      case '\r': out += 'r'; break;
      case '\t': out += 't'; break;
      default:
        out += "u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
    }
  }
  out += text.substr(begin);
  out += '"';
}

}  // namespace kappa::data
