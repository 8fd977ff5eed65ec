// RowDecoder: one walk over the bytes of each row, skipping the columns that nobody wants.
#include "ops/row_decoder.h"

#include <cstring>
#include <numeric>

namespace kappa::ops {
namespace {

std::vector<int> AllColumns(const data::Schema& schema) {
  std::vector<int> columns(schema.fields.size());
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

template <typename T> T Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

RowDecoder::RowDecoder(const data::Schema& schema) : RowDecoder(schema, AllColumns(schema)) {}

RowDecoder::RowDecoder(const data::Schema& schema, std::span<const int> columns) {
  for (int column : columns) {
    KAPPA_CHECK(column >= 0 && column < schema.size());
    if (sources_.size() <= static_cast<size_t>(column)) sources_.resize(static_cast<size_t>(column) + 1);
  }
  for (size_t i = 0; i < sources_.size(); ++i) {
    const data::Type& type = schema.fields[i].type;
    sources_[i].width = type.is_variable() ? 0 : type.width();
  }
  for (int column : columns) {
    Source& source = sources_[static_cast<size_t>(column)];
    if (source.output < 0) {
      source.output = static_cast<int>(builders_.size());
      builders_.emplace_back(schema.fields[static_cast<size_t>(column)].type);
    }
    outputs_.push_back(source.output);
  }
}

void RowDecoder::Append(std::string_view row, bool borrow) {
  const char* at = row.data();
  const char* end = at + row.size();
  for (const Source& source : sources_) {
    KAPPA_CHECK(at < end);
    if (*at++ == 0) {
      if (source.output >= 0) builders_[static_cast<size_t>(source.output)].AppendNull();
      continue;
    }
    size_t size = static_cast<size_t>(source.width);
    if (size == 0) {
      KAPPA_CHECK(end - at >= 4);
      size = Load<uint32_t>(at);
      at += 4;
    }
    KAPPA_CHECK(static_cast<size_t>(end - at) >= size);
    if (source.output >= 0) {
      data::ColumnBuilder& builder = builders_[static_cast<size_t>(source.output)];
      switch (source.width) {
        case 0:
          if (borrow) builder.AppendBorrowed(data::StringView(at, size));
          else builder.AppendBytes({at, size});
          break;
        case 1: builder.Append(Load<uint8_t>(at)); break;
        case 2: builder.Append(Load<int16_t>(at)); break;
        case 4: builder.Append(Load<int32_t>(at)); break;
        case 8: builder.Append(Load<int64_t>(at)); break;
        default: builder.Append(Load<data::Interval>(at)); break;
      }
    }
    at += size;
  }
  ++rows_;
}

data::Batch RowDecoder::Finish(const data::Keepalive& keepalive) {
  data::Batch batch;
  batch.rows = std::exchange(rows_, 0);
  std::vector<data::ColumnPtr> built;
  for (data::ColumnBuilder& builder : builders_) {
    if (keepalive && builder.type().is_variable()) builder.AddKeepalive(keepalive);
    built.push_back(builder.Finish());
  }
  for (int output : outputs_) batch.columns.push_back(built[static_cast<size_t>(output)]);
  return batch;
}

}  // namespace kappa::ops
