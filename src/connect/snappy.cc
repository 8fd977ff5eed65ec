// A stream is its length as a varint and then elements, each with a tag byte, by its two low bits:
//
//   0  literal of (tag >> 2) + 1 bytes; from 61 on the length - 1 lies in the next 1 to 4 bytes instead
//   1  copy of 4 + (tag >> 2 & 7) bytes from an offset of 11 bits: tag >> 5, then a byte
//   2  copy of (tag >> 2) + 1 bytes from an offset of 2 bytes
//   3  the same with an offset of 4 bytes
//
// Copies may overlap what they write. Integers are little-endian. github.com/google/snappy/blob/main/format_description.txt
#include "connect/snappy.h"

#include <cstring>

namespace kappa::connect {
namespace {

// While that much is left of either side, elements are read and written in blocks that may reach beyond their end.
constexpr ptrdiff_t kReadMargin = 80, kWriteMargin = 96;
constexpr size_t kShortLiteralMax = 60, kCopyMax = 64;

uint32_t Load32(const uint8_t* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <size_t kBytes> void Copy(uint8_t* to, const uint8_t* from) {
  struct Block {
    uint8_t bytes[kBytes];
  } block;
  std::memcpy(&block, from, kBytes);
  std::memcpy(to, &block, kBytes);
}

/// The varint; moves `at` behind it.
std::optional<size_t> ReadLength(const uint8_t*& at, const uint8_t* end) {
  uint64_t length = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (at == end) return std::nullopt;
    const uint8_t byte = *at++;
    length |= uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80) == 0) return length <= UINT32_MAX ? std::optional<size_t>(length) : std::nullopt;
  }
  return std::nullopt;
}

/// The length of a literal whose tag says that it lies in the next `bytes` bytes, of which four can be read.
size_t LongLength(const uint8_t* at, size_t bytes) { return size_t{Load32(at) & (0xffffffffU >> 8 * (4 - bytes))} + 1; }

bool Decompress(const uint8_t* at, const uint8_t* const end, uint8_t* const begin, uint8_t* const out_end) {
  uint8_t* out = begin;
  const auto is_there = [&](size_t offset) { return offset - 1 < static_cast<size_t>(out - begin); };
  while (end - at >= kReadMargin && out_end - out >= kWriteMargin) {
    const uint32_t tag = *at;
    const uint32_t kind = tag & 3;
    size_t length = (tag >> 2) + 1;
    if (kind == 0) {
      ++at;
      if (length <= 16) {
        Copy<16>(out, at);
      } else if (length <= kShortLiteralMax) {
        Copy<64>(out, at);
      } else {
        const size_t bytes = length - kShortLiteralMax;
        length = LongLength(at, bytes);
        at += bytes;
        if (length > static_cast<size_t>(end - at) || length > static_cast<size_t>(out_end - out)) return false;
        std::memcpy(out, at, length);
      }
      at += length;
      out += length;
      continue;
    }
    size_t offset;
    if (kind == 1) {
      length = 4 + (tag >> 2 & 7);
      offset = (tag >> 5) << 8 | at[1];
      at += 2;
    } else if (kind == 2) {
      offset = Load32(at) >> 8 & 0xffff;
      at += 3;
    } else {
      offset = Load32(at + 1);
      at += 5;
    }
    if (!is_there(offset)) return false;
    const uint8_t* const from = out - offset;
    if (offset >= 16) {
      Copy<16>(out, from);
      if (length > 16) {
        for (size_t i = 16; i < kCopyMax; i += 16) Copy<16>(out + i, from + i);
      }
    } else if (offset >= 8) {
      for (size_t i = 0; i < length; i += 8) Copy<8>(out + i, from + i);
    } else {
      for (size_t i = 0; i < length; ++i) out[i] = from[i];
    }
    out += length;
  }
  // The same where an end is near: nothing is touched beyond it.
  while (at < end) {
    const uint32_t tag = *at++;
    const uint32_t kind = tag & 3;
    size_t length = (tag >> 2) + 1;
    const size_t extra = kind == 3 ? 4 : kind > 0 ? kind : length > kShortLiteralMax ? length - kShortLiteralMax : 0;
    if (extra > static_cast<size_t>(end - at)) return false;
    size_t number = 0;
    for (size_t i = 0; i < extra; ++i) number |= size_t{at[i]} << 8 * i;
    at += extra;
    if (kind == 0) {
      if (extra > 0) length = number + 1;
      if (length > static_cast<size_t>(end - at) || length > static_cast<size_t>(out_end - out)) return false;
      std::memcpy(out, at, length);
      at += length;
    } else {
      if (kind == 1) {
        length = 4 + (tag >> 2 & 7);
        number |= (tag >> 5) << 8;
      }
      if (!is_there(number) || length > static_cast<size_t>(out_end - out)) return false;
      for (size_t i = 0; i < length; ++i) out[i] = *(out + i - number);
    }
    out += length;
  }
  return out == out_end;
}

}  // namespace

std::optional<size_t> SnappyLength(std::span<const uint8_t> bytes) {
  constexpr size_t kMostOfAByte = 22;  // a copy of 64 bytes takes three
  const uint8_t* at = bytes.data();
  const std::optional<size_t> length = ReadLength(at, bytes.data() + bytes.size());
  return length && *length <= bytes.size() * kMostOfAByte ? length : std::nullopt;
}

bool DecompressSnappy(std::span<const uint8_t> bytes, std::span<uint8_t> out) {
  const uint8_t *at = bytes.data(), *end = bytes.data() + bytes.size();
  const std::optional<size_t> length = ReadLength(at, end);
  return length == out.size() && Decompress(at, end, out.data(), out.data() + out.size());
}

}  // namespace kappa::connect
