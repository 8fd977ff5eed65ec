// Encoding of Kafka messages: one description of a message's fields (its Fields method) serves both directions.
//
// A message is a plain struct with
//     template <class C> void Fields(C& c) { c(name); if (c.Since(4)) c(flag); c.Tags(); }
// Decoder fills the fields from bytes, Encoder appends them to bytes; both know the version, and whether it is a flexible one
// (compact lengths and tagged fields, KIP-482). Field orders and versions: Kafka protocol guide, schemas of Kafka 3.9.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "log/log.h"

namespace kappa::serve::kafka {

/// Elements of all arrays of one request. Bounds what a small frame of empty elements can make the decoder allocate.
inline constexpr size_t kElementsMax = 200'000;

/// Record batches in a response: moved into the answer, never copied. Null when absent.
struct Records {
  std::optional<std::string> bytes;
  log::FileSlice slice = {};  // instead of bytes, when it has any: taken from the file as the answer is written
  size_t size() const { return slice.bytes > 0 ? slice.bytes : bytes ? bytes->size() : 0; }
};

/// A piece of an answer: bytes, or a part of a file.
struct Chunk {
  std::string bytes;
  log::FileSlice slice = {};
  size_t size() const { return slice.bytes > 0 ? slice.bytes : bytes.size(); }
};

/// Bytes that are never null.
struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};

/// A tagged field of a flexible message: c.Tags(Tagged{0, field}, ..), by ascending tag.
template <class T> struct Tagged {
  uint64_t tag;
  T& value;
};
template <class T> Tagged(int, T&) -> Tagged<T>;

/// Reads from borrowed bytes. Never allocates more than the bytes at hand justify; check ok() at the end.
class Decoder {
 public:
  static constexpr bool kDecodes = true;
  Decoder(std::string_view bytes, int version, bool flexible) : reader_(bytes), version_(version), flexible_(flexible) {}

  bool ok() const { return reader_.ok(); }
  bool AtEnd() const { return reader_.AtEnd(); }
  size_t remaining() const { return reader_.remaining(); }
  int version() const { return version_; }
  bool Since(int version) const { return version_ >= version; }

  void operator()(bool& value) { value = reader_.Big<uint8_t>() != 0; }
  void operator()(int8_t& value) { value = reader_.Big<int8_t>(); }
  void operator()(int16_t& value) { value = reader_.Big<int16_t>(); }
  void operator()(int32_t& value) { value = reader_.Big<int32_t>(); }
  void operator()(int64_t& value) { value = reader_.Big<int64_t>(); }
  void operator()(double& value) { value = std::bit_cast<double>(reader_.Big<uint64_t>()); }
  template <class E>
    requires std::is_enum_v<E>
  void operator()(E& value) {
    value = static_cast<E>(reader_.Big<std::underlying_type_t<E>>());
  }
  void operator()(std::string& value) {
    std::optional<size_t> length = Length(/*wide=*/false);
    if (!length) return reader_.Fail();  // null where the protocol has none
    value = reader_.Bytes(*length);
  }
  void operator()(std::optional<std::string>& value) {
    std::optional<size_t> length = Length(/*wide=*/false);
    value = length ? std::optional<std::string>(reader_.Bytes(*length)) : std::nullopt;
  }
  /// Bytes that stay in the frame.
  void operator()(std::optional<std::string_view>& value) {
    std::optional<size_t> length = Length(/*wide=*/true);
    value = length ? std::optional<std::string_view>(reader_.Bytes(*length)) : std::nullopt;
  }
  void operator()(Blob& value) {
    std::optional<size_t> length = Length(/*wide=*/true);
    if (!length) return reader_.Fail();
    value.bytes = reader_.Bytes(*length);
  }
  void operator()(Records& value) {
    std::optional<std::string_view> bytes;
    (*this)(bytes);
    value.bytes = bytes ? std::optional<std::string>(*bytes) : std::nullopt;
  }
  template <class T> void operator()(std::vector<T>& values) {
    std::optional<size_t> count = Length(/*wide=*/true);
    if (!count) return reader_.Fail();
    Elements(*count, values);
  }
  template <class T> void operator()(std::optional<std::vector<T>>& values) {
    std::optional<size_t> count = Length(/*wide=*/true);
    values.reset();
    if (count) Elements(*count, values.emplace());
  }
  template <class T>
    requires requires(T& value, Decoder& c) { value.Fields(c); }
  void operator()(T& value) {
    value.Fields(*this);
  }
  /// The tagged fields of a flexible message; others than these are skipped.
  template <class... T> void Tags(Tagged<T>... known) {
    if (!flexible_) return;
    uint64_t count = reader_.Varint();
    for (uint64_t i = 0; i < count && reader_.ok(); ++i) {
      [[maybe_unused]] const uint64_t tag = reader_.Varint();
      [[maybe_unused]] const std::string_view bytes = reader_.Prefixed();
      (Take(known, tag, bytes), ...);
    }
  }
  void Fail() { reader_.Fail(); }

 private:
  template <class T> void Take(Tagged<T>& known, uint64_t tag, std::string_view bytes) {
    if (known.tag != tag) return;
    Decoder inner(bytes, version_, true);
    inner(known.value);
    if (!inner.AtEnd()) reader_.Fail();
  }
  /// Length of a string (int16), or of an array or bytes (int32, `wide`); compact forms hold length + 1. Null: nullopt. A length
  /// beyond the remaining bytes fails: every element takes at least one byte.
  std::optional<size_t> Length(bool wide) {
    int64_t length;
    if (flexible_) {
      uint64_t plus_one = reader_.Varint();
      if (plus_one > INT32_MAX) reader_.Fail();
      length = static_cast<int64_t>(plus_one) - 1;
    } else {
      length = wide ? reader_.Big<int32_t>() : reader_.Big<int16_t>();
    }
    if (!reader_.ok() || length == -1) return std::nullopt;
    if (length < 0 || static_cast<size_t>(length) > reader_.remaining()) {
      reader_.Fail();
      return std::nullopt;
    }
    return static_cast<size_t>(length);
  }
  template <class T> void Elements(size_t count, std::vector<T>& values) {
    values.clear();
    elements_ += count;
    if (elements_ > kElementsMax) return reader_.Fail();
    for (size_t i = 0; i < count && reader_.ok(); ++i) (*this)(values.emplace_back());
  }

  ByteReader reader_;
  int version_;
  bool flexible_;
  size_t elements_ = 0;
};

/// Writes into a list of byte strings whose concatenation is the message: large record batches are moved in as they are. The
/// message is consumed.
class Encoder {
 public:
  static constexpr bool kDecodes = false;
  Encoder(int version, bool flexible) : version_(version), flexible_(flexible) {}

  int version() const { return version_; }
  bool Since(int version) const { return version_ >= version; }

  void operator()(bool value) { writer_.Big<uint8_t>(value ? 1 : 0); }
  void operator()(int8_t value) { writer_.Big(value); }
  void operator()(int16_t value) { writer_.Big(value); }
  void operator()(int32_t value) { writer_.Big(value); }
  void operator()(int64_t value) { writer_.Big(value); }
  void operator()(double value) { writer_.Big(std::bit_cast<uint64_t>(value)); }
  template <class E>
    requires std::is_enum_v<E>
  void operator()(E value) {
    writer_.Big(static_cast<std::underlying_type_t<E>>(value));
  }
  void operator()(const std::string& value) {
    // A string on the wire has at most 32767 bytes in the old form; only error texts could be longer.
    std::string_view text = std::string_view(value).substr(0, INT16_MAX);
    Length(text.size(), /*wide=*/false);
    writer_.Bytes(text);
  }
  void operator()(const std::optional<std::string>& value) { value ? (*this)(*value) : Null(/*wide=*/false); }
  void operator()(const std::optional<std::string_view>& value) {
    if (!value) return Null(/*wide=*/true);
    Length(value->size(), /*wide=*/true);
    writer_.Bytes(*value);
  }
  void operator()(const Blob& value) { (*this)(std::optional<std::string_view>(value.bytes)); }
  void operator()(Records& value) {
    if (value.slice.bytes > 0) {
      Length(value.slice.bytes, /*wide=*/true);
      chunks_.push_back({writer_.Take()});
      chunks_.push_back({.slice = std::move(value.slice)});
      writer_ = {};
      return;
    }
    constexpr size_t kCopyMax = 4096;  // below it a copy is cheaper than one more buffer in the gather list
    if (!value.bytes || value.bytes->size() <= kCopyMax) {
      return (*this)(value.bytes ? std::optional<std::string_view>(*value.bytes) : std::nullopt);
    }
    Length(value.bytes->size(), /*wide=*/true);
    chunks_.push_back({writer_.Take()});
    chunks_.push_back({std::move(*value.bytes)});
    writer_ = {};
  }
  template <class T> void operator()(std::vector<T>& values) {
    Length(values.size(), /*wide=*/true);
    for (auto& value : values) (*this)(value);
  }
  template <class T> void operator()(std::optional<std::vector<T>>& values) { values ? (*this)(*values) : Null(/*wide=*/true); }
  template <class T>
    requires requires(T& value, Encoder& c) { value.Fields(c); }
  void operator()(T& value) {
    value.Fields(*this);
  }
  template <class... T> void Tags(Tagged<T>... fields) {
    if (!flexible_) return;
    writer_.Varint(sizeof...(fields));
    (Put(fields), ...);
  }

  std::vector<Chunk> Take() {
    chunks_.push_back({writer_.Take()});
    return std::move(chunks_);
  }

 private:
  template <class T> void Put(Tagged<T>& field) {
    Encoder inner(version_, true);
    inner(field.value);
    std::string bytes;
    for (const Chunk& chunk : inner.Take()) bytes += chunk.bytes;
    writer_.Varint(field.tag);
    writer_.Prefixed(bytes);
  }
  void Length(size_t length, bool wide) {
    if (flexible_) return writer_.Varint(length + 1);
    wide ? writer_.Big(static_cast<int32_t>(length)) : writer_.Big(static_cast<int16_t>(length));
  }
  void Null(bool wide) {
    if (flexible_) return writer_.Varint(0);
    wide ? writer_.Big<int32_t>(-1) : writer_.Big<int16_t>(-1);
  }

  ByteWriter writer_;
  std::vector<Chunk> chunks_;
  int version_;
  bool flexible_;
};

}  // namespace kappa::serve::kafka
