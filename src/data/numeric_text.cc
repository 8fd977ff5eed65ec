// Numeric to and from decimal text.
#include <algorithm>
#include <cctype>
#include <climits>

#include "data/numeric_big.h"

namespace kappa::data {
namespace {

constexpr int kDigitsBeforePointMax = 131072;

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool EqualsNoCase(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

Error BadSyntax(std::string_view text) {
  return Error(sqlstate::kInvalidTextRepresentation, "invalid input syntax for type numeric: \"" + std::string(text) + "\"");
}

// Digits without sign, point or leading zeros.
Wide WideFromDigits(std::string_view digits) {
  // cpp_int reads a leading 0 as octal: there is none here, and "" is 0.
  return digits.empty() ? Wide(0) : Wide(std::string(digits));
}

}  // namespace

Result<Numeric> Numeric::Parse(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty() && IsSpace(rest.front())) rest.remove_prefix(1);
  while (!rest.empty() && IsSpace(rest.back())) rest.remove_suffix(1);
  if (rest.empty()) return BadSyntax(text);
  bool negative = rest.front() == '-';
  bool sign = negative || rest.front() == '+';
  std::string_view body = rest.substr(sign ? 1 : 0);
  if (body.empty()) return BadSyntax(text);
  if (!IsDigit(body.front()) && body.front() != '.') {
    if (EqualsNoCase(rest, "nan")) return Nan();
    if (EqualsNoCase(body, "infinity") || EqualsNoCase(body, "inf")) return negative ? NegativeInfinity() : Infinity();
    return BadSyntax(text);
  }

  // Fast path: up to 18 characters of digits and one point.
  size_t at = 0;
  size_t point = std::string_view::npos;
  size_t digits_seen = 0;
  uint64_t value = 0;
  for (; at < body.size(); ++at) {
    char c = body[at];
    if (IsDigit(c)) {
      if (digits_seen < 19) value = value * 10 + static_cast<uint64_t>(c - '0');
      ++digits_seen;
    } else if (c == '.' && point == std::string_view::npos) {
      point = at;
    } else {
      break;
    }
  }
  if (digits_seen == 0) return BadSyntax(text);
  size_t fraction_digits = point == std::string_view::npos ? 0 : at - point - 1;
  if (at == body.size() && digits_seen <= 18) {
    int64_t coefficient = static_cast<int64_t>(value);
    return Numeric(negative ? -coefficient : coefficient, static_cast<int>(fraction_digits));
  }

  std::string_view mantissa = body.substr(0, at);
  int64_t exponent = 0;
  if (at < body.size()) {
    if (body[at] != 'e' && body[at] != 'E') return BadSyntax(text);
    ++at;
    bool exponent_negative = at < body.size() && body[at] == '-';
    if (at < body.size() && (body[at] == '-' || body[at] == '+')) ++at;
    if (at == body.size()) return BadSyntax(text);
    for (; at < body.size(); ++at) {
      if (!IsDigit(body[at])) return BadSyntax(text);
      exponent = std::min<int64_t>(exponent * 10 + (body[at] - '0'), INT_MAX);
    }
    if (exponent >= INT_MAX / 2) return NumericOverflow();
    if (exponent_negative) exponent = -exponent;
  }
  std::string digits;
  digits.reserve(mantissa.size());
  for (char c : mantissa) {
    if (IsDigit(c) && !(digits.empty() && c == '0')) digits.push_back(c);
  }
  int64_t scale = static_cast<int64_t>(fraction_digits) - exponent;  // negative: zeros to append
  if (digits.empty()) {
    if (scale > kNumericScaleMax) return NumericOverflow();
    return Numeric(0, static_cast<int>(std::max<int64_t>(scale, 0)));
  }
  if (scale > kNumericScaleMax || static_cast<int64_t>(digits.size()) - scale > kDigitsBeforePointMax) return NumericOverflow();
  if (scale < 0) {
    digits.append(static_cast<size_t>(-scale), '0');
    scale = 0;
  }
  if (digits.size() <= static_cast<size_t>(kInt128PowersOfTen)) {
    int128_t coefficient = 0;
    for (char c : digits) coefficient = coefficient * 10 + (c - '0');
    return Numeric(negative ? -coefficient : coefficient, static_cast<int>(scale));
  }
  Wide coefficient = WideFromDigits(digits);
  if (negative) coefficient = -coefficient;
  return NumericAccess::Make(std::move(coefficient), static_cast<int>(scale));
}

void Numeric::AppendText(std::string& out) const {
  switch (kind_) {
    case Kind::kNan: out += "NaN"; return;
    case Kind::kInfinity: out += "Infinity"; return;
    case Kind::kNegativeInfinity: out += "-Infinity"; return;
    case Kind::kFinite: break;
  }
  char buffer[48];
  char* end = buffer + sizeof buffer;
  char* begin = end;
  std::string large;
  bool negative = sign() < 0;
  if (is_small()) {
    uint128_t magnitude = negative ? ~static_cast<uint128_t>(small_) + 1 : static_cast<uint128_t>(small_);
    while (magnitude > UINT64_MAX) {
      *--begin = static_cast<char>('0' + static_cast<int>(magnitude % 10));
      magnitude /= 10;
    }
    for (uint64_t low = static_cast<uint64_t>(magnitude); low != 0; low /= 10) *--begin = static_cast<char>('0' + low % 10);
  } else {
    large = Wide(abs(big_->value)).str();
    begin = large.data();
    end = begin + large.size();
  }
  if (negative) out += '-';
  size_t digits = static_cast<size_t>(end - begin);
  size_t scale = static_cast<size_t>(scale_);
  if (digits > scale) {
    out.append(begin, digits - scale);
    begin += digits - scale;
    digits = scale;
  } else {
    out += '0';
  }
  if (scale > 0) {
    out += '.';
    out.append(scale - digits, '0');
    out.append(begin, digits);
  }
}

}  // namespace kappa::data
