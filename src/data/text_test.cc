// Goal: text and binary forms of every type are PostgreSQL's, and lossless.
// Method: round trips and PostgreSQL's messages here; bulk comparison with PostgreSQL's own answers in golden_test.cc.
#include "data/text.h"

#include <gtest/gtest.h>

#include "data/array.h"
#include "data/compare.h"

namespace kappa::data {
namespace {

std::string Reads(std::string_view text, std::string_view type) {
  Result<Value> value = FromText(text, *TypeFromName(type));
  return value.ok() ? ToText(*value) : value.error().sqlstate() + " " + value.error().message();
}

std::string BinaryRoundTrip(std::string_view text, std::string_view type_name) {
  Type type = *TypeFromName(type_name);
  Value value = *FromText(text, type);
  ColumnPtr column = ConstantColumn(value, 1);
  std::string bytes;
  AppendBinary(*column, 0, bytes);
  Result<Value> back = FromBinary(bytes, type);
  if (!back.ok()) return back.error().message();
  EXPECT_EQ(back->bytes, value.bytes) << text;
  // No prefix of a value is read out of bounds or taken for a whole one of fixed width.
  for (size_t size = 0; size < bytes.size(); ++size) (void)FromBinary(std::string_view(bytes).substr(0, size), type).ok();
  return ToText(*back);
}

TEST(TextTest, RoundTripsThroughBinary) {
  for (auto [text, type] : std::vector<std::pair<const char*, const char*>>{{"t", "bool"},
                                                                            {"-32768", "int2"},
                                                                            {"2147483647", "int4"},
                                                                            {"-9223372036854775808", "int8"},
                                                                            {"4294967295", "oid"},
                                                                            {"1e+20", "float8"},
                                                                            {"NaN", "float4"},
                                                                            {"-Infinity", "float8"},
                                                                            {"0", "numeric"},
                                                                            {"-0.00010", "numeric"},
                                                                            {"123456789012345678901234567890.123456789", "numeric"},
                                                                            {"100000000", "numeric"},
                                                                            {"NaN", "numeric"},
                                                                            {"-Infinity", "numeric"},
                                                                            {"a text of some length", "text"},
                                                                            {"\\xdeadbeef", "bytea"},
                                                                            {"2024-02-29", "date"},
                                                                            {"infinity", "date"},
                                                                            {"0044-03-15 BC", "date"},
                                                                            {"2024-02-29 12:34:56.789", "timestamp"},
                                                                            {"-infinity", "timestamptz"},
                                                                            {"2024-02-29 12:34:56+00", "timestamptz"},
                                                                            {"1 year 2 mons -3 days +04:05:06.7", "interval"},
                                                                            {"{\"a\": [1, 2.50, null]}", "jsonb"},
                                                                            {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "uuid"},
                                                                            {"{1,NULL,3}", "int4[]"},
                                                                            {"{{a,b},{\"c d\",\"NULL\"}}", "text[]"},
                                                                            {"{}", "numeric[]"},
                                                                            {"{1.50,NaN}", "numeric[]"}}) {
    EXPECT_EQ(BinaryRoundTrip(text, type), text);
  }
}

TEST(TextTest, PostgresMessages) {
  EXPECT_EQ(Reads("x", "int"), "22P02 invalid input syntax for type integer: \"x\"");
  EXPECT_EQ(Reads("99999999999", "int"), "22003 value \"99999999999\" is out of range for type integer");
  EXPECT_EQ(Reads("", "float8"), "22P02 invalid input syntax for type double precision: \"\"");
  EXPECT_EQ(Reads("1e400", "float8"), "22003 \"1e400\" is out of range for type double precision");
  EXPECT_EQ(Reads("maybe", "bool"), "22P02 invalid input syntax for type boolean: \"maybe\"");
  EXPECT_EQ(Reads("abcdef", "varchar(3)"), "22001 value too long for type character varying(3)");
  EXPECT_EQ(Reads("abc   ", "varchar(3)"), "abc");
  EXPECT_EQ(Reads("äöü", "varchar(3)"), "äöü");
  EXPECT_EQ(Reads("{1,2", "int[]"), "22P02 malformed array literal: \"{1,2\"");
  EXPECT_EQ(Reads("\xff", "text"), "22021 invalid byte sequence for encoding \"UTF8\": 0xff");
  EXPECT_EQ(Reads("123.456", "numeric(5,2)"), "123.46");
  EXPECT_EQ(Reads("1234.5", "numeric(5,2)"), "22003 numeric field overflow");
  EXPECT_EQ(Reads("now", "timestamp"), "0A000 the value \"now\" depends on the time at which it is read");
}

TEST(TextTest, TimestamptzInTheSessionsZone) {
  Value value = *FromText("2024-07-01 12:00", TypeId::kTimestamptz, {"America/New_York"});
  EXPECT_EQ(ToText(value), "2024-07-01 16:00:00+00");
  EXPECT_EQ(ToText(value, {"Asia/Kolkata"}), "2024-07-01 21:30:00+05:30");
}

TEST(ArrayTest, UnnestBorrowsElements) {
  Type type = Type::ArrayOf(TypeId::kText);
  ColumnBuilder builder(type);
  AppendValue(builder, *FromText("{first element that is long,NULL}", type));
  builder.AppendNull();
  AppendValue(builder, *FromText("{}", type));
  AppendValue(builder, *FromText("{x}", type));
  ColumnPtr arrays = builder.Finish();
  std::vector<int32_t> parents;
  std::vector<int64_t> ordinals;
  ColumnPtr elements = Unnest(*arrays, parents, &ordinals);
  arrays.reset();
  ASSERT_EQ(elements->size(), 3);
  EXPECT_EQ(elements->bytes(0), "first element that is long");
  EXPECT_TRUE(elements->IsNull(1));
  EXPECT_EQ(elements->bytes(2), "x");
  EXPECT_EQ(parents, (std::vector<int32_t>{0, 0, 3}));
  EXPECT_EQ(ordinals, (std::vector<int64_t>{1, 2, 1}));
}

TEST(ArrayTest, ValidityOfForeignBytes) {
  std::string bytes = FromText("{{1,NULL},{3,4}}", Type::ArrayOf(TypeId::kInt4))->bytes;
  EXPECT_TRUE(IsValidArray(bytes));
  EXPECT_TRUE(IsValidArray(FromText("{ab,NULL,cdefghijklmnop}", Type::ArrayOf(TypeId::kText))->bytes));
  for (size_t size = 1; size < bytes.size(); ++size) EXPECT_FALSE(IsValidArray(bytes.substr(0, size)));
  std::string wrong = bytes;
  wrong[4] = 100;
  EXPECT_FALSE(IsValidArray(wrong));
}

}  // namespace
}  // namespace kappa::data
