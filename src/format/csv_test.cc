// CSV: record and field boundaries, and rows that do not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/decoder.h"

namespace kappa::format {
namespace {

using testing::ElementsAre;
using testing::Optional;

std::vector<std::string> Fields(std::string_view record) {
  auto fields = SplitCsvRecord(record);
  if (!fields.ok()) return {fields.error().message()};
  std::vector<std::string> out;
  for (auto& field : *fields) out.push_back(field ? "<" + *field + ">" : "NULL");
  return out;
}

TEST(CsvTest, FieldsAsCopyReadsThem) {
  EXPECT_THAT(Fields("a,b"), ElementsAre("<a>", "<b>"));
  EXPECT_THAT(Fields(""), ElementsAre("NULL"));
  EXPECT_THAT(Fields(","), ElementsAre("NULL", "NULL"));
  EXPECT_THAT(Fields("\"\","), ElementsAre("<>", "NULL"));
  EXPECT_THAT(Fields("\"a,b\",\"c\nd\",\"e\"\"f\""), ElementsAre("<a,b>", "<c\nd>", "<e\"f>"));
  EXPECT_THAT(Fields("a\"b,c\"d,e"), ElementsAre("<ab,cd>", "<e>"));
  EXPECT_THAT(Fields("\"a\"b"), ElementsAre("<ab>"));
  EXPECT_THAT(Fields(" a , b "), ElementsAre("< a >", "< b >"));
  EXPECT_THAT(Fields("\"a"), ElementsAre("unterminated CSV quoted field"));
  EXPECT_THAT(Fields("\"a\"\""), ElementsAre("unterminated CSV quoted field"));
}

TEST(CsvTest, RecordLength) {
  EXPECT_EQ(CsvRecordLength("a,b\nc", false), 4u);
  EXPECT_EQ(CsvRecordLength("a,\"b\nc\"\nd", false), 8u);
  EXPECT_EQ(CsvRecordLength("a,\"b\nc", false), 0u);
  EXPECT_EQ(CsvRecordLength("a,\"b\nc", true), 6u);
  EXPECT_EQ(CsvRecordLength("abc", false), 0u);
  EXPECT_EQ(CsvRecordLength("abc", true), 3u);
  EXPECT_EQ(CsvRecordLength("\"a\"\"\n\"\n", false), 7u);
  EXPECT_EQ(CsvRecordLength("", true), 0u);
}

TEST(CsvTest, RowsThatDoNotFit) {
  data::Schema schema;
  schema.fields = {{"a", data::TypeId::kInt4, false}, {"b", data::TypeId::kText, true}, {"absent", data::TypeId::kDate, true}};
  auto decoder = CsvDecoder::Make(schema, {2, 1, 0}, {"b", "other", "a"});
  ASSERT_TRUE(decoder.ok());
  const std::vector<std::string_view> records = {"x,1,2",   "x,1", "x,1,2,3", "x,1,", "x,1,z", "\"x,1,2", "\xff,1,2", std::string_view("\0,1,2", 5),
                                                 "\"\",1,3"};
  std::vector<int32_t> good;
  std::vector<BadRecord> bad;
  auto batch = (*decoder)->Decode(records, good, bad);
  ASSERT_TRUE(batch.ok());
  EXPECT_THAT(good, ElementsAre(0, 8));
  ASSERT_EQ(batch->rows, 2);
  EXPECT_TRUE(batch->columns[0]->IsNull(0));
  EXPECT_EQ(batch->columns[1]->bytes(0), "x");
  EXPECT_FALSE(batch->columns[1]->IsNull(1));
  EXPECT_EQ(batch->columns[2]->data<int32_t>()[1], 3);
  std::vector<std::string> reasons;
  for (const BadRecord& b : bad) reasons.push_back(b.reason);
  EXPECT_THAT(
      reasons,
      ElementsAre("missing data for column \"a\"", "extra data after last expected column", "column \"a\": null value violates not-null constraint",
                  "column \"a\": invalid input syntax for type integer: \"z\"", "unterminated CSV quoted field",
                  "invalid byte sequence for encoding \"UTF8\" at byte 0", "invalid byte sequence for encoding \"UTF8\": 0x00 at byte 0"));
}

TEST(CsvTest, HeaderMustHoldWhatMayNotBeNull) {
  data::Schema schema;
  schema.fields = {{"a", data::TypeId::kInt4, false}};
  auto missing = CsvDecoder::Make(schema, {}, {"b"});
  ASSERT_FALSE(missing.ok());
  EXPECT_TRUE(missing.error().Is(sqlstate::kUndefinedColumn));
  auto twice = CsvDecoder::Make(schema, {}, {"a", "a"});
  ASSERT_FALSE(twice.ok());
  EXPECT_TRUE(twice.error().Is(sqlstate::kDuplicateColumn));
}

}  // namespace
}  // namespace kappa::format
