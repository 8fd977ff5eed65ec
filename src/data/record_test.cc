// Rows packed into bytes must read back as they were made, compare as PostgreSQL's rows do, have one canonical form for equal values, and
// reach clients in the binary form of type record.
#include "data/record.h"

#include <gtest/gtest.h>

#include "data/compare.h"
#include "data/row_key.h"
#include "data/text.h"

namespace kappa::data {
namespace {

Value Of(const char* text, Type type) { return FromText(text, type).value(); }

std::string Packed(const std::vector<Value>& fields) {
  RecordBuilder builder;
  for (const Value& field : fields) {
    if (field.null) builder.AppendNull(field.type);
    else builder.Append(field.type, field.bytes);
  }
  return builder.Finish();
}

TEST(RecordTest, FieldsReadBack) {
  const std::string bytes =
      Packed({Of("7", TypeId::kInt4), Value::Null(TypeId::kText), Of("{1,2}", Type::ArrayOf(TypeId::kInt8)), Of("", TypeId::kText)});
  RecordReader reader(bytes);
  ASSERT_EQ(reader.fields(), 4);
  const RecordReader::Field number = reader.Next(), null = reader.Next(), array = reader.Next(), empty = reader.Next();
  EXPECT_EQ(ToText(ValueAt(*number.Column(TypeId::kInt4), 0)), "7");
  EXPECT_FALSE(null.physical);
  EXPECT_EQ(array.type, Type::ArrayOf(TypeId::kInt8));
  EXPECT_EQ(empty.physical, "");
  EXPECT_EQ(ToText(Value::Bytes(TypeId::kRecord, bytes)), "(7,,\"{1,2}\",\"\")");
}

TEST(RecordTest, NullComesLastAndEarlierFieldsDecide) {
  const auto compare = [](const std::vector<Value>& a, const std::vector<Value>& b) { return CompareRecords(Packed(a), Packed(b)); };
  const Value one = Of("1", TypeId::kInt4), two = Of("2", TypeId::kInt4), null = Value::Null(TypeId::kInt4);
  EXPECT_LT(compare({one, two}, {two, one}), 0);
  EXPECT_GT(compare({one, null}, {one, two}), 0);
  EXPECT_EQ(compare({null, one}, {null, one}), 0);
  EXPECT_LT(compare({one}, {one, two}), 0);
  EXPECT_EQ(compare({Of("1.0", TypeId::kNumeric)}, {Of("1.00", TypeId::kNumeric)}), 0);
}

TEST(RecordTest, EqualValuesHaveOneCanonicalForm) {
  const auto canonical = [](const std::string& bytes) {
    std::string out;
    AppendCanonicalRecord(bytes, out);
    return out;
  };
  const std::string inner = Packed({Of("2.50", TypeId::kNumeric)}), same = Packed({Of("2.5", TypeId::kNumeric)});
  const std::string a = Packed({Of("-0", TypeId::kFloat8), Value::Bytes(TypeId::kRecord, inner)}),
                    b = Packed({Of("0", TypeId::kFloat8), Value::Bytes(TypeId::kRecord, same)});
  EXPECT_NE(a, b);
  EXPECT_EQ(canonical(a), canonical(b));
  EXPECT_TRUE(IsCanonicalRecord(canonical(a)));
  EXPECT_FALSE(IsCanonicalRecord(a));
}

TEST(RecordTest, TheTypeIsToldByNamesAndTypes) {
  const Type type = RegisterRecord({{"a", "b"}, {TypeId::kInt4, TypeId::kText}});
  EXPECT_EQ(RegisterRecord({{"a", "b"}, {TypeId::kInt4, TypeId::kText}}), type);
  EXPECT_FALSE(RegisterRecord({{"a", "c"}, {TypeId::kInt4, TypeId::kText}}).Same(type));
  EXPECT_FALSE(RegisterRecord({{"a", "b"}, {TypeId::kInt8, TypeId::kText}}).Same(type));
  EXPECT_EQ(type.ToString(), "record");
  EXPECT_EQ(type.oid(), 2249u);
  EXPECT_EQ(type.WithoutModifier(), type);
  EXPECT_EQ(FindRecord(type)->names[1], "b");
  EXPECT_EQ(FindRecord(TypeId::kRecord), nullptr);
  EXPECT_TRUE(FieldsAreKnown(type));
  EXPECT_TRUE(FieldsAreKnown(Type::ArrayOf(TypeId::kInt4)));
  EXPECT_FALSE(FieldsAreKnown(TypeId::kRecord));
  EXPECT_FALSE(FieldsAreKnown(RegisterRecord({{"a"}, {TypeId::kRecord}})));
}

// Number of fields, then for each its type's oid, its length (-1: NULL) and its bytes, all big-endian.
TEST(RecordTest, BinaryFormIsRecordSends) {
  const Type type = RegisterRecord({{"n", "t"}, {TypeId::kInt2, Type(TypeId::kText).WithModifier(7)}});
  const ColumnPtr column = ConstantColumn(Value::Bytes(type, Packed({Of("258", TypeId::kInt2), Value::Null(TypeId::kText)})), 1);
  std::string out;
  AppendBinary(*column, 0, out);
  EXPECT_EQ(out, std::string("\0\0\0\2\0\0\0\x15\0\0\0\2\1\2\0\0\4\x13\xff\xff\xff\xff", 22));
}

}  // namespace
}  // namespace kappa::data
