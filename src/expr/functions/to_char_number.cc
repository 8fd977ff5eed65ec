// to_char() of numbers.
#include <fmt/format.h>

#include "expr/functions/to_char.h"
#include "expr/functions/utf8.h"

namespace kappa::expr {
namespace {

using View = std::string_view;

enum class Token : uint8_t { kNine, kZero, kPoint, kComma, kSign, kMinus, kPlus, kEither, kBrackets, kOrdinal, kLiteral };
struct Item {
  Token token;
  std::string text;  // of literals; "TH" or "th"
};

struct Template {
  std::vector<Item> items;
  bool fill_mode = false;
  int before = 0;       // digit places before the point
  int after = 0;        // and behind it
  int zero_from = -1;   // first 0 before the point, as index of its digit place
  int zero_to = -1;     // last 0 behind the point
  bool has_point = false;
  bool sign = false, sign_trails = false, brackets = false, own_sign = false;  // own_sign: MI or SG

  static Result<Template> Parse(View format);
};

Result<Template> Template::Parse(View format) {
  Template out;
  auto starts = [&](size_t i, View upper) { return format.size() - i >= upper.size() && Upper(format.substr(i, upper.size())) == upper; };
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
    if (starts(i, "EEEE") || starts(i, "RN") || starts(i, "V") || starts(i, "L")) {
      return Error(sqlstate::kFeatureNotSupported, fmt::format("to_char number pattern \"{}\" is not supported", starts(i, "EEEE") ? "EEEE"
                                                                                                                 : starts(i, "RN") ? "RN"
                                                                                                                 : starts(i, "V")  ? "V"
                                                                                                                                   : "L"));
    }
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

View OrdinalSuffix(View digits) {
  const char last = digits.empty() ? '0' : digits.back();
  const bool teen = digits.size() > 1 && digits[digits.size() - 2] == '1';
  if (teen || last < '1' || last > '3') return "th";
  return last == '1' ? "st" : last == '2' ? "nd" : "rd";
}

}  // namespace

Result<std::string> FormatNumber(const data::Numeric& number, View format) {
  KAPPA_ASSIGN_OR_RETURN(const Template pattern, Template::Parse(format));
  if (!number.is_finite()) return Error(sqlstate::kFeatureNotSupported, "to_char of NaN and infinity is not supported");
  KAPPA_ASSIGN_OR_RETURN(const data::Numeric rounded, number.Round(pattern.after));
  std::string digits = rounded.Abs().ToString();
  const bool negative = number.sign() < 0 && rounded.sign() < 0;
  std::string fraction;
  if (const size_t point = digits.find('.'); point != std::string::npos) {
    fraction = digits.substr(point + 1);
    digits.resize(point);
  }
  const bool zero_whole = digits == "0";
  if (zero_whole && pattern.has_point && pattern.after > 0) digits.clear();  // ".5"; a 0 in the template brings it back
  const bool overflow = static_cast<int>(digits.size()) > pattern.before;
  if (overflow && !(zero_whole && pattern.before == 0)) {
    digits.assign(static_cast<size_t>(pattern.before), '#');
    fraction.assign(fraction.size(), '#');
  }
  // In fill mode trailing nines behind the point disappear when they are zero.
  size_t shown_fraction = fraction.size();
  if (pattern.fill_mode && !overflow) {
    while (shown_fraction > 0 && static_cast<int>(shown_fraction) > pattern.zero_to + 1 && fraction[shown_fraction - 1] == '0') --shown_fraction;
    if (digits.empty() && shown_fraction == 0 && pattern.before > 0) digits = "0";
  }

  std::string out;
  std::string sign_text;  // stands directly before the first digit
  if (pattern.sign && !pattern.sign_trails) sign_text = negative ? "-" : "+";
  else if (pattern.brackets) sign_text = negative ? "<" : pattern.fill_mode ? "" : " ";
  else if (!pattern.sign && !pattern.own_sign) sign_text = negative ? "-" : pattern.fill_mode ? "" : " ";
  bool sign_written = false;
  bool digit_written = false;
  auto write_sign = [&] {
    if (!sign_written) out += sign_text;
    sign_written = true;
  };
  const int lead = pattern.before - static_cast<int>(digits.size());  // places without a digit of the number
  int place = 0;
  size_t fraction_place = 0;
  bool behind = false;
  for (const Item& item : pattern.items) {
    switch (item.token) {
      case Token::kNine:
      case Token::kZero:
        if (behind) {
          if (fraction_place < shown_fraction) out += fraction[fraction_place];
          ++fraction_place;
          break;
        }
        if (place >= lead) {
          write_sign();
          out += digits[static_cast<size_t>(place - lead)];
          digit_written = true;
        } else if (pattern.zero_from >= 0 && place >= pattern.zero_from) {
          write_sign();
          out += '0';
          digit_written = true;
        } else if (!pattern.fill_mode) {
          out += ' ';
        }
        ++place;
        break;
      case Token::kPoint:
        write_sign();
        behind = true;
        out += '.';
        break;
      case Token::kComma:
        if (digit_written) out += ',';
        else if (!pattern.fill_mode) out += ' ';
        break;
      case Token::kSign:
        if (pattern.sign_trails) out += negative ? '-' : '+';
        break;
      case Token::kMinus:
        if (negative) out += '-';
        else if (!pattern.fill_mode) out += ' ';
        break;
      case Token::kPlus:
        if (!negative) out += '+';
        else if (!pattern.fill_mode) out += ' ';
        break;
      case Token::kEither: out += negative ? '-' : '+'; break;
      case Token::kBrackets:
        if (negative) out += '>';
        else if (!pattern.fill_mode) out += ' ';
        break;
      case Token::kOrdinal:
        if (!negative && pattern.after == 0) out += item.text == "TH" ? Upper(OrdinalSuffix(digits)) : std::string(OrdinalSuffix(digits));
        break;
      case Token::kLiteral: out += item.text; break;
    }
  }
  return out;
}

}  // namespace kappa::expr
