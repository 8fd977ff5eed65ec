// Functions of bytea: bits and bytes, places, hashes.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "expr/functions/message_digest.h"
#include "expr/functions/register.h"
#include "expr/rowwise.h"

namespace kappa::expr {
namespace {

using View = std::string_view;

constexpr const char* kArraySubscriptError = "2202E";

Status CheckIndex(int64_t index, int64_t size) {
  if (index >= 0 && index < size) return {};
  return Error(kArraySubscriptError, fmt::format("index {} out of valid range, 0..{}", index, size - 1));
}

Result<int32_t> GetByte(View bytes, int32_t index) {
  KAPPA_RETURN_IF_ERROR(CheckIndex(index, static_cast<int64_t>(bytes.size())));
  return static_cast<uint8_t>(bytes[static_cast<size_t>(index)]);
}
Result<std::string> SetByte(View bytes, int32_t index, int32_t value) {
  KAPPA_RETURN_IF_ERROR(CheckIndex(index, static_cast<int64_t>(bytes.size())));
  std::string out(bytes);
  out[static_cast<size_t>(index)] = static_cast<char>(value);
  return out;
}
/// Bits are numbered from the lowest of the first byte.
Result<int32_t> GetBit(View bytes, int64_t index) {
  KAPPA_RETURN_IF_ERROR(CheckIndex(index, static_cast<int64_t>(bytes.size()) * 8));
  return static_cast<uint8_t>(bytes[static_cast<size_t>(index / 8)]) >> (index % 8) & 1;
}
Result<std::string> SetBit(View bytes, int64_t index, int32_t value) {
  KAPPA_RETURN_IF_ERROR(CheckIndex(index, static_cast<int64_t>(bytes.size()) * 8));
  if (value != 0 && value != 1) return Error(sqlstate::kInvalidParameterValue, "new bit must be 0 or 1");
  std::string out(bytes);
  const auto mask = static_cast<uint8_t>(1u << (index % 8));
  char& byte = out[static_cast<size_t>(index / 8)];
  byte = static_cast<char>(value == 1 ? static_cast<uint8_t>(byte) | mask : static_cast<uint8_t>(byte) & ~mask);
  return out;
}
int64_t BitCount(View bytes) {
  int64_t count = 0;
  for (const char byte : bytes) count += std::popcount(static_cast<uint8_t>(byte));
  return count;
}

View TrimLeft(View bytes, View set) { return bytes.substr(std::min(bytes.size(), bytes.find_first_not_of(set))); }
View TrimRight(View bytes, View set) { return bytes.substr(0, bytes.find_last_not_of(set) + 1); }

Result<std::string> Overlay(View bytes, View with, int64_t start, int64_t length) {
  if (start <= 0) return Error("22011", "negative substring length not allowed");
  const auto size = static_cast<int64_t>(bytes.size());
  std::string out(bytes.substr(0, static_cast<size_t>(std::min(size, start - 1))));
  out += with;
  return out += bytes.substr(static_cast<size_t>(std::clamp<int64_t>(start - 1 + length, 0, size)));
}

template <int kBits> void RegisterDigest(Registry& registry) {
  registry.Function(fmt::format("sha{}", kBits), "bytea -> bytea", Rowwise([](View bytes) {
                      static const MessageDigest digest(fmt::format("SHA2-{}", kBits).c_str());
                      return digest(bytes);
                    }),
                    fmt::format("SHA-{} hash", kBits));
}

}  // namespace

void RegisterBytes(Registry& registry) {
  registry.Function("get_byte", "bytea, int4 -> int4", Rowwise([](View bytes, int32_t index) { return GetByte(bytes, index); }),
                    "byte at a place, from 0");
  registry.Function("set_byte", "bytea, int4, int4 -> bytea",
                    Rowwise([](View bytes, int32_t index, int32_t value) { return SetByte(bytes, index, value); }),
                    "with another byte at a place, from 0");
  registry.Function("get_bit", "bytea, int8 -> int4", Rowwise([](View bytes, int64_t index) { return GetBit(bytes, index); }),
                    "bit at a place, from 0");
  registry.Function("set_bit", "bytea, int8, int4 -> bytea",
                    Rowwise([](View bytes, int64_t index, int32_t value) { return SetBit(bytes, index, value); }),
                    "with another bit at a place, from 0");
  registry.Function("bit_count", "bytea -> int8", Rowwise([](View bytes) { return BitCount(bytes); }), "number of bits that are set");
  registry.Function("ltrim", "bytea, bytea -> bytea", Rowwise([](View bytes, View set) { return TrimLeft(bytes, set); }),
                    "without these bytes at the start");
  registry.Function("rtrim", "bytea, bytea -> bytea", Rowwise([](View bytes, View set) { return TrimRight(bytes, set); }),
                    "without these bytes at the end");
  registry.Function("btrim", "bytea, bytea -> bytea", Rowwise([](View bytes, View set) { return TrimLeft(TrimRight(bytes, set), set); }),
                    "without these bytes at start and end");
  registry.Function("position", "bytea, bytea -> int4", Rowwise([](View bytes, View part) { return static_cast<int32_t>(bytes.find(part) + 1); }),
                    "where the second bytes start in the first (from 1), 0 if nowhere");
  registry.Function("overlay", "bytea, bytea, int4 -> bytea",
                    Rowwise([](View bytes, View with, int32_t start) { return Overlay(bytes, with, start, static_cast<int64_t>(with.size())); }),
                    "bytes from a position on replaced");
  registry.Function("overlay", "bytea, bytea, int4, int4 -> bytea",
                    Rowwise([](View bytes, View with, int32_t start, int32_t length) { return Overlay(bytes, with, start, length); }),
                    "so many bytes from a position on replaced");
  RegisterDigest<224>(registry);
  RegisterDigest<256>(registry);
  RegisterDigest<384>(registry);
  RegisterDigest<512>(registry);
}

}  // namespace kappa::expr
