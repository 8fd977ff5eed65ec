// Spelling of interval modifiers.
#include "data/interval_fields.h"

#include <array>

namespace kappa::data {
namespace {
struct RangeName {
  std::string_view words;
  int32_t range;
};
constexpr std::array<RangeName, 13> kRanges = {{
    {"year", kIntervalYear},
    {"month", kIntervalMonth},
    {"day", kIntervalDay},
    {"hour", kIntervalHour},
    {"minute", kIntervalMinute},
    {"second", kIntervalSecond},
    {"year to month", kIntervalYear | kIntervalMonth},
    {"day to hour", kIntervalDay | kIntervalHour},
    {"day to minute", kIntervalDay | kIntervalHour | kIntervalMinute},
    {"day to second", kIntervalDay | kIntervalHour | kIntervalMinute | kIntervalSecond},
    {"hour to minute", kIntervalHour | kIntervalMinute},
    {"hour to second", kIntervalHour | kIntervalMinute | kIntervalSecond},
    {"minute to second", kIntervalMinute | kIntervalSecond},
}};
}  // namespace

std::string IntervalModifierText(int32_t modifier) {
  if (modifier < 0) return "";
  std::string text;
  for (const RangeName& name : kRanges) {
    if (name.range == IntervalRange(modifier)) text = " " + std::string(name.words);
  }
  if (IntervalPrecision(modifier) != kIntervalFullPrecision) text += "(" + std::to_string(IntervalPrecision(modifier)) + ")";
  return text;
}

int32_t IntervalModifierFromWords(std::string_view words) {
  for (const RangeName& name : kRanges) {
    if (name.words == words) return IntervalModifier(name.range);
  }
  return -1;
}

}  // namespace kappa::data
