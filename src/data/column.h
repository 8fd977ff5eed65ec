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
/// A coded column has the entries of a dictionary as its rows, and a code for each of them. Whoever knows codes uses those; its values are
/// laid out like any other's when they are first asked for. docs/decisions/0022.
class Column {
 public:
  struct Uninitialized {};
  Column(Type type, int64_t size);  // all zero values, no NULLs
  /// For makers that write every value themselves.
  Column(Type type, int64_t size, Uninitialized);
  /// Coded. No entry is NULL; every code is to be written; under a NULL it is 0.
  Column(ColumnPtr dictionary, int64_t size);

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
  bool is_coded() const { return coded_ != nullptr; }
  /// Of coded columns: what the codes stand for, and the codes.
  const ColumnPtr& dictionary() const { return coded_->dictionary; }
  std::span<const int32_t> codes() const { return {coded_->codes.data(), coded_->codes.size()}; }
  /// Bytes held by values, codes and validity (heaps and dictionaries are shared and not counted).
  int64_t memory_bytes() const;

  // For the maker of the column only, before it is shared.
  template <typename T> T* mutable_data() {
    KAPPA_DCHECK(!is_coded());
    return reinterpret_cast<T*>(values_.get());
  }
  int32_t* mutable_codes() { return coded_->codes.data(); }
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
  struct Coded {
    ColumnPtr dictionary;
    std::vector<int32_t> codes;
    std::once_flag once;
    std::atomic<bool> is_laid_out = false;
  };
  const uint8_t* laid_out() const {
    if (coded_ != nullptr && !coded_->is_laid_out.load(std::memory_order_acquire)) [[unlikely]]
      LayOut();
    return values_.get();
  }
  void LayOut() const;
  /// Zeroes what lies under the NULLs in rows of `width` bytes.
  void ZeroNulls(void* rows, size_t width) const;

  Type type_;
  int64_t size_;
  mutable std::unique_ptr<uint8_t[], FreeDeleter> values_;  // none while a coded column's were not asked for
  std::unique_ptr<Coded> coded_;
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
