// A table-free JSON validator with positions.
#include "format/json_diagnosis.h"

#include <cctype>
#include <cstdint>
#include <vector>

#include "format/json_scan.h"

namespace kappa::format {
namespace {

class Validator {
 public:
  explicit Validator(std::string_view text) : text_(text) {}

  std::string Run() {
    Space();
    if (AtEnd()) return Report("empty record");
    if (Peek() != '{') return Report("expected a JSON object");
    if (!Document()) return Report(reason_);
    Space();
    if (!AtEnd()) return Report("unexpected text after the object");
    return {};
  }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }
  bool Fail(const char* reason) {
    reason_ = AtEnd() ? "unexpected end of input" : reason;
    return false;
  }
  std::string Report(const char* reason) const { return "invalid JSON at byte " + std::to_string(at_) + ": " + reason; }
  void Space() {
    while (!AtEnd() && (Peek() == ' ' || Peek() == '\n' || Peek() == '\r' || Peek() == '\t')) ++at_;
  }

  bool Document() {
    std::vector<char> open;  // the closing bracket of each open container
    for (;;) {               // at a value
      Space();
      const char first = Peek();
      if (first == '{' || first == '[') {
        if (open.size() >= static_cast<size_t>(kJsonDepthMax)) return Fail("nesting is too deep");
        open.push_back(first == '{' ? '}' : ']');
        ++at_;
        Space();
        if (Peek() == open.back() && !AtEnd()) {
          ++at_;
          open.pop_back();
        } else {
          if (first == '{' && !Name()) return false;
          continue;
        }
      } else if (!Scalar()) {
        return false;
      }
      for (;;) {  // behind a value
        if (open.empty()) return true;
        Space();
        if (!AtEnd() && Peek() == open.back()) {
          ++at_;
          open.pop_back();
          continue;
        }
        if (Peek() != ',') return Fail(open.back() == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        ++at_;
        Space();
        if (open.back() == '}' && !Name()) return false;
        break;
      }
    }
  }

  bool Name() {
    if (Peek() != '"') return Fail("expected a member name in double quotes");
    if (!String()) return false;
    Space();
    if (Peek() != ':') return Fail("expected ':'");
    ++at_;
    return true;
  }

  bool String() {
    for (++at_; !AtEnd(); ++at_) {
      const char c = Peek();
      if (c == '"') {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return Fail("control character in a string must be escaped");
      if (c != '\\') continue;
      ++at_;
      const char letter = Peek();
      if (letter == 'u') {
        for (int i = 0; i < 4; ++i) {
          ++at_;
          if (!std::isxdigit(static_cast<unsigned char>(Peek()))) return Fail("\"\\u\" must be followed by four hexadecimal digits");
        }
      } else if (letter == '\0' || std::string_view("\"\\/bfnrt").find(letter) == std::string_view::npos) {
        return Fail("invalid escape sequence");
      }
    }
    return Fail("unterminated string");
  }

  bool Digits() {
    if (!std::isdigit(static_cast<unsigned char>(Peek()))) return Fail("expected a digit");
    while (std::isdigit(static_cast<unsigned char>(Peek()))) ++at_;
    return true;
  }

  bool Scalar() {
    const char first = Peek();
    if (first == '"') return String();
    for (std::string_view word : {"true", "false", "null"}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return Delimited();
      }
    }
    if (first != '-' && !std::isdigit(static_cast<unsigned char>(first))) return Fail("expected a value");
    if (first == '-') ++at_;
    if (Peek() == '0') {
      ++at_;
      if (std::isdigit(static_cast<unsigned char>(Peek()))) return Fail("a number must not have leading zeros");
    } else if (!Digits()) {
      return false;
    }
    if (Peek() == '.') {
      ++at_;
      if (!Digits()) return false;
    }
    if ((Peek() | 0x20) == 'e') {
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      if (!Digits()) return false;
    }
    return Delimited();
  }

  /// Words and numbers end at whitespace or punctuation.
  bool Delimited() {
    if (AtEnd() || std::string_view(" \n\r\t,:]}[{").find(Peek()) != std::string_view::npos) return true;
    return Fail("unexpected character in a value");
  }

  std::string_view text_;
  size_t at_ = 0;
  const char* reason_ = "";
};

}  // namespace

size_t InvalidUtf8At(std::string_view bytes) {
  auto byte = [&](size_t i) { return i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : uint8_t{0}; };
  for (size_t at = 0; at < bytes.size();) {
    const uint8_t lead = byte(at);
    if (lead < 0x80) {
      ++at;
      continue;
    }
    const int size = lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    if (size == 0) return at;
    for (int i = 1; i < size; ++i) {
      if ((byte(at + static_cast<size_t>(i)) & 0xc0) != 0x80) return at;
    }
    const uint8_t second = byte(at + 1);
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0) || (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90))
      return at;
    at += static_cast<size_t>(size);
  }
  return std::string_view::npos;
}

std::string JsonDiagnosis(std::string_view record) {
  if (const size_t at = InvalidUtf8At(record); at != std::string_view::npos) {
    return "invalid JSON at byte " + std::to_string(at) + ": invalid byte sequence for encoding \"UTF8\"";
  }
  return Validator(record).Run();
}

}  // namespace kappa::format
