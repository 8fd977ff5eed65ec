// Packing, reading, unnesting and ordering arrays.
#include "data/array.h"

#include <algorithm>

#include "data/compare.h"
#include "data/row_key.h"

namespace kappa::data {
namespace {

constexpr size_t kHeaderBytes = 8;

template <typename T> void AppendRaw(T value, std::string& out) { out.append(reinterpret_cast<const char*>(&value), sizeof value); }

int FixedWidth(TypeId element) { return Type(element).is_variable() ? 0 : Type(element).width(); }

}  // namespace

ArrayView::ArrayView(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return;
  const char* at = bytes.data();
  element_ = static_cast<TypeId>(at[0]);
  bool nulls = (at[1] & 1) != 0;
  dimensions_ = at[2];
  size_ = Load<int32_t>(at + 4);
  width_ = FixedWidth(element_);
  lengths_ = at + kHeaderBytes;
  values_ = lengths_ + 4 * dimensions_;
  if (nulls) {
    bits_ = values_;
    values_ += (static_cast<int64_t>(size_) + 7) / 8;
  }
}

ArrayBuilder::ArrayBuilder(TypeId element) : element_(element), width_(FixedWidth(element)), offsets_{0} {}

void ArrayBuilder::Append(std::string_view physical) {
  KAPPA_DCHECK(width_ == 0 || physical.size() == static_cast<size_t>(width_));
  values_ += physical;
  offsets_.push_back(static_cast<uint32_t>(values_.size()));
  present_.push_back(true);
}

void ArrayBuilder::AppendNull() {
  values_.append(static_cast<size_t>(width_), '\0');
  offsets_.push_back(static_cast<uint32_t>(values_.size()));
  present_.push_back(false);
  nulls_ = true;
}

void ArrayBuilder::AppendFrom(const Column& column, int64_t row) {
  if (column.IsNull(row)) return AppendNull();
  if (width_ == 0) return Append(column.bytes(row));
  Append({column.data<char>() + row * width_, static_cast<size_t>(width_)});
}

std::string ArrayBuilder::Finish() { return Finish(std::vector<int32_t>{static_cast<int32_t>(size())}); }

std::string ArrayBuilder::Finish(std::vector<int32_t> lengths) {
  if (present_.empty()) lengths.clear();
  std::string out;
  out.reserve(kHeaderBytes + lengths.size() * 4 + present_.size() / 8 + offsets_.size() * 4 + values_.size());
  out += static_cast<char>(element_);
  out += static_cast<char>(nulls_ ? 1 : 0);
  out += static_cast<char>(lengths.size());
  out += '\0';
  AppendRaw(static_cast<int32_t>(present_.size()), out);
  for (int32_t length : lengths) AppendRaw(length, out);
  if (nulls_) {
    std::string bits((present_.size() + 7) / 8, '\0');
    for (size_t i = 0; i < present_.size(); ++i) {
      if (present_[i]) bits[i / 8] = static_cast<char>(bits[i / 8] | 1 << (i % 8));
    }
    out += bits;
  }
  if (width_ == 0 && !present_.empty()) out.append(reinterpret_cast<const char*>(offsets_.data()), offsets_.size() * 4);
  out += values_;
  values_.clear();
  offsets_.assign(1, 0);
  present_.clear();
  nulls_ = false;
  return out;
}

Status ArrayCollector::Append(const Column& column, int64_t row) {
  if (!nested_) {
    builder_.AppendFrom(column, row);
    return {};
  }
  constexpr const char* kArraySubscriptError = "2202E";
  if (column.IsNull(row)) return Error(sqlstate::kNullValueNotAllowed, "cannot accumulate null arrays");
  const ArrayView array(column.bytes(row));
  if (array.dimensions() == 0) return Error(kArraySubscriptError, "cannot accumulate empty arrays");
  std::vector<int32_t> lengths;
  for (int i = 0; i < array.dimensions(); ++i) lengths.push_back(array.length(i));
  if (values_ == 0) lengths_ = std::move(lengths);
  else if (lengths != lengths_) return Error(kArraySubscriptError, "cannot accumulate arrays of different dimensionality");
  if (array.dimensions() >= kArrayDimensionsMax)
    return Error(sqlstate::kProgramLimitExceeded, "number of array dimensions (7) exceeds the maximum allowed (6)");
  ++values_;
  for (int32_t i = 0; i < array.size(); ++i) {
    if (array.IsNull(i)) builder_.AppendNull();
    else builder_.Append(array.bytes(i));
  }
  return {};
}

std::string ArrayCollector::Finish() {
  if (!nested_) return builder_.Finish();
  lengths_.insert(lengths_.begin(), std::exchange(values_, 0));
  return builder_.Finish(std::move(lengths_));
}

std::string PackArray(const Column& column, int64_t from, int64_t count) {
  ArrayBuilder builder(column.type().id);
  for (int64_t i = 0; i < count; ++i) builder.AppendFrom(column, from + i);
  return builder.Finish();
}

ColumnPtr Unnest(const Column& arrays, std::vector<int32_t>& parents, std::vector<int64_t>* ordinals) {
  TypeId element = arrays.type().element;
  Type type = Type(element).WithModifier(arrays.type().modifier);
  parents.clear();
  if (ordinals) ordinals->clear();
  for (int64_t row = 0; row < arrays.size(); ++row) {
    if (arrays.IsNull(row)) continue;
    int32_t size = ArrayView(arrays.bytes(row)).size();
    parents.insert(parents.end(), static_cast<size_t>(size), static_cast<int32_t>(row));
    for (int32_t i = 1; ordinals && i <= size; ++i) ordinals->push_back(i);
  }
  auto column = std::make_shared<Column>(type, static_cast<int64_t>(parents.size()), Column::Uninitialized{});
  int64_t width = FixedWidth(element);
  int64_t at = 0;
  std::vector<int64_t> nulls;
  for (int64_t row = 0; row < arrays.size(); ++row) {
    if (arrays.IsNull(row)) continue;
    ArrayView array(arrays.bytes(row));
    if (array.size() == 0) continue;
    if (width != 0) {
      std::memcpy(column->mutable_data<char>() + at * width, array.fixed_values(), static_cast<size_t>(array.size() * width));
    } else {
      for (int32_t i = 0; i < array.size(); ++i) column->mutable_data<StringView>()[at + i] = StringView(array.bytes(i));
    }
    for (int32_t i = 0; array.has_nulls() && i < array.size(); ++i) {
      if (array.IsNull(i)) nulls.push_back(at + i);
    }
    at += array.size();
  }
  for (int64_t row : nulls) column->SetNull(row);
  if (width == 0) column->ShareKeepalives(arrays);
  return column;
}

Value ArrayElement(const ArrayView& array, int32_t i) {
  if (i < 0 || i >= array.size() || array.IsNull(i)) return Value::Null(array.element());
  return Value::Bytes(array.element(), std::string(array.bytes(i)));
}

int CompareArrays(std::string_view a, std::string_view b) {
  ArrayView x(a), y(b);
  int32_t common = std::min(x.size(), y.size());
  for (int32_t i = 0; i < common; ++i) {
    if (x.IsNull(i) || y.IsNull(i)) {
      if (x.IsNull(i) != y.IsNull(i)) return x.IsNull(i) ? 1 : -1;
      continue;
    }
    if (int order = ComparePhysical(x.element(), x.bytes(i), y.bytes(i)); order != 0) return order;
  }
  if (x.size() != y.size()) return x.size() < y.size() ? -1 : 1;
  if (x.dimensions() != y.dimensions()) return x.dimensions() < y.dimensions() ? -1 : 1;
  for (int d = 0; d < x.dimensions(); ++d) {
    if (x.length(d) != y.length(d)) return x.length(d) < y.length(d) ? -1 : 1;
  }
  return 0;
}

namespace {

// The elements as a column (copied).
ColumnPtr Elements(const ArrayView& array) {
  ColumnBuilder builder(array.element(), array.size());
  for (int32_t i = 0; i < array.size(); ++i) {
    if (array.IsNull(i)) builder.AppendNull();
    else AppendValue(builder, ArrayElement(array, i));
  }
  return builder.Finish();
}

bool CanHaveManyForms(TypeId element) {
  switch (element) {
    case TypeId::kFloat4:
    case TypeId::kFloat8:
    case TypeId::kNumeric:
    case TypeId::kInterval:
    case TypeId::kJsonb:
    case TypeId::kRecord: return true;
    default: return false;
  }
}

}  // namespace

bool IsCanonicalArray(std::string_view bytes) {
  ArrayView array(bytes);
  if (!CanHaveManyForms(array.element())) return true;
  ColumnPtr elements = Elements(array);
  return CanonicalColumn(elements) == elements;
}

void AppendCanonicalArray(std::string_view bytes, std::string& out) {
  ArrayView array(bytes);
  if (!CanHaveManyForms(array.element())) {
    out += bytes;
    return;
  }
  ColumnPtr elements = CanonicalColumn(Elements(array));
  ArrayBuilder builder(array.element());
  for (int64_t i = 0; i < elements->size(); ++i) builder.AppendFrom(*elements, i);
  std::vector<int32_t> lengths;
  for (int d = 0; d < array.dimensions(); ++d) lengths.push_back(array.length(d));
  out += builder.Finish(std::move(lengths));
}

bool IsValidArray(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return bytes.empty();
  auto element = static_cast<uint8_t>(bytes[0]);
  auto dimensions = static_cast<uint8_t>(bytes[2]);
  if (element >= static_cast<uint8_t>(TypeId::kArray) || dimensions > kArrayDimensionsMax || (bytes[1] & ~1) != 0) return false;
  int32_t size;
  std::memcpy(&size, bytes.data() + 4, sizeof size);
  if (size < 0 || (size == 0) != (dimensions == 0)) return false;
  size_t count = static_cast<size_t>(size);
  size_t at = kHeaderBytes + 4u * dimensions;
  if (at > bytes.size()) return false;
  uint64_t product = 1;
  for (int d = 0; d < dimensions; ++d) {
    int32_t length;
    std::memcpy(&length, bytes.data() + kHeaderBytes + 4u * static_cast<size_t>(d), sizeof length);
    if (length < 1) return false;
    product *= static_cast<uint64_t>(length);
    if (product > count) return false;
  }
  if (dimensions > 0 && product != count) return false;
  if ((bytes[1] & 1) != 0) at += (count + 7) / 8;
  if (int width = FixedWidth(static_cast<TypeId>(element)); width != 0) return bytes.size() == at + count * static_cast<size_t>(width);
  if (count == 0) return bytes.size() == at;
  size_t heap = at + 4 * (count + 1);
  if (heap > bytes.size()) return false;
  uint32_t last = 0;
  for (size_t i = 0; i <= count; ++i) {
    uint32_t offset;
    std::memcpy(&offset, bytes.data() + at + 4 * i, sizeof offset);
    if (offset < last || (i == 0 && offset != 0)) return false;
    last = offset;
  }
  return heap + last == bytes.size();
}

}  // namespace kappa::data
