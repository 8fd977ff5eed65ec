// How a numeric lies in bytes. One value has exactly one encoding per display scale.
//
//   at  bytes     field
//    0      2     head: display scale (bits 0..13), form (bits 14..15)
//    2  0/8/16/n  coefficient; the value is coefficient / 10^scale
//
//   form 0  small: the coefficient is a little-endian two's complement int64 when it fits, else int128
//   form 1  large positive: the magnitude, too large for int128, as little-endian bytes without leading zero bytes
//   form 2  large negative: likewise
//   form 3  special: no coefficient; the scale field is 0 for NaN, 1 for Infinity, 2 for -Infinity
//
// Empty bytes (the value under a NULL) read as 0. A small value of 10 bytes lies inside a StringView, without heap.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/int128.h"
#include "data/string_view.h"

namespace kappa::data {

inline constexpr int kNumericScaleMax = 16383;
inline constexpr uint16_t kNumericNan = 0xC000, kNumericInfinity = 0xC001, kNumericNegativeInfinity = 0xC002;

enum class NumericForm : uint8_t { kSmall, kLargePositive, kLargeNegative, kSpecial };

inline uint16_t NumericHead(std::string_view bytes) {
  if (bytes.size() < 2) return 0;
  uint16_t head;
  std::memcpy(&head, bytes.data(), sizeof head);
  return head;
}
inline NumericForm NumericFormOf(uint16_t head) { return static_cast<NumericForm>(head >> 14); }

/// Reads a small value; false for large and special ones.
inline bool DecodeSmallNumeric(std::string_view bytes, int128_t& coefficient, int& scale) {
  if (bytes.size() == 10) [[likely]] {
    int64_t narrow;
    std::memcpy(&narrow, bytes.data() + 2, sizeof narrow);
    coefficient = narrow;
    scale = NumericHead(bytes);
    return true;
  }
  uint16_t head = NumericHead(bytes);
  if (NumericFormOf(head) != NumericForm::kSmall) return false;
  scale = head;
  coefficient = 0;
  if (bytes.size() == 18) std::memcpy(&coefficient, bytes.data() + 2, sizeof coefficient);
  return true;
}

/// A small value of 64 bits, which most are, read from its view as two words.
class NarrowNumeric {
 public:
  explicit NarrowNumeric(const StringView& view) {
    std::memcpy(&low_, &view, sizeof low_);
    std::memcpy(&high_, reinterpret_cast<const char*>(&view) + sizeof low_, sizeof high_);
  }
  /// Whether it is one, of this scale.
  bool IsOf(int scale) const { return (low_ & 0xffffffffffff) == (kBytes | static_cast<uint64_t>(scale) << 32); }
  int64_t coefficient() const { return static_cast<int64_t>(low_ >> 48 | high_ << 16); }

 private:
  static constexpr uint64_t kBytes = 10;
  uint64_t low_;  // size, head and the first two bytes of the coefficient
  uint64_t high_;
};

/// The bytes of a small value on the stack.
struct SmallNumericBytes {
  char bytes[18];
  uint32_t size;
  std::string_view view() const { return {bytes, size}; }
};
inline SmallNumericBytes EncodeSmallNumeric(int128_t coefficient, int scale) {
  SmallNumericBytes out;
  uint16_t head = static_cast<uint16_t>(scale);
  std::memcpy(out.bytes, &head, sizeof head);
  int64_t narrow = static_cast<int64_t>(coefficient);
  if (narrow == coefficient) [[likely]] {
    std::memcpy(out.bytes + 2, &narrow, sizeof narrow);
    out.size = 10;
  } else {
    std::memcpy(out.bytes + 2, &coefficient, sizeof coefficient);
    out.size = 18;
  }
  return out;
}

/// True when no trailing zero after the decimal point could be dropped.
bool IsCanonicalNumeric(std::string_view bytes);
/// Appends the bytes with trailing zeros after the decimal point dropped: equal numerics give equal bytes.
void AppendCanonicalNumeric(std::string_view bytes, std::string& out);

}  // namespace kappa::data
