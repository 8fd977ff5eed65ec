// StringView: 16 bytes that stand for a byte string of up to 4 GiB; up to 12 bytes are stored inline.
//
//   at  bytes  field
//    0      4  size
//    4      4  prefix      the first four bytes, zero padded
//    8      8  pointer     to all bytes when size > 12; else bytes 4.. of the value, zero padded
//
// The layout is Arrow's string view except for the pointer, which Arrow splits into buffer index and offset: a pointer
// makes gather and hash loops one load shorter. The Arrow edge (connect/) converts. See docs/decisions/0002.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace kappa::data {

class StringView {
 public:
  static constexpr uint32_t kInlineMax = 12;

  StringView() : size_(0) { std::memset(inlined_, 0, sizeof inlined_); }
  /// Borrows bytes longer than kInlineMax: they must outlive this view.
  StringView(const char* bytes, size_t size) : size_(static_cast<uint32_t>(size)) {
    if (size <= kInlineMax) {
      std::memset(inlined_, 0, sizeof inlined_);
      std::memcpy(inlined_, bytes, size);
    } else {
      std::memcpy(inlined_, bytes, 4);
      std::memcpy(inlined_ + 4, &bytes, sizeof bytes);
    }
  }
  explicit StringView(std::string_view bytes) : StringView(bytes.data(), bytes.size()) {}

  uint32_t size() const { return size_; }
  bool is_inline() const { return size_ <= kInlineMax; }
  const char* data() const {
    if (is_inline()) return inlined_;
    const char* pointer;
    std::memcpy(&pointer, inlined_ + 4, sizeof pointer);
    return pointer;
  }
  std::string_view view() const { return {data(), size_}; }
  operator std::string_view() const { return view(); }  // NOLINT: implicit by design
  std::string str() const { return std::string(view()); }

  friend bool operator==(const StringView& a, const StringView& b) {
    if (std::memcmp(&a, &b, 8) != 0) return false;  // size and prefix at once
    if (a.is_inline()) return std::memcmp(a.inlined_ + 4, b.inlined_ + 4, 8) == 0;
    return std::memcmp(a.data(), b.data(), a.size_) == 0;
  }
  /// Byte order, which is collation "C".
  friend bool operator<(const StringView& a, const StringView& b) { return a.view() < b.view(); }

 private:
  uint32_t size_;
  char inlined_[12];
};
static_assert(sizeof(StringView) == 16);

}  // namespace kappa::data
