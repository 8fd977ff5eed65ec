// Canonical bytes of numerics, for keys and hashes.
#include "data/numeric_bytes.h"

#include "data/numeric.h"

namespace kappa::data {

bool IsCanonicalNumeric(std::string_view bytes) {
  int128_t coefficient;
  int scale;
  if (DecodeSmallNumeric(bytes, coefficient, scale)) {
    if (bytes.size() < 2) return false;
    if (scale == 0) return true;
    int64_t narrow = static_cast<int64_t>(coefficient);
    return narrow == coefficient ? narrow % 10 != 0 : coefficient % 10 != 0;
  }
  uint16_t head = NumericHead(bytes);
  if (NumericFormOf(head) == NumericForm::kSpecial || (head & kNumericScaleMax) == 0) return true;
  std::string canonical;
  AppendCanonicalNumeric(bytes, canonical);
  return canonical == bytes;
}

void AppendCanonicalNumeric(std::string_view bytes, std::string& out) {
  int128_t coefficient;
  int scale;
  if (DecodeSmallNumeric(bytes, coefficient, scale)) {
    while (scale > 0 && coefficient % 10 == 0) {
      if (coefficient == 0) {
        scale = 0;
        break;
      }
      coefficient /= 10;
      --scale;
    }
    out += EncodeSmallNumeric(coefficient, scale).view();
    return;
  }
  Numeric::FromBytes(bytes).Canonical().AppendTo(out);
}

}  // namespace kappa::data
