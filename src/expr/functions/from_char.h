// Templates of to_timestamp(), to_date() and to_number(): the inverses of to_char().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/numeric.h"
#include "expr/functions/time_template.h"

namespace kappa::expr {

/// A wall clock as a text gives it.
struct TimeReading {
  int64_t days = 0;    // since 1970-01-01; far beyond the range of dates perhaps
  int64_t micros = 0;  // of the day
  std::optional<int> zone_offset;  // seconds east of Greenwich
  int precision = 6;   // digits of the fraction, as FFn says
};

/// A template that reads times. It takes texts as PostgreSQL does, which is generous: separators match any, spaces are skipped.
class TimeReader {
 public:
  explicit TimeReader(std::string_view format);
  /// Fails with invalid_datetime_format, datetime_field_overflow, feature_not_supported.
  Result<TimeReading> Read(std::string_view text) const;

 private:
  friend class TimeFields;
  struct Item {
    enum class Kind : uint8_t { kField, kFixed /* FX */, kSeparator, kSpace, kCharacter };
    Kind kind;
    const TimeKeyword* keyword = nullptr;
    bool fill_mode = false;  // FM: any number of digits
    bool ordinal = false;    // TH: two characters follow
    bool digit = false;      // a literal digit
  };
  /// What follows item i is no digit, so that the number before it may have any length.
  bool EndsNumber(size_t i) const;

  std::vector<Item> items_;
};

/// Fails with invalid_text_representation, numeric_value_out_of_range, feature_not_supported for EEEE, RN and V.
Result<data::Numeric> ReadNumber(std::string_view text, std::string_view format);

}  // namespace kappa::expr
