// Column: an immutable vector of values of one type. ColumnBuilder makes one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "data/string_view.h"
#include "data/type.h"

namespace kappa::data {

/// Bytes that StringViews point into. Shared, immutable once a column holds it.
using Heap = std::shared_ptr<const std::string>;
/// Keeps foreign memory (a decoded record buffer, a state page) alive while views point into it.
using Keepalive = std::shared_ptr<const void>;

class Column;
using ColumnPtr = std::shared_ptr<const Column>;

/// Layout: `values` holds size() physical values (type.h), 64-byte aligned; `validity` holds one bit per row, set when the
/// row is not NULL, and is empty when no row is NULL. The value under a NULL is zero (an empty view), so that kernels may
/// compute over it. StringViews point into memory kept alive by `keepalives`.
/// A coded column has the entries of a dictionary as its rows, and a code for each of them. A scaled column has numerics of one scale, and the
/// coefficient of each, in 64 bits. Whoever knows codes or coefficients uses those; the values are laid out like any other's when they are first
/// asked for. docs/decisions/0022, 0024.
class Column {
 public:
  struct Uninitialized {};
  struct Scale {
    int digits;  // behind the point
  };
  Column(Type type, int64_t size);  // all zero values, no NULLs
  /// For makers that write every value themselves.
  Column(Type type, int64_t size, Uninitialized);
  /// Coded. No entry is NULL; every code is to be written; under a NULL it is 0.
  Column(ColumnPtr dictionary, int64_t size);
  /// Scaled. Every coefficient is to be written; under a NULL it is 0.
  Column(Type numeric, int64_t size, Scale scale);

  const Type& type() const { return type_; }
  int64_t size() const { return size_; }
  template <typename T> const T* data() const { return reinterpret_cast<const T*>(laid_out()); }
  template <typename T> std::span<const T> values() const { return {data<T>(), static_cast<size_t>(size_)}; }
  bool has_nulls() const { return !validity_.empty(); }
  bool IsNull(int64_t row) const { return has_nulls() && (validity_[static_cast<size_t>(row) >> 6] >> (row & 63) & 1) == 0; }
  /// Words of the validity bitmap; empty when no row is NULL.
  std::span<const uint64_t> validity() const { return validity_; }
  int64_t null_count() const;
  std::string_view bytes(int64_t row) const { return data<StringView>()[row].view(); }
  const std::vector<Keepalive>& keepalives() const { return keepalives_; }
  bool is_coded() const { return packed_ != nullptr && packed_->dictionary != nullptr; }
  /// Of coded columns: what the codes stand for, and the codes.
  const ColumnPtr& dictionary() const { return packed_->dictionary; }
  std::span<const int32_t> codes() const { return {packed_rows<int32_t>(), static_cast<size_t>(size_)}; }
  bool is_scaled() const { return packed_ != nullptr && packed_->dictionary == nullptr; }
  /// Of scaled columns.
  int scale() const { return packed_->scale; }
  std::span<const int64_t> coefficients() const { return {packed_rows<int64_t>(), static_cast<size_t>(size_)}; }
  /// Bytes held by values, codes, coefficients and validity (heaps and dictionaries are shared and not counted).
  int64_t memory_bytes() const;

  // For the maker of the column only, before it is shared.
  template <typename T> T* mutable_data() {
    KAPPA_DCHECK(packed_ == nullptr);
    return reinterpret_cast<T*>(values_.get());
  }
  int32_t* mutable_codes() { return packed_rows<int32_t>(); }
  int64_t* mutable_coefficients() { return packed_rows<int64_t>(); }
  void SetNull(int64_t row);  // also zeroes the value
  /// Takes over a whole bitmap of ceil(size / 64) words, or an empty one; zeroes the values under NULLs.
  void SetValidity(std::vector<uint64_t> words);
  /// Takes over the NULLs of `other` (sizes equal), in addition to those already set.
  void MergeNulls(const Column& other);
  void AddKeepalive(Keepalive keepalive) {
    if (keepalive) keepalives_.push_back(std::move(keepalive));
  }
  /// Adds the keepalives of `other` that are not held yet.
  void ShareKeepalives(const Column& other);
  /// Copies strings longer than 12 bytes into one heap of this column and drops the other keepalives.
  void Compact();

 private:
  struct FreeDeleter {
    void operator()(uint8_t* p) const;
  };
  using Memory = std::unique_ptr<uint8_t[], FreeDeleter>;
  struct Packed {
    ColumnPtr dictionary;  // of codes; null: these are coefficients
    int scale = 0;         // of coefficients
    int width = 0;         // bytes of a code or a coefficient
    Memory rows;
    std::once_flag once;
    std::atomic<bool> is_laid_out = false;
  };
  template <typename T> T* packed_rows() const { return reinterpret_cast<T*>(packed_->rows.get()); }
  const uint8_t* laid_out() const {
    if (packed_ != nullptr && !packed_->is_laid_out.load(std::memory_order_acquire)) [[unlikely]]
      LayOut();
    return values_.get();
  }
  void LayOut() const;
  void LayOutEntries() const;
  void LayOutNumerics() const;
  /// Zeroes what lies under the NULLs in rows of `width` bytes.
  void ZeroNulls(void* rows, size_t width) const;
  friend struct PackedRows;

  Type type_;
  int64_t size_;
  mutable Memory values_;  // none while a packed column's were not asked for
  std::unique_ptr<Packed> packed_;
  std::vector<uint64_t> validity_;
  std::vector<Keepalive> keepalives_;
};

/// Adds those of `more` that `list` lacks.
void AddKeepalives(std::vector<Keepalive>& list, const std::vector<Keepalive>& more);

/// Appends values one by one; strings longer than 12 bytes are copied into heaps that the builder owns, or borrowed.
class ColumnBuilder {
 public:
  explicit ColumnBuilder(Type type, int64_t reserve = 0);

  const Type& type() const { return type_; }
  int64_t size() const { return size_; }
  template <typename T> void Append(T value) {  // T is the physical type
    KAPPA_DCHECK(static_cast<int>(sizeof(T)) == width_);
    Grow();
    std::memcpy(values_.data() + size_ * width_, &value, sizeof(T));
    ++size_;
  }
  void AppendNull();
  /// Copies the bytes.
  void AppendBytes(std::string_view bytes);
  /// Stores a view without copying: the caller adds a keepalive for the memory.
  void AppendBorrowed(StringView view) { Append(view); }
  /// Appends row `row` of `other` (same physical type), borrowing its strings: the caller shares keepalives once.
  void AppendFrom(const Column& other, int64_t row);
  void AddKeepalive(Keepalive keepalive) { keepalives_.push_back(std::move(keepalive)); }
  void ShareKeepalives(const Column& other) { AddKeepalives(keepalives_, other.keepalives()); }
  /// The column; the builder is empty afterwards and can be used again.
  ColumnPtr Finish();

 private:
  void Grow() {
    if (static_cast<size_t>((size_ + 1) * width_) > values_.size()) GrowValues();
  }
  void GrowValues();

  Type type_;
  int width_;
  int64_t size_ = 0;
  std::vector<uint8_t> values_;
  std::vector<int64_t> nulls_;
  std::shared_ptr<std::string> heap_;  // current chunk; grows only up to its reserved capacity, so views stay valid
  std::vector<Keepalive> keepalives_;
};

/// A column that would keep more than this many separate memories alive copies its strings into one heap instead, so that
/// long chains of Gather and Concatenate do not pin memory without bound.
inline constexpr size_t kKeepalivesMax = 32;

/// rows[i] of `column` for every i; a negative index gives NULL.
ColumnPtr Gather(const Column& column, std::span<const int32_t> rows);
/// Rows [from, from + count).
ColumnPtr Slice(const ColumnPtr& column, int64_t from, int64_t count);
/// All rows of all parts, in order. Parts have one type; at least one part.
ColumnPtr Concatenate(std::span<const ColumnPtr> parts);
/// `count` NULLs of this type.
ColumnPtr NullColumn(Type type, int64_t count);

}  // namespace kappa::data
