// to_number().
#include "expr/functions/from_char.h"
#include "expr/functions/number_template.h"
#include "expr/functions/utf8.h"

namespace kappa::expr {
namespace {

using View = std::string_view;
using Token = NumberToken;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Walks through template and text side by side, as PostgreSQL does: the text decides how many digits there are.
class NumberScan {
 public:
  NumberScan(const NumberTemplate& pattern, View text) : pattern_(pattern), text_(text) {
    for (const NumberItem& item : pattern.items)
      sign_is_placed_ |= item.token == Token::kMinus || item.token == Token::kPlus || item.token == Token::kEither;
  }

  void Run() {
    for (const NumberItem& item : pattern_.items) {
      if (AtEnd()) return;
      switch (item.token) {
        case Token::kNine:
        case Token::kZero:
        case Token::kPoint:
          Digit(item.token != Token::kPoint);
          ++at_;
          break;
        case Token::kComma:
          if (!pattern_.fill_mode && text_[at_] == ',') ++at_;
          break;
        case Token::kOrdinal:
          if (!pattern_.has_point) SkipWords(2);
          break;
        case Token::kCurrency: SkipWords(1); break;
        case Token::kMinus: TakeSign(text_[at_] == '-'); break;
        case Token::kPlus: TakeSign(text_[at_] == '+'); break;
        case Token::kEither: TakeSign(text_[at_] == '-' || text_[at_] == '+'); break;
        case Token::kSign:
        case Token::kBrackets: break;  // with the first or last digit
        case Token::kLiteral:
          for (size_t i = 0; i < item.text.size() && !AtEnd(); i += CharacterSize(item.text, i)) at_ += CharacterSize(text_, at_);
          break;
      }
    }
  }

  Result<data::Numeric> Value() const {
    std::string number(1, sign_);
    number += digits_;
    if (number.back() == '.') number.pop_back();
    KAPPA_ASSIGN_OR_RETURN(const data::Numeric value, data::Numeric::Parse(number));
    const int precision_and_scale[] = {pattern_.before + after_point_, after_point_};
    if (precision_and_scale[0] < 1) return value;
    KAPPA_ASSIGN_OR_RETURN(const int32_t modifier, data::NumericModifier(precision_and_scale));
    return value.ApplyModifier(modifier);
  }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }

  /// One place of the number: a sign before the first digit, a digit or the point, a sign behind the last.
  void Digit(bool may_begin) {
    if (text_[at_] == ' ') ++at_;
    if (AtEnd()) return;
    if (sign_ == ' ' && may_begin && before_point_ + after_point_ == 0) {
      const char c = text_[at_];
      if (c == '-' || c == '+' || (pattern_.brackets && c == '<')) {
        sign_ = c == '+' ? '+' : '-';
        ++at_;
      }
    }
    if (AtEnd()) return;
    bool read = false;
    if (IsDigit(text_[at_])) {
      if (point_ && after_point_ == pattern_.after) return;
      digits_ += text_[at_];
      ++(point_ ? after_point_ : before_point_);
      read = true;
    } else if (pattern_.has_point && !point_ && text_[at_] == '.') {
      digits_ += '.';
      point_ = read = true;
    }
    if (sign_ != ' ' || before_point_ + after_point_ == 0) return;
    if (pattern_.sign && read && at_ + 1 < text_.size() && (text_[at_ + 1] == '-' || text_[at_ + 1] == '+')) {
      sign_ = text_[++at_];
    } else if (!read && !pattern_.sign && sign_is_placed_ && (text_[at_] == '-' || text_[at_] == '+')) {
      sign_ = text_[at_];
    }
  }
  void TakeSign(bool there) {
    if (!there) return SkipWords(1);
    sign_ = text_[at_++];
  }
  /// Skips characters that belong to no number.
  void SkipWords(int count) {
    while (count-- > 0 && !AtEnd() && View("0123456789.,+-").find(text_[at_]) == View::npos) at_ += CharacterSize(text_, at_);
  }

  const NumberTemplate& pattern_;
  View text_;
  size_t at_ = 0;
  char sign_ = ' ';
  std::string digits_;
  int before_point_ = 0, after_point_ = 0;
  bool point_ = false;
  bool sign_is_placed_ = false;  // the template has MI, PL or SG
};

}  // namespace

Result<data::Numeric> ReadNumber(View text, View format) {
  KAPPA_ASSIGN_OR_RETURN(const NumberTemplate pattern, NumberTemplate::Parse(format, "to_number"));
  NumberScan scan(pattern, text);
  scan.Run();
  return scan.Value();
}

}  // namespace kappa::expr
