// Parquet files.
#include "connect/parquet.h"

namespace kappa::connect {

Result<std::unique_ptr<FileSource>> OpenParquetSource(const std::string& path, const data::Schema&, std::vector<int>, int) {
  return Error(sqlstate::kFeatureNotSupported, "reading of Parquet files is not supported yet: \"" + path + "\"");
}
Result<std::unique_ptr<FileSink>> OpenParquetSink(const std::string& path, const data::Schema&) {
  return Error(sqlstate::kFeatureNotSupported, "writing of Parquet files is not supported yet: \"" + path + "\"");
}

}  // namespace kappa::connect
