// Random CSV: records cover the text, fields survive being written and read again.
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "data/value.h"
#include "format/decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const size_t length = format::CsvRecordLength(rest, true);
    KAPPA_CHECK(length > 0 && length <= rest.size());
    std::string_view record = rest.substr(0, length);
    rest.remove_prefix(length);
    if (record.ends_with('\n')) record.remove_suffix(1);
    auto fields = format::SplitCsvRecord(record);
    if (!fields.ok()) continue;
    data::Batch batch{1, {}};
    for (const auto& field : *fields) {
      batch.columns.push_back(data::ConstantColumn(field ? data::Value::Text(*field) : data::Value::Null(data::TypeId::kText), 1));
    }
    std::string written;
    format::AppendCsvRow(batch, 0, written);
    KAPPA_CHECK(format::CsvRecordLength(written, false) == written.size());
    auto again = format::SplitCsvRecord(std::string_view(written).substr(0, written.size() - 1));
    KAPPA_CHECK(again.ok() && *again == *fields);
  }
  return 0;
}
