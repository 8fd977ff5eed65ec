// Scalars to and from columns.
#include "data/value.h"

#include <algorithm>

namespace kappa::data {

Value ValueAt(const Column& column, int64_t row) {
  if (column.IsNull(row)) return Value::Null(column.type());
  if (column.type().is_variable()) return Value::Bytes(column.type(), std::string(column.bytes(row)));
  size_t width = static_cast<size_t>(column.type().width());
  return {column.type(), false, std::string(column.data<char>() + static_cast<size_t>(row) * width, width)};
}

ColumnPtr ConstantColumn(const Value& value, int64_t count) {
  if (value.null) return NullColumn(value.type, count);
  auto column = std::make_shared<Column>(value.type, count, Column::Uninitialized{});
  if (value.type.is_variable()) {
    auto heap = std::make_shared<const std::string>(value.bytes);
    StringView view(*heap);
    std::fill_n(column->mutable_data<StringView>(), count, view);
    if (!view.is_inline()) column->AddKeepalive(std::move(heap));
    return column;
  }
  size_t width = static_cast<size_t>(value.type.width());
  KAPPA_CHECK(value.bytes.size() == width);
  for (int64_t i = 0; i < count; ++i) std::memcpy(column->mutable_data<char>() + static_cast<size_t>(i) * width, value.bytes.data(), width);
  return column;
}

void AppendValue(ColumnBuilder& builder, const Value& value) {
  if (value.null) return builder.AppendNull();
  KAPPA_CHECK(builder.type().is_variable() == value.type.is_variable());
  if (value.type.is_variable()) return builder.AppendBytes(value.bytes);
  switch (builder.type().width()) {
    case 1: return builder.Append(value.As<uint8_t>());
    case 2: return builder.Append(value.As<int16_t>());
    case 4: return builder.Append(value.As<int32_t>());
    case 8: return builder.Append(value.As<int64_t>());
    default: return builder.Append(value.As<Interval>());
  }
}

}  // namespace kappa::data
