// Templates of to_char() and to_number().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kappa::expr {

enum class NumberToken : uint8_t { kNine, kZero, kPoint, kComma, kSign, kMinus, kPlus, kEither, kBrackets, kOrdinal, kCurrency, kLiteral };
struct NumberItem {
  NumberToken token;
  std::string text;  // of literals; "TH" or "th"
};

struct NumberTemplate {
  std::vector<NumberItem> items;
  bool fill_mode = false;
  int before = 0;       // digit places before the point
  int after = 0;        // and behind it
  int zero_from = -1;   // first 0 before the point, as index of its digit place
  int zero_to = -1;     // last 0 behind the point
  bool has_point = false;
  bool sign = false, sign_trails = false, brackets = false, own_sign = false;  // own_sign: MI or SG

  /// Fails with feature_not_supported for EEEE, RN and V; the error names the function.
  static Result<NumberTemplate> Parse(std::string_view format, std::string_view function);
};

}  // namespace kappa::expr
