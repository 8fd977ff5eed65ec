// PostgreSQL 15's own COPY .. CSV HEADER and row_to_json of the same rows: both are read and written back byte for
// byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "format/decoder.h"

namespace kappa::format {
namespace {

std::string Golden(const std::string& name) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../test/golden/format" / name;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

data::Schema AllTypes() {
  data::Schema schema;
  for (auto [name, type] : {std::pair("id", "int4"), {"Quoted, \"name\"", "text"},
                            {"b", "bool"},           {"i2", "int2"},
                            {"i8", "int8"},          {"f4", "float4"},
                            {"f8", "float8"},        {"n", "numeric"},
                            {"n2", "numeric(12,2)"}, {"vc", "varchar(5)"},
                            {"by", "bytea"},         {"d", "date"},
                            {"ts", "timestamp"},     {"tz", "timestamptz"},
                            {"iv", "interval"},      {"j", "jsonb"},
                            {"u", "uuid"},           {"ta", "text[]"},
                            {"ia", "int4[]"},        {"na", "numeric[]"},
                            {"tza", "timestamptz[]"}}) {
    auto parsed = data::TypeFromName(type);
    EXPECT_TRUE(parsed.ok()) << type;
    schema.fields.push_back({name, *parsed, true});
  }
  return schema;
}

std::vector<int> AllColumns(const data::Schema& schema) {
  std::vector<int> columns;
  for (int c = 0; c < schema.size(); ++c) columns.push_back(c);
  return columns;
}

std::vector<std::string_view> CsvRecords(std::string_view text) {
  std::vector<std::string_view> records;
  while (!text.empty()) {
    const size_t length = CsvRecordLength(text, true);
    records.push_back(text.substr(0, length - 1));
    text.remove_prefix(length);
  }
  return records;
}

std::vector<std::string> HeaderOf(std::string_view record) {
  std::vector<std::string> names;
  auto fields = SplitCsvRecord(record);
  EXPECT_TRUE(fields.ok());
  for (auto& name : *fields) names.push_back(name.value_or(""));
  return names;
}

std::string ToCsv(const data::Schema& schema, const data::Batch& batch) {
  std::string out;
  AppendCsvHeader(schema, out);
  for (int64_t row = 0; row < batch.rows; ++row) AppendCsvRow(batch, row, out);
  return out;
}

TEST(GoldenTest, CsvThereAndBack) {
  const data::Schema schema = AllTypes();
  const std::string csv = Golden("all_types.csv");
  auto records = CsvRecords(csv);
  ASSERT_EQ(records.size(), 9u);
  auto decoder = CsvDecoder::Make(schema, AllColumns(schema), HeaderOf(records[0]));
  ASSERT_TRUE(decoder.ok());
  std::vector<int32_t> good;
  std::vector<BadRecord> bad;
  auto batch = (*decoder)->Decode(std::span(records).subspan(1), good, bad);
  ASSERT_TRUE(batch.ok());
  for (const BadRecord& b : bad) ADD_FAILURE() << b.index << ": " << b.reason;
  EXPECT_EQ(ToCsv(schema, *batch), csv);
  std::string json;
  for (int64_t row = 0; row < batch->rows; ++row) {
    AppendJsonRow(schema, *batch, row, json);
    json += "\n";
  }
  EXPECT_EQ(json, Golden("all_types.jsonl"));
}

TEST(GoldenTest, JsonGivesTheSameRows) {
  const data::Schema schema = AllTypes();
  auto json = std::make_shared<std::string>(Golden("all_types.jsonl"));
  json->append(kPadding, '\0');
  std::vector<std::string_view> records;
  for (size_t at = 0, end; (end = json->find('\n', at)) != std::string::npos; at = end + 1)
    records.push_back(std::string_view(*json).substr(at, end - at));
  ASSERT_EQ(records.size(), 8u);
  JsonDecoder decoder(schema, AllColumns(schema), {});
  std::vector<int32_t> good;
  std::vector<BadRecord> bad;
  auto batch = decoder.Decode(records, json, good, bad);
  ASSERT_TRUE(batch.ok());
  for (const BadRecord& b : bad) ADD_FAILURE() << b.index << ": " << b.reason;
  std::string csv = Golden("all_types.csv");
  // row_to_json writes jsonb's null bare, which reads as NULL.
  const size_t null = csv.find(",null,");
  ASSERT_NE(null, std::string::npos);
  csv.erase(null + 1, 4);
  EXPECT_EQ(ToCsv(schema, *batch), csv);
}

TEST(GoldenTest, OneColumn) {
  data::Schema schema;
  schema.fields.push_back({"v", data::TypeId::kText, true});
  const std::string csv = Golden("one_column.csv");
  auto records = CsvRecords(csv);
  auto decoder = CsvDecoder::Make(schema, {0}, {"v"});
  ASSERT_TRUE(decoder.ok());
  std::vector<int32_t> good;
  std::vector<BadRecord> bad;
  auto batch = (*decoder)->Decode(std::span(records).subspan(1), good, bad);
  ASSERT_TRUE(batch.ok());
  ASSERT_EQ(batch->rows, 6);
  EXPECT_TRUE(batch->columns[0]->IsNull(1));
  EXPECT_EQ(batch->columns[0]->bytes(2), "");
  EXPECT_EQ(ToCsv(schema, *batch), csv);
}

}  // namespace
}  // namespace kappa::format
