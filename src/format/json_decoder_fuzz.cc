// Random lines: scanner and validator must agree on each, alone and together, and decoding must not depend on grouping.
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "format/decoder.h"
#include "format/json_diagnosis.h"

namespace {

using kappa::data::TypeId;

kappa::data::Schema FuzzSchema() {
  kappa::data::Schema schema;
  schema.fields = {{"i", TypeId::kInt4},        {"n", TypeId::kNumeric},  {"s", TypeId::kText},
                   {"t", TypeId::kTimestamptz}, {"j", TypeId::kJsonb},    {"a", kappa::data::Type::ArrayOf(TypeId::kText)},
                   {"f", TypeId::kFloat8},      {"d", TypeId::kInterval}, {"b", kappa::data::Type::ArrayOf(TypeId::kInt4)}};
  return schema;
}

std::string Decode(kappa::format::JsonDecoder& decoder, const std::vector<std::string>& records, size_t step) {
  std::string out;
  for (size_t at = 0; at < records.size(); at += step) {
    auto bytes = std::make_shared<std::string>();
    std::vector<size_t> starts;
    const size_t end = std::min(at + step, records.size());
    for (size_t i = at; i < end; ++i) {
      starts.push_back(bytes->size());
      *bytes += records[i] + "\n";
    }
    bytes->append(kappa::format::kPadding, '\0');
    std::vector<std::string_view> views;
    for (size_t i = at; i < end; ++i) views.emplace_back(bytes->data() + starts[i - at], records[i].size());
    std::vector<int32_t> good;
    std::vector<kappa::format::BadRecord> bad;
    auto batch = decoder.Decode(views, bytes, good, bad);
    KAPPA_CHECK(batch.ok());
    KAPPA_CHECK(good.size() + bad.size() == views.size());
    size_t next_bad = 0;
    int64_t row = 0;
    for (size_t i = at; i < end; ++i) {
      if (next_bad < bad.size() && bad[next_bad].index == static_cast<int64_t>(i - at)) {
        out += bad[next_bad++].reason;
      } else {
        KAPPA_CHECK(good[static_cast<size_t>(row)] == static_cast<int32_t>(i - at));
        KAPPA_CHECK(kappa::format::JsonDiagnosis(records[i]).empty());
        kappa::format::AppendJsonRow(FuzzSchema(), *batch, row++, out);
      }
      out += "\n";
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> records;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    records.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  // One for all runs, since making one takes longer than a run; what it remembers must not matter anyway.
  static kappa::format::JsonDecoder decoder(FuzzSchema(), {0, 1, 2, 3, 4, 5, 6, 7, 8}, {.json_timestamps = kappa::format::JsonTimestamps::kMillis});
  KAPPA_CHECK(Decode(decoder, records, records.size() + 1) == Decode(decoder, records, 1));
  return 0;
}
