// Floating-point numbers as text: the shortest digits that read back to the same value, in PostgreSQL's notation.
#pragma once

#include <string>
#include <string_view>

namespace kappa::data {

void AppendFloat(double value, std::string& out);
void AppendFloat(float value, std::string& out);

enum class FloatParse : unsigned char { kOk, kMalformed, kOutOfRange };
/// Decimal numbers, NaN and infinity (any case), without spaces around. A number too small for the type is out of range.
FloatParse ParseFloat(std::string_view text, double& value);
FloatParse ParseFloat(std::string_view text, float& value);

}  // namespace kappa::data
