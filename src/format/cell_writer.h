// CellWriter: fills one column row by row from text, as the input functions of PostgreSQL would, quickly for common
// types.
#pragma once

#include <bit>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "data/column.h"

namespace kappa::format {

/// Where the bytes of a text lie.
enum class Lifetime {
  kBorrowed,   // in memory that the finished column keeps alive, with at least 16 readable bytes from the start of the
               // text
  kTemporary,  // must be copied
};

/// Rows are written in any order, each at most once; unwritten rows are zero. A writer that does not build checks
/// values just as strictly and keeps nothing.
class CellWriter {
 public:
  CellWriter(const data::Field& field, bool build) : field_(field), build_(build) {}

  const data::Field& field() const { return field_; }
  bool build() const { return build_; }
  /// Begins a column of `rows` rows.
  void Start(int64_t rows);
  /// Begins a column that the caller made; for writers that build. Its rows are zero only where it made them so.
  void Start(std::shared_ptr<data::Column> column);
  /// The column, `rows` rows long as started. Keeps `storage` alive when it borrowed from it.
  std::shared_ptr<data::Column> Finish(const data::Keepalive& storage);

  void Null(int64_t row) {
    if (build_) column_->SetNull(row);
  }
  template <typename T> void Fixed(int64_t row, T value) { column_->mutable_data<T>()[build_ ? row : 0] = value; }
  /// The rows of a writer that builds, to be filled at once.
  template <typename T> T* values() { return column_->mutable_data<T>(); }
  /// The same of a scaled column.
  int64_t* coefficients() { return column_->mutable_coefficients(); }
  /// Keeps memory alive that views given to Fixed point into.
  void Keep(data::Keepalive keepalive) {
    if (build_) column_->AddKeepalive(std::move(keepalive));
  }
  /// Copies bytes that do not fit into the view.
  void Bytes(int64_t row, std::string_view bytes);
  /// Copies bytes that do not fit into a view for the column. Of writers that build.
  data::StringView Copied(std::string_view bytes);
  void Borrow(int64_t row, const char* bytes, size_t size) {
    borrowed_ = true;
    Fixed(row, View(bytes, size));
  }

  /// Reads the type's input syntax (not jsonb from JSON tokens). False, with a reason in PostgreSQL's wording, when the
  /// text is not a value of the type.
  bool Text(int64_t row, std::string_view text, Lifetime lifetime, std::string& reason);

  /// Numbers in plain decimal digits with an optional exponent. False with a reason when out of range or, for integers,
  /// not integral.
  bool Integer(int64_t row, std::string_view number, std::string& reason);
  bool Float(int64_t row, std::string_view number, std::string& reason);
  bool Numeric(int64_t row, std::string_view number, std::string& reason);

 private:
  /// A view of bytes of which 16 may be read, without a call to memcpy.
  static data::StringView View(const char* bytes, size_t size) {
    if (size > data::StringView::kInlineMax) return data::StringView(bytes, size);
    struct {
      uint32_t size;
      char inlined[12];
    } raw;
    uint64_t low;
    uint32_t high;
    std::memcpy(&low, bytes, 8);
    std::memcpy(&high, bytes + 8, 4);
    if (size < 8) {
      low &= (uint64_t{1} << (8 * size)) - 1;
      high = 0;
    } else {
      high &= static_cast<uint32_t>((uint64_t{1} << (8 * (size - 8))) - 1);
    }
    raw.size = static_cast<uint32_t>(size);
    std::memcpy(raw.inlined, &low, 8);
    std::memcpy(raw.inlined + 8, &high, 4);
    return std::bit_cast<data::StringView>(raw);
  }
  bool StoreInteger(int64_t row, int64_t value, std::string_view text, std::string& reason);
  bool StoreText(int64_t row, std::string_view text, Lifetime lifetime, std::string& reason);
  bool General(int64_t row, std::string_view text, std::string& reason);

  data::Field field_;
  bool build_;
  bool borrowed_ = false;
  std::shared_ptr<data::Column> column_;
  std::shared_ptr<std::string> heap_;  // grows only up to its reserved capacity, so views stay valid
};

}  // namespace kappa::format
