// Encoding of integers and byte strings: big-endian for wires, little-endian and varints for our own files.
// A Reader validates every length before it uses it; after the first short read it stays failed and returns zeros.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace kappa {

/// Appends to a string that it owns.
class ByteWriter {
 public:
  template <typename T> void Big(T value) { Put(ToBig(value)); }
  template <typename T> void Little(T value) { Put(value); }
  void Bytes(std::string_view bytes) { out_.append(bytes); }
  void Varint(uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
  }
  void ZigZag(int64_t value) { Varint((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63)); }
  /// Varint length, then the bytes.
  void Prefixed(std::string_view bytes) {
    Varint(bytes.size());
    Bytes(bytes);
  }
  template <typename T> void PatchBig(size_t at, T value) {
    value = ToBig(value);
    std::memcpy(out_.data() + at, &value, sizeof value);
  }

  size_t size() const { return out_.size(); }
  std::string& str() { return out_; }
  const std::string& str() const { return out_; }
  std::string Take() { return std::move(out_); }

 private:
  template <typename T> static T ToBig(T value) {
    static_assert(std::is_integral_v<T>);
    if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(value)));
    if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(value)));
    if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(value)));
    return value;
  }
  template <typename T> void Put(T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  std::string out_;
};

/// Reads from bytes that it borrows. Check ok() before trusting what was read.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  size_t remaining() const { return bytes_.size() - at_; }
  size_t position() const { return at_; }
  bool AtEnd() const { return ok_ && remaining() == 0; }
  void Fail() {
    ok_ = false;
    at_ = bytes_.size();
  }

  template <typename T> T Little() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    if (remaining() < sizeof value) {
      Fail();
      return value;
    }
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  template <typename T> T Big() {
    T value = Little<T>();
    if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(value)));
    if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(value)));
    if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(value)));
    return value;
  }
  std::string_view Bytes(size_t count) {
    if (remaining() < count) {
      Fail();
      return {};
    }
    std::string_view out = bytes_.substr(at_, count);
    at_ += count;
    return out;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      uint8_t byte = Little<uint8_t>();
      if (!ok_) return 0;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    Fail();
    return 0;
  }
  int64_t ZigZag() {
    uint64_t value = Varint();
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
  }
  std::string_view Prefixed() { return Bytes(static_cast<size_t>(Varint())); }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace kappa
