// Digit by digit, so that any number of digits and any exponent costs no more than its text.
#include "format/decimal.h"

#include <algorithm>
#include <string>

#include "base/int128.h"

namespace kappa::format {

DecimalOutcome DecimalToInteger(std::string_view number, int shift, Rounding rounding, int64_t& value) {
  size_t at = 0;
  const bool negative = !number.empty() && number[0] == '-';
  at += negative;
  std::string digits;
  int64_t exponent = shift;
  bool point = false;
  size_t count = 0;
  for (; at < number.size(); ++at) {
    const char c = number[at];
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      if (!digits.empty() || c != '0') digits.push_back(c);
      exponent -= point;
      ++count;
    } else {
      break;
    }
  }
  if (count == 0) return DecimalOutcome::kNotANumber;
  if (at < number.size()) {
    if ((number[at] | 0x20) != 'e') return DecimalOutcome::kNotANumber;
    ++at;
    bool down = false;
    if (at < number.size() && (number[at] == '+' || number[at] == '-')) down = number[at++] == '-';
    if (at == number.size()) return DecimalOutcome::kNotANumber;
    int64_t written = 0;
    for (; at < number.size(); ++at) {
      if (number[at] < '0' || number[at] > '9') return DecimalOutcome::kNotANumber;
      written = std::min<int64_t>(written * 10 + (number[at] - '0'), int64_t{1} << 40);
    }
    exponent += down ? -written : written;
  }
  // The value is digits * 10^exponent.
  while (!digits.empty() && digits.back() == '0') {
    digits.pop_back();
    ++exponent;
  }
  if (digits.empty()) {
    value = 0;
    return DecimalOutcome::kOk;
  }
  const int64_t whole = static_cast<int64_t>(digits.size()) + exponent;  // digits before the point
  if (whole > 19) return DecimalOutcome::kOutOfRange;
  if (exponent < 0 && rounding == Rounding::kRefuse) return DecimalOutcome::kNotIntegral;
  int128_t sum = 0;
  for (int64_t i = 0; i < whole; ++i) sum = sum * 10 + (i < static_cast<int64_t>(digits.size()) ? digits[static_cast<size_t>(i)] - '0' : 0);
  if (exponent < 0 && whole >= 0 && digits[static_cast<size_t>(whole)] >= '5') ++sum;
  if (negative) sum = -sum;
  if (sum < INT64_MIN || sum > INT64_MAX) return DecimalOutcome::kOutOfRange;
  value = static_cast<int64_t>(sum);
  return DecimalOutcome::kOk;
}

}  // namespace kappa::format
