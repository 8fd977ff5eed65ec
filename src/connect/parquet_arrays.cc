// kappa's columns as Arrow arrays, for Parquet sinks.
//
//   column                          in the file
//   bool int2 int4 int8 oid         boolean int16 int32 int64 int64
//   float4 float8                   float double
//   numeric(p,s), p up to 38        decimal128(p,s)
//   other numeric                   string
//   date timestamp timestamptz      date32, timestamp[us], timestamp[us, UTC]
//   text jsonb uuid interval        string
//   bytea                           binary
//   arrays                          list
#include <arrow/api.h>
#include <arrow/buffer_builder.h>
#include <arrow/util/decimal.h>

#include <cstring>
#include <vector>

#include "base/int128.h"
#include "connect/parquet_columns.h"
#include "data/array.h"
#include "data/datetime.h"
#include "data/numeric.h"
#include "data/text.h"

namespace kappa::connect {
namespace {

using data::TypeId;

/// Appends one Arrow value per row; the status of the last call decides.
template <typename Builder, typename Append>
Result<std::shared_ptr<arrow::Array>> Build(Builder builder, const data::Column& column, Append&& append) {
  arrow::Status status = builder.Reserve(column.size());
  for (int64_t row = 0; row < column.size() && status.ok(); ++row) {
    if (column.IsNull(row)) {
      status = builder.AppendNull();
      continue;
    }
    KAPPA_RETURN_IF_ERROR(append(builder, row, status));
  }
  std::shared_ptr<arrow::Array> array;
  if (status.ok()) status = builder.Finish(&array);
  if (!status.ok()) return Error(sqlstate::kInternalError, "could not make Arrow array: " + status.message());
  return array;
}

template <typename T, typename Builder> Result<std::shared_ptr<arrow::Array>> BuildFixed(Builder builder, const data::Column& column) {
  return Build(std::move(builder), column, [&](Builder& b, int64_t row, arrow::Status& status) {
    status = b.Append(column.data<T>()[row]);
    return Status();
  });
}

Error NoInfinity(const data::Field& field) {
  return Error(sqlstate::kDatetimeFieldOverflow, "column \"" + field.name + "\": infinity cannot be written to a Parquet file")
      .Hint("Cast the column to text.");
}

Result<std::shared_ptr<arrow::Array>> BuildLists(const data::Column& column, const data::Field& field, const std::shared_ptr<arrow::DataType>& type) {
  std::vector<int32_t> parents;
  const data::ColumnPtr elements = data::Unnest(column, parents);
  KAPPA_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Array> values,
                         ToArrowArray(*elements, {field.name, data::Type(field.type.element).WithModifier(field.type.modifier), true}));
  if (elements->size() > INT32_MAX)
    return Error(sqlstate::kProgramLimitExceeded, "column \"" + field.name + "\": too many array elements in one batch");
  arrow::TypedBufferBuilder<int32_t> offsets;
  arrow::TypedBufferBuilder<bool> valid;
  arrow::Status status = offsets.Reserve(column.size() + 1);
  if (status.ok()) status = valid.Reserve(column.size());
  int32_t end = 0;
  for (int64_t row = 0; status.ok() && row < column.size(); ++row) {
    offsets.UnsafeAppend(end);
    valid.UnsafeAppend(!column.IsNull(row));
    if (column.IsNull(row)) continue;
    const data::ArrayView array(column.bytes(row));
    if (array.dimensions() > 1) {
      return Error(sqlstate::kFeatureNotSupported, "column \"" + field.name + "\": an array of " + std::to_string(array.dimensions()) +
                                                       " dimensions cannot be written to a Parquet file")
          .Hint("Cast the column to text or jsonb.");
    }
    end += array.size();
  }
  if (status.ok()) offsets.UnsafeAppend(end);
  std::shared_ptr<arrow::Buffer> offsets_buffer, valid_buffer;
  if (status.ok()) status = offsets.Finish(&offsets_buffer);
  if (status.ok()) status = valid.Finish(&valid_buffer);
  if (!status.ok()) return Error(sqlstate::kOutOfMemory, status.message());
  return std::shared_ptr<arrow::Array>(
      std::make_shared<arrow::ListArray>(type, column.size(), offsets_buffer, values, valid_buffer, column.null_count()));
}

}  // namespace

Result<std::shared_ptr<arrow::DataType>> ArrowTypeOf(const data::Field& field) {
  const data::Type& type = field.type;
  switch (type.id) {
    case TypeId::kBool: return arrow::boolean();
    case TypeId::kInt2: return arrow::int16();
    case TypeId::kInt4: return arrow::int32();
    case TypeId::kInt8:
    case TypeId::kOid: return arrow::int64();
    case TypeId::kFloat4: return arrow::float32();
    case TypeId::kFloat8: return arrow::float64();
    case TypeId::kNumeric: {
      const int precision = data::NumericPrecision(type.modifier), scale = data::NumericScale(type.modifier);
      if (type.modifier >= 0 && precision <= 38 && scale >= 0 && scale <= precision) return arrow::decimal128(precision, scale);
      return arrow::utf8();  // no decimal holds any numeric
    }
    case TypeId::kBytea: return arrow::binary();
    case TypeId::kDate: return arrow::date32();
    case TypeId::kTimestamp: return arrow::timestamp(arrow::TimeUnit::MICRO);
    case TypeId::kTimestamptz: return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case TypeId::kUnknown:
    case TypeId::kText:
    case TypeId::kInterval:
    case TypeId::kJsonb:
    case TypeId::kTime:
    case TypeId::kUuid: return arrow::utf8();
    case TypeId::kArray: {
      KAPPA_ASSIGN_OR_RETURN(std::shared_ptr<arrow::DataType> element,
                             ArrowTypeOf({field.name, data::Type(type.element).WithModifier(type.modifier), true}));
      return arrow::list(std::move(element));
    }
    default:
      return Error(sqlstate::kFeatureNotSupported,
                   "column \"" + field.name + "\" of type " + type.ToString() + " cannot be written to a Parquet file");
  }
}

Result<std::shared_ptr<arrow::Array>> ToArrowArray(const data::Column& column, const data::Field& field) {
  KAPPA_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::DataType> type, ArrowTypeOf(field));
  arrow::MemoryPool* pool = arrow::default_memory_pool();
  switch (field.type.id) {
    case TypeId::kBool: return BuildFixed<uint8_t>(arrow::BooleanBuilder(), column);
    case TypeId::kInt2: return BuildFixed<int16_t>(arrow::Int16Builder(), column);
    case TypeId::kInt4: return BuildFixed<int32_t>(arrow::Int32Builder(), column);
    case TypeId::kInt8:
    case TypeId::kOid: return BuildFixed<int64_t>(arrow::Int64Builder(), column);
    case TypeId::kFloat4: return BuildFixed<float>(arrow::FloatBuilder(), column);
    case TypeId::kFloat8: return BuildFixed<double>(arrow::DoubleBuilder(), column);
    case TypeId::kDate:
      return Build(arrow::Date32Builder(), column, [&](arrow::Date32Builder& b, int64_t row, arrow::Status& status) {
        const int32_t date = column.data<int32_t>()[row];
        if (!data::IsFiniteDate(date)) return Status(NoInfinity(field));
        status = b.Append(date);
        return Status();
      });
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz:
      return Build(arrow::TimestampBuilder(type, pool), column, [&](arrow::TimestampBuilder& b, int64_t row, arrow::Status& status) {
        const int64_t micros = column.data<int64_t>()[row];
        if (!data::IsFinite(micros)) return Status(NoInfinity(field));
        status = b.Append(micros);
        return Status();
      });
    case TypeId::kBytea:
      return Build(arrow::BinaryBuilder(), column, [&](arrow::BinaryBuilder& b, int64_t row, arrow::Status& status) {
        status = b.Append(column.bytes(row));
        return Status();
      });
    case TypeId::kNumeric:
      if (type->id() != arrow::Type::DECIMAL128) break;
      return Build(arrow::Decimal128Builder(type, pool), column, [&](arrow::Decimal128Builder& b, int64_t row, arrow::Status& status) {
        auto value = data::Numeric::FromBytes(column.bytes(row)).ApplyModifier(field.type.modifier);
        if (!value.ok()) return value.status();
        if (!value->is_small()) {
          return Status(Error(sqlstate::kNumericValueOutOfRange,
                              "column \"" + field.name + "\": " + value->ToString() + " cannot be written to a Parquet file as " + type->ToString()));
        }
        const int128_t coefficient = value->small();
        uint8_t bytes[16];
        std::memcpy(bytes, &coefficient, sizeof bytes);
        status = b.Append(arrow::Decimal128(bytes));
        return Status();
      });
    case TypeId::kArray: return BuildLists(column, field, type);
    case TypeId::kUnknown:
    case TypeId::kText:
      return Build(arrow::StringBuilder(), column, [&](arrow::StringBuilder& b, int64_t row, arrow::Status& status) {
        status = b.Append(column.bytes(row));
        return Status();
      });
    default: break;
  }
  std::string text;
  return Build(arrow::StringBuilder(), column, [&](arrow::StringBuilder& b, int64_t row, arrow::Status& status) {
    text.clear();
    data::AppendText(column, row, {}, text);
    status = b.Append(text);
    return Status();
  });
}

}  // namespace kappa::connect
