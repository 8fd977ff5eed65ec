// Lines of JSON and records of CSV, decoded on one or more threads and delivered in file order.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "connect/byte_stream.h"
#include "connect/file_source.h"

namespace kappa::connect {

Result<std::unique_ptr<FileSource>> OpenTextFileSource(const std::string& path, const FileKind& kind, const data::Schema& schema,
                                                       std::vector<int> columns, const format::DecodeOptions& options, int threads);

}  // namespace kappa::connect
