// What a template of numbers says.
#include "expr/functions/number_template.h"

#include <fmt/format.h>

#include "expr/functions/utf8.h"

namespace kappa::expr {

Result<NumberTemplate> NumberTemplate::Parse(std::string_view format, std::string_view function) {
  using Token = NumberToken;
  NumberTemplate out;
  auto starts = [&](size_t i, std::string_view upper) { return format.size() - i >= upper.size() && Upper(format.substr(i, upper.size())) == upper; };
  for (size_t i = 0; i < format.size();) {
    const char c = format[i];
    if (c == '"') {
      std::string text;
      for (++i; i < format.size() && format[i] != '"'; ++i) {
        if (format[i] == '\\' && i + 1 < format.size()) ++i;
        text += format[i];
      }
      ++i;
      out.items.push_back({Token::kLiteral, std::move(text)});
      continue;
    }
    size_t size = 2;
    for (const char* refused : {"EEEE", "RN", "V"})
      if (starts(i, refused))
        return Error(sqlstate::kFeatureNotSupported, fmt::format("{} number pattern \"{}\" is not supported", function, refused));
    if (starts(i, "FM")) {
      out.fill_mode = true;
    } else if (starts(i, "MI")) {
      out.items.push_back({Token::kMinus, {}});
      out.own_sign = true;
    } else if (starts(i, "PL")) {
      out.items.push_back({Token::kPlus, {}});
    } else if (starts(i, "SG")) {
      out.items.push_back({Token::kEither, {}});
      out.own_sign = true;
    } else if (starts(i, "PR")) {
      out.brackets = true;
      out.items.push_back({Token::kBrackets, {}});
    } else if (starts(i, "TH")) {
      out.items.push_back({Token::kOrdinal, std::string(format.substr(i, 2))});
    } else {
      size = 1;
      if (c == '9' || c == '0') {
        if (c == '0') {
          if (out.has_point) out.zero_to = out.after;
          else if (out.zero_from < 0) out.zero_from = out.before;
        }
        ++(out.has_point ? out.after : out.before);
        out.items.push_back({c == '9' ? Token::kNine : Token::kZero, {}});
      } else if (c == '.' || c == 'D' || c == 'd') {
        if (out.has_point) return Error(sqlstate::kSyntaxError, "multiple decimal points");
        out.has_point = true;
        out.items.push_back({Token::kPoint, {}});
      } else if (c == ',' || c == 'G' || c == 'g') {
        out.items.push_back({Token::kComma, {}});
      } else if (c == 'L' || c == 'l') {
        out.items.push_back({Token::kCurrency, {}});
      } else if (c == 'S' || c == 's') {
        if (out.sign) return Error(sqlstate::kSyntaxError, "cannot use \"S\" twice");
        out.sign = true;
        out.sign_trails = out.before + out.after > 0;
        out.items.push_back({Token::kSign, {}});
      } else {
        size = CharacterSize(format, i);
        out.items.push_back({Token::kLiteral, std::string(format.substr(i, size))});
      }
    }
    i += size;
  }
  return out;
}

}  // namespace kappa::expr
