// Interval modifiers: INTERVAL '5' MINUTE restricts an interval to fields. The encoding is PostgreSQL's typmod.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kappa::data {

/// Bits of the field range, as in PostgreSQL's datetime.h, so that typmods of the parser pass through unchanged.
enum IntervalField : int32_t {
  kIntervalMonth = 1 << 1,
  kIntervalYear = 1 << 2,
  kIntervalDay = 1 << 3,
  kIntervalHour = 1 << 10,
  kIntervalMinute = 1 << 11,
  kIntervalSecond = 1 << 12,
};
inline constexpr int32_t kIntervalFullRange = 0x7FFF;
inline constexpr int32_t kIntervalFullPrecision = 0xFFFF;

/// range << 16 | precision.
inline int32_t IntervalModifier(int32_t range, int32_t precision = kIntervalFullPrecision) { return ((range & 0x7FFF) << 16) | (precision & 0xFFFF); }
inline int32_t IntervalRange(int32_t modifier) { return modifier < 0 ? kIntervalFullRange : (modifier >> 16) & 0x7FFF; }
inline int32_t IntervalPrecision(int32_t modifier) { return modifier < 0 ? kIntervalFullPrecision : modifier & 0xFFFF; }

/// " minute", " day to second(3)", "(3)", or "".
std::string IntervalModifierText(int32_t modifier);
/// From "minute", "day to second"; -1 when these are no fields.
int32_t IntervalModifierFromWords(std::string_view words);

}  // namespace kappa::data
