// Arrays: one packed byte string per value.
//
//   at      bytes            field
//    0        1              element type (TypeId)
//    1        1              flags: bit 0, there is a NULL bitmap
//    2        1              dimensions, 0 (empty array) to 6
//    3        1              0
//    4        4              elements in all (int32, little-endian)
//    8        4 * dimensions lengths of the dimensions, outermost first
//    ..       (n + 7) / 8    bitmap, bit set: not NULL; only with flag 0
//    ..                      fixed-width elements: n physical values
//                            variable elements: n + 1 offsets (uint32) into the bytes that follow, then the bytes
//
// Lower bounds are always 1. Nothing is aligned: read with memcpy.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "data/column.h"
#include "data/value.h"

namespace kappa::data {

inline constexpr int kArrayDimensionsMax = 6;

/// Reads packed bytes that were made by ArrayBuilder. Empty bytes (the value under a NULL) read as an empty array.
class ArrayView {
 public:
  explicit ArrayView(std::string_view bytes);
  TypeId element() const { return element_; }
  int dimensions() const { return dimensions_; }
  /// Length of dimension 0..dimensions() - 1.
  int32_t length(int dimension) const { return Load<int32_t>(lengths_ + 4 * dimension); }
  int32_t size() const { return size_; }
  bool has_nulls() const { return bits_ != nullptr; }
  bool IsNull(int32_t i) const { return bits_ != nullptr && (bits_[i / 8] >> (i % 8) & 1) == 0; }
  /// The physical value: the bytes of a fixed-width number, or the bytes themselves.
  std::string_view bytes(int32_t i) const {
    if (width_ != 0) return {values_ + static_cast<int64_t>(i) * width_, static_cast<size_t>(width_)};
    uint32_t begin = Load<uint32_t>(values_ + 4 * static_cast<int64_t>(i)), end = Load<uint32_t>(values_ + 4 * (static_cast<int64_t>(i) + 1));
    return {values_ + 4 * (static_cast<int64_t>(size_) + 1) + begin, end - begin};
  }
  template <typename T> T Get(int32_t i) const { return Load<T>(values_ + static_cast<int64_t>(i) * static_cast<int64_t>(sizeof(T))); }
  /// Elements as they lie in memory (fixed width only).
  const char* fixed_values() const { return values_; }

 private:
  template <typename T> static T Load(const char* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  TypeId element_ = TypeId::kUnknown;
  int dimensions_ = 0;
  int32_t size_ = 0;
  int width_ = 0;  // 0: variable
  const char* lengths_ = nullptr;
  const char* bits_ = nullptr;
  const char* values_ = nullptr;
};

/// Packs elements one by one.
class ArrayBuilder {
 public:
  explicit ArrayBuilder(TypeId element);
  /// The physical value, as ArrayView::bytes gives it.
  void Append(std::string_view physical);
  void AppendNull();
  void AppendFrom(const Column& column, int64_t row);
  int64_t size() const { return static_cast<int64_t>(present_.size()); }
  /// One dimension. The builder is empty afterwards.
  std::string Finish();
  /// Elements in row-major order; the product of `lengths` is size().
  std::string Finish(std::vector<int32_t> lengths);

 private:
  TypeId element_;
  int width_;
  std::string values_;
  std::vector<uint32_t> offsets_;
  std::vector<bool> present_;
  bool nulls_ = false;
};

/// Collects the values of a column into one array; arrays into one with a dimension more.
class ArrayCollector {
 public:
  /// `type`: of the values.
  explicit ArrayCollector(const Type& type) : nested_(type.is_array()), builder_(nested_ ? type.element : type.id) {}
  /// Of arrays fails as PostgreSQL does: they must be there, not be empty, and have the same dimensions.
  Status Append(const Column& column, int64_t row);
  std::string Finish();

 private:
  bool nested_;
  int32_t values_ = 0;
  std::vector<int32_t> lengths_;  // of each array
  ArrayBuilder builder_;
};

/// Rows [from, from + count) of a column as one array.
std::string PackArray(const Column& column, int64_t from, int64_t count);
/// The sub-array or element type's column of array rows: elements of all non-NULL arrays in order. `parents` receives the row
/// of each element's array, `ordinals` (may be null) its position from 1. Strings borrow from the arrays' memory.
ColumnPtr Unnest(const Column& arrays, std::vector<int32_t>& parents, std::vector<int64_t>* ordinals = nullptr);
/// Element i (from 0) as a value of the element type.
Value ArrayElement(const ArrayView& array, int32_t i);

/// PostgreSQL's order: element by element (NULL last), then length, then dimensions.
int CompareArrays(std::string_view a, std::string_view b);
bool IsCanonicalArray(std::string_view bytes);
/// The array with every element in its canonical form.
void AppendCanonicalArray(std::string_view bytes, std::string& out);
/// Checks bytes from outside the process. KAPPA_CHECK-free: false when a length or offset is wrong.
bool IsValidArray(std::string_view bytes);

}  // namespace kappa::data
