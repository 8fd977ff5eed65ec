// Parquet files as sources and sinks. Arrow C++ is included by parquet*.cc only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "connect/file_source.h"

namespace kappa::connect {

Result<std::unique_ptr<FileSource>> OpenParquetSource(const std::string& path, const data::Schema& schema, std::vector<int> columns, int threads);
Result<std::unique_ptr<FileSink>> OpenParquetSink(const std::string& path, const data::Schema& schema);

}  // namespace kappa::connect
