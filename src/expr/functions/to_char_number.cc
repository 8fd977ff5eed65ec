// to_char() of numbers.
#include <fmt/format.h>

#include "expr/functions/number_template.h"
#include "expr/functions/to_char.h"
#include "expr/functions/utf8.h"

namespace kappa::expr {
namespace {

using View = std::string_view;

using Item = NumberItem;
using Template = NumberTemplate;
using Token = NumberToken;

View OrdinalSuffix(View digits) {
  const char last = digits.empty() ? '0' : digits.back();
  const bool teen = digits.size() > 1 && digits[digits.size() - 2] == '1';
  if (teen || last < '1' || last > '3') return "th";
  return last == '1' ? "st" : last == '2' ? "nd" : "rd";
}

}  // namespace

Result<std::string> FormatNumber(const data::Numeric& number, View format) {
  KAPPA_ASSIGN_OR_RETURN(const Template pattern, Template::Parse(format, "to_char"));
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
      case Token::kCurrency: out += ' '; break;  // the locale C has no symbol
      case Token::kLiteral: out += item.text; break;
    }
  }
  return out;
}

}  // namespace kappa::expr
