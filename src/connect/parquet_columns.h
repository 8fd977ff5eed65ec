// Arrow arrays to kappa's columns and back: the edge where libarrow's types end.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "data/column.h"
#include "format/cell_writer.h"

namespace arrow {
class Array;
class DataType;
class Status;
}  // namespace arrow

namespace kappa::connect {

/// io_error with Arrow's message, data_corrupted where Arrow says that the file is invalid.
Error ArrowError(const arrow::Status& status, const std::string& path);

/// Whether arrays of `from` can become columns of `to`.
bool IsReadable(const arrow::DataType& from, const data::Type& to);
/// Whether a value of `from` can be refused by a column (out of range, bad syntax): then the column is read even when
/// nobody asks for it, since a row is good or bad whatever is asked for. What a file of its own types cannot hold (a string that is no
/// UTF-8) is damage, which is found where it is read.
bool MayRefuse(const arrow::DataType& from, const data::Type& to);

/// Hears of rows whose value the column refuses, with the reason.
using Failed = std::function<void(int64_t, std::string)>;

/// Converts an array into rows 0.. of a started writer; strings are borrowed from the array where they can be. Calls `failed` for values
/// that the column refuses and for NULLs in a NOT NULL column.
void ReadArray(const std::shared_ptr<arrow::Array>& array, format::CellWriter& writer, const Failed& failed);

/// Writes a NULL, or refuses it.
void ReadNull(int64_t row, format::CellWriter& writer, const Failed& failed);
/// Whether every decimal of this type is a value of the column as it is, of at most 128 bits.
bool DecimalFits(const arrow::DataType& from, const data::Type& to);
/// False, with a reason, when the bytes are no text.
bool IsText(std::string_view bytes, std::string& reason);

/// The Arrow type that stands for a column's type in files.
Result<std::shared_ptr<arrow::DataType>> ArrowTypeOf(const data::Field& field);
/// Fails where the file's type cannot hold a value: an infinite date or timestamp, NaN in a decimal, an array of more
/// dimensions.
Result<std::shared_ptr<arrow::Array>> ToArrowArray(const data::Column& column, const data::Field& field);

}  // namespace kappa::connect
