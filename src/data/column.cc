// Columns: memory, NULL bitmaps, gathering, slicing, concatenating.
#include "data/column.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <functional>
#include <new>
#include <numeric>

#include "data/numeric_bytes.h"

namespace kappa::data {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHeapChunkMin = 4096;
constexpr size_t kHeapChunkMax = 32 << 20;  // reserved, not touched: a builder stays below kKeepalivesMax chunks up to about 700 MiB

size_t WordCount(int64_t rows) { return static_cast<size_t>((rows + 63) / 64); }

uint8_t* AllocateAligned(size_t bytes) {
  bytes = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  void* memory = std::aligned_alloc(kAlignment, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  // The tail past the last value is zero, so that kernels may read whole vectors.
  std::memset(static_cast<uint8_t*>(memory) + bytes - kAlignment, 0, kAlignment);
  return static_cast<uint8_t*>(memory);
}

struct Bytes16 {
  uint64_t low, high;
};

// Calls body with a value of an unsigned type of `width` bytes.
template <typename Body> void WithWidth(int width, Body&& body) {
  switch (width) {
    case 1: return body(uint8_t{});
    case 2: return body(uint16_t{});
    case 4: return body(uint32_t{});
    case 8: return body(uint64_t{});
    default: KAPPA_CHECK(width == 16); return body(Bytes16{});
  }
}

void LimitKeepalives(Column& column) {
  if (column.keepalives().size() > kKeepalivesMax) column.Compact();
}

// Copies `count` bits from `from` in `source` to `to` in `target` (target bits are zero before). Empty source: all set.
void CopyBits(std::span<const uint64_t> source, int64_t from, std::vector<uint64_t>& target, int64_t to, int64_t count) {
  for (int64_t done = 0; done < count;) {
    int64_t bit = to + done;
    int64_t take = std::min<int64_t>(64 - (bit & 63), count - done);
    uint64_t word = ~uint64_t{0};
    if (!source.empty()) {
      int64_t at = from + done;
      size_t index = static_cast<size_t>(at >> 6);
      int shift = static_cast<int>(at & 63);
      word = source[index] >> shift;
      if (shift != 0 && index + 1 < source.size()) word |= source[index + 1] << (64 - shift);
    }
    if (take < 64) word &= (uint64_t{1} << take) - 1;
    target[static_cast<size_t>(bit >> 6)] |= word << (bit & 63);
    done += take;
  }
}

}  // namespace

void Column::FreeDeleter::operator()(uint8_t* p) const { std::free(p); }

Column::Column(Type type, int64_t size, Uninitialized) : type_(type), size_(size) {
  KAPPA_CHECK(size >= 0);
  values_.reset(AllocateAligned(static_cast<size_t>(size) * static_cast<size_t>(type.width())));
}

Column::Column(Type type, int64_t size) : Column(type, size, Uninitialized{}) {
  std::memset(values_.get(), 0, static_cast<size_t>(size) * static_cast<size_t>(type.width()));
}

Column::Column(ColumnPtr dictionary, int64_t size) : type_(dictionary->type()), size_(size), packed_(std::make_unique<Packed>()) {
  KAPPA_CHECK(size >= 0 && !dictionary->has_nulls());
  packed_->width = sizeof(int32_t);
  const size_t bytes = static_cast<size_t>(size) * sizeof(int32_t);
  packed_->rows.reset(AllocateAligned(bytes));
  std::memset(packed_->rows.get(), 0, bytes);  // codes that are not written yet are of an entry, too
  ShareKeepalives(*dictionary);
  packed_->dictionary = std::move(dictionary);
}

Column::Column(Type numeric, int64_t size, Scale scale) : type_(numeric), size_(size), packed_(std::make_unique<Packed>()) {
  KAPPA_CHECK(size >= 0 && type_.id == TypeId::kNumeric && scale.digits >= 0 && scale.digits <= kNumericScaleMax);
  packed_->scale = scale.digits;
  packed_->width = sizeof(int64_t);
  packed_->rows.reset(AllocateAligned(static_cast<size_t>(size) * sizeof(int64_t)));
}

void Column::LayOut() const {
  std::call_once(packed_->once, [this] {
    values_.reset(AllocateAligned(static_cast<size_t>(size_) * static_cast<size_t>(type_.width())));
    if (is_coded()) LayOutEntries();
    else LayOutNumerics();
    ZeroNulls(values_.get(), static_cast<size_t>(type_.width()));
    packed_->is_laid_out.store(true, std::memory_order_release);
  });
}

void Column::LayOutEntries() const {
  if (packed_->dictionary->size() == 0) return;
  WithWidth(type_.width(), [&](auto tag) {
    using T = decltype(tag);
    const T* from = packed_->dictionary->data<T>();
    const auto* codes = packed_rows<int32_t>();
    T* to = reinterpret_cast<T*>(values_.get());
    for (int64_t i = 0; i < size_; ++i) to[i] = from[codes[i]];
  });
}

/// Views of 10 bytes that lie in them: size, scale, coefficient. Written as words: a view made elsewhere and copied would have to wait for its parts.
void Column::LayOutNumerics() const {
  const uint64_t head = 10 | static_cast<uint64_t>(packed_->scale) << 32;
  const auto* coefficients = packed_rows<uint64_t>();
  auto* words = reinterpret_cast<uint64_t*>(values_.get());
  for (int64_t i = 0; i < size_; ++i) {
    words[2 * i] = head | coefficients[i] << 48;
    words[2 * i + 1] = coefficients[i] >> 16;
  }
}

void Column::ZeroNulls(void* rows, size_t width) const {
  for (size_t w = 0; w < validity_.size(); ++w) {
    for (uint64_t zeros = ~validity_[w]; zeros != 0; zeros &= zeros - 1) {
      const size_t row = w * 64 + static_cast<size_t>(std::countr_zero(zeros));
      if (row < static_cast<size_t>(size_)) std::memset(static_cast<char*>(rows) + row * width, 0, width);
    }
  }
}

int64_t Column::null_count() const {
  if (!has_nulls()) return 0;
  int64_t valid = 0;
  for (int64_t word = 0; word < size_ / 64; ++word) valid += std::popcount(validity_[static_cast<size_t>(word)]);
  if (size_ % 64 != 0) valid += std::popcount(validity_.back() & ((uint64_t{1} << (size_ % 64)) - 1));
  return size_ - valid;
}

int64_t Column::memory_bytes() const {
  int64_t row = type_.width();
  if (packed_ != nullptr) row = packed_->width + (packed_->is_laid_out.load(std::memory_order_acquire) ? row : 0);
  return size_ * row + static_cast<int64_t>(validity_.size() * sizeof(uint64_t));
}

void Column::SetNull(int64_t row) {
  KAPPA_DCHECK(row >= 0 && row < size_);
  if (validity_.empty()) validity_.assign(WordCount(size_), ~uint64_t{0});
  validity_[static_cast<size_t>(row) >> 6] &= ~(uint64_t{1} << (row & 63));
  const int width = packed_ != nullptr ? packed_->width : type_.width();
  std::memset((packed_ != nullptr ? packed_->rows : values_).get() + row * width, 0, static_cast<size_t>(width));
}

void Column::SetValidity(std::vector<uint64_t> words) {
  KAPPA_CHECK(words.empty() || words.size() == WordCount(size_));
  validity_ = std::move(words);
  if (null_count() == 0) {
    validity_.clear();
    return;
  }
  if (packed_ != nullptr) ZeroNulls(packed_->rows.get(), static_cast<size_t>(packed_->width));
  else ZeroNulls(values_.get(), static_cast<size_t>(type_.width()));
}

void Column::MergeNulls(const Column& other) {
  KAPPA_CHECK(other.size_ == size_);
  if (!other.has_nulls()) return;
  std::vector<uint64_t> words = other.validity_;
  for (size_t i = 0; i < validity_.size(); ++i) words[i] &= validity_[i];
  SetValidity(std::move(words));
}

void AddKeepalives(std::vector<Keepalive>& list, const std::vector<Keepalive>& more) {
  if (&list == &more) return;
  for (const Keepalive& keepalive : more) {
    // The newest entries first: neighbours come from the same batch.
    if (std::find(list.rbegin(), list.rend(), keepalive) == list.rend()) list.push_back(keepalive);
  }
}

void Column::ShareKeepalives(const Column& other) { AddKeepalives(keepalives_, other.keepalives_); }

void Column::Compact() {
  if (!type_.is_variable()) {
    keepalives_.clear();
    return;
  }
  if (packed_ != nullptr) {
    LayOut();
    packed_ = nullptr;
  }
  size_t bytes = 0;
  for (const StringView& view : values<StringView>()) bytes += view.is_inline() ? 0 : view.size();
  auto heap = std::make_shared<std::string>();
  heap->reserve(bytes);
  StringView* views = mutable_data<StringView>();
  for (int64_t i = 0; i < size_; ++i) {
    if (views[i].is_inline()) continue;
    size_t at = heap->size();
    heap->append(views[i].view());
    views[i] = StringView(heap->data() + at, views[i].size());
  }
  keepalives_.clear();
  if (bytes > 0) keepalives_.push_back(std::move(heap));
}

ColumnBuilder::ColumnBuilder(Type type, int64_t reserve) : type_(type), width_(type.width()) {
  values_.resize(static_cast<size_t>(reserve) * static_cast<size_t>(width_));
}

void ColumnBuilder::GrowValues() { values_.resize(std::max<size_t>(values_.size() * 2, 64 * static_cast<size_t>(width_))); }

void ColumnBuilder::AppendNull() {
  Grow();
  std::memset(values_.data() + size_ * width_, 0, static_cast<size_t>(width_));
  nulls_.push_back(size_++);
}

void ColumnBuilder::AppendBytes(std::string_view bytes) {
  if (bytes.size() <= StringView::kInlineMax) return Append(StringView(bytes));
  if (!heap_ || heap_->capacity() - heap_->size() < bytes.size()) {
    size_t chunk = heap_ ? std::min(heap_->capacity() * 2, kHeapChunkMax) : kHeapChunkMin;
    heap_ = std::make_shared<std::string>();
    heap_->reserve(std::max(chunk, bytes.size()));
    keepalives_.push_back(heap_);
  }
  size_t at = heap_->size();
  heap_->append(bytes);
  Append(StringView(heap_->data() + at, bytes.size()));
}

void ColumnBuilder::AppendFrom(const Column& other, int64_t row) {
  KAPPA_DCHECK(other.type().width() == width_);
  if (other.IsNull(row)) return AppendNull();
  Grow();
  std::memcpy(values_.data() + size_ * width_, other.data<uint8_t>() + row * width_, static_cast<size_t>(width_));
  ++size_;
}

ColumnPtr ColumnBuilder::Finish() {
  auto column = std::make_shared<Column>(type_, size_, Column::Uninitialized{});
  if (size_ > 0) std::memcpy(column->mutable_data<uint8_t>(), values_.data(), static_cast<size_t>(size_ * width_));
  for (int64_t row : nulls_) column->SetNull(row);
  for (Keepalive& keepalive : keepalives_) column->AddKeepalive(std::move(keepalive));
  values_.clear();
  nulls_.clear();
  keepalives_.clear();
  heap_.reset();
  size_ = 0;
  LimitKeepalives(*column);
  return column;
}

namespace {

/// A column of `size` rows that lie as those of `column` do.
std::shared_ptr<Column> LikeIt(const Column& column, int64_t size) {
  if (column.is_coded()) return std::make_shared<Column>(column.dictionary(), size);
  if (column.is_scaled()) return std::make_shared<Column>(column.type(), size, Column::Scale{column.scale()});
  return std::make_shared<Column>(column.type(), size, Column::Uninitialized{});
}

/// True when rows of both may be joined as they lie.
bool LieAlike(const Column& a, const Column& b) {
  if (a.is_coded()) return b.is_coded() && a.dictionary() == b.dictionary();
  if (a.is_scaled()) return b.is_scaled() && a.scale() == b.scale();
  return !b.is_coded() && !b.is_scaled();
}

/// Blocks of a size that is known become vector instructions.
bool AnyNegative(std::span<const int32_t> rows) {
  constexpr size_t kBlock = 16;
  int32_t bits[kBlock] = {};
  size_t i = 0;
  for (; i + kBlock <= rows.size(); i += kBlock)
    for (size_t k = 0; k < kBlock; ++k) bits[k] |= rows[i + k];
  for (; i < rows.size(); ++i) bits[0] |= rows[i];
  return std::accumulate(std::begin(bits), std::end(bits), 0, std::bit_or<>()) < 0;
}

}  // namespace

/// How the rows of a column lie: its codes, its coefficients, or its values.
struct PackedRows {
  static int Width(const Column& column) { return column.packed_ != nullptr ? column.packed_->width : column.type_.width(); }
  static uint8_t* Data(const Column& column) { return (column.packed_ != nullptr ? column.packed_->rows : column.values_).get(); }
};

ColumnPtr Gather(const Column& column, std::span<const int32_t> rows) {
  int64_t count = static_cast<int64_t>(rows.size());
  auto result = LikeIt(column, count);
  const bool nulls = AnyNegative(rows);
  const auto gather = [&]<typename T>(const T* from, T* to) {
    if (!nulls) {
      for (size_t i = 0; i < rows.size(); ++i) to[i] = from[rows[i]];
    } else {
      for (size_t i = 0; i < rows.size(); ++i) to[i] = rows[i] >= 0 ? from[rows[i]] : T{};
    }
  };
  WithWidth(PackedRows::Width(column), [&](auto tag) {
    gather(reinterpret_cast<const decltype(tag)*>(PackedRows::Data(column)), reinterpret_cast<decltype(tag)*>(PackedRows::Data(*result)));
  });
  if (column.has_nulls() || nulls) {
    std::vector<uint64_t> words(WordCount(count));
    for (size_t i = 0; i < rows.size(); ++i) {
      uint64_t valid = rows[i] >= 0 && !column.IsNull(rows[i]);
      words[i >> 6] |= valid << (i & 63);
    }
    result->SetValidity(std::move(words));
  }
  result->ShareKeepalives(column);
  LimitKeepalives(*result);
  return result;
}

ColumnPtr Slice(const ColumnPtr& column, int64_t from, int64_t count) {
  KAPPA_CHECK(from >= 0 && count >= 0 && from + count <= column->size());
  if (from == 0 && count == column->size()) return column;
  auto result = LikeIt(*column, count);
  const int64_t width = PackedRows::Width(*column);
  if (count > 0) std::memcpy(PackedRows::Data(*result), PackedRows::Data(*column) + from * width, static_cast<size_t>(count * width));
  if (column->has_nulls()) {
    std::vector<uint64_t> words(WordCount(count));
    CopyBits(column->validity(), from, words, 0, count);
    result->SetValidity(std::move(words));
  }
  result->ShareKeepalives(*column);
  return result;
}

ColumnPtr Concatenate(std::span<const ColumnPtr> parts) {
  KAPPA_CHECK(!parts.empty());
  if (parts.size() == 1) return parts[0];
  int64_t rows = 0;
  bool nulls = false;
  bool alike = true;
  for (const ColumnPtr& part : parts) {
    KAPPA_CHECK(part->type().Same(parts[0]->type()));
    rows += part->size();
    nulls |= part->has_nulls();
    alike = alike && LieAlike(*parts[0], *part);
  }
  auto result = alike ? LikeIt(*parts[0], rows) : std::make_shared<Column>(parts[0]->type(), rows, Column::Uninitialized{});
  const int64_t width = PackedRows::Width(*result);
  std::vector<uint64_t> words(nulls ? WordCount(rows) : 0);
  int64_t at = 0;
  for (const ColumnPtr& part : parts) {
    if (part->size() == 0) continue;
    const uint8_t* from = alike ? PackedRows::Data(*part) : part->data<uint8_t>();
    std::memcpy(PackedRows::Data(*result) + at * width, from, static_cast<size_t>(part->size() * width));
    if (nulls) CopyBits(part->validity(), 0, words, at, part->size());
    at += part->size();
    // Beyond the limit the strings are copied below, while the parts still hold their memory.
    if (result->keepalives().size() <= kKeepalivesMax) result->ShareKeepalives(*part);
  }
  if (nulls) result->SetValidity(std::move(words));
  LimitKeepalives(*result);
  return result;
}

ColumnPtr NullColumn(Type type, int64_t count) {
  auto column = std::make_shared<Column>(type, count);
  if (count > 0) column->SetValidity(std::vector<uint64_t>(WordCount(count)));
  return column;
}

}  // namespace kappa::data
