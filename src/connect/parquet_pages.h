// The values of a Parquet column straight from its pages into kappa's columns, without Arrow arrays in between.
#pragma once

#include <memory>

#include "connect/parquet_columns.h"

namespace parquet {
class ColumnDescriptor;
class PageReader;
}  // namespace parquet

namespace kappa::connect {

/// One column of a row group, from its first row to its last. What is encoded as a dictionary is converted once for each entry; where the
/// entries are few, columns keep the codes. An entry that the column refuses refuses the rows that use it. Functions of Arrow that it calls
/// throw parquet::ParquetException for damaged files.
class PageColumn {
 public:
  virtual ~PageColumn() = default;
  /// As ReadArray, for the next `rows` rows, of which there is at least one; starts the writer.
  virtual void Read(int64_t rows, format::CellWriter& writer, const Failed& failed) = 0;
};

/// Whether the pages of such a column can be read so: flat, and of a type whose values lie in the file as they do in columns, or nearly so.
bool IsPageColumn(const parquet::ColumnDescriptor& column, const arrow::DataType& type, const data::Type& to);

/// For what IsPageColumn agrees to.
std::unique_ptr<PageColumn> OpenPageColumn(const parquet::ColumnDescriptor& column, const arrow::DataType& type, const data::Type& to,
                                           std::unique_ptr<parquet::PageReader> pages);

}  // namespace kappa::connect
