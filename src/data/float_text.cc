// Floating-point text over the standard library's shortest form.
#include "data/float_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace kappa::data {
namespace {

// Numbers with a larger decimal exponent are shown in scientific notation, as in PostgreSQL.
template <typename T> constexpr int kFixedExponentMax = std::is_same_v<T, float> ? 5 : 14;
constexpr int kFixedExponentMin = -4;

template <typename T> void Append(T value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "Infinity" : "-Infinity";
    return;
  }
  char buffer[64];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  if (text.front() == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  size_t e = text.find('e');
  int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  char digits[32];
  size_t count = 0;
  for (char c : text.substr(0, e)) {
    if (c != '.') digits[count++] = c;
  }
  if (exponent < kFixedExponentMin || exponent > kFixedExponentMax<T>) {
    out += digits[0];
    if (count > 1) {
      out += '.';
      out.append(digits + 1, count - 1);
    }
    out += 'e';
    out += exponent < 0 ? '-' : '+';
    if (std::abs(exponent) < 10) out += '0';
    out += std::to_string(std::abs(exponent));
    return;
  }
  if (exponent < 0) {
    out += "0.";
    out.append(static_cast<size_t>(-exponent - 1), '0');
    out.append(digits, count);
    return;
  }
  size_t whole = static_cast<size_t>(exponent) + 1;
  out.append(digits, std::min(whole, count));
  if (count < whole) out.append(whole - count, '0');
  if (count > whole) {
    out += '.';
    out.append(digits + whole, count - whole);
  }
}

template <typename T> FloatParse Parse(std::string_view text, T& value) {
  bool negative = !text.empty() && text.front() == '-';
  std::string_view body = text.substr(!text.empty() && (text.front() == '-' || text.front() == '+'));
  if (body.empty()) return FloatParse::kMalformed;
  if (std::isdigit(static_cast<unsigned char>(body.front())) || body.front() == '.') {
    auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), value);
    if (error == std::errc::invalid_argument || end != body.data() + body.size()) return FloatParse::kMalformed;
    if (error == std::errc::result_out_of_range) return FloatParse::kOutOfRange;
    if (negative) value = -value;
    return FloatParse::kOk;
  }
  std::string word(body);
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (word == "nan" && body.size() == text.size()) {
    value = std::numeric_limits<T>::quiet_NaN();
    return FloatParse::kOk;
  }
  if (word != "infinity" && word != "inf") return FloatParse::kMalformed;
  value = negative ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
  return FloatParse::kOk;
}

}  // namespace

void AppendFloat(double value, std::string& out) { Append(value, out); }
void AppendFloat(float value, std::string& out) { Append(value, out); }
FloatParse ParseFloat(std::string_view text, double& value) { return Parse(text, value); }
FloatParse ParseFloat(std::string_view text, float& value) { return Parse(text, value); }

}  // namespace kappa::data
